//! A square chart with both axes from 0 to 1, a grid, titles and a legend below.

use super::svg::{Anchor, Font, Svg, clip};
use super::{FAINT, GRID, INK};

const LEFT: f64 = 70.0;
const TOP: f64 = 64.0;
const SIDE: f64 = 400.0;
const RIGHT: f64 = 30.0;
const LEGEND_LINE: f64 = 20.0;

/// The chart being drawn.
pub(super) struct Axes {
    pub svg: Svg,
    title: String,
    legend: usize,
}

impl Axes {
    /// An empty chart with room for `legend` lines below it.
    pub fn new(title: &str, subtitle: &str, x: &str, y: &str, legend: usize) -> Self {
        let height = TOP + SIDE + 62.0 + legend as f64 * LEGEND_LINE + 8.0;
        let mut svg = Svg::new(LEFT + SIDE + RIGHT, height);
        svg.text((LEFT, 28.0), title, Anchor::Start, Font { size: 17.0, bold: true, colour: INK });
        svg.text((LEFT, 48.0), subtitle, Anchor::Start, Font { size: 12.0, colour: FAINT, bold: false });
        let mut axes = Self { svg, title: title.to_owned(), legend: 0 };
        for tick in 0..=5 {
            let value = f64::from(tick) / 5.0;
            let (left, right, bottom, top) =
                (axes.at(0.0, value), axes.at(1.0, value), axes.at(value, 0.0), axes.at(value, 1.0));
            axes.svg.line(left, right, GRID, 1.0, false);
            axes.svg.line(bottom, top, GRID, 1.0, false);
            let font = Font { size: 11.0, colour: FAINT, bold: false };
            axes.svg.text((left.0 - 8.0, left.1 + 4.0), &format!("{value:.1}"), Anchor::End, font);
            axes.svg.text((bottom.0, bottom.1 + 17.0), &format!("{value:.1}"), Anchor::Middle, font);
        }
        let corner = axes.at(0.0, 0.0);
        axes.svg.line(corner, axes.at(1.0, 0.0), INK, 1.2, false);
        axes.svg.line(corner, axes.at(0.0, 1.0), INK, 1.2, false);
        axes.svg.text((LEFT + SIDE / 2.0, TOP + SIDE + 38.0), x, Anchor::Middle, Font::default());
        axes.svg.turned_text((LEFT - 44.0, TOP + SIDE / 2.0), -90.0, y, Anchor::Middle, Font::default());
        axes
    }

    /// Pixels of the point (`x`, `y`), both 0 to 1.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (LEFT + x.clamp(0.0, 1.0) * SIDE, TOP + (1.0 - y.clamp(0.0, 1.0)) * SIDE)
    }

    pub fn curve(&mut self, points: &[(f64, f64)], colour: &str) {
        let points: Vec<_> = points.iter().map(|&(x, y)| self.at(x, y)).collect();
        self.svg.polyline(&points, colour, 2.0);
    }

    pub fn dashed(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (from, to) = (self.at(from.0, from.1), self.at(to.0, to.1));
        self.svg.line(from, to, FAINT, 1.2, true);
    }

    /// Adds one line to the legend.
    pub fn legend(&mut self, colour: &str, dashed: bool, text: &str) {
        let y = TOP + SIDE + 62.0 + self.legend as f64 * LEGEND_LINE;
        self.legend += 1;
        self.svg.line((LEFT, y), (LEFT + 24.0, y), colour, 2.5, dashed);
        self.svg.text((LEFT + 32.0, y + 4.0), &clip(text, 62), Anchor::Start, Font::default());
    }

    pub fn finish(self) -> String {
        self.svg.finish(&self.title)
    }
}
