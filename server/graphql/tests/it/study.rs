//! Studies with their trials.

use std::collections::BTreeMap;

use serde_json::json;
use tenor_domain::{StudyName, Tags};
use tenor_platform::{
    Budget, Direction, NewStudy, Objective, PolicySpec, PrunerSpec, SamplerKind, StudySpec, TrialEnd,
};

use crate::support::*;

async fn fill(bench: &Bench) {
    let objective = |metric: &str, direction| Objective { metric: metric.to_owned(), direction };
    let space = json!([{ "name": "x", "type": "float", "low": 0.0, "high": 1.0 }]);
    let new = NewStudy {
        name: StudyName::parse("search").unwrap(),
        description: String::new(),
        tags: Tags::new(),
        spec: StudySpec {
            space: serde_json::from_value(space).unwrap(),
            objectives: vec![objective("f1", Direction::Maximize), objective("ms", Direction::Minimize)],
            constraints: Vec::new(),
            sampler: SamplerKind::QuasiRandom,
            pruner: PrunerSpec::None,
            prune_metrics: Vec::new(),
            seed: 1,
            budget: Budget { max_trials: 12, max_seconds: None, patience: None },
            lease_seconds: 60,
            policy: PolicySpec::default(),
            training: None,
        },
        kinds: Vec::new(),
        skip_defaults: false,
        initial: Vec::new(),
        warm_start_from: Vec::new(),
    };
    bench.studies().create(&anyone(), new, None).await.unwrap();
    for number in 0..12 {
        let trial = bench.studies().suggest(&anyone(), "search", "me").await.unwrap().trial;
        // The first is the best at one, the last at the other; in between they are worse at both.
        let (f1, ms) = match number {
            0 => (0.9, 9.0),
            11 => (0.5, 1.0),
            _ => (0.4, 10.0),
        };
        let end = TrialEnd::Complete(BTreeMap::from([("f1".to_owned(), f1), ("ms".to_owned(), ms)]));
        bench.studies().tell(&anyone(), "search", trial.number, "me", end).await.unwrap();
    }
}

#[tokio::test]
async fn a_study_is_read_with_its_trials_its_front_and_what_matters() {
    for bench in benches().await {
        fill(&bench).await;
        let query = "{ study(name: \"search\") { id name state trialCount maxTrials bestTrial objectives { metric direction }
            paretoFront { number } importance(objective: \"f1\") { name share }
            trials(filter: \"metrics.f1 > 0.45\", orderBy: \"metrics.f1 DESC\", first: 1) {
                edges { node { number state params { key kind } metrics { key value } } } pageInfo { hasNextPage endCursor } } }
            studies { edges { node { name } } } }";
        let data = bench.data(query).await;
        let study = &data["study"];
        assert_eq!(
            (&study["state"], &study["trialCount"], &study["bestTrial"]),
            (&json!("COMPLETED"), &json!(12), &json!(0))
        );
        assert_eq!(study["objectives"][1], json!({ "metric": "ms", "direction": "MINIMIZE" }));
        assert_eq!(study["paretoFront"], json!([{ "number": 0 }, { "number": 11 }]));
        assert_eq!(study["importance"][0]["name"], "x");
        let trial = &study["trials"]["edges"][0]["node"];
        assert_eq!((&trial["number"], &trial["state"]), (&json!(0), &json!("COMPLETE")));
        assert_eq!(trial["params"][0], json!({ "key": "x", "kind": "FLOAT" }));
        assert_eq!(study["trials"]["pageInfo"]["hasNextPage"], true);
        let rest = "query($after: String) { study(name: \"search\") { trials(filter: \"metrics.f1 > 0.45\",
            orderBy: \"metrics.f1 DESC\", first: 1, after: $after) { edges { node { number } } } } }";
        let after = &study["trials"]["pageInfo"]["endCursor"];
        let rest = bench.data_of(rest, json!({ "after": after })).await;
        assert_eq!(rest["study"]["trials"]["edges"], json!([{ "node": { "number": 11 } }]));
        let node =
            bench.data_of("query($id: ID!) { node(id: $id) { __typename } }", json!({ "id": study["id"] })).await;
        assert_eq!(node["node"]["__typename"], "Study");
    }
}
