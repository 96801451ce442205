//! The end of a training: model, version and aliases at once.

use serde_json::Value;
use tenor_domain::{ErrorKind, RunId, State};
use tenor_features::contract::FeatureContract;
use tenor_platform::{ModelFacts, TrainedModel};

use crate::contract::{base, split, train, without_votes};
use crate::support::*;
use crate::worker::{Hands, Held};

/// A run whose job is in hand.
async fn begun(bench: &Bench, hands: &mut Hands, contract: &FeatureContract) -> (RunId, Held) {
    let split = split(bench, contract).await;
    let run = bench.runs().train(&anyone(), train(&split), None).await.unwrap();
    loop {
        let held = hands.next().await;
        if held.context.job.kind == "train_run" {
            bench.runs().start(&held.fence(), &run.id).await.unwrap();
            return (run.id, held);
        }
        held.end(Ok(Value::Null));
    }
}

/// What a training on a split with this contract made.
fn of(contract: &FeatureContract, text: &str) -> TrainedModel {
    let made = made(text, Some("stars"));
    TrainedModel { facts: ModelFacts { contract_hash: contract.hash(), ..made.facts }, ..made }
}

#[tokio::test]
async fn a_training_ends_with_its_version_and_its_alias_at_once_and_only_once() {
    for bench in benches().await {
        let mut hands = bench.work();
        for number in [1, 2] {
            let (run, held) = begun(&bench, &mut hands, &base()).await;
            let made = made(&format!("file {number}"), Some("stars"));
            let finish = async || bench.runs().finish_training(&held.fence(), &anyone(), &run, made.clone()).await;
            let finished = finish().await.unwrap();
            assert_eq!(finished.version.unwrap().number, number);
            assert!(finished.refused.is_empty());
            assert_eq!(bench.runs().get(&run).await.unwrap().state, State::Succeeded);
            assert_eq!(bench.runs().model(&run).await.unwrap().unwrap().digest, made.facts.digest);
            let champion = bench.models().get_alias("stars", &alias("champion"), None).await.unwrap();
            assert_eq!((champion.version, champion.why), (Some(number), format!("run {run} succeeded")));
            // A run that has ended is left alone, and with it the alias that somebody may have moved since.
            let again = finish().await.unwrap_err();
            check_error(&again, ErrorKind::FailedPrecondition, "ILLEGAL_TRANSITION", "is succeeded");
            held.end(Ok(Value::Null));
        }
        assert_eq!(bench.models().get("stars").await.unwrap().latest_version, 2);
        hands.stop().await;
    }
}

#[tokio::test]
async fn a_training_that_would_break_what_a_deployment_serves_registers_and_leaves_the_alias() {
    for bench in benches().await {
        let mut hands = bench.work();
        let (run, held) = begun(&bench, &mut hands, &base()).await;
        bench.runs().finish_training(&held.fence(), &anyone(), &run, of(&base(), "one")).await.unwrap();
        held.end(Ok(Value::Null));
        let (run, held) = begun(&bench, &mut hands, &without_votes()).await;
        // When the training began nobody would have minded.
        bench.deploy("front", "stars", "champion").await;
        let two = of(&without_votes(), "two");
        let finished = bench.runs().finish_training(&held.fence(), &anyone(), &run, two).await.unwrap();
        held.end(Ok(Value::Null));
        assert_eq!(finished.version.unwrap().number, 2);
        let [(refused, error)] = &finished.refused[..] else { panic!("{:?}", finished.refused) };
        assert_eq!(*refused, alias("champion"));
        check_error(error, ErrorKind::FailedPrecondition, "CONTRACT_BREAKING", "feature `votes` was removed");
        assert_eq!(bench.runs().get(&run).await.unwrap().state, State::Succeeded);
        assert_eq!(bench.models().get_alias("stars", &alias("champion"), None).await.unwrap().version, Some(1));
        hands.stop().await;
    }
}
