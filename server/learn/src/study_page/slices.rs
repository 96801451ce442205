//! One small plot a parameter.

use super::Scale;
use super::chart::{Anchor, Frame, Picture, fit, text_width};
use super::history::{key, note_outside};
use super::view::View;
use crate::html::Html;
use crate::plot::svg::clip;

const WIDTH: f64 = 290.0;
const HEIGHT: f64 = 230.0;
/// Trials drawn in each plot when there are many plots.
const MAX_DOTS: usize = 400;
const FEW_PLOTS: usize = 6;

/// The values of each parameter against the first objective.
pub(super) fn write(page: &mut Html, view: &View<'_>) {
    let mut items = vec![("plain", "complete")];
    if view.has_front() {
        items.push(("front", "on the front"));
    }
    items.push(("hollow", "infeasible"));
    if view.winner.is_some() {
        items.push(("winner", "winner"));
    }
    key(page, &items);
    let many = view.params.len() > FEW_PLOTS;
    let trials = if many { view.sample(&view.complete, MAX_DOTS) } else { view.complete.clone() };
    page.open("div", &[("class", "plots three")]).line();
    for &param in &view.params {
        page.open("figure", &[]).picture(&plot(view, param, &trials)).close("figure").line();
    }
    page.close("div").line();
    view.note_params(page);
    view.note_sample(page, trials.len(), view.all.0, "complete trials");
    let axis = view.objective_axis(0, 5);
    note_outside(page, trials.iter().filter_map(|&it| view.value(it, 0)).filter(|it| axis.is_outside(*it)).count());
}

fn plot(view: &View<'_>, param: usize, trials: &[usize]) -> String {
    let it = &view.study.params[param];
    let mut x = view.param_axis(param, 4);
    let mut below = 46.0;
    let categories = match &it.scale {
        Scale::Categories(_) => std::mem::take(&mut x.ticks),
        _ => Vec::new(),
    };
    // Names of categories are turned where they do not fit side by side.
    let place = 220.0 / categories.len().max(1) as f64;
    let longest = categories.iter().map(|(_, name)| text_width(name)).fold(0.0, f64::max);
    let turned = longest + 6.0 > place;
    if turned {
        below = 46.0 + (longest.min(84.0) * 0.38).round();
    }
    let frame = Frame::new((WIDTH, HEIGHT + below - 46.0), below, x, view.objective_axis(0, 5));
    let label = format!("{} against {}", clip(&it.name, 60), clip(&view.study.objectives[0].name, 60));
    let mut picture = Picture::new(WIDTH, HEIGHT + below - 46.0, &label);
    let scale = if matches!(it.scale, Scale::Log) { " (log)" } else { "" };
    let room = frame.right - frame.left - text_width(scale);
    let title = format!("{}{scale}", fit(&it.name, room));
    frame.draw(&mut picture, below - 46.0, &title, &view.study.objectives[0].name);
    for (share, name) in &categories {
        let (x, y) = frame.place(*share, 0.0);
        if turned {
            picture.turned_text("tick", (x + 4.0, y + 13.0), -35.0, Anchor::End, &fit(name, 84.0));
        } else {
            picture.text("tick", (x, y + 16.0), Anchor::Middle, name);
        }
    }
    let at = |trial: usize| {
        let (value, y) = (view.param(trial, param)?, view.value(trial, 0)?);
        let number = view.trial(trial).number;
        let shift = if matches!(it.scale, Scale::Categories(_)) { jitter(number) } else { 0.0 };
        Some((frame.at(value + shift, y), number))
    };
    for (class, front, feasible) in [("hollow", false, false), ("plain", false, true), ("front", true, true)] {
        picture.open_group(class);
        for &trial in trials {
            let is_feasible = view.trial(trial).feasible;
            if is_feasible != feasible || (is_feasible && view.is_on_front(trial)) != front {
                continue;
            }
            if let Some((point, number)) = at(trial) {
                picture.dot(point, 2.5, number);
            }
        }
        picture.close_group();
    }
    if let Some((point, number)) = view.winner.and_then(at) {
        picture.open_group("winner");
        picture.dot(point, 5.0, number);
        picture.close_group();
    }
    picture.finish()
}

/// A shift within the place of a category, so that trials do not cover each other: the golden ratio spreads evenly.
fn jitter(number: i64) -> f64 {
    ((number as f64 * 0.618_033_988_749_895).rem_euclid(1.0) - 0.5) * 0.6
}
