//! How studies end, which trial wins, and two servers on one study.

use serde_json::json;
use tenor_domain::{StudyState, Trial};
use tenor_platform::{Constraint, Direction, PolicySpec, SearchTrials, TrialEnd};

use crate::study::{metrics, new_study, objective};
use crate::support::*;

#[tokio::test]
async fn each_policy_chooses_by_its_own_rule() {
    for bench in benches().await {
        let mut new = new_study("s", 4);
        new.spec.objectives.push(objective("latency", Direction::Minimize));
        bench.study(new).await;
        for (loss, error, latency) in [(1.0, 0.3, 10.0), (1.25, 0.1, 8.0), (1.5, 0.1, 2.0), (2.0, 0.1, 1.0)] {
            let trial = bench.ask("s", "a").await.unwrap();
            let end = metrics(&[("loss", loss), ("loss_se", error), ("latency", latency)]);
            bench.tell("s", &trial, TrialEnd::Complete(end)).await.unwrap();
        }
        for (policy, number, says) in [
            (json!({ "type": "lexicographic" }), 0, "best by"),
            (json!({ "type": "lexicographic", "order": ["latency"] }), 3, "best by latency"),
            (json!({ "type": "lexicographic", "order": ["loss"], "tolerances": [0.6] }), 2, "within 0.6 of the best"),
            (json!({ "type": "one_standard_error" }), 1, "within one standard error"),
            (json!({ "type": "knee" }), 2, "the knee of a front of 4"),
        ] {
            let policy: PolicySpec = serde_json::from_value(policy).unwrap();
            let chosen = bench.studies().select_best("s", Some(&policy)).await.unwrap();
            assert_eq!(chosen.trial.number, number, "{}", chosen.reason);
            assert!(chosen.reason.contains(says), "{}", chosen.reason);
        }
    }
}

#[tokio::test]
async fn a_study_ends_whatever_pruned_trials_have_told() {
    for bench in benches().await {
        let mut new = new_study("s", 2);
        new.spec.objectives.push(objective("latency", Direction::Minimize));
        new.spec.policy = PolicySpec::OneStandardError;
        bench.study(new).await;
        let trial = bench.ask("s", "a").await.unwrap();
        bench.tell("s", &trial, TrialEnd::Pruned(metrics(&[("loss", 3.0), ("loss_se", -1.0)]))).await.unwrap();
        let trial = bench.ask("s", "a").await.unwrap();
        bench.tell("s", &trial, TrialEnd::Complete(metrics(&[("loss", 1.0), ("latency", 1.0)]))).await.unwrap();
        let study = bench.studies().get("s").await.unwrap();
        assert_eq!((study.state, &study.outcome.unwrap()["trial"]), (StudyState::Completed, &json!(1)));
    }
}

#[tokio::test]
async fn trials_that_break_constraints_try_patience_too() {
    for bench in benches().await {
        let mut new = new_study("s", 50);
        new.spec.constraints.push(Constraint { metric: "bytes".to_owned(), min: None, max: Some(10.0) });
        new.spec.budget.patience = Some(3);
        bench.study(new).await;
        for (loss, bytes) in [(3.0, 9.0), (1.0, 11.0), (2.0, 9.0), (1.0, 11.0), (1.0, 12.0), (1.0, 13.0)] {
            assert_eq!(bench.studies().get("s").await.unwrap().state, StudyState::Active);
            let trial = bench.ask("s", "a").await.unwrap();
            let end = metrics(&[("loss", loss), ("bytes", bytes)]);
            bench.tell("s", &trial, TrialEnd::Complete(end)).await.unwrap();
        }
        let study = bench.studies().get("s").await.unwrap();
        assert_eq!((study.state, &study.outcome.unwrap()["trial"]), (StudyState::Completed, &json!(2)));
    }
}

#[tokio::test]
async fn a_study_without_a_winner_says_why() {
    for bench in benches().await {
        let mut new = new_study("tight", 2);
        new.spec.constraints.push(Constraint { metric: "bytes".to_owned(), min: None, max: Some(10.0) });
        bench.study(new).await;
        for bytes in [14.0, 11.5] {
            let trial = bench.ask("tight", "a").await.unwrap();
            let end = metrics(&[("loss", 1.0), ("bytes", bytes)]);
            bench.tell("tight", &trial, TrialEnd::Complete(end)).await.unwrap();
        }
        let outcome = bench.studies().get("tight").await.unwrap().outcome.unwrap();
        let reason = outcome["reason"].as_str().unwrap();
        assert!(reason.ends_with("trial 1 comes closest: bytes is 11.5, at most 10 is allowed"), "{reason}");
        let error = bench.studies().select_best("tight", None).await.unwrap_err();
        assert_eq!((error.reason, error.message.as_str()), ("NO_FEASIBLE_TRIAL", reason));

        bench.study(new_study("broken", 2)).await;
        for _ in 0..2 {
            let trial = bench.ask("broken", "a").await.unwrap();
            bench.tell("broken", &trial, TrialEnd::Failed("no such column".to_owned())).await.unwrap();
        }
        let study = bench.studies().get("broken").await.unwrap();
        assert_eq!(study.state, StudyState::Failed);
        assert_eq!(study.error.unwrap(), "all 2 trials failed, the last: no such column");
    }
}

/// Each server keeps what it knows of the study in memory, and sees what the other did.
#[tokio::test]
async fn two_servers_by_turns_are_one_study() {
    for bench in benches().await {
        let other = open(&bench.database, &bench.folder, &bench.clock);
        let servers = [&bench.platform, &other];
        for name in ["alone", "by-turns"] {
            bench.study(new_study(name, 40)).await;
            for step in 0..40 {
                let (asked, told) = if name == "alone" { (0, 0) } else { (step % 2, step / 2 % 2) };
                let asked = servers[asked].studies().suggest(&anyone(), name, "client").await.unwrap().trial;
                let end = TrialEnd::Complete(metrics(&[("loss", (step as f64 * 0.7).sin())]));
                servers[told].studies().tell(&anyone(), name, asked.number, "client", end).await.unwrap();
            }
        }
        let points = async |name| {
            let trials: Vec<Trial> = bench.trials(name, SearchTrials::default()).await;
            trials.into_iter().map(|trial| (trial.number, trial.params, trial.metrics)).collect::<Vec<_>>()
        };
        assert_eq!(points("alone").await, points("by-turns").await);
        assert_eq!(other.studies().get("by-turns").await.unwrap().state, StudyState::Completed);
    }
}
