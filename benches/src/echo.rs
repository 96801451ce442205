//! The floor: predictions with the real messages and an answer that is always the same.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;

use anyhow::Context as _;
use futures::Stream;
use serde_json::{Value, json};
use tenor_proto::v1 as pb;
use tenor_proto::v1::prediction_service_server::{PredictionService, PredictionServiceServer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

#[derive(Debug, clap::Args)]
pub struct Echo {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Gets the address in use
    #[arg(long)]
    address_file: PathBuf,
    /// Behind tonic's own server instead of the accept loop that Tenor uses
    #[arg(long)]
    tonic: bool,
}

impl Echo {
    pub async fn run(self) -> anyhow::Result<Value> {
        let service = PredictionServiceServer::new(Fixed::default());
        let listener =
            TcpListener::bind(self.listen).await.with_context(|| format!("cannot listen on {}", self.listen))?;
        let address = listener.local_addr()?;
        let half = self.address_file.with_extension("tmp");
        std::fs::write(&half, address.to_string()).and_then(|()| std::fs::rename(&half, &self.address_file))?;
        if self.tonic {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await?;
        } else {
            let router = Routes::new(service).prepare().into_axum_router();
            tenor_api::serve(listener, router, CancellationToken::new(), tenor_api::ListenOptions::default()).await?;
        }
        Ok(json!({ "address": address.to_string() }))
    }
}

/// Answers as long as real ones.
struct Fixed {
    one: pb::PredictResponse,
}

impl Default for Fixed {
    fn default() -> Self {
        let prediction = pb::Prediction {
            prediction_id: "00000000-0000-7000-8000-000000000000".to_owned(),
            label: "positive".to_owned(),
            probabilities: vec![0.25, 0.75],
            ..pb::Prediction::default()
        };
        let one = pb::PredictResponse {
            prediction: Some(prediction),
            classes: vec!["negative".to_owned(), "positive".to_owned()],
            model: "reviews".to_owned(),
            model_version: 1,
        };
        Self { one }
    }
}

#[tonic::async_trait]
impl PredictionService for Fixed {
    async fn predict(&self, _: Request<pb::PredictRequest>) -> Result<Response<pb::PredictResponse>, Status> {
        Ok(Response::new(self.one.clone()))
    }

    async fn batch_predict(
        &self,
        request: Request<pb::BatchPredictRequest>,
    ) -> Result<Response<pb::BatchPredictResponse>, Status> {
        let pb::PredictResponse { prediction, classes, model, model_version } = self.one.clone();
        let predictions = vec![prediction.unwrap_or_default(); request.get_ref().instances.len()];
        Ok(Response::new(pb::BatchPredictResponse { predictions, classes, model, model_version }))
    }

    type StreamPredictStream = Pin<Box<dyn Stream<Item = Result<pb::StreamPredictResponse, Status>> + Send>>;

    async fn stream_predict(
        &self,
        _: Request<Streaming<pb::StreamPredictRequest>>,
    ) -> Result<Response<Self::StreamPredictStream>, Status> {
        Err(Status::unimplemented("no bench streams"))
    }

    async fn explain(&self, _: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainResponse>, Status> {
        Err(Status::unimplemented("no bench explains"))
    }
}
