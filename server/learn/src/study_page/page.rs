//! The page from top to bottom.

use serde_json::{Map, Value, json};

use super::axis::number;
use super::table::{MAX_ROWS, state};
use super::view::View;
use super::{StudyPage, front, history, importance, parallel, reports, slices, table};
use crate::html::Html;
use crate::plot::svg::{clip, thousands};

const STYLE: &str = include_str!("study.css");
const SCRIPT: &str = include_str!("study.js");

pub(super) fn write(study: &StudyPage) -> String {
    let view = View::new(study);
    let mut page = Html::default();
    header(&mut page, &view);
    let has_values = view.all.0 > 0 && !study.objectives.is_empty();
    let others_only = view.all.1 > 0 && !study.objectives.is_empty();
    section(&mut page, "Optimisation history", |page| {
        if has_values || others_only {
            history::write(page, &view);
        } else {
            page.element("p", "missing", "No trial has ended yet.");
        }
    });
    if has_values && study.objectives.len() > 1 {
        section(&mut page, "Pareto front", |page| front::write(page, &view));
    }
    if study.importance.iter().any(|(_, shares)| !shares.is_empty()) {
        section(&mut page, "Importance of parameters", |page| importance::write(page, study));
    }
    if has_values && !study.params.is_empty() {
        section(&mut page, "Parallel coordinates", |page| parallel::write(page, &view));
        let title = format!("Parameters against {}", clip(&study.objectives[0].name, 60));
        section(&mut page, &title, |page| slices::write(page, &view));
    }
    let mut reporting = view.by_number();
    reporting.retain(|&trial| !view.trial(trial).reports.is_empty());
    if !reporting.is_empty() {
        section(&mut page, "Reports on the way", |page| reports::write(page, &view, &reporting));
    }
    if !study.trials.is_empty() {
        section(&mut page, "Trials", |page| table::write(page, &view));
    }
    page.finish_scripted(&format!("Study {}", study.name), STYLE, SCRIPT, &details(&view, &reporting))
}

fn section(page: &mut Html, title: &str, write: impl FnOnce(&mut Html)) {
    page.open("section", &[]).element("h2", "", title).line();
    write(page);
    page.close("section").line();
}

fn header(page: &mut Html, view: &View<'_>) {
    let study = view.study;
    page.open("header", &[]).element("p", "subtitle", "Study").element("h1", "", &study.name);
    if !study.description.is_empty() {
        page.element("p", "", &study.description);
    }
    page.close("header").line();
    tiles(page, view);
    if let Some((number, why)) = &study.winner {
        page.open("aside", &[("class", "won")]).element("h2", "", &format!("Winner: trial {number}"));
        page.element("p", "", why);
        if let Some(trial) = view.winner {
            facts(page, winner_facts(view, trial).iter());
        }
        page.close("aside").line();
    }
    if !study.facts.is_empty() {
        facts(page, study.facts.iter());
    }
}

fn facts<'a>(page: &mut Html, facts: impl Iterator<Item = &'a (String, String)>) {
    page.open("dl", &[]);
    for (name, value) in facts {
        page.element("dt", "", &clip(name, 80)).element("dd", "", value);
    }
    page.close("dl").line();
}

/// Counts of the trials by state.
fn tiles(page: &mut Html, view: &View<'_>) {
    let study = view.study;
    let count = |state: &str| study.trials.iter().filter(|trial| trial.state == state).count();
    let mut tiles = vec![("trials", study.trials.len(), "")];
    for state in ["complete", "pruned", "failed", "running", "waiting"] {
        tiles.push((state, count(state), ""));
    }
    let unfit = study.trials.iter().filter(|trial| trial.state == "complete" && !trial.feasible).count();
    tiles.push(("infeasible", unfit, "of the complete"));
    if view.has_front() {
        tiles.push(("on the front", study.trials.iter().filter(|trial| trial.on_front).count(), ""));
    }
    page.open("div", &[("class", "tiles")]);
    for (name, count, detail) in tiles.into_iter().filter(|(name, count, _)| *count > 0 || *name == "trials") {
        page.open("div", &[("class", "tile")]).element("span", "name", name);
        page.element("span", "value", &thousands(count as u64)).element("span", "detail", detail).close("div");
    }
    page.close("div").line();
}

/// Values and shown parameters of the winner.
fn winner_facts(view: &View<'_>, trial: usize) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    for (at, objective) in view.study.objectives.iter().enumerate() {
        facts.extend(view.value(trial, at).map(|value| (objective.name.clone(), number(value))));
    }
    for &param in &view.params {
        let name = &view.study.params[param].name;
        facts.extend(view.param(trial, param).map(|value| (name.clone(), view.param_text(param, value))));
    }
    facts
}

/// What the script shows of the trials that are on the page: state, values and parameters as texts, by number.
fn details(view: &View<'_>, reporting: &[usize]) -> Value {
    let study = view.study;
    let names = study.objectives.iter().map(|objective| &objective.name);
    let names = names.chain(view.params.iter().map(|&param| &study.params[param].name));
    let names: Vec<String> = names.map(|name| clip(name, 40)).collect();
    let reporting = view.sample(reporting, reports::MAX_LINES);
    let rows = view.order.iter().take(MAX_ROWS);
    let mut trials = Map::new();
    for &trial in view.complete.iter().chain(&view.others).chain(&reporting).chain(rows) {
        let values = (0..study.objectives.len()).map(|at| view.value(trial, at).map(number));
        let params = view.params.iter().map(|&it| view.param(trial, it).map(|value| view.param_text(it, value)));
        let texts: Vec<Option<String>> = [Some(state(view, trial))].into_iter().chain(values).chain(params).collect();
        trials.insert(view.trial(trial).number.to_string(), json!(texts));
    }
    json!({"names": names, "trials": trials})
}
