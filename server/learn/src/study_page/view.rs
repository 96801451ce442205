//! What all sections need to know of a study: the best first, what is drawn, and the axes.

use std::collections::HashMap;

use super::axis::{self, Axis};
use super::{PageTrial, Scale, StudyPage};
use crate::html::Html;
use crate::plot::svg::thousands;

/// Parameters that get plots and columns.
const MAX_PARAMS: usize = 20;
/// Complete trials drawn on the page, and others.
const MAX_COMPLETE: usize = 800;
const MAX_OTHERS: usize = 400;
/// Shades of the lines from the worst to the best.
pub(super) const SHADES: usize = 8;

/// A study and what was worked out for its page. Trials are indexes into those of the study.
pub(super) struct View<'a> {
    pub study: &'a StudyPage,
    /// All trials: the winner, the front, feasible and other complete ones by the first objective, then the rest.
    pub order: Vec<usize>,
    /// Complete trials that are drawn, by number.
    pub complete: Vec<usize>,
    /// Trials that ended or run without a value, as far as they are drawn, by number.
    pub others: Vec<usize>,
    /// How many complete and other trials there are.
    pub all: (usize, usize),
    /// Indexes of the parameters that get plots, the most important first.
    pub params: Vec<usize>,
    pub winner: Option<usize>,
    /// The winner and the best of each objective: never left out.
    best: Vec<usize>,
    /// First values of complete trials in ascending order.
    sorted: Vec<f64>,
}

impl<'a> View<'a> {
    pub fn new(study: &'a StudyPage) -> Self {
        let winner = study.winner.as_ref();
        let winner = winner.and_then(|(number, _)| study.trials.iter().position(|trial| trial.number == *number));
        let mut view = Self {
            study,
            order: (0..study.trials.len()).collect(),
            complete: Vec::new(),
            others: Vec::new(),
            all: (0, 0),
            params: important_params(study),
            winner,
            best: winner.into_iter().collect(),
            sorted: Vec::new(),
        };
        let mut order = std::mem::take(&mut view.order);
        order.sort_by(|&a, &b| view.compare(a, b));
        view.order = order;
        for objective in 0..study.objectives.len() {
            view.best.extend(view.best_of(objective));
        }
        view.best.sort_unstable();
        view.best.dedup();
        let (complete, others): (Vec<usize>, Vec<usize>) =
            view.by_number().into_iter().partition(|&trial| view.value(trial, 0).is_some());
        let others: Vec<usize> = others.into_iter().filter(|&trial| view.trial(trial).state != "waiting").collect();
        view.sorted = complete.iter().filter_map(|&trial| view.value(trial, 0)).collect();
        view.sorted.sort_by(f64::total_cmp);
        view.all = (complete.len(), others.len());
        view.complete = view.sample(&complete, MAX_COMPLETE);
        view.others = view.sample(&others, MAX_OTHERS);
        view
    }

    pub fn trial(&self, trial: usize) -> &'a PageTrial {
        &self.study.trials[trial]
    }

    /// The value of a complete trial.
    pub fn value(&self, trial: usize, objective: usize) -> Option<f64> {
        let trial = self.trial(trial);
        if trial.state == "complete" { trial.values.get(objective).copied() } else { None }
    }

    pub fn param(&self, trial: usize, param: usize) -> Option<f64> {
        self.trial(trial).params.get(param).copied().flatten()
    }

    /// Whether `a` is the better value.
    pub fn is_better(&self, objective: usize, a: f64, b: f64) -> bool {
        if self.study.objectives[objective].maximize { a > b } else { a < b }
    }

    /// Whether a front means anything here.
    pub fn has_front(&self) -> bool {
        self.study.objectives.len() > 1
    }

    pub fn is_on_front(&self, trial: usize) -> bool {
        self.has_front() && self.trial(trial).on_front
    }

    /// All trials by number.
    pub fn by_number(&self) -> Vec<usize> {
        let mut trials: Vec<usize> = (0..self.study.trials.len()).collect();
        trials.sort_by_key(|&trial| self.trial(trial).number);
        trials
    }

    /// At most about `cap` of `trials` in their order: the best, the front, and an even sample of the rest.
    pub fn sample(&self, trials: &[usize], cap: usize) -> Vec<usize> {
        if trials.len() <= cap {
            return trials.to_vec();
        }
        let (best, rest): (Vec<_>, Vec<_>) =
            trials.iter().enumerate().partition(|(_, trial)| self.best.binary_search(trial).is_ok());
        let (front, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, trial)| self.is_on_front(**trial));
        let mut kept = best;
        // A front that is too large leaves room for what lies behind it.
        let room = cap.saturating_sub(kept.len());
        kept.extend(even(&front, if front.len() <= room { room } else { room * 3 / 4 }));
        kept.extend(even(&rest, cap.saturating_sub(kept.len())));
        kept.sort_unstable();
        kept.into_iter().map(|(_, trial)| *trial).collect()
    }

    /// The values of an objective on an axis, far ones of the worse side left out.
    pub fn objective_axis(&self, objective: usize, ticks: usize) -> Axis {
        let values = (0..self.study.trials.len()).filter_map(|trial| self.value(trial, objective));
        let range = axis::range(values, Some(self.study.objectives[objective].maximize));
        Axis::linear(range.unwrap_or((0.0, 1.0)), ticks)
    }

    /// The values that trials have of a parameter on an axis.
    pub fn param_axis(&self, param: usize, ticks: usize) -> Axis {
        let values = (0..self.study.trials.len()).filter_map(|trial| self.param(trial, param));
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let low = values.iter().copied().reduce(f64::min);
        let high = values.iter().copied().reduce(f64::max);
        let range = low.zip(high).unwrap_or((0.0, 1.0));
        let whole = !values.is_empty() && values.iter().all(|value| value.fract() == 0.0 && value.abs() < 1e15);
        match &self.study.params[param].scale {
            Scale::Linear if whole => Axis::whole((range.0 as i64, range.1 as i64), ticks),
            Scale::Linear => Axis::linear(range, ticks),
            Scale::Log => Axis::log(range, ticks),
            Scale::Categories(names) => Axis::categories(names, 12),
        }
    }

    /// The name of an objective and which way is better.
    pub fn objective_title(&self, objective: usize) -> String {
        let objective = &self.study.objectives[objective];
        let better = if objective.maximize { "higher" } else { "lower" };
        format!("{} ({better} is better)", crate::plot::svg::clip(&objective.name, 60))
    }

    /// A parameter's value as text: the name of a category.
    pub fn param_text(&self, param: usize, value: f64) -> String {
        match &self.study.params[param].scale {
            Scale::Categories(names) => match names.get(value as usize) {
                Some(name) => crate::plot::svg::clip(name, 40),
                None => format!("category {value}"),
            },
            _ => axis::number(value),
        }
    }

    /// How good the first value is among all: 0 the worst, `SHADES - 1` the best. Equal values have equal shades.
    pub fn shade(&self, value: f64) -> usize {
        let below = self.sorted.partition_point(|other| *other < value);
        let above = self.sorted.len() - self.sorted.partition_point(|other| *other <= value);
        let maximize = self.study.objectives.first().is_none_or(|objective| objective.maximize);
        let worse = if maximize { below } else { above };
        let most = (self.sorted.len() - 1).max(1);
        worse * (SHADES - 1) / most
    }

    /// A note of how many trials are drawn, when some are not.
    pub fn note_sample(&self, page: &mut Html, shown: usize, all: usize, what: &str) {
        if shown < all {
            let front = (0..self.study.trials.len()).filter(|&trial| self.is_on_front(trial)).count();
            let kept = match front {
                0 => "the best, and an even sample of the others",
                front if front < shown => "the front, the best, and an even sample of the others",
                _ => "the best, and even samples of the front and of the others",
            };
            let (shown, all) = (thousands(shown as u64), thousands(all as u64));
            let text = format!("{shown} of {all} {what} are drawn: {kept}.");
            page.element("p", "note", &text).line();
        }
    }

    /// A note of how many parameters are shown, when some are not.
    pub fn note_params(&self, page: &mut Html) {
        let (shown, all) = (self.params.len(), self.study.params.len());
        if shown < all {
            let which = if self.study.importance.is_empty() { "first" } else { "most important" };
            page.element("p", "note", &format!("The {shown} {which} of {all} parameters.")).line();
        }
    }

    fn best_of(&self, objective: usize) -> Option<usize> {
        let feasible = (0..self.study.trials.len()).filter(|&trial| self.trial(trial).feasible);
        let values = feasible.filter_map(|trial| Some((trial, self.value(trial, objective)?)));
        let better = |best: (usize, f64), next: (usize, f64)| {
            if self.is_better(objective, next.1, best.1) { next } else { best }
        };
        values.reduce(better).map(|(trial, _)| trial)
    }

    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        let ranks = self.rank(a).cmp(&self.rank(b));
        let values = match (self.value(a, 0), self.value(b, 0)) {
            (Some(a), Some(b)) if self.study.objectives[0].maximize => b.total_cmp(&a),
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => std::cmp::Ordering::Equal,
        };
        ranks.then(values).then(self.trial(a).number.cmp(&self.trial(b).number))
    }

    fn rank(&self, trial: usize) -> usize {
        let it = self.trial(trial);
        match it.state {
            _ if self.winner == Some(trial) => 0,
            "complete" if it.feasible && self.is_on_front(trial) => 1,
            "complete" if it.feasible => 2,
            "complete" => 3,
            "running" => 4,
            "pruned" => 5,
            "waiting" => 6,
            _ => 7,
        }
    }
}

/// `count` of `items` at even distances.
pub(super) fn even<T: Copy>(items: &[T], count: usize) -> Vec<T> {
    if items.len() <= count {
        return items.to_vec();
    }
    (0..count).map(|at| items[at * items.len() / count]).collect()
}

/// The parameters with the largest shares of anything; the first ones where shares are equal or not known.
fn important_params(study: &StudyPage) -> Vec<usize> {
    let mut largest: HashMap<&str, f64> = HashMap::new();
    for (name, share) in study.importance.iter().flat_map(|(_, shares)| shares) {
        let known = largest.entry(name).or_insert(*share);
        *known = known.max(*share);
    }
    let share = |param: usize| largest.get(study.params[param].name.as_str()).copied().unwrap_or(0.0);
    let mut params: Vec<usize> = (0..study.params.len()).collect();
    params.sort_by(|&a, &b| share(b).total_cmp(&share(a)).then(a.cmp(&b)));
    params.truncate(MAX_PARAMS);
    params
}
