//! Every service there is.

mod bytes;
mod dataset;
mod deployment;
mod drain;
mod experiment;
mod job;
mod metric;
mod model;
mod prediction;
mod study;

use std::sync::Arc;

use axum::Router;
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use tenor_domain::predict::Predictor;
use tenor_domain::{Clock, Digest, Error};
use tenor_platform::Platform;
use tenor_proto::v1 as pb;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::pb::{
    v1::FILE_DESCRIPTOR_SET as REFLECTION_V1, v1alpha::FILE_DESCRIPTOR_SET as REFLECTION_V1ALPHA,
};
use tonic_reflection::server::Builder as Reflection;
use tonic_web::GrpcWebLayer;
use tower::{Service, ServiceExt as _};

use crate::health::HealthService;
use crate::hosts::HostPolicy;
use crate::http::{Operations, Readiness, merge, operations};
use crate::layers::{EdgeLayer, Methods};
use crate::{Limits, Metrics};

/// Reads rows of a table that is a blob: from a row on, at most so many, one JSON object a row. `data` knows the format.
pub type RowReader = Arc<dyn Fn(Digest, u64, usize) -> BoxFuture<'static, Result<Vec<String>, Error>> + Send + Sync>;

/// What the API is made of.
pub struct Services {
    pub platform: Arc<Platform>,
    pub clock: Arc<dyn Clock>,
    pub rows: RowReader,
    pub predictor: Arc<dyn Predictor>,
    pub metrics: Arc<Metrics>,
    pub limits: Limits,
    pub hosts: HostPolicy,
    /// What the health of the server and of the predictions follows.
    pub readiness: Readiness,
    /// Health, readiness and metrics on this port; `None` when they have a port of their own ([`crate::http::operations`]).
    pub operations: Option<Operations>,
    /// Routes of the GraphQL API, without a fallback.
    pub graphql: Option<Router>,
    /// Cancelled when the drain begins: health turns NOT_SERVING, watches end, and so do the streams of silent clients.
    pub shutdown: CancellationToken,
}

/// The router of everything on the port. Give it to [`crate::serve`].
pub fn router(services: Services) -> Router {
    let Services { platform, clock, rows, predictor, metrics, limits, hosts, readiness, graphql, shutdown, .. } =
        services;
    let sets =
        [tenor_proto::FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET, REFLECTION_V1, REFLECTION_V1ALPHA];
    let methods = Methods::new(&sets, &metrics);
    let health = HealthService { names: methods.services().into(), readiness, shutdown: shutdown.clone() };

    macro_rules! service {
        ($server:ty, $implementation:expr) => {
            <$server>::new($implementation)
                .max_decoding_message_size(limits.max_decode_bytes)
                .max_encoding_message_size(limits.max_encode_bytes)
                .accept_compressed(Gzip)
                .send_compressed(Gzip)
        };
    }
    use pb::dataset_service_server::DatasetServiceServer;
    use pb::deployment_service_server::DeploymentServiceServer;
    use pb::experiment_service_server::ExperimentServiceServer;
    use pb::job_service_server::JobServiceServer;
    use pb::model_registry_service_server::ModelRegistryServiceServer;
    use pb::prediction_service_server::PredictionServiceServer;
    use pb::study_service_server::StudyServiceServer;
    let datasets = dataset::Datasets { platform: Arc::clone(&platform), rows, shutdown: shutdown.clone() };
    let experiments = experiment::Experiments { platform: Arc::clone(&platform), clock, shutdown: shutdown.clone() };
    let models = model::Models { platform: Arc::clone(&platform) };
    let deployments = deployment::Deployments { platform: Arc::clone(&platform), predictor: Arc::clone(&predictor) };
    let predictions = prediction::Predictions::new(predictor, shutdown.clone());
    let studies = study::Studies { platform: Arc::clone(&platform), shutdown: shutdown.clone() };
    let jobs = job::Jobs { platform, shutdown };
    let mut routes = Router::new();
    routes = add(routes, service!(DatasetServiceServer<_>, datasets));
    routes = add(routes, service!(ExperimentServiceServer<_>, experiments));
    routes = add(routes, service!(ModelRegistryServiceServer<_>, models));
    routes = add(routes, service!(DeploymentServiceServer<_>, deployments));
    routes = add(routes, service!(PredictionServiceServer<_>, predictions));
    routes = add(routes, service!(StudyServiceServer<_>, studies));
    routes = add(routes, service!(JobServiceServer<_>, jobs));
    routes = add(routes, service!(HealthServer<_>, health));
    let reflection = || sets.iter().fold(Reflection::configure(), |b, set| b.register_encoded_file_descriptor_set(set));
    // The sets are compiled in and a test lists their services, so neither build fails; a server without reflection would
    // still be of use.
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes = add(add(routes, v1), v1alpha),
        (Err(error), _) | (_, Err(error)) => tracing::error!(error = %error, "no reflection"),
    }
    // gRPC-Web is outside of the edge, which so sees plain gRPC only; and on these routes only, because it answers 400 to
    // whatever else passes it.
    let grpc = routes.layer(EdgeLayer::new(methods, metrics, &limits)).layer(GrpcWebLayer::new());
    merge(grpc, services.operations.map(operations).unwrap_or_default(), graphql, hosts)
}

/// One service under its name, without tonic's `Routes`, which brings a fallback of its own.
fn add<S>(router: Router, service: S) -> Router
where
    S: Service<http::Request<tonic::body::Body>, Error = std::convert::Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Response: axum::response::IntoResponse,
    S::Future: Send + 'static,
{
    let path = format!("/{}/{{*rest}}", S::NAME);
    let body = |body: axum::body::Body| tonic::body::Body::new(body.map_err(broken_off));
    router.route_service(&path, service.map_request(move |request: http::Request<axum::body::Body>| request.map(body)))
}

/// tonic ends the messages of a client that cancelled as if it had sent its last. Half a file must not pass for a whole one,
/// so a cancelled stream fails.
fn broken_off(error: axum::Error) -> Status {
    let status = Status::from_error(error.into_inner());
    if status.code() == Code::Cancelled { Status::aborted("the client's stream broke off") } else { status }
}
