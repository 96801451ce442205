//! Splits: making, showing, finding the one to train on.

use clap::{Args, ValueEnum};
use futures::TryStreamExt as _;
use serde_json::{Map, Value, json};
use tenor_sdk::NewSplit;
use tenor_sdk::types::{Split, State};

use crate::context::{Context, dataset_and_version};
use crate::error::{Error, Result};
use crate::json::ToJson as _;
use crate::output::clip;

#[derive(Debug, Args)]
pub struct NewSplitArgs {
    /// NAME, or NAME@NUMBER.
    pub dataset: String,
    /// Which label to learn.
    #[arg(long, value_enum, default_value_t)]
    pub task: Task,
    /// How to clean texts.
    #[arg(long, value_enum)]
    pub cleaning: Option<Cleaning>,
    /// How rows are shared among the parts.
    #[arg(long, value_enum)]
    pub split: Option<Method>,
    /// At most so many rows a class.
    #[arg(long, value_name = "ROWS")]
    pub balance: Option<u64>,
    /// 42 when left out.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Shares of train, validation and test, e.g. 0.7,0.15,0.15.
    #[arg(long, value_parser = fractions)]
    pub fractions: Option<Fractions>,
    /// Leave the 12 numeric features out of the contract.
    #[arg(long)]
    pub no_numeric: bool,
    /// Return once the work is queued.
    #[arg(long)]
    pub no_wait: bool,
    /// Only say what would be made.
    #[arg(long)]
    pub validate_only: bool,
    /// A UUID; the same command with the same id is done once.
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
}

/// Three shares.
#[derive(Debug, Clone, Copy)]
pub struct Fractions([f64; 3]);

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Task {
    /// Stars >= 4 positive, <= 2 negative, 3 dropped.
    #[default]
    Binary,
    /// The five stars.
    Star,
    /// The label column as it is.
    Label,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Cleaning {
    /// Letters and digits of every script.
    Unicode,
    /// a-z only.
    Ascii,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Method {
    /// Each class in the same ratio.
    Stratified,
    /// All rows of a user in one part.
    #[value(alias = "grouped")]
    GroupedByUser,
    /// All rows of an item in one part.
    GroupedByItem,
    /// The earliest rows train, the latest test.
    Temporal,
}

fn fractions(text: &str) -> std::result::Result<Fractions, String> {
    let shares: Option<Vec<f64>> = text.split([',', ' ', '/']).map(|share| share.trim().parse().ok()).collect();
    match shares.as_deref() {
        Some([train, validation, test]) => Ok(Fractions([*train, *validation, *test])),
        _ => Err(format!("`{text}` is not three shares such as 0.7,0.15,0.15")),
    }
}

impl NewSplitArgs {
    fn options(&self) -> Value {
        let mut options = Map::new();
        let task = match self.task {
            Task::Binary => "binary",
            Task::Star => "star",
            Task::Label => "label",
        };
        options.insert("task".to_owned(), json!(task));
        if let Some(cleaning) = self.cleaning {
            let name = match cleaning {
                Cleaning::Unicode => "unicode",
                Cleaning::Ascii => "ascii",
            };
            options.insert("cleaning".to_owned(), json!(name));
        }
        if let Some(method) = self.split {
            let name = match method {
                Method::Stratified => "stratified",
                Method::GroupedByUser => "grouped_by_user",
                Method::GroupedByItem => "grouped_by_item",
                Method::Temporal => "temporal",
            };
            options.insert("split".to_owned(), json!(name));
        }
        if let Some(rows) = self.balance {
            options.insert("balance".to_owned(), json!(rows));
        }
        if let Some(seed) = self.seed {
            options.insert("seed".to_owned(), json!(seed));
        }
        if let Some(Fractions(shares)) = self.fractions {
            options.insert("fractions".to_owned(), json!(shares));
        }
        if self.no_numeric {
            options.insert("numeric".to_owned(), json!(false));
        }
        Value::Object(options)
    }
}

pub(crate) async fn create(args: NewSplitArgs, context: &mut Context<'_>) -> Result {
    let (name, number) = dataset_and_version(&args.dataset)?;
    let mut new = NewSplit::new(name).version(number).options(&args.options());
    if let Some(id) = args.request_id {
        new = new.request_id(id);
    }
    if args.validate_only {
        new = new.validate_only();
    }
    let datasets = context.client.datasets();
    let started = datasets.create_split(new).await?;
    if args.no_wait || args.validate_only {
        return context.item(&started);
    }
    context.finish_job(started.job_id, "split").await?;
    let done = datasets.split(started.id).await?;
    if context.is_table() {
        show(context, &done)?;
    } else {
        context.item(&done)?;
    }
    usable(&done)
}

fn usable(split: &Split) -> Result {
    match split.state() {
        State::Failed | State::Cancelled => Err(Error::Job {
            message: format!("the split did not succeed: {}", clip(&split.error, 1000)),
            hint: "`tenor dataset split --help` shows the options".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Rows, classes and warnings for people.
pub(crate) fn show(context: &mut Context<'_>, split: &Split) -> Result {
    let value = split.to_json();
    let mut head = Map::new();
    for key in ["id", "state", "options", "error", "create_time"] {
        head.insert(key.to_owned(), value[key].clone());
    }
    let report = &value["outcome"]["report"];
    for key in ["rows_in", "rows_out", "dropped", "label_shift"] {
        head.insert(key.to_owned(), report[key].clone());
    }
    head.insert("contract_hash".to_owned(), value["outcome"]["contract_hash"].clone());
    context.value(&Value::Object(head))?;
    let parts: Vec<Value> = ["train", "validation", "test"]
        .iter()
        .filter(|part| !value["outcome"][**part].is_null())
        .map(|part| {
            json!({ "part": part, "rows": value["outcome"][*part]["rows"], "classes": report[*part]["classes"] })
        })
        .collect();
    if !parts.is_empty() {
        writeln!(context.out)?;
        context.values(parts, &["part", "rows", "classes"])?;
    }
    for warning in report["warnings"].as_array().into_iter().flatten() {
        context.note(&format!("warning: {}", warning.as_str().unwrap_or_default()))?;
    }
    Ok(())
}

/// The newest split of `NAME` or `NAME@NUMBER` that succeeded; one that is still being made is waited for.
pub(crate) async fn split_to_train_on(dataset: &str, context: &mut Context<'_>) -> Result<String> {
    let (name, mut number) = dataset_and_version(dataset)?;
    let datasets = context.client.datasets();
    if number == 0 {
        number = datasets.version(name.clone(), 0).await?.number;
    }
    let splits: Vec<Split> = datasets.splits(name.clone(), number).try_collect().await?;
    let newest = splits
        .into_iter()
        .filter(|split| !matches!(split.state(), State::Failed | State::Cancelled))
        .max_by_key(|split| split.create_time.as_ref().map(|time| (time.seconds, time.nanos)));
    let Some(split) = newest else {
        return Err(Error::Job {
            message: format!("version {number} of dataset {name} has no split to train on"),
            hint: format!("make one: `tenor dataset split {name}@{number}`"),
        });
    };
    if split.state() != State::Succeeded {
        context.finish_job(split.job_id, "split").await?;
    }
    Ok(split.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_three_numbers() {
        assert_eq!(fractions("0.8,0.1,0.1").unwrap().0, [0.8, 0.1, 0.1]);
        for bad in ["", "0.5", "0.5,0.5", "a,b,c", "0.1,0.2,0.3,0.4"] {
            assert!(fractions(bad).is_err(), "{bad}");
        }
    }
}
