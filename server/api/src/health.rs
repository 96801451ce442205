//! `grpc.health.v1`. The server (the empty name) and the predictions are SERVING while the server is ready, every other service at
//! once; from the beginning of the drain all are NOT_SERVING.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use tenor_domain::Error;
use tenor_proto::v1::prediction_service_server::SERVICE_NAME as PREDICTIONS;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::http::Readiness;
use crate::status::status;

/// How often a watch looks at the readiness.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Clone)]
pub(crate) struct HealthService {
    /// Full names of the services.
    pub(crate) names: Arc<[String]>,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: CancellationToken,
}

impl HealthService {
    async fn now(&self, service: &str) -> ServingStatus {
        if !service.is_empty() && !self.names.iter().any(|name| name == service) {
            return ServingStatus::ServiceUnknown;
        }
        let asks_models = service.is_empty() || service == PREDICTIONS;
        let up = !self.shutdown.is_cancelled() && (!asks_models || (self.readiness)().await.is_ok());
        if up { ServingStatus::Serving } else { ServingStatus::NotServing }
    }

    /// The next state that is not `last`; `None` when the drain has begun and there is none.
    async fn after(&self, service: &str, last: ServingStatus) -> Option<ServingStatus> {
        loop {
            let draining = self.shutdown.is_cancelled();
            let now = self.now(service).await;
            if now != last || draining {
                return (now != last).then_some(now);
            }
            self.shutdown.run_until_cancelled(sleep(LOOK)).await;
        }
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match self.now(&request.into_inner().service).await {
            ServingStatus::ServiceUnknown => {
                Err(status(Error::not_found("this server has no such service; the empty name asks for the server")))
            }
            found => Ok(Response::new(answer(found))),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// The state now and every change. An unknown service is SERVICE_UNKNOWN, as the protocol says. The stream ends with the
    /// beginning of the drain, so that a watcher does not hold it up.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let first = self.now(&service).await;
        let changes = stream::unfold((self.clone(), service, first), async |(health, service, last)| {
            let next = health.after(&service, last).await?;
            Some((Ok(answer(next)), (health, service, next)))
        });
        Ok(Response::new(stream::iter([Ok(answer(first))]).chain(changes).boxed()))
    }
}
