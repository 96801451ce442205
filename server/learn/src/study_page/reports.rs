//! What trials reported on their way.

use super::PageTrial;
use super::axis::{self, Axis};
use super::chart::{Frame, Picture};
use super::history::{key, note_outside};
use super::view::{View, even};
use crate::html::Html;

/// Lines that can be told apart, and points of each.
pub(super) const MAX_LINES: usize = 150;
const MAX_POINTS: usize = 200;

/// One line a trial by step. `reporting` are the trials with reports by number.
pub(super) fn write(page: &mut Html, view: &View<'_>, reporting: &[usize]) {
    let lines = view.sample(reporting, MAX_LINES);
    let mut items = vec![("line full", "complete")];
    for (state, class) in [("pruned", "line cut"), ("running", "line open"), ("failed", "line broken")] {
        if lines.iter().any(|&trial| view.trial(trial).state == state) {
            items.push((class, if state == "pruned" { "pruned, ends early" } else { state }));
        }
    }
    let is_shown = |trial: usize| lines.contains(&trial);
    if view.winner.is_some_and(is_shown) {
        items.push(("winner", "winner"));
    }
    key(page, &items);
    let (picture, outside) = plot(view, &lines);
    page.open("figure", &[]).picture(&picture).close("figure").line();
    view.note_sample(page, lines.len(), reporting.len(), "trials with reports");
    note_outside(page, outside);
}

/// The picture, and how many reports are off its scale.
fn plot(view: &View<'_>, lines: &[usize]) -> (String, usize) {
    let size = (880.0, 380.0);
    let reports = || lines.iter().flat_map(|&trial| &view.trial(trial).reports);
    let steps = reports().map(|(step, _)| *step);
    let range = (steps.clone().min().unwrap_or(0), steps.max().unwrap_or(0));
    let values = axis::range(reports().map(|(_, value)| *value), None).unwrap_or((0.0, 1.0));
    let frame = Frame::new(size, 46.0, Axis::whole(range, 11), Axis::linear(values, 6));
    let mut picture = Picture::new(size.0, size.1, "reports of trials by step");
    frame.draw(&mut picture, 0.0, "step", "reported metric");
    let points = |trial: &PageTrial| -> Vec<(f64, f64)> {
        let mut reports = trial.reports.clone();
        reports.sort_by_key(|(step, _)| *step);
        let mut kept = even(&reports, MAX_POINTS);
        if kept.len() < reports.len() {
            kept.extend(reports.last());
        }
        kept.into_iter().map(|(step, value)| frame.at(step as f64, value)).collect()
    };
    for (state, class) in [("complete", "full"), ("failed", "broken"), ("pruned", "cut"), ("running", "open")] {
        picture.open_group("paths");
        for trial in lines.iter().map(|&trial| view.trial(trial)).filter(|trial| trial.state == state) {
            let points = points(trial);
            picture.polyline(class, &points, Some(trial.number));
            if let (true, Some(&end)) = (state == "pruned" && points.len() > 1, points.last()) {
                picture.polyline("cut lone", &[end], Some(trial.number));
            }
        }
        picture.close_group();
    }
    if let Some(&winner) = lines.iter().find(|&&trial| view.winner == Some(trial)) {
        let (trial, points) = (view.trial(winner), points(view.trial(winner)));
        picture.polyline("won", &points, Some(trial.number));
        if let Some(&end) = points.last() {
            frame.mark_winner(&mut picture, end, trial.number);
        }
    }
    let outside = reports().filter(|(_, value)| frame.y.is_outside(*value)).count();
    (picture.finish(), outside)
}
