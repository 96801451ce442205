//! A writer for the SVG of this page, and the frame of a plot. Colours are classes: they follow the reader's theme.

use std::fmt::Write as _;

use super::axis::Axis;
use crate::html::escape;

/// Where a text hangs on its point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture being written. Lengths are pixels, the origin is top left; classes are ours.
pub(super) struct Picture {
    body: String,
}

impl Picture {
    /// `label` is what a screen reader reads.
    pub fn new(width: f64, height: f64, label: &str) -> Self {
        let label = escape(label);
        let body = format!(
            "<svg width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
             aria-label=\"{label}\">\n"
        );
        Self { body }
    }

    pub fn open_group(&mut self, class: &str) {
        let _ = write!(self.body, "<g class=\"{class}\">");
    }

    pub fn close_group(&mut self) {
        self.body.push_str("</g>\n");
    }

    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64), trial: Option<i64>) {
        let _ = write!(
            self.body,
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"{}/>",
            from.0,
            from.1,
            to.0,
            to.1,
            of_trial(trial)
        );
    }

    /// A line through `points`; a dot when there is only one.
    pub fn polyline(&mut self, class: &str, points: &[(f64, f64)], trial: Option<i64>) {
        if let [point] = points {
            let (x, y, trial) = (point.0, point.1, of_trial(trial));
            let _ = write!(self.body, "<circle class=\"{class} lone\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\"{trial}/>");
            return;
        }
        let mut list = String::new();
        for (x, y) in points {
            let _ = write!(list, "{x:.1},{y:.1} ");
        }
        let (list, trial) = (list.trim_end(), of_trial(trial));
        let _ = write!(self.body, "<polyline class=\"{class}\" points=\"{list}\"{trial}/>");
    }

    /// The mark of a trial. Its group has the class.
    pub fn dot(&mut self, (x, y): (f64, f64), radius: f64, trial: i64) {
        let trial = of_trial(Some(trial));
        let _ = write!(self.body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"{trial}/>");
    }

    pub fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        self.turned_text(class, at, 0.0, anchor, text);
    }

    /// A text turned clockwise by `degrees` around its point.
    pub fn turned_text(&mut self, class: &str, (x, y): (f64, f64), degrees: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let turn =
            if degrees == 0.0 { String::new() } else { format!(" transform=\"rotate({degrees} {x:.1} {y:.1})\"") };
        let _ = write!(
            self.body,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{turn}>{}</text>",
            escape(text)
        );
    }

    pub fn finish(mut self) -> String {
        self.body.push_str("</svg>\n");
        self.body
    }
}

fn of_trial(trial: Option<i64>) -> String {
    trial.map_or_else(String::new, |trial| format!(" data-trial=\"{trial}\""))
}

/// A plot with two axes.
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    pub x: Axis,
    pub y: Axis,
}

impl Frame {
    /// The frame of a picture of that size, with `below` pixels under it for ticks and titles.
    pub fn new((width, height): (f64, f64), below: f64, x: Axis, y: Axis) -> Self {
        let widest = y.ticks.iter().map(|(_, label)| text_width(label)).fold(0.0, f64::max);
        Self { left: widest + 32.0, top: 10.0, right: width - 12.0, bottom: height - below, x, y }
    }

    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        self.place(self.x.share(x), self.y.share(y))
    }

    /// Pixels of two shares of the axes.
    pub fn place(&self, x: f64, y: f64) -> (f64, f64) {
        (self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top))
    }

    /// Grid, y ticks and titles; x ticks `lower` pixels below the frame.
    pub fn draw(&self, picture: &mut Picture, lower: f64, x_title: &str, y_title: &str) {
        self.draw_y(picture, y_title);
        let bottom = self.bottom + lower;
        for (share, label) in &self.x.ticks {
            let x = self.place(*share, 0.0).0;
            picture.line("grid", (x, self.top), (x, self.bottom), None);
            picture.text("tick", (x, bottom + 16.0), Anchor::Middle, label);
        }
        let middle = f64::midpoint(self.left, self.right);
        let title = fit(x_title, self.right - self.left);
        picture.text("name", (middle, bottom + 35.0), Anchor::Middle, &title);
    }

    /// The same without anything below the frame.
    pub fn draw_y(&self, picture: &mut Picture, y_title: &str) {
        for (share, label) in &self.y.ticks {
            let y = self.place(0.0, *share).1;
            picture.line("grid", (self.left, y), (self.right, y), None);
            picture.text("tick", (self.left - 7.0, y + 4.0), Anchor::End, label);
        }
        picture.line("edge", (self.left, self.top), (self.left, self.bottom), None);
        picture.line("edge", (self.left, self.bottom), (self.right, self.bottom), None);
        let middle = f64::midpoint(self.top, self.bottom);
        let title = fit(y_title, self.bottom - self.top + 10.0);
        picture.turned_text("name", (13.0, middle), -90.0, Anchor::Middle, &title);
    }

    /// The ring and the number of the trial that won, on the side where there is room.
    pub fn mark_winner(&self, picture: &mut Picture, at: (f64, f64), trial: i64) {
        picture.open_group("winner");
        picture.dot(at, 5.5, trial);
        let (x, anchor) = if at.0 > f64::midpoint(self.left, self.right) {
            (at.0 - 10.0, Anchor::End)
        } else {
            (at.0 + 10.0, Anchor::Start)
        };
        let y = if at.1 < self.top + 14.0 { at.1 + 14.0 } else { at.1 - 7.0 };
        picture.text("halo", (x, y), anchor, &format!("trial {trial}"));
        picture.close_group();
    }
}

/// About how wide `text` is in 12 pixels.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().map(|c| if c.is_ascii() { 6.7 } else { 12.0 }).sum()
}

/// `text` cut to about `width` pixels, with an ellipsis in the middle: names of one family differ at their end.
pub(super) fn fit(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let half = (width - 12.0) / 2.0;
    let take = |chars: &mut dyn Iterator<Item = char>| -> Vec<char> {
        let mut left = half;
        chars
            .take_while(|c| {
                left -= if c.is_ascii() { 6.7 } else { 12.0 };
                left >= 0.0
            })
            .collect()
    };
    let (start, end) = (take(&mut text.chars()), take(&mut text.chars().rev()));
    start.into_iter().chain(['…']).chain(end.into_iter().rev()).collect()
}
