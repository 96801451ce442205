//! Parallel coordinates: parameters, then objectives.

use super::Scale;
use super::axis::Axis;
use super::chart::{Anchor, Picture, fit};
use super::view::{SHADES, View};
use crate::html::Html;
use crate::plot::svg::clip;

/// Lines that can be told apart.
const MAX_LINES: usize = 300;
const TOP: f64 = 96.0;
const BOTTOM: f64 = 396.0;
const HEIGHT: f64 = 416.0;
const LEFT: f64 = 24.0;
/// Room for the turned name of the last axis.
const RIGHT: f64 = 116.0;
/// Widths between two axes.
const NARROWEST: f64 = 82.0;
const WIDEST: f64 = 190.0;

/// One line a trial over one axis a parameter and an objective, the better the stronger its colour.
pub(super) fn write(page: &mut Html, view: &View<'_>) {
    let objective = view.study.objectives.first().map_or("", |objective| objective.name.as_str());
    let text = format!(
        "Each line is a complete trial; the stronger its colour the better its place by {}. \
         A line stops where a parameter does not exist.",
        clip(objective, 60)
    );
    page.element("p", "note", &text).line();
    let mut lines = view.sample(&view.complete, MAX_LINES);
    page.open("div", &[("class", "scroll")]).picture(&plot(view, &mut lines)).close("div").line();
    view.note_params(page);
    view.note_sample(page, lines.len(), view.all.0, "complete trials");
}

fn plot(view: &View<'_>, lines: &mut [usize]) -> String {
    let mut axes: Vec<(String, Axis)> = Vec::new();
    for &param in &view.params {
        let count = if matches!(view.study.params[param].scale, Scale::Categories(_)) { 12 } else { 5 };
        axes.push((view.study.params[param].name.clone(), view.param_axis(param, count)));
    }
    for (at, objective) in view.study.objectives.iter().enumerate() {
        let better = if objective.maximize { "↑" } else { "↓" };
        axes.push((format!("{better} {}", objective.name), view.objective_axis(at, 5)));
    }
    let gaps = axes.len().saturating_sub(1).max(1) as f64;
    let gap = ((880.0 - LEFT - RIGHT) / gaps).clamp(NARROWEST, WIDEST);
    let width = LEFT + gap * gaps + RIGHT;
    let place = |axis: usize, share: f64| (LEFT + axis as f64 * gap, BOTTOM - share * (BOTTOM - TOP));
    let mut picture = Picture::new(width, HEIGHT, "parallel coordinates of parameters and objectives");

    // The best last, on top of the others.
    lines.sort_by_key(|&trial| view.value(trial, 0).map_or(0, |value| view.shade(value)));
    picture.open_group("lines");
    for &trial in lines.iter() {
        let Some(value) = view.value(trial, 0) else { continue };
        let values = view.params.iter().map(|&param| view.param(trial, param));
        let values = values.chain((0..view.study.objectives.len()).map(|at| view.value(trial, at)));
        let points: Vec<Option<(f64, f64)>> =
            values.enumerate().map(|(at, value)| Some(place(at, axes[at].1.share(value?)))).collect();
        let class = match view.shade(value).min(SHADES - 1) {
            _ if view.winner == Some(trial) => "won".to_owned(),
            _ if !view.trial(trial).feasible => "unfit".to_owned(),
            shade => format!("s{shade}"),
        };
        for part in points.split(Option::is_none).filter(|part| !part.is_empty()) {
            let part: Vec<(f64, f64)> = part.iter().flatten().copied().collect();
            picture.polyline(&class, &part, Some(view.trial(trial).number));
        }
    }
    picture.close_group();
    for (at, (name, axis)) in axes.iter().enumerate() {
        picture.line("edge", place(at, 0.0), place(at, 1.0), None);
        let class = if at < view.params.len() { "name" } else { "name strong" };
        let (x, y) = place(at, 1.0);
        picture.turned_text(class, (x - 4.0, y - 10.0), -30.0, Anchor::Start, &fit(name, 130.0));
        for (share, label) in &axis.ticks {
            let (x, y) = place(at, *share);
            picture.line("edge", (x - 3.0, y), (x + 3.0, y), None);
            picture.text("tick halo", (x + 6.0, y + 4.0), Anchor::Start, &fit(label, gap - 14.0));
        }
    }
    picture.finish()
}
