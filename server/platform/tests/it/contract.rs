//! What the callers of a deployment rely on is not taken from them unasked.

use serde_json::json;
use tenor_domain::{
    ContractMode, DeploymentName, DeploymentTarget, Error, ErrorKind, ModelName, ModelVersion, Split, SplitOutcome,
};
use tenor_features::contract::FeatureContract;
use tenor_features::text::lexicon_digest;
use tenor_platform::{AliasMove, DeploymentPatch, ModelFacts, NewDeployment, TrainSpec};
use tenor_store::testing::execute;

use crate::support::*;

pub fn base() -> FeatureContract {
    let feature = |name: &str| json!({ "name": name, "source": "caller", "min": 0.0, "max": 9.0, "mean": 1.0, "std": 1.0, "default": 1.0 });
    serde_json::from_value(json!({
        "format": 1, "text_column": "text", "cleaning": "unicode", "min_chars": 1, "max_chars": 1000,
        "lexicon": lexicon_digest(), "numeric": [feature("votes"), feature("age")],
        "classes": ["negative", "positive"], "stars": null,
    }))
    .unwrap()
}

pub fn without_votes() -> FeatureContract {
    let mut contract = base();
    contract.numeric.remove(0);
    contract.classes.push("neutral".into());
    contract
}

fn widened() -> FeatureContract {
    let mut contract = base();
    contract.numeric[0].max = 99.0;
    contract
}

/// A split that has succeeded with this contract.
pub async fn split(bench: &Bench, contract: &FeatureContract) -> Split {
    let name = contract.hash().to_string()[..8].to_owned();
    bench.import(&name, &name, json!(null)).await;
    let split = bench.split(&name).await;
    let outcome = SplitOutcome { contract: json!(contract), contract_hash: contract.hash(), ..split_outcome() };
    let (outcome, id) = (json!(outcome), &split.id);
    let sql = format!("UPDATE splits SET state = 'succeeded', outcome = '{outcome}' WHERE id = '{id}'");
    assert_eq!(execute(&bench.database, &sql).await.unwrap(), 1);
    bench.splits().get(id).await.unwrap()
}

pub fn train(split: &Split) -> TrainSpec {
    TrainSpec { register_model: None, aliases: Vec::new(), ..train_spec(split) }
}

/// The next version of `stars`, trained on a split with this contract.
async fn version(bench: &Bench, contract: &FeatureContract) -> ModelVersion {
    let split = split(bench, contract).await;
    let run = bench.runs().train(&anyone(), train(&split), None).await.unwrap();
    let facts = ModelFacts { contract_hash: contract.hash(), ..facts(&contract.hash().to_string()) };
    let name = ModelName::parse("stars").unwrap();
    bench.models().register_version(&anyone(), &name, &run.id, facts).await.unwrap()
}

async fn set(bench: &Bench, name: &str, to: AliasMove<'_>) -> Result<i64, Error> {
    let event = bench.models().set_alias(&anyone(), "stars", &alias(name), to).await?;
    Ok(event.version.unwrap())
}

async fn retarget(
    bench: &Bench,
    target: DeploymentTarget,
    allow_breaking_contract: bool,
) -> Result<Option<i64>, Error> {
    let patch = DeploymentPatch { target: Some(target), allow_breaking_contract, ..DeploymentPatch::default() };
    Ok(bench.deployments().update("front", patch, None).await?.current_version)
}

#[track_caller]
fn check_breaking(error: &Error, says: &[&str]) {
    for says in says {
        check_error(error, ErrorKind::FailedPrecondition, "CONTRACT_BREAKING", says);
    }
}

#[tokio::test]
async fn an_alias_that_is_followed_does_not_move_to_a_contract_that_breaks_unless_that_is_allowed() {
    for bench in benches().await {
        for contract in [base(), without_votes(), widened()] {
            version(&bench, &contract).await;
        }
        assert_eq!(set(&bench, "champion", AliasMove::to(1)).await.unwrap(), 1);
        bench.deploy("front", "stars", "champion").await;
        let error = set(&bench, "champion", AliasMove::to(2)).await.unwrap_err();
        let each = ["feature `votes` was removed or renamed", "classes changed from [\"negative\", \"positive\"] to"];
        let context = ["version 2 breaks the feature contract of version 1 of model `stars`", "deployment `front`"];
        check_breaking(&error, &[&each[..], &context, &["`allow_breaking_contract`"]].concat());
        assert_eq!(bench.deployments().resolve("front").await.unwrap().number, 1, "nothing has moved");
        assert_eq!(set(&bench, "champion", AliasMove::to(3)).await.unwrap(), 3, "a wider range breaks nobody");
        let error = set(&bench, "champion", AliasMove::to(1)).await.unwrap_err();
        check_breaking(&error, &["range of `votes` narrowed from 0..99 to 0..9"]);
        let allowed = AliasMove { allow_breaking_contract: true, ..AliasMove::to(2) };
        assert_eq!(set(&bench, "champion", allowed).await.unwrap(), 2);
        assert_eq!(set(&bench, "champion", AliasMove::to(2)).await.unwrap(), 2, "it is there already");
        bench.deploy("back", "stars", "champion").await;
        check_breaking(
            &set(&bench, "champion", AliasMove::to(1)).await.unwrap_err(),
            &["deployment `back` and 1 more"],
        );
    }
}

#[tokio::test]
async fn an_alias_that_nobody_follows_or_that_was_removed_moves_freely() {
    for bench in benches().await {
        version(&bench, &base()).await;
        version(&bench, &without_votes()).await;
        bench.deploy("other", "stars", "challenger").await;
        for number in [1, 2, 1] {
            assert_eq!(set(&bench, "champion", AliasMove::to(number)).await.unwrap(), number);
        }
        bench.deploy("front", "stars", "champion").await;
        bench.models().delete_alias(&anyone(), "stars", &alias("champion"), None, "").await.unwrap();
        assert_eq!(set(&bench, "champion", AliasMove::to(2)).await.unwrap(), 2, "nothing was served");
    }
}

#[tokio::test]
async fn a_deployment_is_not_pointed_at_a_contract_that_breaks_unless_that_is_allowed() {
    for bench in benches().await {
        for contract in [base(), without_votes(), widened()] {
            version(&bench, &contract).await;
        }
        set(&bench, "broken", AliasMove::to(2)).await.unwrap();
        set(&bench, "wide", AliasMove::to(3)).await.unwrap();
        let new = NewDeployment {
            name: DeploymentName::parse("front").unwrap(),
            model: "stars".into(),
            target: DeploymentTarget::Version(1),
            contract_mode: ContractMode::Warn,
        };
        bench.deployments().create(&anyone(), new, None).await.unwrap();
        let follow = |name: &str| DeploymentTarget::Alias(alias(name));
        for target in [DeploymentTarget::Version(2), follow("broken")] {
            let error = retarget(&bench, target, false).await.unwrap_err();
            check_breaking(&error, &["feature `votes` was removed", "deployment `front` serves"]);
        }
        assert_eq!(bench.deployments().get("front").await.unwrap().target, DeploymentTarget::Version(1));
        assert_eq!(retarget(&bench, follow("wide"), false).await.unwrap(), Some(3));
        let strict = DeploymentPatch { contract_mode: Some(ContractMode::Strict), ..DeploymentPatch::default() };
        bench.deployments().update("front", strict, None).await.unwrap();
        assert_eq!(retarget(&bench, follow("broken"), true).await.unwrap(), Some(2));
        assert_eq!(retarget(&bench, follow("nowhere"), false).await.unwrap(), None);
        assert_eq!(retarget(&bench, DeploymentTarget::Version(1), false).await.unwrap(), Some(1), "nothing was served");
    }
}

#[tokio::test]
async fn a_training_that_would_break_a_followed_alias_is_refused_before_it_costs_anything() {
    for bench in benches().await {
        version(&bench, &base()).await;
        set(&bench, "champion", AliasMove::to(1)).await.unwrap();
        let stars = ModelName::parse("stars").unwrap();
        let (broken, wide) = (split(&bench, &without_votes()).await, split(&bench, &widened()).await);
        let spec = |split: &Split| TrainSpec { register_model: Some(stars.clone()), ..train_spec(split) };
        bench.runs().check_train(&anyone(), spec(&broken)).await.unwrap();
        bench.deploy("front", "stars", "champion").await;
        let error = bench.runs().train(&anyone(), spec(&broken), None).await.unwrap_err();
        check_breaking(&error, &["a model trained on this split breaks", "votes", "train without the alias"]);
        // As the job asks once the split is there.
        let models = bench.models();
        let aliases = [alias("champion")];
        let asked = models.check_contract(&stars, &aliases, &json!(without_votes())).await.unwrap_err();
        assert_eq!(asked.message, error.message);
        models.check_contract(&stars, &aliases, &json!(widened())).await.unwrap();
        models.check_contract(&stars, &[alias("other")], &json!(without_votes())).await.unwrap();
        models.check_contract(&ModelName::parse("new").unwrap(), &aliases, &json!(without_votes())).await.unwrap();
        bench.runs().train(&anyone(), spec(&wide), None).await.unwrap();
        bench.runs().train(&anyone(), train(&broken), None).await.unwrap();
    }
}

#[tokio::test]
async fn many_changes_with_long_names_are_told_in_a_short_message() {
    for bench in benches().await {
        let mut labels = base();
        labels.classes = (0..400).map(|class| format!("{class} {}", "Ж".repeat(200))).collect();
        labels.numeric.clear();
        version(&bench, &base()).await;
        version(&bench, &labels).await;
        set(&bench, "champion", AliasMove::to(1)).await.unwrap();
        bench.deploy("front", "stars", "champion").await;
        let error = set(&bench, "champion", AliasMove::to(2)).await.unwrap_err();
        check_breaking(&error, &["`votes` was removed", "`age` was removed"]);
        assert!(error.message.len() < 1_500, "{}", error.message.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_alias_and_a_deployment_that_move_at_once_do_not_break_the_contract_together() {
    for bench in benches().await {
        version(&bench, &base()).await;
        version(&bench, &without_votes()).await;
        bench.deploy("front", "stars", "stable").await;
        set(&bench, "stable", AliasMove::to(1)).await.unwrap();
        for _ in 0..10 {
            set(&bench, "next", AliasMove::to(1)).await.unwrap();
            let (one, two) = (bench.platform.clone(), bench.platform.clone());
            let moved = tokio::spawn(async move {
                one.models().set_alias(&anyone(), "stars", &alias("next"), AliasMove::to(2)).await
            });
            let followed = tokio::spawn(async move {
                let target = Some(DeploymentTarget::Alias(alias("next")));
                two.deployments().update("front", DeploymentPatch { target, ..DeploymentPatch::default() }, None).await
            });
            let (moved, followed) = (moved.await.unwrap(), followed.await.unwrap());
            assert_ne!(moved.is_ok(), followed.is_ok(), "one of them and not both");
            check_breaking(&moved.err().or(followed.err()).unwrap(), &["votes"]);
            assert_eq!(bench.deployments().resolve("front").await.unwrap().number, 1);
            retarget(&bench, DeploymentTarget::Alias(alias("stable")), false).await.unwrap();
        }
    }
}
