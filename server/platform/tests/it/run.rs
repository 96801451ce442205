use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use tenor_domain::{Digest, ErrorKind, JobState, PageRequest, ParamValue, RunId, State};
use tenor_platform::{ExperimentPatch, NewArtifact, NewRun, RunPatch};

use crate::support::*;

fn patch(state: State) -> RunPatch {
    RunPatch { state: Some(state), ..RunPatch::default() }
}

#[tokio::test]
async fn an_experiment_with_runs_cannot_be_deleted() {
    for bench in benches().await {
        let run = bench.run("r").await;
        let experiments = bench.experiments();
        let error = experiments.delete("e", None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "EXPERIMENT_NOT_EMPTY", "delete them first");
        let change = ExperimentPatch { description: Some("x".into()), tags: None };
        assert_eq!(experiments.update("e", change, None).await.unwrap().description, "x");
        assert_eq!(experiments.list(PageRequest::first(0), Some("e")).await.unwrap().items.len(), 1);
        bench.runs().delete(&run.id, None).await.unwrap();
        experiments.delete("e", None).await.unwrap();
    }
}

#[tokio::test]
async fn values_of_every_kind_come_back_to_the_bit() {
    let params = BTreeMap::from([
        ("min".to_owned(), ParamValue::Int(i64::MIN)),
        ("max".to_owned(), ParamValue::Int(i64::MAX)),
        ("tiny".to_owned(), ParamValue::Float(f64::MIN_POSITIVE / 2.0)),
        ("sum".to_owned(), ParamValue::Float(0.1 + 0.2)),
        ("inf".to_owned(), ParamValue::Float(f64::NEG_INFINITY)),
        ("flag".to_owned(), ParamValue::Bool(false)),
        ("text".to_owned(), ParamValue::Text("'; DROP TABLE runs; -- 🦀".into())),
        ("schlüssel mit leerzeichen".to_owned(), ParamValue::Text(String::new())),
    ]);
    for bench in benches().await {
        bench.experiment("e").await;
        let new = NewRun { params: params.clone(), tags: tags(&[("a", "'")]), note: "n".into(), ..new_run("r") };
        let id = key();
        let created = bench.runs().create(&anyone(), new.clone(), id.clone()).await.unwrap();
        assert_eq!(bench.runs().get(&created.id).await.unwrap(), created);
        assert_eq!(bench.runs().create(&anyone(), new, id).await.unwrap(), created);
        assert_eq!((created.state, created.started_at), (State::Running, Some(START)));
        let nan = BTreeMap::from([("nan".to_owned(), ParamValue::Float(f64::NAN))]);
        bench.runs().log_params(&created.id, nan.clone(), None).await.unwrap();
        bench.runs().log_params(&created.id, nan, None).await.unwrap();
        let found = bench.runs().get(&created.id).await.unwrap();
        assert!(matches!(found.params["nan"], ParamValue::Float(value) if value.is_nan()));
        let other = BTreeMap::from([
            ("new".to_owned(), ParamValue::Int(1)),
            ("flag".to_owned(), ParamValue::Text("false".into())),
        ]);
        let error = bench.runs().log_params(&created.id, other, None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "PARAM_REWRITTEN", "parameter `flag`");
        assert_eq!(bench.runs().get(&created.id).await.unwrap().params.len(), params.len() + 1);
        let gone = bench.runs().log_params(&RunId::new(), BTreeMap::new(), None).await.unwrap_err();
        assert_eq!(gone.kind, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_run_moves_only_along_its_states() {
    for bench in benches().await {
        let runs = bench.runs();
        let run = bench.run("r").await;
        bench.clock.advance_ms(7);
        let change = RunPatch {
            name: Some("renamed".into()),
            note: Some("why".into()),
            tags: Some(tags(&[("k", "v")])),
            error: Some("no memory".into()),
            state: Some(State::Failed),
        };
        let stale = tenor_domain::Etag(run.etag.0 + 1);
        let error = runs.update(&run.id, change.clone(), Some(stale)).await.unwrap_err();
        check_error(&error, ErrorKind::Conflict, "STALE_ETAG", "read it again");
        let failed = runs.update(&run.id, change, Some(run.etag)).await.unwrap();
        assert_eq!((failed.name.as_str(), failed.note.as_str(), failed.state), ("renamed", "why", State::Failed));
        assert_eq!(failed.error.as_deref(), Some("no memory"));
        assert_eq!(failed.finished_at.unwrap().0 - START.0, 7);
        for state in State::ALL {
            let error = runs.update(&run.id, patch(*state), None).await.unwrap_err();
            check_error(&error, ErrorKind::FailedPrecondition, "ILLEGAL_TRANSITION", "is failed and cannot become");
        }
        let other = bench.run("other").await;
        for state in [State::Pending, State::Running, State::Succeeded] {
            assert_eq!(runs.update(&other.id, patch(state), None).await.unwrap().state, state);
        }
    }
}

#[tokio::test]
async fn runs_nest_and_go_together() {
    for bench in benches().await {
        let parent = bench.run("parent").await;
        let child = NewRun { parent_run_id: Some(parent.id.clone()), ..new_run("child") };
        let child = bench.runs().create(&anyone(), child, None).await.unwrap();
        let orphan = NewRun { parent_run_id: Some(RunId::new()), ..new_run("orphan") };
        assert_eq!(bench.runs().create(&anyone(), orphan, None).await.unwrap_err().kind, ErrorKind::NotFound);
        bench.runs().delete(&parent.id, Some(parent.etag)).await.unwrap();
        assert_eq!(bench.runs().get(&child.id).await.unwrap_err().kind, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn an_artifact_names_a_blob_and_can_be_replaced() {
    for bench in benches().await {
        let run = bench.run("r").await;
        let (one, two) = (
            bench.blobs().put_bytes(Bytes::from("<svg/>")).await.unwrap(),
            bench.blobs().put_bytes(Bytes::from("<svg></svg>")).await.unwrap(),
        );
        let new = |name: &str, digest| NewArtifact { name: name.into(), media_type: "image/svg+xml".into(), digest };
        let runs = bench.runs();
        let artifact = runs.add_artifact(&run.id, new("plots/a.svg", one), None).await.unwrap();
        assert_eq!(artifact.size_bytes, 6);
        runs.add_artifact(&run.id, new("plots/a.svg", two), None).await.unwrap();
        runs.add_artifact(&run.id, new("model", one), None).await.unwrap();
        let listed = runs.list_artifacts(&run.id).await.unwrap();
        assert_eq!(
            listed.iter().map(|a| (a.name.as_str(), a.digest)).collect::<Vec<_>>(),
            [("model", one), ("plots/a.svg", two)]
        );
        assert_eq!(runs.get_artifact(&run.id, "model").await.unwrap().digest, one);
        assert_eq!(runs.get_artifact(&run.id, "none").await.unwrap_err().kind, ErrorKind::NotFound);
        let error = runs.add_artifact(&run.id, new("x", Digest::of(b"?")), None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "BLOB_UNKNOWN", "send its bytes first");
        let error = runs.add_artifact(&run.id, new("../x", one), None).await.unwrap_err();
        assert_eq!(error.violations[0].field, "name");
        let error = runs.add_artifact(&RunId::new(), new("x", one), None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_training_run_waits_for_its_split_and_follows_its_job() {
    for bench in benches().await {
        bench.import("kindle", "x", Value::Null).await;
        let split = bench.split("kindle").await;
        let id = key();
        let run = bench.runs().train(&anyone(), train_spec(&split), id.clone()).await.unwrap();
        assert_eq!(bench.runs().train(&anyone(), train_spec(&split), id).await.unwrap(), run);
        assert_eq!(bench.runs().get(&run.id).await.unwrap(), run);
        assert_eq!((run.state, run.kind.as_str(), &run.split_id), (State::Pending, "logreg", &Some(split.id.clone())));
        assert_eq!(run.params["C"], ParamValue::Float(0.5));
        assert_eq!(run.params["seed"], ParamValue::Int(42));
        assert_eq!(run.params["solver"], ParamValue::Text("lbfgs".into()));
        assert_eq!(bench.jobs().get(run.job_id.unwrap()).await.unwrap().state, JobState::Waiting);
        let error = bench.runs().update(&run.id, patch(State::Succeeded), None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "RUN_HAS_JOB", "cancel the job instead");

        let mut spec = train_spec(&split);
        spec.register_model = None;
        assert_eq!(bench.runs().train(&anyone(), spec, None).await.unwrap_err().violations[0].field, "aliases");
        let mut spec = train_spec(&split);
        spec.kind.clear();
        assert_eq!(bench.runs().train(&anyone(), spec, None).await.unwrap_err().violations[0].field, "kind");
        let mut spec = train_spec(&split);
        spec.split_id = tenor_domain::SplitId::new();
        assert_eq!(bench.runs().train(&anyone(), spec, None).await.unwrap_err().kind, ErrorKind::NotFound);
    }
}
