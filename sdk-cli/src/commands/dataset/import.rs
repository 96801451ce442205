//! `tenor dataset import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use tenor_sdk::NewImport;

use super::version;
use crate::context::{Context, map, pair};
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub struct Import {
    /// CSV, TSV, JSON lines or Parquet, plain or gzip.
    pub file: PathBuf,
    /// The dataset's name; it is created when it does not exist.
    #[arg(long)]
    pub dataset: String,
    /// Column of the text; found by its usual names when left out.
    #[arg(long, value_name = "COLUMN")]
    pub text: Option<String>,
    /// Column of the label.
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// Column of the user.
    #[arg(long, value_name = "COLUMN")]
    pub user: Option<String>,
    /// Column of the item.
    #[arg(long, value_name = "COLUMN")]
    pub item: Option<String>,
    /// Column of the time.
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Column of the summary.
    #[arg(long, value_name = "COLUMN")]
    pub summary: Option<String>,
    /// Judged by the bytes when left out.
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    /// One ASCII character; `\t` for a tab.
    #[arg(long, value_parser = delimiter)]
    pub delimiter: Option<char>,
    /// `"` is a character like any other.
    #[arg(long)]
    pub no_quotes: bool,
    /// A name for a label value, e.g. `0=negative`; may be repeated, other values are then bad labels.
    #[arg(long, value_name = "VALUE=NAME", value_parser = pair)]
    pub label_name: Vec<(String, String)>,
    /// A JSON file with settings of rules, e.g. `{"duplicate_row": {"policy": "accept"}}`.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Return once the import is queued.
    #[arg(long)]
    pub no_wait: bool,
    /// Only say what would be made.
    #[arg(long)]
    pub validate_only: bool,
    /// A UUID; the same command with the same id is done once.
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum FormatArg {
    Csv,
    Tsv,
    JsonLines,
    Parquet,
}

fn delimiter(text: &str) -> std::result::Result<char, String> {
    if text == "\\t" {
        return Ok('\t');
    }
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii() => Ok(c),
        _ => Err(format!("`{text}` is not one ASCII character")),
    }
}

impl Import {
    /// The options as the server reads them; `None` when nothing was said.
    fn options(&self) -> Result<Option<Value>> {
        let mut options = Map::new();
        let columns = [
            ("text", &self.text),
            ("label", &self.label),
            ("user", &self.user),
            ("item", &self.item),
            ("time", &self.time),
            ("summary", &self.summary),
        ];
        for (role, column) in columns {
            if let Some(column) = column {
                options.insert(role.to_owned(), json!(column));
            }
        }
        if let Some(format) = self.format {
            let name = match format {
                FormatArg::Csv => "csv",
                FormatArg::Tsv => "tsv",
                FormatArg::JsonLines => "json_lines",
                FormatArg::Parquet => "parquet",
            };
            options.insert("format".to_owned(), json!(name));
        }
        if let Some(delimiter) = self.delimiter {
            options.insert("delimiter".to_owned(), json!(delimiter));
        }
        if self.no_quotes {
            options.insert("quoting".to_owned(), json!(false));
        }
        if !self.label_name.is_empty() {
            options.insert("label_map".to_owned(), json!(map(self.label_name.clone())));
        }
        if let Some(path) = &self.rules {
            let text = std::fs::read_to_string(path).map_err(|error| Error::file("read", path, &error))?;
            let rules = serde_json::from_str(&text)
                .map_err(|error| Error::Usage(format!("`{}` is not JSON: {error}", path.display())))?;
            options.insert("rules".to_owned(), rules);
        }
        Ok(if options.is_empty() { None } else { Some(Value::Object(options)) })
    }
}

pub(crate) async fn run(args: Import, context: &mut Context<'_>) -> Result {
    let options = args.options()?;
    let datasets = context.client.datasets();
    let bar = context.bar(0, "bytes");
    bar.set_message("upload");
    let uploaded = datasets
        .upload_file(&args.file, |sent, size| {
            bar.set_length(size);
            bar.set_position(sent);
        })
        .await;
    bar.finish_and_clear();
    let mut import = NewImport::new(args.dataset.clone(), uploaded?.id);
    if let Some(options) = &options {
        import = import.options(options);
    }
    if let Some(id) = args.request_id {
        import = import.request_id(id);
    }
    if args.validate_only {
        import = import.validate_only();
    }
    let started = datasets.import(import).await?;
    if args.no_wait || args.validate_only {
        return context.item(&started);
    }
    context.finish_job(started.job_id, "import").await?;
    let done = datasets.version(args.dataset, started.number).await?;
    if context.is_table() {
        version::show(context, &done)?;
    } else {
        context.item(&done)?;
    }
    version::verdict(&done)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::{Cli, Command};
    use crate::commands::dataset::Verb;

    fn options(args: &[&str]) -> crate::error::Result<Option<serde_json::Value>> {
        let line = ["tenor", "dataset", "import", "f.csv", "--dataset", "d"].iter().chain(args);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Dataset(Verb::Import(import)) => import.options(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn column_mapping_becomes_options_and_silence_becomes_none() {
        assert_eq!(options(&[]).unwrap(), None);
        let all =
            ["--text", "review", "--label", "rating", "--delimiter", "\\t", "--no-quotes", "--format", "json-lines"];
        let expected = serde_json::json!({
            "text": "review", "label": "rating", "format": "json_lines", "delimiter": "\t", "quoting": false,
        });
        assert_eq!(options(&all).unwrap(), Some(expected));
        let named = options(&["--label-name", "0=negative", "--label-name", "1=positive"]).unwrap();
        assert_eq!(named, Some(serde_json::json!({ "label_map": { "0": "negative", "1": "positive" } })));
    }

    #[test]
    fn rules_that_are_no_json_are_refused_with_the_files_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules.json");
        std::fs::write(&path, "{").unwrap();
        let error = options(&["--rules", path.to_str().unwrap()]).unwrap_err();
        assert_eq!(error.code(), crate::exit::USAGE);
        assert!(error.to_string().contains("rules.json"), "{error}");
        let error = options(&["--rules", "none.json"]).unwrap_err();
        assert_eq!(error.code(), crate::exit::FAILURE);
    }

    #[test]
    fn a_delimiter_is_one_ascii_character() {
        let line = ["tenor", "dataset", "import", "f", "--dataset", "d", "--delimiter"];
        for bad in ["", ";;", "é"] {
            assert!(Cli::try_parse_from(line.iter().copied().chain([bad])).is_err(), "{bad}");
        }
    }
}
