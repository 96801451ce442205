//! The connection, its limits, and the one way every call goes through.

use std::future::Future;
use std::time::Duration;

use tenor_proto::v1::dataset_service_client::DatasetServiceClient;
use tenor_proto::v1::deployment_service_client::DeploymentServiceClient;
use tenor_proto::v1::experiment_service_client::ExperimentServiceClient;
use tenor_proto::v1::job_service_client::JobServiceClient;
use tenor_proto::v1::model_registry_service_client::ModelRegistryServiceClient;
use tenor_proto::v1::prediction_service_client::PredictionServiceClient;
use tenor_proto::v1::study_service_client::StudyServiceClient;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status};

use crate::error::broken;
use crate::{Datasets, Deployments, Error, Experiments, Jobs, Kind, Models, Predictions, Result, Studies, trace};

/// The longest that the `grpc-timeout` header can say in seconds.
const MAX_TIMEOUT: Duration = Duration::from_secs(99_999_999);

/// How a client connects and how long it waits.
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    url: String,
    connect_timeout: Duration,
    timeout: Duration,
    decode_limit: usize,
    encode_limit: usize,
    attempts: u32,
}

impl ClientBuilder {
    /// A client of the server at `url`, e.g. `http://127.0.0.1:8470`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            decode_limit: 64 << 20,
            encode_limit: 64 << 20,
            attempts: 4,
        }
    }
    /// Longest wait for a connection; 5 s when not set.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }
    /// Deadline of one call with its retries; 60 s when not set. Streams and waits for jobs have none.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
    /// Largest message to accept, in bytes; 64 MiB when not set.
    #[must_use]
    pub fn decode_limit(mut self, bytes: usize) -> Self {
        self.decode_limit = bytes;
        self
    }
    /// Largest message to send, in bytes; 64 MiB when not set.
    #[must_use]
    pub fn encode_limit(mut self, bytes: usize) -> Self {
        self.encode_limit = bytes;
        self
    }
    /// How often an idempotent call is tried when the server is unavailable, at least 1; 4 when not set.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }
    /// Builds the client. The connection is made by the first call. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] when the URL is not `http://host:port` or `https://host:port`.
    pub fn build(self) -> Result<Client> {
        let bad = |error: &dyn std::fmt::Display| {
            let text = format!("`{}` is not a server address ({error}); write http://host:port", self.url);
            Error::new(Kind::InvalidArgument, "INVALID_URL", text)
        };
        let mut endpoint = Endpoint::from_shared(self.url.clone()).map_err(|error| bad(&error))?;
        match endpoint.uri().scheme_str() {
            Some("http") => {}
            Some("https") => {
                let tls = ClientTlsConfig::new().with_webpki_roots();
                endpoint = endpoint.tls_config(tls).map_err(|error| bad(&error))?;
            }
            Some(_) => return Err(bad(&"the scheme is neither http nor https")),
            None => return Err(bad(&"the scheme is missing")),
        }
        let channel = endpoint
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20))
            .connect_lazy();
        Ok(Client { channel, settings: self })
    }
}

/// Whether a call may be sent again after a failure that leaves open whether it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Reads, and writes that carry a request id or say where they end up.
    Safe,
    Never,
}

/// What the server says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Serving,
    NotServing,
    Unknown,
}

/// A client. Cheap to clone; all clones share one connection.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    settings: ClientBuilder,
}

macro_rules! api {
    ($name:ident, $client:ident) => {
        pub(crate) fn $name(&self) -> $client<Channel> {
            $client::new(self.channel.clone())
                .max_decoding_message_size(self.settings.decode_limit)
                .max_encoding_message_size(self.settings.encode_limit)
        }
    };
}

impl Client {
    /// A client with the default settings.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn connect(url: impl Into<String>) -> Result<Self> {
        ClientBuilder::new(url).build()
    }
    pub fn datasets(&self) -> Datasets {
        Datasets::new(self.clone())
    }
    pub fn experiments(&self) -> Experiments {
        Experiments::new(self.clone())
    }
    pub fn models(&self) -> Models {
        Models::new(self.clone())
    }
    pub fn deployments(&self) -> Deployments {
        Deployments::new(self.clone())
    }
    pub fn predictions(&self) -> Predictions {
        Predictions::new(self.clone())
    }
    pub fn studies(&self) -> Studies {
        Studies::new(self.clone())
    }
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.clone())
    }
    /// Asks grpc.health.v1 about one service (`tenor.v1.JobService`), or about the whole server for an empty name.
    pub async fn health(&self, service: &str) -> Result<Health> {
        use tonic_health::pb::health_check_response::ServingStatus;
        use tonic_health::pb::health_client::HealthClient;
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        let answer = self
            .call(Repeat::Safe, request, |request| {
                let mut api = HealthClient::new(self.channel.clone());
                async move { api.check(request).await }
            })
            .await?;
        Ok(match answer.status() {
            ServingStatus::Serving => Health::Serving,
            ServingStatus::NotServing => Health::NotServing,
            ServingStatus::Unknown | ServingStatus::ServiceUnknown => Health::Unknown,
        })
    }

    api!(dataset_api, DatasetServiceClient);
    api!(experiment_api, ExperimentServiceClient);
    api!(model_api, ModelRegistryServiceClient);
    api!(deployment_api, DeploymentServiceClient);
    api!(prediction_api, PredictionServiceClient);
    api!(study_api, StudyServiceClient);
    api!(job_api, JobServiceClient);

    /// A request that carries the trace but no deadline, for streams.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        trace::inject(request.metadata_mut());
        request
    }

    /// A unary call with deadline, trace and retries.
    pub(crate) async fn call<Req, Res, F, Fut>(&self, repeat: Repeat, message: Req, send: F) -> Result<Res>
    where
        Req: Clone,
        F: Fn(Request<Req>) -> Fut,
        Fut: Future<Output = std::result::Result<Response<Res>, Status>>,
    {
        self.call_within(self.settings.timeout, repeat, message, send).await
    }

    pub(crate) async fn call_within<Req, Res, F, Fut>(
        &self,
        limit: Duration,
        repeat: Repeat,
        message: Req,
        send: F,
    ) -> Result<Res>
    where
        Req: Clone,
        F: Fn(Request<Req>) -> Fut,
        Fut: Future<Output = std::result::Result<Response<Res>, Status>>,
    {
        let start = tokio::time::Instant::now();
        let mut attempt = 1;
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let mut request = self.request(message.clone());
            request.set_timeout(left.min(MAX_TIMEOUT));
            let status = match tokio::time::timeout(left, send(request)).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                // The transport watches the same deadline, and may see it first.
                Ok(Err(_)) if start.elapsed() >= limit => return Err(late(limit)),
                Ok(Err(status)) => status,
                Err(_) => return Err(late(limit)),
            };
            let again = repeat == Repeat::Safe && attempt < self.settings.attempts && broken(&status);
            let error = self.explain(status);
            if !again {
                return Err(error);
            }
            let pause = error.retry_after().unwrap_or_else(|| backoff(attempt));
            if start.elapsed() + pause >= limit {
                return Err(error);
            }
            tracing::debug!(attempt, pause_ms = pause.as_millis(), %error, "the server is unavailable, trying again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// The error of a status; a connection that failed names the address.
    pub(crate) fn explain(&self, status: Status) -> Error {
        let local = std::error::Error::source(&status).is_some() && broken(&status);
        if !local {
            return Error::from(status);
        }
        let text = format!("no connection to {}: {}", self.settings.url, deepest(&status));
        Error::new(Kind::Unavailable, "UNAVAILABLE", text)
    }
}

/// The innermost cause says it best ("connection refused").
fn deepest(status: &Status) -> String {
    let mut error: &dyn std::error::Error = status;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string().to_lowercase()
}

fn late(limit: Duration) -> Error {
    Error::new(Kind::DeadlineExceeded, "DEADLINE_EXCEEDED", format!("no answer within {limit:?}; allow more time"))
}

/// 100 ms doubled for each attempt up to 5 s, times a random factor from 0.5 to 1.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let full = Duration::from_millis(100 << attempt.saturating_sub(1).min(6)).min(Duration::from_secs(5));
    full.mul_f64(rand::random_range(0.5..1.0))
}

/// `unary!(self.client, dataset_api.get_dataset, Safe, message)`: one call through [`Client::call`].
macro_rules! unary {
    ($client:expr, $api:ident . $method:ident, $repeat:ident, $message:expr) => {{
        let client = &$client;
        client
            .call($crate::client::Repeat::$repeat, $message, |request| {
                let mut api = client.$api();
                async move { api.$method(request).await }
            })
            .await
    }};
}
pub(crate) use unary;
