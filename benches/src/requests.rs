//! Texts, and the gRPC messages made of them before the clock starts.

use std::path::Path;

use anyhow::{Context as _, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;
use tenor_proto::v1::{BatchPredictRequest, BatchPredictResponse, Instance, PredictRequest, PredictResponse};

/// Flag and length in front of each gRPC message.
pub const PREFIX: usize = 5;

/// The texts of a file of JSON lines with `reviewText`, such as the bodies that another client sends.
pub fn texts(path: &Path) -> anyhow::Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Line {
        #[serde(rename = "reviewText")]
        text: String,
    }
    let file = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let texts: Vec<String> = file
        .lines()
        .map(|line| serde_json::from_str::<Line>(line).map(|line| line.text))
        .collect::<Result<_, _>>()
        .with_context(|| format!("`{}` is not JSON lines with reviewText", path.display()))?;
    ensure!(!texts.is_empty(), "`{}` holds no text", path.display());
    Ok(texts)
}

/// One method with the calls to it.
pub struct Calls {
    pub path: &'static str,
    pub messages: Vec<Bytes>,
    pub batch: usize,
}

/// Groups of `batch` texts as calls; an incomplete last group is left out.
pub fn calls(deployment: &str, texts: &[String], batch: usize) -> anyhow::Result<Calls> {
    ensure!((1..=texts.len()).contains(&batch), "a batch of {batch} of {} texts", texts.len());
    let instance = |text: &String| Instance { text: text.clone(), ..Instance::default() };
    let deployment = deployment.to_owned();
    if batch == 1 {
        let call =
            |text| PredictRequest { deployment: deployment.clone(), instance: Some(instance(text)), options: None };
        let messages = texts.iter().map(|text| framed(&call(text))).collect();
        return Ok(Calls { path: "/tenor.v1.PredictionService/Predict", messages, batch });
    }
    let messages = texts.chunks_exact(batch).map(|group| {
        let instances = group.iter().map(instance).collect();
        framed(&BatchPredictRequest { deployment: deployment.clone(), instances, options: None })
    });
    Ok(Calls { path: "/tenor.v1.PredictionService/BatchPredict", messages: messages.collect(), batch })
}

fn framed(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::with_capacity(PREFIX + message.encoded_len());
    bytes.put_u8(0);
    bytes.put_u32(message.encoded_len() as u32);
    bytes.put_slice(&message.encode_to_vec());
    bytes.freeze()
}

impl Calls {
    /// Whether `answer` is one whole message; its contents stay unread.
    pub fn whole(answer: &[u8]) -> bool {
        matches!(answer, [0, a, b, c, d, message @ ..] if u32::from_be_bytes([*a, *b, *c, *d]) as usize == message.len())
    }

    /// Reads an answer: one prediction a text, each with probabilities that sum to 1. Returns the first label.
    pub fn check(&self, answer: &[u8]) -> anyhow::Result<String> {
        ensure!(Self::whole(answer), "an answer of {} bytes is not one gRPC message", answer.len());
        let message = &answer[PREFIX..];
        let predictions = if self.batch == 1 {
            PredictResponse::decode(message)?.prediction.into_iter().collect()
        } else {
            BatchPredictResponse::decode(message)?.predictions
        };
        ensure!(predictions.len() == self.batch, "{} predictions for {} texts", predictions.len(), self.batch);
        for prediction in &predictions {
            let sum: f64 = prediction.probabilities.iter().sum();
            ensure!((sum - 1.0).abs() < 1e-6, "probabilities sum to {sum}");
        }
        Ok(predictions.into_iter().next().map(|prediction| prediction.label).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed_and_incomplete_batches_left_out() {
        let texts: Vec<String> = (0..5).map(|i| format!("text {i}")).collect();
        let single = calls("d", &texts, 1).unwrap();
        assert_eq!(single.messages.len(), 5);
        assert!(single.messages.iter().all(|message| Calls::whole(message)));
        let request = PredictRequest::decode(&single.messages[3][PREFIX..]).unwrap();
        assert_eq!(request.instance.unwrap().text, "text 3");
        assert_eq!(calls("d", &texts, 2).unwrap().messages.len(), 2);
        assert!(calls("d", &texts, 6).is_err());
        assert!(!Calls::whole(&single.messages[0][..4]) && !Calls::whole(&single.messages[0][..6]));
    }
}
