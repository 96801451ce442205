//! A run with its scores: metrics with intervals beside the majority baseline, and the confusion matrix.

use serde_json::Value;
use tenor_sdk::Kind;
use tenor_sdk::types::Run;

use crate::context::Context;
use crate::error::Result;
use crate::json::ToJson as _;
use crate::output::{cell, clip, table, text};

const EVALUATION: &str = "reports/evaluation.json";

/// Prints a run; in JSON, the evaluation is one more field.
pub(crate) async fn show(context: &mut Context<'_>, run: &Run) -> Result {
    let evaluation = evaluation(context, run).await?;
    let mut value = run.to_json();
    if !context.is_table() {
        value["evaluation"] = evaluation;
        return context.value(&value);
    }
    if let (Value::Object(fields), Value::Object(_)) = (&mut value, &evaluation) {
        fields.remove("metrics"); // the table below has them
    }
    context.value(&value)?;
    if evaluation.is_null() {
        return Ok(());
    }
    scores(context, &evaluation)?;
    cross_validation(context, run)?;
    confusion(context, &evaluation)
}

async fn evaluation(context: &Context<'_>, run: &Run) -> Result<Value> {
    if run.kind.is_empty() || run.finish_time.is_none() {
        return Ok(Value::Null);
    }
    match context.client.experiments().read_artifact(run.id.clone(), EVALUATION).await {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null)),
        Err(error) if error.kind() == Kind::NotFound => Ok(Value::Null),
        Err(error) => Err(error.into()),
    }
}

fn scores(context: &mut Context<'_>, evaluation: &Value) -> Result {
    let Some(scores) = evaluation["scores"].as_array() else { return Ok(()) };
    let number = |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let rows: Vec<Vec<String>> = scores
        .iter()
        .map(|score| {
            let interval = match (score["low"].as_f64(), score["high"].as_f64()) {
                (Some(low), Some(high)) => format!("{low:.4} to {high:.4}"),
                _ => String::new(),
            };
            vec![text(&score["name"], 40), number(&score["value"]), interval, number(&score["baseline"])]
        })
        .collect();
    writeln!(context.out, "\nscores on {} test rows", cell(evaluation, "rows"))?;
    table(context.out, &["metric", "value", "95 % interval", "majority baseline"], &rows)?;
    Ok(())
}

/// Mean and standard deviation over the folds, when there were any.
fn cross_validation(context: &mut Context<'_>, run: &Run) -> Result {
    let of_key = |(key, mean): (&String, &f64)| {
        let name = key.strip_prefix("cv/")?;
        let std = run.metrics.get(&format!("{key}_std"))?;
        Some(vec![clip(name, 60), format!("{mean:.4}"), format!("{std:.4}")])
    };
    let mut rows: Vec<Vec<String>> = run.metrics.iter().filter_map(of_key).collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort();
    writeln!(context.out, "\ncross-validation on the training rows")?;
    table(context.out, &["metric", "mean", "standard deviation"], &rows)?;
    Ok(())
}

fn confusion(context: &mut Context<'_>, evaluation: &Value) -> Result {
    let (Some(classes), Some(matrix)) = (evaluation["classes"].as_array(), evaluation["confusion"].as_array()) else {
        return Ok(());
    };
    let names: Vec<String> = classes.iter().map(|class| text(class, 30)).collect();
    let rows: Vec<Vec<String>> = matrix
        .iter()
        .zip(&names)
        .map(|(row, name)| {
            let cells: Vec<&Value> = row.as_array().into_iter().flatten().collect();
            let total: f64 = cells.iter().filter_map(|cell| cell.as_f64()).sum();
            let shown = cells.iter().map(|cell| match cell.as_f64() {
                Some(count) if total > 0.0 => format!("{count:.0} ({:.0} %)", 100.0 * count / total),
                _ => text(cell, 30),
            });
            std::iter::once(name.clone()).chain(shown).collect()
        })
        .collect();
    let header: Vec<&str> = std::iter::once("truth \\ answer").chain(names.iter().map(String::as_str)).collect();
    writeln!(context.out, "\nconfusion")?;
    table(context.out, &header, &rows)?;
    Ok(())
}
