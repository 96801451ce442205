//! Predictions: one, many, or a stream.

use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use tenor_proto::v1::{
    BatchPredictRequest, BatchPredictResponse, Instance, PredictOptions, PredictRequest, PredictResponse,
    StreamPredictError, StreamPredictRequest, stream_predict_response,
};

use crate::client::unary;
use crate::{Client, Error, Kind, Result};

/// Calls of `PredictionService`. The three shapes give identical answers.
#[derive(Debug, Clone)]
pub struct Predictions {
    client: Client,
}

/// One answer of a stream: a bad text does not end it.
#[derive(Debug, Clone)]
pub enum Answer {
    Response(PredictResponse),
    Refused(StreamPredictError),
}

/// An input of a text alone.
pub fn instance(text: impl Into<String>) -> Instance {
    Instance { text: text.into(), ..Instance::default() }
}

impl Predictions {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
    /// One text, with the deployment's own options.
    pub async fn predict(&self, deployment: impl Into<String>, text: impl Into<String>) -> Result<PredictResponse> {
        self.predict_with(deployment, instance(text), PredictOptions::default()).await
    }
    pub async fn predict_with(
        &self,
        deployment: impl Into<String>,
        instance: Instance,
        options: PredictOptions,
    ) -> Result<PredictResponse> {
        let message =
            PredictRequest { deployment: deployment.into(), instance: Some(instance), options: Some(options) };
        unary!(self.client, prediction_api.predict, Safe, message)
    }
    /// 1 to 1,000 texts, answered in order. One bad text refuses the call and is named by its index.
    pub async fn batch(
        &self,
        deployment: impl Into<String>,
        instances: Vec<Instance>,
        options: PredictOptions,
    ) -> Result<BatchPredictResponse> {
        let message = BatchPredictRequest { deployment: deployment.into(), instances, options: Some(options) };
        unary!(self.client, prediction_api.batch_predict, Safe, message)
    }
    /// One answer for each instance, in order, while they come. Ends with the instances, or with the first error of the call.
    pub async fn stream(
        &self,
        deployment: impl Into<String>,
        instances: impl Stream<Item = Instance> + Send + 'static,
        options: PredictOptions,
    ) -> Result<BoxStream<'static, Result<Answer>>> {
        let mut deployment = deployment.into();
        let messages = instances.map(move |instance| StreamPredictRequest {
            deployment: std::mem::take(&mut deployment),
            instance: Some(instance),
            options: Some(options),
        });
        let mut api = self.client.prediction_api();
        let answers = api.stream_predict(self.client.request(messages)).await;
        let answers = answers.map_err(|status| self.client.explain(status))?.into_inner();
        Ok(answers
            .map(|answer| {
                use stream_predict_response::Result as Wire;
                match answer.map_err(Error::from)?.result {
                    Some(Wire::Response(response)) => Ok(Answer::Response(response)),
                    Some(Wire::Error(error)) => Ok(Answer::Refused(error)),
                    None => {
                        Err(Error::new(Kind::Internal, "EMPTY_ANSWER", "the server sent an answer without a result"))
                    }
                }
            })
            .boxed())
    }
}
