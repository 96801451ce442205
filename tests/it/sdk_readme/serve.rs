use std::time::Duration;

use tenor_sdk::types::PredictResponse;
use tenor_sdk::{Client, NewDeployment, NewImport, NewSplit, Target, TrainRun};

pub async fn serve(url: &str, file: &str) -> tenor_sdk::Result<PredictResponse> {
    let client = Client::connect(url)?;
    let upload = client.datasets().upload_file(file, |sent, size| eprintln!("{sent} of {size}")).await?;
    let version = client.datasets().import(NewImport::new("reviews", upload.id)).await?;
    client.jobs().succeed(version.job_id, |event| eprintln!("{}", event.message)).await?;

    let split = client.datasets().create_split(NewSplit::new("reviews")).await?;
    let train = TrainRun::new("first", split.id, "logreg").param("C", 1.0).register("reviews").alias("champion");
    let run = client.experiments().train(train).await?;
    client.jobs().succeed(run.job_id, |event| eprintln!("{}", event.message)).await?;

    let champion = Target::Alias("champion".to_owned());
    client.deployments().create(NewDeployment::new("reviews", "reviews", champion)).await?;
    client.deployments().wait_loaded("reviews", Duration::from_secs(30)).await?;
    client.predictions().predict("reviews", "I could not put it down").await
}

#[tokio::main]
async fn main() -> tenor_sdk::Result<()> {
    println!("{:?}", serve("http://127.0.0.1:8470", "reviews.csv").await?.prediction);
    Ok(())
}
