//! Parameters and metrics from outside.

use std::collections::BTreeMap;
use std::io::BufRead;

use clap::Args;
use futures::stream;
use serde_json::Value;
use tenor_sdk::types::{Metric, ParamValue, Timestamp, param_value};
use tokio::sync::mpsc;

use crate::context::{Context, number_pair, pair, typed};
use crate::error::{Error, Result};

/// Points a batch; the server takes 10,000.
const BATCH: usize = 1_000;

#[derive(Debug, Args)]
pub struct LogParams {
    pub run: String,
    /// May be repeated. Numbers and true/false keep their type.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair, required = true)]
    pub params: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub struct LogMetrics {
    pub run: String,
    /// May be repeated. Without it, lines like {"key": "loss", "value": 0.1, "step": 3} are read from stdin.
    #[arg(long = "metric", value_name = "KEY=NUMBER", value_parser = number_pair)]
    pub metrics: Vec<(String, f64)>,
    /// The step of the metrics given by flags.
    #[arg(long, default_value_t = 0, requires = "metrics")]
    pub step: i64,
}

pub(crate) fn params(pairs: Vec<(String, String)>) -> BTreeMap<String, ParamValue> {
    pairs.into_iter().map(|(key, value)| (key, param(&value))).collect()
}

fn param(text: &str) -> ParamValue {
    let value = match typed(text) {
        Value::Bool(value) => param_value::Value::BoolValue(value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => param_value::Value::IntValue(value),
            (None, Some(value)) => param_value::Value::FloatValue(value),
            (None, None) => param_value::Value::TextValue(text.to_owned()),
        },
        _ => param_value::Value::TextValue(text.to_owned()),
    };
    ParamValue { value: Some(value) }
}

pub(crate) async fn log_params(args: LogParams, context: &mut Context<'_>) -> Result {
    let count = args.params.len();
    context.client.experiments().log_params(args.run, params(args.params)).await?;
    context.note(&format!("{count} logged"))
}

pub(crate) async fn log_metrics(args: LogMetrics, context: &mut Context<'_>) -> Result {
    let experiments = context.client.experiments();
    if !args.metrics.is_empty() {
        let metrics = args.metrics.into_iter();
        let metrics = metrics.map(|(key, value)| Metric { key, value, step: args.step, time: None }).collect();
        let stored = experiments.log_metric_batch(args.run, metrics).await?;
        return context.note(&format!("{stored} logged"));
    }
    let (lines, from_reader) = mpsc::channel(BATCH);
    // What is there at once is one batch: a line an epoch is sent as it comes.
    let stream = stream::unfold(from_reader, |mut lines| async move {
        let mut batch = Vec::new();
        (lines.recv_many(&mut batch, BATCH).await > 0).then_some((batch, lines))
    });
    let reader = std::thread::spawn(move || send_lines(std::io::stdin().lock(), lines));
    let answer = experiments.log_metrics(args.run, stream).await;
    if answer.is_err() && !reader.is_finished() {
        answer?; // the reader may wait for stdin for ever
        return Ok(());
    }
    let read = reader.join().map_err(|_| Error::File("cannot read stdin".to_owned()))?;
    let answer = answer?;
    context.item(&answer)?;
    read
}

/// What was read before a bad line is logged, and the line is named.
fn send_lines(input: impl BufRead, lines: mpsc::Sender<Metric>) -> Result {
    for (index, line) in input.lines().enumerate() {
        let parsed = line.map_err(|error| error.to_string()).and_then(|line| match line.trim() {
            "" => Ok(None),
            text => metric(text).map(Some),
        });
        match parsed {
            Ok(Some(metric)) => {
                if lines.blocking_send(metric).is_err() {
                    return Ok(()); // the call has ended and says why
                }
            }
            Ok(None) => {}
            Err(why) => {
                return Err(Error::Invalid {
                    message: format!("line {} of stdin: {why}; the lines before it were logged", index + 1),
                    hint: r#"write {"key": "loss", "value": 0.1, "step": 3} on each line"#.to_owned(),
                });
            }
        }
    }
    Ok(())
}

fn metric(line: &str) -> std::result::Result<Metric, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
    let key = value["key"].as_str().ok_or("`key` must be a text")?.to_owned();
    let number = match &value["value"] {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => text.parse().ok(),
        _ => None,
    };
    let step = match &value["step"] {
        Value::Null => 0,
        step => step.as_i64().ok_or("`step` must be a whole number")?,
    };
    let time = match &value["time"] {
        Value::Null => None,
        time => {
            let parsed = time.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            Some(parsed.ok_or("`time` must be like 2026-01-31T12:00:00Z")?)
        }
    };
    Ok(Metric { key, value: number.ok_or("`value` must be a number")?, step, time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_their_type() {
        use param_value::Value as V;
        let of = |text| param(text).value.unwrap();
        assert_eq!(of("true"), V::BoolValue(true));
        assert_eq!(of("3"), V::IntValue(3));
        assert_eq!(of("0.5"), V::FloatValue(0.5));
        assert_eq!(of("l2"), V::TextValue("l2".into()));
        assert_eq!(of("[1, 2]"), V::TextValue("[1, 2]".into()));
    }

    #[test]
    fn metric_lines_are_read_and_bad_ones_are_explained() {
        let good = metric(r#"{"key": "loss", "value": "NaN", "step": 3, "time": "2026-01-31T12:00:00Z"}"#).unwrap();
        assert!(good.value.is_nan() && good.step == 3 && good.time.is_some());
        for bad in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"key": 1}"#,
            r#"{"key": "a", "value": "x"}"#,
            r#"{"key": "a", "value": 1, "step": 0.5}"#,
        ] {
            assert!(metric(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_line_is_named_and_what_came_before_is_sent() {
        let input = "{\"key\": \"a\", \"value\": 1}\n\n{\"key\": \"a\", \"value\": 2}\nnonsense\n";
        let (sender, mut receiver) = mpsc::channel(4);
        let error = send_lines(input.as_bytes(), sender).unwrap_err();
        assert!(error.to_string().contains("line 4"), "{error}");
        assert_eq!(error.code(), crate::exit::INVALID);
        let read: Vec<_> = std::iter::from_fn(|| receiver.blocking_recv()).collect();
        assert_eq!(read.len(), 2);
    }
}
