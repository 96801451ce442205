//! What trials reached over time.

use super::axis::Axis;
use super::chart::{Anchor, Frame, Picture};
use super::view::{View, even};
use crate::html::Html;
use crate::plot::svg::clip;

/// Corners of the line of the best so far.
const MAX_STEPS: usize = 500;
/// Height of one row of ticks below the plot, for trials without a value.
const ROW: f64 = 15.0;

/// One plot an objective: a dot for each complete trial and the best so far; ticks below for trials without a value.
pub(super) fn write(page: &mut Html, view: &View<'_>) {
    legend(page, view);
    let alone = view.study.objectives.len() == 1;
    page.open("div", &[("class", if alone { "plots" } else { "plots two" })]).line();
    let mut outside = 0;
    for objective in 0..view.study.objectives.len() {
        let size = if alone { (880.0, 380.0) } else { (440.0, 320.0) };
        page.open("figure", &[]).picture(&plot(view, objective, size, &mut outside)).close("figure").line();
    }
    page.close("div").line();
    let drawn = view.complete.len() + view.others.len();
    view.note_sample(page, drawn, view.all.0 + view.all.1, "trials");
    note_outside(page, outside);
}

/// A note of values that are off the scale.
pub(super) fn note_outside(page: &mut Html, outside: usize) {
    if outside > 0 {
        let what = if outside == 1 { "value is" } else { "values are" };
        let text = format!("{outside} far {what} off the scale and drawn at its edge.");
        page.element("p", "note", &text).line();
    }
}

fn legend(page: &mut Html, view: &View<'_>) {
    let mut items = vec![("plain", "complete")];
    if view.has_front() {
        items.push(("front", "on the front"));
    }
    if view.complete.iter().any(|&trial| !view.trial(trial).feasible) {
        items.push(("hollow", "infeasible"));
    }
    items.push(("best", "best so far (feasible)"));
    if view.winner.is_some() {
        items.push(("winner", "winner"));
    }
    key(page, &items);
}

/// The marks of a plot and what they mean.
pub(super) fn key(page: &mut Html, items: &[(&str, &str)]) {
    page.open("p", &[("class", "key note")]);
    for (class, text) in items {
        let class = format!("mark {class}");
        page.open("span", &[]).open("i", &[("class", &class)]).close("i").text(text).close("span").text(" ");
    }
    page.close("p").line();
}

fn plot(view: &View<'_>, objective: usize, (width, height): (f64, f64), outside: &mut usize) -> String {
    let rows: Vec<(&str, Vec<i64>)> = ["pruned", "failed", "running"]
        .into_iter()
        .map(|state| (state, view.others.iter().map(|&trial| view.trial(trial))))
        .map(|(state, trials)| (state, trials.filter(|trial| trial.state == state).map(|it| it.number).collect()))
        .filter(|(_, numbers): &(_, Vec<i64>)| !numbers.is_empty())
        .collect();
    let lower = if rows.is_empty() { 0.0 } else { rows.len() as f64 * ROW + 6.0 };
    let numbers = view.study.trials.iter().map(|trial| trial.number);
    let range = (numbers.clone().min().unwrap_or(0), numbers.max().unwrap_or(0));
    let x = Axis::whole(range, (width / 80.0) as usize);
    let mut frame = Frame::new((width, height), 46.0 + lower, x, view.objective_axis(objective, 6));
    if !rows.is_empty() {
        frame.left = frame.left.max(58.0);
    }
    let name = &view.study.objectives[objective].name;
    let mut picture = Picture::new(width, height, &format!("optimisation history of {}", clip(name, 60)));
    frame.draw(&mut picture, lower, "trial", &view.objective_title(objective));

    for (row, (state, numbers)) in rows.iter().enumerate() {
        let y = frame.bottom + 7.0 + row as f64 * ROW;
        picture.text("tick", (frame.left - 7.0, y + 9.0), Anchor::End, state);
        picture.open_group(state);
        for &number in numbers {
            let x = frame.x.share(number as f64);
            let x = frame.place(x, 0.0).0;
            picture.line("rug", (x, y), (x, y + ROW - 4.0), Some(number));
        }
        picture.close_group();
    }
    picture.polyline("best", &best_so_far(view, objective, &frame), None);
    let radius = if view.complete.len() > 300 { 2.3 } else { 3.0 };
    for (class, front, feasible) in [("hollow", false, false), ("plain", false, true), ("front", true, true)] {
        picture.open_group(class);
        for &trial in &view.complete {
            let Some(value) = view.value(trial, objective) else { continue };
            let it = view.trial(trial);
            let is_front = it.feasible && view.is_on_front(trial);
            if it.feasible == feasible && is_front == front {
                *outside += usize::from(frame.y.is_outside(value));
                picture.dot(frame.at(it.number as f64, value), radius, it.number);
            }
        }
        picture.close_group();
    }
    if let Some((number, value)) = view.winner.and_then(|it| Some((view.trial(it).number, view.value(it, objective)?)))
    {
        frame.mark_winner(&mut picture, frame.at(number as f64, value), number);
    }
    picture.finish()
}

/// Corners of the best feasible value as steps.
fn best_so_far(view: &View<'_>, objective: usize, frame: &Frame) -> Vec<(f64, f64)> {
    let mut changes: Vec<(i64, f64)> = Vec::new();
    for trial in view.by_number() {
        let (it, value) = (view.trial(trial), view.value(trial, objective));
        let Some(value) = value.filter(|_| it.feasible) else { continue };
        if changes.last().is_none_or(|(_, best)| view.is_better(objective, value, *best)) {
            changes.push((it.number, value));
        }
    }
    let Some(&last) = changes.last() else { return Vec::new() };
    let mut kept = even(&changes, MAX_STEPS);
    kept.push(last);
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (number, value) in kept {
        let point = frame.at(number as f64, value);
        if let Some(before) = points.last() {
            points.push((point.0, before.1));
        }
        points.push(point);
    }
    points.push((frame.right, frame.at(0.0, last.1).1));
    points
}
