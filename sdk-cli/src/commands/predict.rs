//! `tenor predict`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use clap::Args;
use futures::{TryStreamExt as _, stream};
use serde_json::Value;
use tenor_sdk::Answer;
use tenor_sdk::types::{Instance, PredictOptions, Prediction};
use tokio::sync::mpsc;

use super::deployment::Mode;
use crate::context::{Context, map, number_pair};
use crate::error::{Error, Result};
use crate::json::{ToJson as _, prediction};
use crate::output::{Format, clip};

/// Texts a call; the server takes 1,000.
const BATCH: usize = 256;

#[derive(Debug, Args)]
pub struct Predict {
    /// The deployment's name or id.
    pub deployment: String,
    /// The texts, as they were written.
    pub texts: Vec<String>,
    /// Read texts from a file, `-` for stdin: one a line, or JSON lines like {"text": "...", "numeric": {"helpful_ratio": 0.5}}.
    #[arg(long, short, value_name = "FILE", conflicts_with = "texts")]
    pub file: Option<PathBuf>,
    /// Show the strongest reasons, at most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=100))]
    pub explain: i32,
    /// A numeric feature for every text; may be repeated.
    #[arg(long, value_name = "KEY=NUMBER", value_parser = number_pair)]
    pub numeric: Vec<(String, f64)>,
    /// What to do with input that breaks the feature contract; the deployment's mode when left out.
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Abstain when the most probable label is less probable, 0 to 1.
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.0)]
    pub min_confidence: f64,
    /// Answer while texts come; a bad one does not end it.
    #[arg(long, conflicts_with = "batch")]
    pub stream: bool,
    /// Many texts in one call; a bad one refuses the call.
    #[arg(long)]
    pub batch: bool,
}

type Lines = Box<dyn Iterator<Item = Result<Instance>> + Send>;

pub(crate) async fn run(args: Predict, context: &mut Context<'_>) -> Result {
    let options = PredictOptions {
        explain_top_k: args.explain,
        contract_mode: args.mode.map_or(0, |mode| tenor_sdk::types::ContractMode::from(mode).into()),
        min_confidence: args.min_confidence,
    };
    let numeric = map(args.numeric);
    let instances: Lines = match &args.file {
        Some(path) if path.as_os_str() == "-" => lines(BufReader::new(std::io::stdin()), true, numeric),
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|error| Error::file("open", path, &error))?;
            let json = path.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("txt"));
            lines(BufReader::new(file), json, numeric)
        }
        None if args.texts.is_empty() => return Err(Error::usage("nothing to predict; give texts or --file FILE")),
        None => {
            let texts = args.texts.into_iter();
            Box::new(texts.map(move |text| Ok(Instance { text, numeric: numeric.clone() })))
        }
    };
    let mut printer = Printer { refused: 0, count: 0, all: Vec::new() };
    if args.stream {
        predict_stream(context, args.deployment, instances, options, &mut printer).await?;
    } else {
        let instances: Vec<Instance> = instances.collect::<Result<_>>()?;
        let predictions = context.client.predictions();
        if let ([only], false) = (instances.as_slice(), args.batch) {
            let answer = predictions.predict_with(args.deployment, only.clone(), options).await?;
            printer.answer(context, only, &Answer::Response(answer))?;
        } else {
            for part in parts(&instances, if args.batch { 1000 } else { BATCH }) {
                let answer = predictions.batch(args.deployment.clone(), part.to_vec(), options).await?;
                for (instance, one) in part.iter().zip(&answer.predictions) {
                    let value = prediction(one, &answer.classes, &answer.model, answer.model_version);
                    printer.one(context, instance, one, value)?;
                }
            }
        }
    }
    printer.end(context)
}

/// Cuts instances into parts of at most `most`, and of so many bytes that a message holds them.
fn parts(mut instances: &[Instance], most: usize) -> Vec<&[Instance]> {
    const BYTES: usize = 2 << 20;
    let bytes_of = |it: &Instance| it.text.len() + it.numeric.keys().map(|name| name.len() + 16).sum::<usize>();
    let mut parts = Vec::new();
    while !instances.is_empty() {
        let mut bytes = 0;
        let fitting = instances.iter().take(most).take_while(|it| {
            bytes += bytes_of(it);
            bytes <= BYTES
        });
        let (part, rest) = instances.split_at(fitting.count().max(1));
        parts.push(part);
        instances = rest;
    }
    parts
}

/// One instance a line; blank lines are no texts.
fn lines(input: impl BufRead + Send + 'static, json: bool, numeric: BTreeMap<String, f64>) -> Lines {
    Box::new(input.lines().enumerate().filter_map(move |(index, line)| {
        let line = match line {
            Ok(line) => line,
            Err(error) => return Some(Err(Error::File(format!("line {}: {error}; texts must be UTF-8", index + 1)))),
        };
        let text = line.trim();
        if text.is_empty() {
            return None;
        }
        let parsed = if json && text.starts_with('{') {
            instance(text, &numeric)
        } else {
            Ok(Instance { text: text.to_owned(), numeric: numeric.clone() })
        };
        Some(parsed.map_err(|why| {
            Error::Invalid {
                message: format!("line {}: {why}", index + 1),
                hint: r#"write {"text": "...", "numeric": {"name": 0.5}} on each line, or plain texts in a .txt file"#
                    .to_owned(),
            }
        }))
    }))
}

fn instance(line: &str, numeric: &BTreeMap<String, f64>) -> std::result::Result<Instance, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
    let text = value["text"].as_str().ok_or("`text` must be a text")?.to_owned();
    let mut numeric = numeric.clone();
    match &value["numeric"] {
        Value::Null => {}
        Value::Object(given) => {
            for (key, number) in given {
                numeric
                    .insert(key.clone(), number.as_f64().ok_or_else(|| format!("`numeric.{key}` must be a number"))?);
            }
        }
        _ => return Err("`numeric` must be an object".to_owned()),
    }
    Ok(Instance { text, numeric })
}

async fn predict_stream(
    context: &mut Context<'_>,
    deployment: String,
    instances: Lines,
    options: PredictOptions,
    printer: &mut Printer,
) -> Result {
    let (to_call, mut from_reader) = mpsc::channel::<Instance>(64);
    let messages = stream::poll_fn(move |task| from_reader.poll_recv(task));
    let (to_printer, sent) = std::sync::mpsc::channel();
    let (to_end, ended) = std::sync::mpsc::channel();
    // A thread, for stdin blocks; the answers come in the order of the texts.
    std::thread::spawn(move || {
        let mut read = Ok(());
        for instance in instances {
            match instance {
                Ok(instance) if to_printer.send(instance.clone()).is_ok() => {
                    if to_call.blocking_send(instance).is_err() {
                        break; // the call has ended and says why
                    }
                }
                Ok(_) => break,
                Err(error) => {
                    read = Err(error);
                    break;
                }
            }
        }
        let _ = to_end.send(read);
        // Only now: the answers must not end before it is known how the texts did.
        drop(to_call);
    });
    let mut answers = context.client.predictions().stream(deployment, messages, options).await?;
    while let Some(answer) = answers.try_next().await? {
        let instance = sent.try_recv().unwrap_or_default();
        printer.answer(context, &instance, &answer)?;
        context.out.flush()?;
    }
    // Nothing yet: the server ended first.
    ended.try_recv().unwrap_or(Ok(()))
}

/// Prints answers as they come.
struct Printer {
    refused: usize,
    count: usize,
    all: Vec<Value>,
}

impl Printer {
    fn answer(&mut self, context: &mut Context<'_>, instance: &Instance, answer: &Answer) -> Result {
        match answer {
            Answer::Response(response) => {
                let empty = Prediction::default();
                self.one(context, instance, response.prediction.as_ref().unwrap_or(&empty), response.to_json())
            }
            Answer::Refused(error) => {
                self.refused += 1;
                self.count += 1;
                match context.format {
                    Format::Table => {
                        writeln!(context.out, "{}", clip(&instance.text, 100))?;
                        writeln!(context.out, "  refused: {}", clip(&error.message, 300))?;
                    }
                    Format::Ndjson => writeln!(context.out, "{}", error.to_json())?,
                    Format::Json => self.all.push(error.to_json()),
                }
                Ok(())
            }
        }
    }
    fn one(&mut self, context: &mut Context<'_>, instance: &Instance, one: &Prediction, value: Value) -> Result {
        self.count += 1;
        match context.format {
            Format::Ndjson => writeln!(context.out, "{value}")?,
            Format::Json => self.all.push(value),
            Format::Table => show(context, instance, one, &value)?,
        }
        Ok(())
    }
    fn end(self, context: &mut Context<'_>) -> Result {
        if context.format == Format::Json {
            match <[Value; 1]>::try_from(self.all) {
                Ok([only]) => context.value(&only)?,
                Err(all) => context.value(&Value::Array(all))?,
            }
        }
        if self.refused > 0 {
            return Err(Error::Invalid {
                message: format!("{} of {} texts were refused", self.refused, self.count),
                hint: "the answers above say why".to_owned(),
            });
        }
        Ok(())
    }
}

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const BOLD: &str = "\u{1b}[1m";
const PLAIN: &str = "\u{1b}[0m";

fn show(context: &mut Context<'_>, instance: &Instance, one: &Prediction, value: &Value) -> Result {
    let colour = context.colour;
    let shown = clip(&instance.text, 300);
    let shares: BTreeMap<String, f64> = one
        .explanation
        .iter()
        .flat_map(|explanation| &explanation.contributions)
        .map(|share| (share.feature.to_lowercase(), share.value))
        .collect();
    writeln!(context.out, "{}", if colour { painted(&shown, &shares) } else { shown })?;
    let probability = value["probabilities"][&one.label].as_f64().unwrap_or(f64::NAN);
    let (bold, plain) = if colour { (BOLD, PLAIN) } else { ("", "") };
    let model = format!("{} version {}", value["model"].as_str().unwrap_or_default(), value["model_version"]);
    let (label, by) = (clip(&one.label, 60), clip(&model, 100));
    match one.abstained {
        true => writeln!(context.out, "  abstained; best guess {label}  {probability:.4}  by {by}")?,
        false => writeln!(context.out, "  {bold}{label}{plain}  {probability:.4}  by {by}")?,
    }
    for warning in warnings(one) {
        writeln!(context.out, "  warning: {warning}")?;
    }
    if let Some(explanation) = &one.explanation {
        writeln!(
            context.out,
            "  why: logit of {} is {:+.4} = bias {:+.4} + all contributions, the strongest of which are",
            clip(&explanation.label, 60),
            explanation.logit,
            explanation.bias
        )?;
        for share in &explanation.contributions {
            writeln!(context.out, "    {:+.4}  {}", share.value, clip(&share.feature, 60))?;
        }
    }
    Ok(())
}

/// One line a warning. Features that nobody but the caller knows are often left out: one line for all of them.
pub(super) fn warnings(one: &Prediction) -> Vec<String> {
    let (missing, others): (Vec<_>, Vec<_>) =
        one.warnings.iter().partition(|warning| warning.rule == "missing_feature");
    let mut lines = Vec::new();
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|warning| clip(&warning.field, 60)).collect();
        lines.push(format!("not sent, so their medians in training were used: {}", names.join(", ")));
    }
    let described = |field: &str, description: &str| format!("{} {}", clip(field, 60), clip(description, 200));
    lines.extend(others.into_iter().map(|warning| described(&warning.field, &warning.description)));
    lines
}

/// The words of `text` that are features, green when they speak for the label and red when against it.
fn painted(text: &str, shares: &BTreeMap<String, f64>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        if end == 0 {
            let next = rest.chars().next().map_or(rest.len(), char::len_utf8);
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        }
        let word = &rest[..end];
        match shares.get(&word.to_lowercase()) {
            Some(share) => {
                out.push_str(if *share >= 0.0 { GREEN } else { RED });
                out.push_str(word);
                out.push_str(PLAIN);
            }
            None => out.push_str(word),
        }
        rest = &rest[end..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_or_json_and_bad_ones_are_named() {
        let input = "plain text\n\n{\"text\": \"a\", \"numeric\": {\"x\": 2}}\n{\"text\": 1}\n";
        let numeric = BTreeMap::from([("y".to_owned(), 1.0)]);
        let all: Vec<_> = lines(input.as_bytes(), true, numeric).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].as_ref().unwrap().text, "plain text");
        let second = all[1].as_ref().unwrap();
        assert_eq!((second.numeric["x"], second.numeric["y"]), (2.0, 1.0));
        let error = all[2].as_ref().unwrap_err();
        assert!(error.to_string().contains("line 4"), "{error}");
        assert_eq!(error.code(), crate::exit::INVALID);
    }

    #[test]
    fn in_a_text_file_a_brace_is_a_brace() {
        let all: Vec<_> = lines("{not json".as_bytes(), false, BTreeMap::new()).collect();
        assert_eq!(all[0].as_ref().unwrap().text, "{not json");
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error_and_no_panic() {
        let all: Vec<_> = lines(&b"ok\n\xff\xfe\n"[..], true, BTreeMap::new()).collect();
        assert!(all[0].is_ok() && all[1].is_err());
    }

    #[test]
    fn words_are_painted_by_their_sign_and_the_text_stays() {
        let shares = BTreeMap::from([("loved".to_owned(), 1.0), ("boring".to_owned(), -1.0)]);
        let text = painted("Loved it, née boring…", &shares);
        assert_eq!(text, "\u{1b}[32mLoved\u{1b}[0m it, née \u{1b}[31mboring\u{1b}[0m…");
    }

    #[test]
    fn parts_hold_what_a_message_can() {
        let instance = |bytes: usize| Instance { text: "x".repeat(bytes), numeric: BTreeMap::new() };
        let sizes =
            |instances: &[Instance], most| parts(instances, most).iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&[], 3), [0; 0]);
        assert_eq!(sizes(&vec![instance(1); 7], 3), [3, 3, 1]);
        assert_eq!(sizes(&vec![instance(1 << 20); 5], 1000), [2, 2, 1]);
        assert_eq!(sizes(&[instance(3 << 20), instance(1)], 1000), [1, 1], "one that is too large goes alone");
    }
}
