//! The trials as rows.

use super::axis::number;
use super::chart::fit;
use super::view::View;
use crate::html::Html;
use crate::plot::svg::{clip, thousands};

/// Rows of the table.
pub(super) const MAX_ROWS: usize = 200;

/// The best trials first.
pub(super) fn write(page: &mut Html, view: &View<'_>) {
    let (shown, all) = (view.order.len().min(MAX_ROWS), view.order.len());
    let order = if view.has_front() { "the winner, the front, then" } else { "the best first:" };
    let objective = view.study.objectives.first().map_or("", |objective| objective.name.as_str());
    let order = format!("{order} complete trials by {}, then the others", clip(objective, 60));
    let text = if shown < all {
        format!("The first {shown} of {} trials; {order}.", thousands(all as u64))
    } else {
        format!("{} trials; {order}.", thousands(all as u64))
    };
    page.element("p", "note", &text);
    view.note_params(page);
    page.open("div", &[("class", "scroll tall")]).open("table", &[]).open("thead", &[]).open("tr", &[]);
    page.element("th", "number", "trial").element("th", "", "state");
    for objective in &view.study.objectives {
        heading(page, &objective.name);
    }
    for &param in &view.params {
        heading(page, &view.study.params[param].name);
    }
    page.close("tr").close("thead").open("tbody", &[]).line();
    for &trial in view.order.iter().take(MAX_ROWS) {
        row(page, view, trial);
    }
    page.close("tbody").close("table").close("div").line();
}

fn heading(page: &mut Html, name: &str) {
    page.open("th", &[("class", "number"), ("title", name)]).text(&fit(name, 190.0)).close("th");
}

fn row(page: &mut Html, view: &View<'_>, trial: usize) {
    let it = view.trial(trial);
    let class = if view.winner == Some(trial) { "marked" } else { "" };
    page.open("tr", &[("class", class), ("data-trial", &it.number.to_string())]);
    page.element("td", "number", &it.number.to_string()).element("td", "", &state(view, trial));
    for objective in 0..view.study.objectives.len() {
        page.element("td", "number", &view.value(trial, objective).map_or_else(String::new, number));
    }
    for &param in &view.params {
        let text = view.param(trial, param).map_or_else(String::new, |value| view.param_text(param, value));
        page.element("td", "number", &text);
    }
    page.close("tr").line();
}

/// The state of a trial, and what sets it apart.
pub(super) fn state(view: &View<'_>, trial: usize) -> String {
    let it = view.trial(trial);
    if it.state == "complete" && !it.feasible {
        format!("{}, infeasible", it.state)
    } else if it.state == "complete" && view.is_on_front(trial) {
        format!("{}, front", it.state)
    } else {
        it.state.to_owned()
    }
}
