//! Predictions: no database, no lock, and for small inputs no other thread.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use tenor_domain::predict::{Answer, ExplainOptions, Explained, Instance, PredictOptions, Predictor};
use tenor_domain::{Error, ErrorKind};
use tenor_proto::v1 as pb;
use tenor_proto::v1::prediction_service_server::PredictionService;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::services::drain::until_draining;
use crate::status::{code, status};
use crate::{decode, encode};

/// More rows than this, or more bytes, are computed where they do not hold up other requests of the thread.
const INLINE_ROWS: usize = 64;
const INLINE_BYTES: usize = 256 << 10;

pub(crate) struct Predictions {
    pub(crate) predictor: Arc<dyn Predictor>,
    pub(crate) shutdown: CancellationToken,
    /// Explanations that may be computed at a time.
    explanations: Arc<Semaphore>,
}

impl Predictions {
    /// Half of the cores may explain; the others go on predicting.
    pub(crate) fn new(predictor: Arc<dyn Predictor>, shutdown: CancellationToken) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { predictor, shutdown, explanations: Arc::new(Semaphore::new((cores / 2).max(1))) }
    }

    /// Explains on a thread of its own, when it is this request's turn. A client that leaves ends the work.
    async fn explained(
        &self,
        deployment: String,
        instance: pb::Instance,
        options: ExplainOptions,
    ) -> Result<Explained, Error> {
        let turn = Arc::clone(&self.explanations).acquire_owned().await;
        let turn = turn.map_err(|_| Error::internal("the semaphore of explanations was closed"))?;
        let (gone, predictor) = (CancellationToken::new(), Arc::clone(&self.predictor));
        let _left = gone.clone().drop_guard();
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            predictor.explain(&deployment, &decode::instance(&instance), &options, &|| gone.is_cancelled())
        });
        match work.await {
            Ok(explained) => explained,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(ended) => Err(Error::internal(format!("an explanation did not run: {ended}"))),
        }
    }
}

#[tonic::async_trait]
impl PredictionService for Predictions {
    async fn predict(&self, request: Request<pb::PredictRequest>) -> Result<Response<pb::PredictResponse>, Status> {
        let request = request.into_inner();
        let instance = request.instance.ok_or_else(|| status(Error::invalid("instance", "is required")))?;
        let options = decode::predict_options(request.options).map_err(status)?;
        let answer = compute(&*self.predictor, &request.deployment, &[decode::instance(&instance)], &options);
        answer.and_then(single).map(Response::new).map_err(status)
    }

    async fn batch_predict(
        &self,
        request: Request<pb::BatchPredictRequest>,
    ) -> Result<Response<pb::BatchPredictResponse>, Status> {
        let request = request.into_inner();
        let options = decode::predict_options(request.options).map_err(status)?;
        let instances: Vec<Instance<'_>> = request.instances.iter().map(decode::instance).collect();
        let answer = compute(&*self.predictor, &request.deployment, &instances, &options).map_err(status)?;
        batch(answer).map(Response::new).map_err(status)
    }

    type StreamPredictStream = Pin<Box<dyn Stream<Item = Result<pb::StreamPredictResponse, Status>> + Send>>;

    /// Reads the next message only when the client has room for the answer: the stream's flow control is the client's.
    async fn stream_predict(
        &self,
        request: Request<Streaming<pb::StreamPredictRequest>>,
    ) -> Result<Response<Self::StreamPredictStream>, Status> {
        let messages = until_draining(request.into_inner(), self.shutdown.clone());
        let state = Some((messages, Arc::clone(&self.predictor), String::new()));
        let answers = stream::unfold(state, async |state| {
            let (mut messages, predictor, mut deployment) = state?;
            let message = match messages.next().await? {
                Ok(message) => message,
                Err(error) => return Some((Err(error), None)),
            };
            if !message.deployment.is_empty() {
                deployment.clone_from(&message.deployment);
            }
            match next(&*predictor, &deployment, message) {
                Ok(answer) => Some((Ok(answer), Some((messages, predictor, deployment)))),
                Err(error) => Some((Err(status(error)), None)),
            }
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn explain(&self, request: Request<pb::ExplainRequest>) -> Result<Response<pb::ExplainResponse>, Status> {
        let mut request = request.into_inner();
        let options = decode::explain_options(&mut request).map_err(status)?;
        let instance = request.instance.ok_or_else(|| status(Error::invalid("instance", "is required")))?;
        let text = instance.text.clone();
        let explained = self.explained(request.deployment, instance, options).await.map_err(status)?;
        Ok(Response::new(encode::explained(explained, &text)))
    }
}

/// The answer to one message of a stream. What is wrong with the instance is part of the answer; what is wrong with the call
/// ends the stream.
fn next(
    predictor: &dyn Predictor,
    deployment: &str,
    message: pb::StreamPredictRequest,
) -> Result<pb::StreamPredictResponse, Error> {
    use pb::stream_predict_response::Result as Outcome;
    if deployment.is_empty() {
        return Err(Error::invalid("deployment", "is required in the first message"));
    }
    let options = decode::predict_options(message.options)?;
    let outcome = match message.instance {
        None => Err(Error::invalid("instance", "is required")),
        Some(instance) => single(compute(predictor, deployment, &[decode::instance(&instance)], &options)?),
    };
    let result = match outcome {
        Ok(response) => Outcome::Response(response),
        Err(error) if error.kind == ErrorKind::Internal => return Err(error),
        Err(error) => Outcome::Error(pb::StreamPredictError {
            code: code(error.kind).into(),
            reason: error.reason.to_owned(),
            message: error.message,
        }),
    };
    Ok(pb::StreamPredictResponse { result: Some(result) })
}

/// Calls the model: inline when that takes microseconds, else with the runtime's leave to move other work away.
fn compute(
    predictor: &dyn Predictor,
    deployment: &str,
    instances: &[Instance<'_>],
    options: &PredictOptions,
) -> Result<Answer, Error> {
    let predict = || predictor.predict(deployment, instances, options);
    let bytes: usize = instances.iter().map(|instance| instance.text.len()).sum();
    let small = instances.len() <= INLINE_ROWS && bytes <= INLINE_BYTES;
    if small || Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return predict();
    }
    tokio::task::block_in_place(predict)
}

fn single(answer: Answer) -> Result<pb::PredictResponse, Error> {
    let Answer { model, version, classes, mut rows } = answer;
    let row = rows.pop().ok_or_else(|| Error::internal("the predictor gave no row"))??;
    Ok(pb::PredictResponse {
        prediction: Some(encode::prediction(row, &classes)),
        classes: classes.to_vec(),
        model: model.as_ref().to_owned(),
        model_version: version,
    })
}

fn batch(answer: Answer) -> Result<pb::BatchPredictResponse, Error> {
    let Answer { model, version, classes, rows } = answer;
    let mut predictions = Vec::with_capacity(rows.len());
    let mut refused: Option<Error> = None;
    for (index, row) in rows.into_iter().enumerate() {
        match row {
            Ok(row) => predictions.push(encode::prediction(row, &classes)),
            Err(error) => refuse(&mut refused, index, error),
        }
    }
    if let Some(error) = refused {
        return Err(error);
    }
    let model = model.as_ref().to_owned();
    Ok(pb::BatchPredictResponse { predictions, classes: classes.to_vec(), model, model_version: version })
}

/// At most this many violations are named in one answer.
const MAX_VIOLATIONS: usize = 20;

/// Keeps the first error and adds the violations of the later ones, each under the index of its instance.
fn refuse(refused: &mut Option<Error>, index: usize, mut error: Error) {
    for violation in &mut error.violations {
        let field = violation.field.strip_prefix("instance.").unwrap_or(&violation.field);
        violation.field = format!("instances[{index}].{field}");
    }
    match refused {
        None => {
            error.message = format!("instances[{index}]: {}", error.message);
            *refused = Some(error);
        }
        Some(first) => {
            let room = MAX_VIOLATIONS.saturating_sub(first.violations.len());
            first.violations.extend(error.violations.into_iter().take(room));
        }
    }
}
