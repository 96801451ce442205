//! Predictions: one, many, or a stream.

use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use tenor_proto::v1::{
    BatchPredictRequest, BatchPredictResponse, ContractMode, ExplainRequest, ExplainResponse, Instance, PredictOptions,
    PredictRequest, PredictResponse, StreamPredictError, StreamPredictRequest, stream_predict_response,
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

/// What to explain. Unless told otherwise: the class that is answered, its 10 strongest features, the deployment's contract mode.
#[derive(Debug, Clone)]
pub struct Explain(ExplainRequest);

impl Explain {
    /// A text alone.
    pub fn new(deployment: impl Into<String>, text: impl Into<String>) -> Self {
        Self::of(deployment, instance(text))
    }
    /// A text with its numeric features.
    pub fn of(deployment: impl Into<String>, instance: Instance) -> Self {
        let (deployment, instance) = (deployment.into(), Some(instance));
        Self(ExplainRequest { deployment, instance, ..ExplainRequest::default() })
    }
    /// Explains this class, whatever is answered.
    #[must_use]
    pub fn class(mut self, label: impl Into<String>) -> Self {
        self.0.class = label.into();
        self
    }
    /// Lists so many contributions, 1 to 100; the others are added up in `rest`.
    #[must_use]
    pub fn top_k(mut self, count: i32) -> Self {
        self.0.top_k = count;
        self
    }
    #[must_use]
    pub fn contract_mode(mut self, mode: ContractMode) -> Self {
        self.0.contract_mode = mode.into();
        self
    }
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
    /// Why a text gets its answer: the features of the model, and the words of the text. It costs the server up to some hundreds
    /// of predictions.
    pub async fn explain(&self, explain: Explain) -> Result<ExplainResponse> {
        unary!(self.client, prediction_api.explain, Safe, explain.0)
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
