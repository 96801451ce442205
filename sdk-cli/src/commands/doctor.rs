//! `tenor ping` and `tenor doctor`.

use std::time::Instant;

use serde_json::{Value, json};
use tenor_sdk::Health;

use crate::context::Context;
use crate::error::{Error, Result};

const SERVICES: [&str; 6] = [
    "tenor.v1.DatasetService",
    "tenor.v1.ExperimentService",
    "tenor.v1.ModelRegistryService",
    "tenor.v1.DeploymentService",
    "tenor.v1.PredictionService",
    "tenor.v1.JobService",
];

pub(crate) async fn ping(context: &mut Context<'_>) -> Result {
    let (value, healthy) = check(context, "").await?;
    context.value(&value)?;
    verdict(healthy)
}

pub(crate) async fn doctor(context: &mut Context<'_>) -> Result {
    let mut checks = Vec::new();
    let mut healthy = true;
    for service in [""].into_iter().chain(SERVICES) {
        // A server may know only its health as a whole.
        match check(context, service).await {
            Ok((value, good)) => {
                healthy &= good;
                checks.push(value);
            }
            Err(Error::Server(error)) if error.kind() == tenor_sdk::Kind::NotFound && !service.is_empty() => {
                checks.push(json!({ "server": context.server, "service": service, "status": "unknown" }));
            }
            Err(error) => return Err(error),
        }
    }
    context.values(checks, &["service", "status", "milliseconds"])?;
    verdict(healthy)
}

async fn check(context: &Context<'_>, service: &str) -> Result<(Value, bool)> {
    let start = Instant::now();
    let health = context.client.health(service).await?;
    let status = match health {
        Health::Serving => "serving",
        Health::NotServing => "not_serving",
        Health::Unknown => "unknown",
    };
    let milliseconds = (start.elapsed().as_secs_f64() * 1e5).round() / 100.0;
    let name = if service.is_empty() { "server" } else { service };
    let value = json!({ "server": context.server, "service": name, "status": status, "milliseconds": milliseconds });
    Ok((value, health == Health::Serving))
}

fn verdict(healthy: bool) -> Result {
    if healthy {
        return Ok(());
    }
    Err(Error::Job {
        message: "the server answers, but not everything is serving".to_owned(),
        hint: "its /readyz page and its log say what is missing".to_owned(),
    })
}
