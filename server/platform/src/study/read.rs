//! What a study found: its trials, the front, and which parameters matter.

use std::sync::Arc;

use serde::Serialize;
use tenor_domain::{Error, Page, PageRequest, Study, Trial, TrialState};
use tenor_tune::importance::{Importance, importance};

use super::cache::Loaded;
use super::filter::{Sorted, matches};
use super::locked::on_thread;
use super::{Studies, spec::StudySpec};
use crate::find;
use crate::page::Paging;
use crate::search::{parse_filter, parse_order};

/// A search over the trials of a study.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SearchTrials {
    /// Empty: all.
    pub states: Vec<TrialState>,
    /// As for runs, over `metrics.<key>`, `params.<key>`, `error` and the times.
    pub filter: String,
    /// As for runs, over the same fields; by number where that leaves a choice.
    pub order_by: String,
}

/// Which parameters matter.
#[derive(Debug, Clone)]
pub struct StudyImportance {
    /// The metric, or `None` for the rank of the front.
    pub objective: Option<String>,
    /// The most important first.
    pub params: Vec<Importance>,
}

impl Studies<'_> {
    /// The study with its trials, as they are now.
    pub(super) async fn load(&self, study: &str) -> Result<(Study, Arc<Loaded>), Error> {
        let mut tx = self.0.read().await?;
        let found = find::study(&mut tx, study).await?;
        let guard = self.0.studies.load(&mut tx, &found).await?;
        let loaded = guard.clone().ok_or_else(gone)?;
        Ok((found, loaded))
    }

    pub async fn list_trials(
        &self,
        study: &str,
        search: SearchTrials,
        page: PageRequest,
    ) -> Result<Page<Trial>, Error> {
        let filter = parse_filter(&search.filter)?;
        let order = parse_order(&search.order_by)?;
        let (found, loaded) = self.load(study).await?;
        // A cursor is the place in the list: a trial that comes to stand elsewhere meanwhile may be missed or come twice.
        let paging: Paging<u64> = Paging::start("ListTrials", &(&found.id, &search), &page)?;
        let from = usize::try_from(paging.after.unwrap_or(0)).unwrap_or(usize::MAX);
        let limit = usize::try_from(paging.limit()).unwrap_or(usize::MAX);
        let rows = on_thread(loaded, move |loaded| {
            let wanted = |trial: &&Trial| search.states.is_empty() || search.states.contains(&trial.state);
            let mut trials = Vec::new();
            for trial in loaded.trials.iter().filter(wanted) {
                if filter.as_ref().map_or(Ok(true), |filter| matches(filter, trial))? {
                    trials.push(Sorted::of(trial, &order)?);
                }
            }
            trials.sort_by(|a, b| a.compare(b, &order));
            let rows = trials.iter().zip(1u64..).skip(from).take(limit).map(|(it, place)| (place, it.trial.clone()));
            Ok(rows.collect())
        });
        Ok(paging.finish(rows.await?, |(place, _)| *place)?.map(|(_, trial)| trial))
    }

    /// The complete trials that keep the constraints and that no other dominates, by number.
    pub async fn pareto_front(&self, study: &str) -> Result<Vec<Trial>, Error> {
        let (_, loaded) = self.load(study).await?;
        on_thread(loaded, |loaded| {
            let front = loaded.history().pareto_front();
            Ok(front.iter().filter_map(|begun| loaded.trial(i64::try_from(begun.number).ok()?).cloned()).collect())
        })
        .await
    }

    /// Which parameters matter for one objective, or for being on an early front.
    pub async fn importance(&self, study: &str, objective: Option<&str>) -> Result<StudyImportance, Error> {
        let (_, loaded) = self.load(study).await?;
        let place = objective.map(|name| place(&loaded.spec, name)).transpose()?;
        // With one objective the rank of the front is that of the objective.
        let place = place.or((loaded.spec.objectives.len() == 1).then_some(0));
        let objective = place.and_then(|at| loaded.spec.objectives.get(at)).map(|it| it.metric.clone());
        let params = on_thread(loaded, move |loaded| loaded.importance(place)).await?;
        Ok(StudyImportance { objective, params })
    }
}

impl Loaded {
    /// For the objective at a place, or for the rank of the front; the most important first.
    pub(super) fn importance(&self, objective: Option<usize>) -> Result<Vec<Importance>, Error> {
        let mut params = importance(&self.space, self.history(), objective)?;
        params.sort_by(|a, b| b.share.total_cmp(&a.share));
        Ok(params)
    }
}

fn place(spec: &StudySpec, name: &str) -> Result<usize, Error> {
    let place = spec.objectives.iter().position(|objective| objective.metric == name);
    place.ok_or_else(|| {
        let names: Vec<&str> = spec.objectives.iter().map(|objective| objective.metric.as_str()).collect();
        Error::invalid("objective", format!("must be one of {}, got `{name}`", names.join(", ")))
    })
}

pub(super) fn gone() -> Error {
    Error::internal("a study that was loaded is not in memory")
}
