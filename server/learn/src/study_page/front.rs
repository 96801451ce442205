//! What one objective costs another.

use super::chart::{Frame, Picture};
use super::history::{key, note_outside};
use super::view::View;
use crate::html::Html;
use crate::plot::svg::clip;

/// Pairs of objectives drawn: all of six.
const MAX_PAIRS: usize = 15;
/// Trials drawn in each plot when there are many plots.
const MAX_DOTS: usize = 400;

/// A scatter for each pair of objectives.
pub(super) fn write(page: &mut Html, view: &View<'_>) {
    let count = view.study.objectives.len();
    let mut pairs: Vec<(usize, usize)> = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
    let all_pairs = pairs.len();
    pairs.truncate(MAX_PAIRS);
    let mut items = vec![("plain", "dominated"), ("front", "on the front"), ("hollow", "infeasible")];
    if view.winner.is_some() {
        items.push(("winner", "winner"));
    }
    key(page, &items);
    let text = match count {
        2 => "The line joins the front: nothing feasible was found beyond it.",
        _ => {
            "A trial is on the front when no feasible one is better in some objective and no worse in all others; \
              the line joins those that are best in the two objectives of the plot."
        }
    };
    page.element("p", "note", text).line();
    let alone = pairs.len() == 1;
    let trials = if pairs.len() > 3 { view.sample(&view.complete, MAX_DOTS) } else { view.complete.clone() };
    page.open("div", &[("class", if alone { "plots" } else { "plots two" })]).line();
    let mut outside = 0;
    for &pair in &pairs {
        let size = if alone { (880.0, 460.0) } else { (440.0, 360.0) };
        page.open("figure", &[]).picture(&plot(view, pair, &trials, size, &mut outside)).close("figure").line();
    }
    page.close("div").line();
    if pairs.len() < all_pairs {
        page.element("p", "note", &format!("The first {MAX_PAIRS} of {all_pairs} pairs of objectives.")).line();
    }
    view.note_sample(page, trials.len(), view.all.0, "complete trials");
    note_outside(page, outside);
}

fn plot(view: &View<'_>, (a, b): (usize, usize), trials: &[usize], size: (f64, f64), outside: &mut usize) -> String {
    let objectives = &view.study.objectives;
    let (width, height) = size;
    let (x, y) = (view.objective_axis(a, (width / 80.0) as usize), view.objective_axis(b, 6));
    let frame = Frame::new(size, 46.0, x, y);
    let label = format!("{} and {} of trials", clip(&objectives[a].name, 40), clip(&objectives[b].name, 40));
    let mut picture = Picture::new(width, height, &label);
    frame.draw(&mut picture, 0.0, &view.objective_title(a), &view.objective_title(b));
    picture.polyline("steps", &steps(view, (a, b), &frame), None);
    let radius = if trials.len() > 300 { 2.3 } else { 3.0 };
    for (class, front, feasible) in [("hollow", false, false), ("plain", false, true), ("front", true, true)] {
        picture.open_group(class);
        for &trial in trials {
            let it = view.trial(trial);
            let (Some(x), Some(y)) = (view.value(trial, a), view.value(trial, b)) else { continue };
            if it.feasible == feasible && (it.feasible && view.is_on_front(trial)) == front {
                *outside += usize::from(frame.x.is_outside(x) || frame.y.is_outside(y));
                picture.dot(frame.at(x, y), if front { radius + 0.5 } else { radius }, it.number);
            }
        }
        picture.close_group();
    }
    let winner = view.winner.and_then(|it| Some((view.value(it, a)?, view.value(it, b)?, view.trial(it).number)));
    if let Some((x, y, number)) = winner {
        frame.mark_winner(&mut picture, frame.at(x, y), number);
    }
    picture.finish()
}

/// Corners of the front of two objectives. What is best in two is on the front of all, so other trials need no look.
fn steps(view: &View<'_>, (a, b): (usize, usize), frame: &Frame) -> Vec<(f64, f64)> {
    let front = (0..view.study.trials.len()).filter(|&trial| view.trial(trial).feasible && view.is_on_front(trial));
    let mut values: Vec<(f64, f64)> =
        front.filter_map(|trial| Some((view.value(trial, a)?, view.value(trial, b)?))).collect();
    let (up_a, up_b) = (view.study.objectives[a].maximize, view.study.objectives[b].maximize);
    let ordered = |x: f64, y: f64, up: bool| if up { y.total_cmp(&x) } else { x.total_cmp(&y) };
    values.sort_by(|x, y| ordered(x.0, y.0, up_a).then(ordered(x.1, y.1, up_b)));
    let mut best: Option<f64> = None;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (value_a, value_b) in values {
        if best.is_some_and(|best| !view.is_better(b, value_b, best)) {
            continue;
        }
        best = Some(value_b);
        let point = frame.at(value_a, value_b);
        // The corner lies on the worse side of both.
        if let Some(before) = points.last() {
            points.push((point.0, before.1));
        }
        points.push(point);
    }
    points
}
