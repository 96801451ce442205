//! Studies and trials.

use serde_json::{Map, Value, json};
use tenor_sdk::types;

use super::{ToJson, all, embedded, number, numbers, some, time, word};

impl ToJson for types::Study {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "id": self.id, "description": self.description, "tags": self.tags,
            "state": word(self.state().as_str_name(), "STUDY_STATE_"), "trial_count": self.trial_count,
            "best_trial": self.best_trial, "best_reason": self.best_reason, "best_run_id": self.best_run_id, "error": self.error,
            "objectives": all(&self.objectives), "constraints": all(&self.constraints), "space": embedded(&self.space_json),
            "sampler": self.sampler, "pruner": some(self.pruner.as_ref()), "seed": self.seed, "budget": some(self.budget.as_ref()),
            "lease_seconds": self.lease_seconds, "policy": some(self.policy.as_ref()), "training": some(self.training.as_ref()),
            "job_ids": self.job_ids, "revision": self.revision, "create_time": time(self.create_time.as_ref()),
            "update_time": time(self.update_time.as_ref()), "finish_time": time(self.finish_time.as_ref()), "etag": self.etag,
        })
    }
}

impl ToJson for types::Objective {
    fn to_json(&self) -> Value {
        json!({ "metric": self.metric, "direction": word(self.direction().as_str_name(), "DIRECTION_") })
    }
}

impl ToJson for types::Constraint {
    fn to_json(&self) -> Value {
        json!({ "metric": self.metric, "min": self.min.map(number), "max": self.max.map(number) })
    }
}

impl ToJson for types::Pruner {
    fn to_json(&self) -> Value {
        json!({ "kind": self.kind, "options": embedded(&self.options_json), "metrics": all(&self.metrics) })
    }
}

impl ToJson for types::Budget {
    fn to_json(&self) -> Value {
        json!({ "max_trials": self.max_trials, "max_seconds": self.max_seconds, "patience": self.patience })
    }
}

impl ToJson for types::Policy {
    fn to_json(&self) -> Value {
        let tolerances: Vec<Value> = self.tolerances.iter().copied().map(number).collect();
        json!({ "kind": self.kind, "order": self.order, "tolerances": tolerances })
    }
}

impl ToJson for types::StudyTraining {
    fn to_json(&self) -> Value {
        json!({
            "split_id": self.split_id, "kind": self.kind, "params": embedded(&self.params_json), "folds": self.folds,
            "parallel": self.parallel, "refit": self.refit, "experiment": self.experiment, "calibration": self.calibration,
            "register_model": self.register_model, "aliases": self.aliases,
        })
    }
}

impl ToJson for types::Trial {
    fn to_json(&self) -> Value {
        let params: Map<String, Value> = self.params.iter().map(|(key, it)| (key.clone(), it.to_json())).collect();
        json!({
            "number": self.number, "study_id": self.study_id, "state": word(self.state().as_str_name(), "TRIAL_STATE_"),
            "params": params, "metrics": numbers(&self.metrics), "violation": number(self.violation), "origin": self.origin,
            "client_id": self.client_id, "job_id": self.job_id, "lease_time": time(self.lease_time.as_ref()), "error": self.error,
            "create_time": time(self.create_time.as_ref()), "start_time": time(self.start_time.as_ref()),
            "finish_time": time(self.finish_time.as_ref()), "reports": all(&self.reports), "revision": self.revision,
        })
    }
}

impl ToJson for types::TrialReport {
    fn to_json(&self) -> Value {
        let values: Vec<Value> = self.values.iter().copied().map(number).collect();
        json!({
            "step": self.step, "values": values, "prune": self.prune, "reason": self.reason,
            "time": time(self.time.as_ref()),
        })
    }
}

impl ToJson for types::SuggestResponse {
    fn to_json(&self) -> Value {
        json!({ "trial": some(self.trial.as_ref()), "again": self.again })
    }
}

impl ToJson for types::ReportIntermediateResponse {
    fn to_json(&self) -> Value {
        json!({ "prune": self.prune, "reason": self.reason })
    }
}

impl ToJson for types::ShouldPruneResponse {
    fn to_json(&self) -> Value {
        json!({ "prune": self.prune, "reason": self.reason })
    }
}

impl ToJson for types::ImportanceResponse {
    fn to_json(&self) -> Value {
        let params: Vec<Value> = self
            .params
            .iter()
            .map(|param| json!({ "name": param.name, "share": number(param.share), "trials": param.trials }))
            .collect();
        json!({ "objective": self.objective, "params": params })
    }
}

impl ToJson for types::SelectBestResponse {
    fn to_json(&self) -> Value {
        json!({ "trial": some(self.trial.as_ref()), "reason": self.reason, "run_id": self.run_id })
    }
}

impl ToJson for types::StudyChange {
    fn to_json(&self) -> Value {
        let state = self.study.as_ref().map(|study| word(study.state().as_str_name(), "STUDY_STATE_"));
        json!({ "revision": self.revision, "state": state, "trial": some(self.trial.as_ref()) })
    }
}
