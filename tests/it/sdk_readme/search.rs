use std::collections::BTreeMap;

use tenor_sdk::types::{Budget, ParamValue};
use tenor_sdk::{Client, NewStudy};

pub async fn search(url: &str, me: &str, loss: fn(&BTreeMap<String, ParamValue>) -> f64) -> tenor_sdk::Result<()> {
    let studies = Client::connect(url)?.studies();
    let space = serde_json::json!([{ "name": "x", "type": "float", "low": 1e-4, "high": 1.0, "log": true }]);
    let budget = Budget { max_trials: 50, ..Budget::default() };
    studies.create(NewStudy::new("mine").space(&space).minimize("loss").budget(budget)).await?;
    // Ends with the error BUDGET_SPENT, or STUDY_NOT_ACTIVE once all trials are complete.
    while let Ok(suggested) = studies.suggest("mine", me).await {
        let trial = suggested.trial.unwrap_or_default();
        let metrics = BTreeMap::from([("loss".to_owned(), loss(&trial.params))]);
        studies.complete("mine", trial.number, me, metrics).await?;
    }
    println!("{}", studies.best("mine", None).await?.reason);
    Ok(())
}
