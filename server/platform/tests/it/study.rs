//! Studies whose trials clients run: ask, report, tell.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tenor_domain::{Error, ErrorKind, PageRequest, ParamValue, Study, StudyName, StudyState, Tags, Trial, TrialState};
use tenor_platform::{
    Budget, Constraint, Direction, NewReport, NewStudy, Objective, PolicySpec, PrunerSpec, SamplerKind, SearchTrials,
    StudySpec, TrialEnd,
};

use crate::support::*;

pub fn objective(metric: &str, direction: Direction) -> Objective {
    Objective { metric: metric.to_owned(), direction }
}

/// Two numbers and a condition, one objective.
pub fn new_study(name: &str, max_trials: u32) -> NewStudy {
    let space = json!([
        { "name": "x", "type": "float", "low": 0.0, "high": 1.0 },
        { "name": "kind", "type": "categorical", "choices": ["a", "b"] },
        { "name": "n", "type": "int", "low": 1, "high": 100, "log": true, "when": { "param": "kind", "in": ["b"] } },
    ]);
    NewStudy {
        name: StudyName::parse(name).unwrap(),
        description: String::new(),
        tags: Tags::new(),
        spec: StudySpec {
            space: serde_json::from_value(space).unwrap(),
            objectives: vec![objective("loss", Direction::Minimize)],
            constraints: Vec::new(),
            sampler: SamplerKind::Tpe,
            pruner: PrunerSpec::None,
            prune_metrics: Vec::new(),
            seed: 7,
            budget: Budget { max_trials, max_seconds: None, patience: None },
            lease_seconds: 60,
            policy: PolicySpec::default(),
            training: None,
        },
        kinds: Vec::new(),
        skip_defaults: false,
        initial: Vec::new(),
        warm_start_from: Vec::new(),
    }
}

pub fn metrics(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}

fn x(trial: &Trial) -> f64 {
    match trial.params["x"] {
        ParamValue::Float(x) => x,
        _ => panic!("{:?}", trial.params),
    }
}

fn loss(trial: &Trial) -> f64 {
    (x(trial) - 0.3).powi(2) + if trial.params["kind"] == ParamValue::Text("a".to_owned()) { 0.1 } else { 0.0 }
}

impl Bench {
    pub async fn study(&self, new: NewStudy) -> Study {
        self.studies().create(&anyone(), new, None).await.unwrap()
    }

    pub async fn ask(&self, study: &str, client: &str) -> Result<Trial, Error> {
        self.studies().suggest(&anyone(), study, client).await.map(|suggested| suggested.trial)
    }

    pub async fn tell(&self, study: &str, trial: &Trial, end: TrialEnd) -> Result<Trial, Error> {
        self.studies().tell(&anyone(), study, trial.number, &trial.client_id, end).await
    }

    pub async fn trials(&self, study: &str, search: SearchTrials) -> Vec<Trial> {
        self.studies().list_trials(study, search, PageRequest::first(1_000)).await.unwrap().items
    }
}

#[tokio::test]
async fn a_study_ends_after_its_trials_and_names_the_best() {
    for bench in benches().await {
        bench.study(new_study("s", 12)).await;
        for number in 0..12 {
            let trial = bench.ask("s", "me").await.unwrap();
            assert_eq!((trial.number, trial.state, trial.origin.as_str()), (number, TrialState::Running, "tpe"));
            let value = loss(&trial);
            let done = bench.tell("s", &trial, TrialEnd::Complete(metrics(&[("loss", value)]))).await.unwrap();
            assert_eq!((done.state, done.metrics["loss"]), (TrialState::Complete, value));
        }
        let error = bench.ask("s", "me").await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "STUDY_NOT_ACTIVE", "no more trials begin");
        let study = bench.studies().get("s").await.unwrap();
        assert_eq!((study.state, study.trial_count), (StudyState::Completed, 12));
        let trials = bench.trials("s", SearchTrials::default()).await;
        let best = trials.iter().min_by(|a, b| a.metrics["loss"].total_cmp(&b.metrics["loss"])).unwrap();
        assert_eq!(study.outcome.unwrap()["trial"], best.number);
        let chosen = bench.studies().select_best("s", None).await.unwrap();
        assert_eq!(chosen.trial.number, best.number);
        assert!(!chosen.reason.is_empty());
        let front = bench.studies().pareto_front("s").await.unwrap();
        assert_eq!(front.len(), 1);
        let importance = bench.studies().importance("s", Some("loss")).await.unwrap();
        assert_eq!(importance.params.len(), 3);
    }
}

#[tokio::test]
async fn a_client_gets_its_own_trial_again_and_two_never_share_one() {
    for bench in benches().await {
        bench.study(new_study("s", 10)).await;
        let first = bench.ask("s", "a").await.unwrap();
        let second = bench.ask("s", "b").await.unwrap();
        assert_ne!(first.number, second.number);
        let again = bench.studies().suggest(&anyone(), "s", "a").await.unwrap();
        assert!(again.again);
        assert_eq!((again.trial.number, &again.trial.params), (first.number, &first.params));
        let end = TrialEnd::Complete(metrics(&[("loss", 1.0)]));
        let stolen = bench.studies().tell(&anyone(), "s", first.number, "b", end).await.unwrap_err();
        check_error(&stolen, ErrorKind::FailedPrecondition, "TRIAL_TAKEN", "belongs to client `a`");
    }
}

#[tokio::test]
async fn a_silent_clients_trial_is_offered_again_and_a_heartbeat_keeps_it() {
    for bench in benches().await {
        bench.study(new_study("s", 10)).await;
        let first = bench.ask("s", "a").await.unwrap();
        bench.clock.advance_ms(50_000);
        bench.studies().heartbeat("s", first.number, "a").await.unwrap();
        bench.clock.advance_ms(50_000);
        assert_ne!(bench.ask("s", "b").await.unwrap().number, first.number, "the heartbeat kept it");
        bench.clock.advance_ms(11_000);
        let taken = bench.studies().suggest(&anyone(), "s", "c").await.unwrap();
        assert!(taken.again);
        assert_eq!((taken.trial.number, &taken.trial.params), (first.number, &first.params));
        let late = bench.tell("s", &first, TrialEnd::Complete(metrics(&[("loss", 1.0)]))).await.unwrap_err();
        check_error(&late, ErrorKind::FailedPrecondition, "TRIAL_TAKEN", "taken over");
        bench.tell("s", &taken.trial, TrialEnd::Complete(metrics(&[("loss", 1.0)]))).await.unwrap();
    }
}

#[tokio::test]
async fn the_same_results_again_change_nothing_and_others_are_refused() {
    for bench in benches().await {
        bench.study(new_study("s", 10)).await;
        let trial = bench.ask("s", "a").await.unwrap();
        let end = || TrialEnd::Complete(metrics(&[("loss", 1.0), ("note", 2.0)]));
        let done = bench.tell("s", &trial, end()).await.unwrap();
        let revision = bench.studies().get("s").await.unwrap().revision;
        assert_eq!(bench.tell("s", &trial, end()).await.unwrap(), done);
        assert_eq!(bench.studies().get("s").await.unwrap().revision, revision);
        let other = bench.tell("s", &trial, TrialEnd::Complete(metrics(&[("loss", 3.0)]))).await.unwrap_err();
        check_error(&other, ErrorKind::FailedPrecondition, "TRIAL_NOT_RUNNING", "is complete");

        let trial = bench.ask("s", "a").await.unwrap();
        for (wrong, field) in [
            (metrics(&[]), "metrics.loss"),
            (metrics(&[("other", 1.0)]), "metrics.loss"),
            (metrics(&[("loss", f64::NAN)]), "metrics.loss"),
            (metrics(&[("loss", f64::INFINITY)]), "metrics.loss"),
            (metrics(&[("loss", 1.0), ("loss_se", -1.0)]), "metrics.loss_se"),
        ] {
            let error = bench.tell("s", &trial, TrialEnd::Complete(wrong)).await.unwrap_err();
            assert_eq!(error.violations[0].field, field, "{error}");
        }
        bench.tell("s", &trial, TrialEnd::Failed("out of memory".to_owned())).await.unwrap();
        assert_eq!(bench.studies().trial("s", trial.number).await.unwrap().error.unwrap(), "out of memory");
    }
}

#[tokio::test]
async fn the_same_order_of_results_gives_the_same_points_also_after_a_restart() {
    for bench in benches().await {
        for name in ["one", "two"] {
            let restarts = name == "two";
            bench.study(new_study(name, 40)).await;
            let mut platform = bench.platform.clone();
            let mut running: Vec<Trial> = Vec::new();
            for step in 0..40 {
                let client = format!("client {step}");
                running.push(platform.studies().suggest(&anyone(), name, &client).await.unwrap().trial);
                if restarts && step % 7 == 3 {
                    platform = open(&bench.database, &bench.folder, &bench.clock);
                }
                if step % 3 != 0 {
                    let trial = running.remove(step % running.len());
                    let end = match step % 5 {
                        0 => TrialEnd::Failed("no luck".to_owned()),
                        _ => TrialEnd::Complete(metrics(&[("loss", loss(&trial))])),
                    };
                    platform.studies().tell(&anyone(), name, trial.number, &trial.client_id, end).await.unwrap();
                }
            }
        }
        let points = async |name| {
            let trials = bench.trials(name, SearchTrials::default()).await;
            trials.into_iter().map(|trial| (trial.params, trial.start_revision)).collect::<Vec<_>>()
        };
        let (one, two) = (points("one").await, points("two").await);
        assert_eq!(one.len(), 40);
        assert_eq!(one, two);
    }
}

#[tokio::test]
async fn many_clients_at_once_end_in_exactly_as_many_trials() {
    for bench in benches().await {
        bench.study(new_study("s", 30)).await;
        let clients = (0..8).map(|client| {
            let platform = bench.platform.clone();
            tokio::spawn(async move {
                let client = format!("client {client}");
                loop {
                    let asked = platform.studies().suggest(&anyone(), "s", &client).await;
                    let Ok(suggested) = asked else { return asked.unwrap_err().reason };
                    let trial = suggested.trial;
                    let end = TrialEnd::Complete(metrics(&[("loss", loss(&trial))]));
                    platform.studies().tell(&anyone(), "s", trial.number, &client, end).await.unwrap();
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            let reason = client.await.unwrap();
            assert!(["BUDGET_SPENT", "STUDY_NOT_ACTIVE"].contains(&reason), "{reason}");
        }
        let trials = bench.trials("s", SearchTrials::default()).await;
        assert_eq!(trials.iter().map(|trial| trial.number).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
        assert!(trials.iter().all(|trial| trial.state == TrialState::Complete));
        let distinct: BTreeSet<String> = trials.iter().map(|trial| format!("{:?}", trial.params)).collect();
        assert_eq!(distinct.len(), 30, "no point twice");
        assert_eq!(bench.studies().get("s").await.unwrap().state, StudyState::Completed);
    }
}

#[tokio::test]
async fn infeasible_trials_are_never_on_the_front_and_never_win() {
    for bench in benches().await {
        let mut new = new_study("s", 3);
        new.spec.objectives.push(objective("latency", Direction::Minimize));
        new.spec.constraints.push(Constraint { metric: "bytes".to_owned(), min: None, max: Some(10.0) });
        bench.study(new).await;
        for (loss, latency, bytes) in [(1.0, 1.0, 9.0), (0.0, 0.0, 12.5), (0.5, 2.0, 10.0)] {
            let trial = bench.ask("s", "a").await.unwrap();
            let end = metrics(&[("loss", loss), ("latency", latency), ("bytes", bytes)]);
            bench.tell("s", &trial, TrialEnd::Complete(end)).await.unwrap();
        }
        let front: Vec<i64> =
            bench.studies().pareto_front("s").await.unwrap().iter().map(|trial| trial.number).collect();
        assert_eq!(front, [0, 2]);
        assert_eq!(bench.studies().trial("s", 1).await.unwrap().violation, 2.5);
        assert_eq!(bench.studies().select_best("s", None).await.unwrap().trial.number, 2);
        let by_latency = PolicySpec::Lexicographic { order: vec!["latency".to_owned()], tolerances: vec![] };
        assert_eq!(bench.studies().select_best("s", Some(&by_latency)).await.unwrap().trial.number, 0);
    }
}

#[tokio::test]
async fn a_report_is_a_whole_vector_and_its_decision_stays() {
    for bench in benches().await {
        let mut new = new_study("s", 20);
        new.spec.objectives.push(objective("latency", Direction::Minimize));
        new.spec.pruner = serde_json::from_value(json!({ "type": "median", "startup_trials": 2 })).unwrap();
        bench.study(new).await;
        let report = async |trial: &Trial, step, pairs: &[(&str, f64)]| {
            let report = NewReport { step, metrics: metrics(pairs) };
            bench.studies().report("s", trial.number, &trial.client_id, report).await
        };
        for client in ["a", "b", "c"] {
            let trial = bench.ask("s", client).await.unwrap();
            assert!(!report(&trial, 1, &[("loss", 1.0), ("latency", 1.0)]).await.unwrap().prune);
        }
        let trial = bench.ask("s", "d").await.unwrap();
        for (wrong, field) in [
            (&[("loss", 1.0)][..], "metrics.latency"),
            (&[("loss", f64::NAN), ("latency", 1.0)], "metrics.loss"),
            (&[("loss", 1.0), ("latency", 1.0), ("x", 1.0)], "metrics.x"),
        ] {
            assert_eq!(report(&trial, 1, wrong).await.unwrap_err().violations[0].field, field);
        }
        assert_eq!(bench.studies().should_prune("s", trial.number).await.unwrap(), None);
        let good_at_one = report(&trial, 1, &[("loss", 2.0), ("latency", 0.5)]).await.unwrap();
        assert!(!good_at_one.prune, "it is good at something: {}", good_at_one.reason);
        let trial = bench.ask("s", "e").await.unwrap();
        let bad = report(&trial, 1, &[("loss", 2.0), ("latency", 2.0)]).await.unwrap();
        assert!(bad.prune, "{}", bad.reason);
        assert_eq!(report(&trial, 1, &[("loss", 2.0), ("latency", 2.0)]).await.unwrap(), bad);
        // Whoever begins a trial anew may measure something else.
        let other = report(&trial, 1, &[("loss", 3.0), ("latency", 2.0)]).await.unwrap();
        assert_eq!((other.prune, &other.values), (true, &bad.values));
        assert!(other.reason.ends_with("with other values, which stay"), "{}", other.reason);
        for step in [0, -1] {
            let error = report(&trial, step, &[("loss", 1.0), ("latency", 2.0)]).await.unwrap_err();
            assert_eq!(error.violations[0].field, "step");
        }
        // What a restarted server decides is what was decided.
        let restarted = open(&bench.database, &bench.folder, &bench.clock);
        assert!(restarted.studies().should_prune("s", trial.number).await.unwrap().unwrap().prune);
        let pruned = bench.tell("s", &trial, TrialEnd::Pruned(metrics(&[("loss", 2.0)]))).await.unwrap();
        assert_eq!((pruned.state, pruned.reports.len()), (TrialState::Pruned, 1));
    }
}

#[tokio::test]
async fn enqueued_points_come_first_and_must_lie_in_the_space() {
    for bench in benches().await {
        let point = |x: f64| {
            BTreeMap::from([("x".to_owned(), ParamValue::Float(x)), ("kind".to_owned(), ParamValue::Text("a".into()))])
        };
        let mut new = new_study("s", 4);
        new.initial = vec![point(0.25)];
        bench.study(new).await;
        bench.studies().enqueue(&anyone(), "s", vec![point(0.75)]).await.unwrap();
        let mut seen = Vec::new();
        for client in ["a", "b", "c"] {
            let trial = bench.ask("s", client).await.unwrap();
            seen.push((x(&trial), trial.origin));
        }
        assert_eq!((seen[0].0, seen[1].0), (0.25, 0.75));
        assert_eq!((seen[0].1.as_str(), seen[2].1.as_str()), ("enqueued", "tpe"));
        let outside = bench.studies().enqueue(&anyone(), "s", vec![point(1.5)]).await.unwrap_err();
        assert_eq!(outside.violations[0].field, "points[0].params.x");
        let many = bench.studies().enqueue(&anyone(), "s", vec![point(0.5), point(0.6)]).await.unwrap_err();
        check_error(&many, ErrorKind::FailedPrecondition, "BUDGET_SPENT", "more than the 1 trials");
    }
}

#[tokio::test]
async fn a_new_study_tries_the_best_of_an_earlier_one_first() {
    for bench in benches().await {
        bench.study(new_study("old", 12)).await;
        for _ in 0..12 {
            let trial = bench.ask("old", "a").await.unwrap();
            bench.tell("old", &trial, TrialEnd::Complete(metrics(&[("loss", loss(&trial))]))).await.unwrap();
        }
        let best = bench.studies().select_best("old", None).await.unwrap().trial;
        let mut new = new_study("new", 20);
        new.warm_start_from = vec!["old".to_owned()];
        bench.study(new).await;
        let first = bench.ask("new", "a").await.unwrap();
        assert_eq!((first.params, first.origin.as_str()), (best.params, "warm_start"));
        assert_eq!(bench.studies().get("new").await.unwrap().trial_count, 5);
    }
}

#[tokio::test]
async fn pause_resume_stop_and_the_budgets_end_a_study() {
    for bench in benches().await {
        bench.study(new_study("s", 10)).await;
        let trial = bench.ask("s", "a").await.unwrap();
        bench.studies().pause("s").await.unwrap();
        let error = bench.ask("s", "b").await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "STUDY_NOT_ACTIVE", "resume it first");
        bench.tell("s", &trial, TrialEnd::Complete(metrics(&[("loss", 1.0)]))).await.unwrap();
        bench.studies().resume(&anyone(), "s").await.unwrap();
        let trial = bench.ask("s", "b").await.unwrap();
        for _ in 0..2 {
            assert_eq!(bench.studies().stop("s").await.unwrap().state, StudyState::Stopped);
        }
        bench.tell("s", &trial, TrialEnd::Complete(metrics(&[("loss", 0.5)]))).await.unwrap();
        let error = bench.studies().resume(&anyone(), "s").await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "ILLEGAL_TRANSITION", "is stopped");
        assert_eq!(bench.studies().select_best("s", None).await.unwrap().trial.number, 1);

        // Time counts only while it is active.
        let mut new = new_study("time", 10);
        new.spec.budget.max_seconds = Some(10);
        bench.study(new).await;
        bench.clock.advance_ms(6_000);
        bench.studies().pause("time").await.unwrap();
        bench.clock.advance_ms(60_000);
        bench.studies().resume(&anyone(), "time").await.unwrap();
        let trial = bench.ask("time", "a").await.unwrap();
        bench.clock.advance_ms(6_000);
        bench.tell("time", &trial, TrialEnd::Complete(metrics(&[("loss", 1.0)]))).await.unwrap();
        assert_eq!(bench.studies().get("time").await.unwrap().state, StudyState::Completed);

        let mut new = new_study("patience", 50);
        new.spec.budget.patience = Some(3);
        bench.study(new).await;
        for loss in [3.0, 2.0, 2.0, 4.0, 2.5] {
            let trial = bench.ask("patience", "a").await.unwrap();
            bench.tell("patience", &trial, TrialEnd::Complete(metrics(&[("loss", loss)]))).await.unwrap();
        }
        assert_eq!(bench.studies().get("patience").await.unwrap().state, StudyState::Completed);
    }
}

#[tokio::test]
async fn a_grid_has_each_of_its_points_once_besides_what_was_enqueued_and_ends_the_study() {
    for bench in benches().await {
        let mut new = new_study("s", 50);
        let choices = json!([{ "name": "kind", "type": "categorical", "choices": ["a", "b", "c"] }]);
        new.spec.space = serde_json::from_value(choices).unwrap();
        new.spec.sampler = SamplerKind::Grid;
        new.initial = vec![BTreeMap::from([("kind".to_owned(), ParamValue::Text("b".to_owned()))])];
        bench.study(new).await;
        let mut seen = Vec::new();
        let reason = loop {
            match bench.ask("s", "a").await {
                Ok(trial) => {
                    seen.push((trial.origin.clone(), trial.params["kind"].to_string()));
                    bench.tell("s", &trial, TrialEnd::Complete(metrics(&[("loss", 1.0)]))).await.unwrap();
                }
                Err(error) => break error.reason,
            }
        };
        assert_eq!((reason, seen.len()), ("SPACE_EXHAUSTED", 4), "{seen:?}");
        let of_grid: BTreeSet<&str> = seen[1..].iter().map(|(_, kind)| kind.as_str()).collect();
        assert_eq!((seen[0].0.as_str(), of_grid), ("enqueued", BTreeSet::from(["a", "b", "c"])));
        assert_eq!(bench.studies().get("s").await.unwrap().state, StudyState::Completed);
    }
}

#[tokio::test]
async fn ten_failures_in_a_row_fail_a_study() {
    for bench in benches().await {
        bench.study(new_study("s", 50)).await;
        for _ in 0..10 {
            let trial = bench.ask("s", "a").await.unwrap();
            bench.tell("s", &trial, TrialEnd::Failed("no disk".to_owned())).await.unwrap();
        }
        let study = bench.studies().get("s").await.unwrap();
        assert_eq!(study.state, StudyState::Failed);
        assert!(study.error.unwrap().contains("no disk"));
    }
}

#[tokio::test]
async fn trials_are_searched_ordered_and_paged() {
    for bench in benches().await {
        bench.study(new_study("s", 25)).await;
        for _ in 0..25 {
            let trial = bench.ask("s", "a").await.unwrap();
            bench.tell("s", &trial, TrialEnd::Complete(metrics(&[("loss", loss(&trial))]))).await.unwrap();
        }
        let search = SearchTrials {
            states: vec![TrialState::Complete],
            filter: "metrics.loss < 0.2 AND params.kind = 'b' AND params.n >= 1".to_owned(),
            order_by: "metrics.loss DESC".to_owned(),
        };
        let all = bench.trials("s", SearchTrials::default()).await;
        let wanted: BTreeSet<i64> = all
            .iter()
            .filter(|it| it.metrics["loss"] < 0.2 && it.params["kind"] == ParamValue::Text("b".to_owned()))
            .map(|trial| trial.number)
            .collect();
        let found = bench.trials("s", search.clone()).await;
        assert_eq!(found.iter().map(|trial| trial.number).collect::<BTreeSet<_>>(), wanted);
        assert!(found.is_sorted_by(|a, b| a.metrics["loss"] >= b.metrics["loss"]));
        assert!(wanted.len() > 2);
        let (mut page, mut paged) = (PageRequest::first(2), Vec::new());
        loop {
            let next = bench.studies().list_trials("s", search.clone(), page.clone()).await.unwrap();
            paged.extend(next.items);
            let Some(cursor) = next.next else { break };
            page.cursor = Some(cursor);
        }
        assert_eq!(paged, found);
        let wrong = SearchTrials { filter: "tags.a = 'b'".to_owned(), ..SearchTrials::default() };
        let error = bench.studies().list_trials("s", wrong, PageRequest::first(1)).await.unwrap_err();
        assert_eq!(error.violations[0].field, "filter");
    }
}

#[tokio::test]
async fn wrong_studies_are_refused_with_the_field_that_is_wrong() {
    for bench in benches().await {
        let wrong = |change: &dyn Fn(&mut NewStudy)| {
            let mut new = new_study("s", 10);
            change(&mut new);
            new
        };
        let cases: Vec<(NewStudy, &str)> = vec![
            (wrong(&|new| new.spec.objectives.clear()), "objectives"),
            (wrong(&|new| new.spec.objectives.push(objective("loss", Direction::Maximize))), "objectives[1]"),
            (wrong(&|new| new.spec.space.clear()), "space"),
            (wrong(&|new| new.spec.budget.max_trials = 0), "budget.max_trials"),
            (wrong(&|new| new.spec.lease_seconds = 0), "lease_seconds"),
            (
                wrong(&|new| {
                    new.spec.constraints = vec![Constraint { metric: "a".into(), min: Some(2.0), max: Some(1.0) }];
                }),
                "constraints[0]",
            ),
            (
                wrong(&|new| {
                    new.spec.pruner = serde_json::from_value(json!({ "type": "halving", "eta": 1 })).unwrap();
                }),
                "pruner.eta",
            ),
            (
                wrong(&|new| new.spec.pruner = serde_json::from_value(json!({ "type": "hyperband" })).unwrap()),
                "pruner.last",
            ),
            (
                wrong(&|new| {
                    new.spec.policy = PolicySpec::Lexicographic { order: vec!["x".into()], tolerances: vec![] };
                }),
                "policy.order",
            ),
            (wrong(&|new| new.initial = vec![BTreeMap::new()]), "initial[0].params.x"),
        ];
        for (new, field) in cases {
            let error = bench.studies().create(&anyone(), new, None).await.unwrap_err();
            assert_eq!(error.violations.first().map(|it| it.field.as_str()), Some(field), "{error}");
        }
        let typo = serde_json::from_value::<PrunerSpec>(json!({ "type": "wilcoxon", "treshold": 0.2 })).unwrap_err();
        assert!(typo.to_string().contains("unknown field `treshold`"), "{typo}");
        bench.study(new_study("s", 10)).await;
        let twice = bench.studies().create(&anyone(), new_study("s", 10), None).await.unwrap_err();
        assert_eq!(twice.kind, ErrorKind::AlreadyExists);
        let id = key();
        let first = bench.studies().create(&anyone(), new_study("t", 10), id.clone()).await.unwrap();
        let again = bench.studies().create(&anyone(), new_study("t", 10), id).await.unwrap();
        assert_eq!(first.id, again.id);
    }
}
