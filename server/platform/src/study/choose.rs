//! Which trial wins, and its last fit.

use tenor_domain::{Caller, Error, ErrorKind, Trial, TrialState};
use tenor_tune::Selected;

use super::locked::{Locked, on_thread};
use super::read::gone;
use super::spec::{PolicySpec, StudyOutcome};
use super::{Studies, cache::Loaded};
use crate::run::{TrainRows, TrainSpec};

/// The trial that wins by a policy.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub trial: Trial,
    /// For people.
    pub reason: String,
    /// The run of its refit, if one was asked for.
    pub run_id: Option<tenor_domain::RunId>,
}

impl Studies<'_> {
    /// The best trial by `policy`, or by the study's own.
    ///
    /// # Errors
    /// `NO_FEASIBLE_TRIAL` when nothing can be chosen.
    pub async fn select_best(&self, study: &str, policy: Option<&PolicySpec>) -> Result<Chosen, Error> {
        let (_, loaded) = self.load(study).await?;
        let policy = policy.unwrap_or(&loaded.spec.policy).clone();
        let (selected, trial) = on_thread(loaded, move |loaded| loaded.select(&policy)).await?;
        Ok(Chosen { trial, reason: selected.reason, run_id: None })
    }

    /// The same, and the winner is fitted again as the study says, in a run of its own. The study remembers it as its winner.
    pub async fn refit_best(&self, caller: &Caller, study: &str, policy: Option<&PolicySpec>) -> Result<Chosen, Error> {
        let mut locked = self.locked(study, None).await?;
        let spec = locked.spec()?;
        if spec.training.is_none() {
            let text = format!("study `{}` has no trainings, so there is nothing to refit", locked.study.name);
            return Err(Error::precondition("STUDY_WITHOUT_TRAINING", text));
        }
        let policy = policy.unwrap_or(&spec.policy);
        let (selected, trial) = locked.loaded()?.select(policy)?;
        let run_id = locked.refit(caller, &trial, &selected.reason).await?;
        let outcome =
            StudyOutcome { trial: Some(trial.number), reason: selected.reason.clone(), run_id: Some(run_id.clone()) };
        locked.study.outcome = Some(serde_json::to_value(&outcome).map_err(Error::internal)?);
        locked.next_revision();
        locked.wake_queue();
        locked.commit().await?;
        Ok(Chosen { trial, reason: selected.reason, run_id: Some(run_id) })
    }
}

impl Loaded {
    fn select(&self, policy: &PolicySpec) -> Result<(Selected, Trial), Error> {
        let names: Vec<&str> = self.spec.objectives.iter().map(|objective| objective.metric.as_str()).collect();
        let selected =
            policy.policy(&self.spec, &self.trials)?.select(self.history(), &names).map_err(|mut error| {
                if error.reason == "NO_FEASIBLE_TRIAL" {
                    error.message = self.why_nobody();
                }
                error
            })?;
        let number = i64::try_from(selected.number).map_err(Error::internal)?;
        let trial = self.trial(number).filter(|trial| trial.state == TrialState::Complete).cloned();
        Ok((selected, trial.ok_or_else(gone)?))
    }

    /// Why no trial can win.
    fn why_nobody(&self) -> String {
        let complete = self.trials.iter().filter(|trial| trial.state == TrialState::Complete);
        let Some(closest) = complete.min_by(|a, b| a.violation.total_cmp(&b.violation)) else {
            return "no trial is complete; run more".to_owned();
        };
        let broken = self.spec.constraints.iter().filter_map(|it| {
            let value = *closest.metrics.get(&it.metric)?;
            let above = it.max.filter(|max| value > *max).map(|max| format!("at most {max}"));
            let below = it.min.filter(|min| value < *min).map(|min| format!("at least {min}"));
            Some(format!("{} is {value}, {} is allowed", it.metric, above.or(below)?))
        });
        let broken: Vec<String> = broken.collect();
        format!(
            "no complete trial keeps the constraints, run more or loosen them; trial {} comes closest: {}",
            closest.number,
            broken.join("; ")
        )
    }
}

impl Locked<'_> {
    /// The outcome of a study that has come to its end. What stands in the way of the winner, or of its refit, is the reason.
    pub(super) async fn conclude(&mut self, caller: &Caller) -> Result<StudyOutcome, Error> {
        let spec = self.spec()?;
        let (selected, trial) = match self.loaded()?.select(&spec.policy) {
            Ok(selected) => selected,
            Err(error) if error.reason == "NO_FEASIBLE_TRIAL" => {
                return Ok(StudyOutcome { trial: None, reason: error.message, run_id: None });
            }
            Err(error) => return Err(error),
        };
        let mut outcome = StudyOutcome { trial: Some(trial.number), reason: selected.reason.clone(), run_id: None };
        if spec.training.as_ref().is_some_and(|training| training.refit) {
            match self.refit(caller, &trial, &selected.reason).await {
                Ok(run_id) => outcome.run_id = Some(run_id),
                // It stays what it is: the study must come to its end.
                Err(error)
                    if !matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Internal | ErrorKind::Conflict) =>
                {
                    outcome.reason = format!("{}; it was not fitted again: {error}", outcome.reason);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcome)
    }

    /// Begins the run that fits a trial's parameters once more.
    async fn refit(&mut self, caller: &Caller, trial: &Trial, why: &str) -> Result<tenor_domain::RunId, Error> {
        let spec = self.spec()?;
        let training = spec.training.as_ref().ok_or_else(gone)?;
        let (kind, params) = training.of(&trial.params);
        let rows = if training.calibration.is_some() { TrainRows::Train } else { TrainRows::TrainAndValidation };
        let study = &self.study.name;
        let tags =
            [("study", study.to_string()), ("trial", trial.number.to_string()), ("chosen_because", why.to_owned())];
        let spec = TrainSpec {
            experiment: training.experiment.clone(),
            split_id: training.split_id.clone(),
            kind,
            params,
            rows,
            seed: spec.seed,
            calibration: training.calibration,
            folds: None,
            slices: Vec::new(),
            name: format!("{study}-best"),
            tags: tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            register_model: training.register_model.clone(),
            aliases: training.aliases.clone(),
        };
        let run = self.platform.runs().train_in(&mut self.tx, caller, spec).await?;
        self.wake_queue();
        Ok(run.id)
    }
}
