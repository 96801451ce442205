//! What is in a dataset version, and what validation found.

use clap::Args;
use serde_json::{Map, Value};
use tenor_sdk::types::{DatasetVersion, State};

use crate::context::{Context, dataset_and_version};
use crate::error::{Error, Result};
use crate::json::ToJson as _;
use crate::output::{cell, clip, plain, table, text};

#[derive(Debug, Args)]
pub struct Preview {
    /// NAME, or NAME@NUMBER.
    pub dataset: String,
    /// Rows that were refused, with the reason.
    #[arg(long)]
    pub quarantined: bool,
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub offset: i64,
    /// Rows, 1 to 1,000.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=1000))]
    pub limit: i32,
}

pub(crate) async fn preview(args: Preview, context: &mut Context<'_>) -> Result {
    let (name, number) = dataset_and_version(&args.dataset)?;
    let rows = context.client.datasets().preview(name, number, args.quarantined, args.offset, args.limit).await?;
    let rows: Vec<Value> =
        rows.into_iter().map(|row| serde_json::from_str(&row).unwrap_or(Value::String(row))).collect();
    let mut columns: Vec<String> = Vec::new();
    for row in rows.iter().filter_map(Value::as_object) {
        for key in row.keys() {
            if !columns.contains(key) {
                columns.push(key.clone());
            }
        }
    }
    // A column without a value takes no room.
    columns.retain(|column| rows.iter().any(|row| !cell(row, column).is_empty()));
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    context.values(rows, &columns)
}

/// The validation report alone.
pub(crate) async fn validate(dataset: &str, context: &mut Context<'_>) -> Result {
    let (name, number) = dataset_and_version(dataset)?;
    let mut version = context.client.datasets().version(name.clone(), number).await?;
    if matches!(version.state(), State::Pending | State::Running) {
        context.finish_job(version.job_id, "import").await?;
        version = context.client.datasets().version(name, version.number).await?;
    }
    if context.is_table() {
        findings(context, &version)?;
    } else {
        let report = version.to_json()["outcome"]["validation"].take();
        context.value(&report)?;
    }
    verdict(&version)
}

/// An error with exit code 6 when the version is not usable.
pub(crate) fn verdict(version: &DatasetVersion) -> Result {
    let number = version.number;
    match (version.state(), &version.outcome) {
        (State::Succeeded, Some(outcome)) if !outcome.valid => Err(Error::Invalid {
            message: format!("version {number} was imported, but a rule of severity `error` failed"),
            hint: "`tenor dataset preview NAME --quarantined` shows the refused rows; --rules FILE changes the rules"
                .to_owned(),
        }),
        (State::Failed, _) => Err(Error::Invalid {
            message: format!("the import of version {number} failed: {}", clip(&version.error, 1000)),
            hint: "mend the file, or say with --format, --delimiter, --text and --label how to read it".to_owned(),
        }),
        (State::Cancelled, _) => Err(Error::Invalid {
            message: format!("the import of version {number} was cancelled"),
            hint: "import the file again".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Counts, reasons and findings for people.
pub(crate) fn show(context: &mut Context<'_>, version: &DatasetVersion) -> Result {
    let value = version.to_json();
    let mut head = Map::new();
    for key in
        ["number", "id", "state", "file_name", "source_bytes", "source_digest", "options", "error", "create_time"]
    {
        head.insert(key.to_owned(), value[key].clone());
    }
    if let Value::Object(outcome) = &value["outcome"] {
        for key in ["rows_read", "rows_accepted", "rows_repaired", "rows_quarantined", "valid"] {
            head.insert(key.to_owned(), outcome[key].clone());
        }
        if let Some(labels) = outcome["profile"]["labels"].as_array() {
            let shares = labels.iter().map(|label| (text(&label["label"], 40), label["rows"].clone())).collect();
            head.insert("labels".to_owned(), Value::Object(shares));
        }
        head.insert("languages".to_owned(), languages(&outcome["profile"]["languages"]).into());
        for (from, to) in [("repairs", "repairs"), ("quarantined", "quarantine_reasons")] {
            if outcome["validation"][from].as_object().is_some_and(|reasons| !reasons.is_empty()) {
                head.insert(to.to_owned(), outcome["validation"][from].clone());
            }
        }
    }
    context.value(&Value::Object(head))?;
    findings(context, version)
}

/// `eng 97 %, spa 2 %, undetermined 1 %`: at most five languages, most frequent first; empty when none were looked for.
fn languages(found: &Value) -> String {
    const SHOWN: usize = 5;
    let looked_at = found["texts"].as_u64().unwrap_or(0);
    let shares = found["shares"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (shown, others) = shares.split_at(shares.len().min(SHOWN));
    let texts = |share: &Value| share["texts"].as_u64().unwrap_or(0);
    let mut parts: Vec<_> = shown.iter().map(|share| (text(&share["code"], 10), texts(share))).collect();
    parts.push((format!("{} others", others.len()), others.iter().map(texts).sum()));
    parts.push(("undetermined".to_owned(), found["undetermined"].as_u64().unwrap_or(0)));
    parts.retain(|(_, texts)| *texts > 0);
    let percent = |texts: u64| plain((1000.0 * texts as f64 / looked_at.max(1) as f64).round() / 10.0);
    parts.iter().map(|(name, texts)| format!("{name} {} %", percent(*texts))).collect::<Vec<_>>().join(", ")
}

/// A row for each rule that found something.
fn findings(context: &mut Context<'_>, version: &DatasetVersion) -> Result {
    let value = version.to_json();
    let Some(rules) = value["outcome"]["validation"]["rules"].as_array() else { return Ok(()) };
    let found: Vec<&Value> = rules.iter().filter(|rule| rule["violations"].as_u64().unwrap_or(0) > 0).collect();
    writeln!(context.out, "\n{} rules checked, {} with findings", rules.len(), found.len())?;
    if found.is_empty() {
        return Ok(());
    }
    let columns = ["rule", "severity", "outcome", "policy", "violations", "checked"];
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|rule| {
            let mut row: Vec<String> = columns.iter().map(|column| cell(rule, column)).collect();
            let first = &rule["evidence"][0];
            row.push(match first["line"].as_u64() {
                Some(0) => text(&first["reason"], 60),
                Some(line) => clip(&format!("line {line}: {}", text(&first["reason"], 60)), 60),
                None => String::new(),
            });
            row
        })
        .collect();
    let header: Vec<&str> = columns.iter().copied().chain(["first"]).collect();
    table(context.out, &header, &rows)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenor_sdk::types::ImportOutcome;

    use super::*;

    #[test]
    fn languages_stand_on_one_line_and_a_profile_without_them_shows_none() {
        let share = |code: &str, texts: u64| json!({ "code": code, "texts": texts, "share": texts as f64 / 1000.0 });
        let found = json!({ "texts": 1000, "undetermined": 8, "shares": [share("eng", 970), share("spa", 22)] });
        assert_eq!(languages(&found), "eng 97 %, spa 2.2 %, undetermined 0.8 %");
        let many: Vec<Value> = ["eng", "deu", "fra", "ita", "nld", "por", "spa"].map(|code| share(code, 20)).into();
        let line = languages(&json!({ "texts": 140, "undetermined": 0, "shares": many }));
        assert_eq!(line, "eng 14.3 %, deu 14.3 %, fra 14.3 %, ita 14.3 %, nld 14.3 %, 2 others 28.6 %");
        assert_eq!(languages(&Value::Null), "");
        assert_eq!(languages(&json!({ "texts": 0, "undetermined": 0, "shares": [] })), "");
    }

    #[test]
    fn a_version_that_failed_or_is_not_valid_ends_with_6() {
        let mut version = DatasetVersion {
            number: 1,
            state: State::Succeeded.into(),
            outcome: Some(ImportOutcome::default()),
            ..Default::default()
        };
        assert_eq!(verdict(&version).unwrap_err().code(), crate::exit::INVALID);
        version.outcome = Some(ImportOutcome { valid: true, ..Default::default() });
        assert!(verdict(&version).is_ok());
        version.state = State::Failed.into();
        assert_eq!(verdict(&version).unwrap_err().code(), crate::exit::INVALID);
    }
}
