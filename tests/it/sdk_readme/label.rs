use tenor_sdk::types::PredictOptions;
use tenor_sdk::{blocking, instance};

pub fn label(url: &str, texts: &[&str]) -> tenor_sdk::Result<Vec<String>> {
    let client = blocking::Client::connect(url)?;
    for version in client.list(|tenor| tenor.models().versions("reviews"))? {
        println!("version {} comes from run {}", version.number, version.run_id);
    }
    let instances = texts.iter().map(|text| instance(*text)).collect();
    let options = PredictOptions::default();
    let answer = client.run(async |tenor| tenor.predictions().batch("reviews", instances, options).await)?;
    Ok(answer.predictions.into_iter().map(|prediction| prediction.label).collect())
}
