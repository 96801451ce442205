//! `tenor run compare`.

use clap::Args;
use tenor_sdk::CompareRuns;
use tenor_sdk::types::{AnswersComparison, CompareRunsResponse, Run, ScoreDifference};

use crate::context::Context;
use crate::error::Result;
use crate::json::ToJson as _;
use crate::output::{clip, plain, table, text};

#[derive(Debug, Args)]
pub struct Compare {
    /// Id of the first run, A: the one to compare with.
    pub run: String,
    /// Id of the second run, B: differences are B minus A.
    pub other: String,
    /// Bootstrap samples; 0 leaves intervals and p-values of the scores out. 2000 when left out.
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..=10_000))]
    pub resamples: Option<i32>,
    /// The same seed gives the same numbers.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Rows with different answers to show.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(0..=1_000))]
    pub flips: i32,
}

pub(crate) async fn run(args: Compare, context: &mut Context<'_>) -> Result {
    let mut compare = CompareRuns::new(args.run, args.other).seed(args.seed).max_flips(args.flips);
    if let Some(resamples) = args.resamples {
        compare = compare.resamples(resamples);
    }
    let compared = context.client.experiments().compare_runs(compare).await?;
    if !context.is_table() {
        return context.item(&compared);
    }
    let side = |name: &str, run: Option<&Run>| {
        let run = run.cloned().unwrap_or_default();
        vec![name.to_owned(), run.id, clip(&run.kind, 40), clip(&run.name, 40)]
    };
    let sides = [side("A", compared.run.as_ref()), side("B", compared.other_run.as_ref())];
    table(context.out, &["", "run", "kind", "name"], &sides)?;
    params(context, &compared)?;
    metrics(context, &compared)?;
    match &compared.answers {
        Some(answers) => judged(context, answers),
        None => context.note(&compared.note),
    }
}

fn params(context: &mut Context<'_>, compared: &CompareRunsResponse) -> Result {
    let value = |value: Option<&tenor_sdk::types::ParamValue>| value.map_or("-".into(), |it| text(&it.to_json(), 40));
    let row = |it: &tenor_sdk::types::ParamDifference| {
        vec![clip(&it.name, 60), value(it.value.as_ref()), value(it.other_value.as_ref())]
    };
    let rows: Vec<Vec<String>> = compared.params.iter().map(row).collect();
    if rows.is_empty() {
        writeln!(context.out, "\nno parameter differs")?;
        return Ok(());
    }
    writeln!(context.out, "\nparameters that differ")?;
    table(context.out, &["parameter", "A", "B"], &rows)?;
    Ok(())
}

fn metrics(context: &mut Context<'_>, compared: &CompareRunsResponse) -> Result {
    if compared.metrics.is_empty() {
        return Ok(());
    }
    let row = |it: &tenor_sdk::types::MetricDifference| {
        vec![clip(&it.key, 60), shown(it.value), shown(it.other_value), signed(it.difference)]
    };
    let rows: Vec<Vec<String>> = compared.metrics.iter().map(row).collect();
    writeln!(context.out, "\nmetrics, each run on its own rows")?;
    table(context.out, &["metric", "A", "B", "B minus A"], &rows)?;
    Ok(())
}

fn judged(context: &mut Context<'_>, answers: &AnswersComparison) -> Result {
    let (rows, a, b) = (answers.rows, answers.run_rows, answers.other_run_rows);
    writeln!(context.out, "\nanswers to {rows} common test rows (A has {a}, B has {b})")?;
    if answers.relabelled_rows > 0 {
        writeln!(context.out, "{} rows have different labels and are left out", answers.relabelled_rows)?;
    }
    let interval = |it: &ScoreDifference| match (it.low, it.high) {
        (Some(low), Some(high)) => format!("{} to {}", signed(Some(low)), signed(Some(high))),
        _ => "-".to_owned(),
    };
    let row = |it: &ScoreDifference| {
        let (a, b, by) = (shown(it.value), shown(it.other_value), signed(it.difference));
        vec![clip(&it.name, 40), a, b, by, interval(it), shown(it.p), better(it).to_owned()]
    };
    let table_rows: Vec<Vec<String>> = answers.scores.iter().map(row).collect();
    table(context.out, &["score", "A", "B", "B minus A", "95 % interval", "p", "better"], &table_rows)?;
    if let Some(test) = &answers.mcnemar {
        let (only_a, only_b) = (test.only_run_right, test.only_other_right);
        let how = if test.exact { "exact" } else { "chi-square" };
        let p = plain(test.p);
        writeln!(context.out, "\nonly A right: {only_a}, only B right: {only_b}; McNemar p = {p} ({how})")?;
    }
    if answers.flipped_rows == 0 {
        writeln!(context.out, "no row is answered differently")?;
    }
    if answers.flips.is_empty() {
        return Ok(());
    }
    let row = |it: &tenor_sdk::types::FlippedRow| {
        let change = text(&it.to_json()["change"], 40).replace('_', " ");
        let classes = [&it.truth, &it.answer, &it.other_answer].map(|class| clip(class, 30));
        let [truth, a, b] = classes;
        vec![it.row_id.clone(), change, truth, a, b, signed(Some(it.gain))]
    };
    let table_rows: Vec<Vec<String>> = answers.flips.iter().map(row).collect();
    let (count, all) = (answers.flips.len(), answers.flipped_rows);
    writeln!(context.out, "\n{count} of {all} rows that are answered differently")?;
    table(context.out, &["row id", "change", "truth", "A", "B", "gain"], &table_rows)?;
    Ok(())
}

/// Which side the score is for, in words; a difference that may be chance is none.
fn better(score: &ScoreDifference) -> &'static str {
    let Some(difference) = score.difference else { return "not defined" };
    let gain = if score.name == "log_loss" { -difference } else { difference };
    let chance = match (score.low, score.high) {
        (Some(low), Some(high)) => low <= 0.0 && high >= 0.0,
        _ => false,
    };
    match gain {
        _ if difference == 0.0 => "equal",
        _ if chance && gain > 0.0 => "B, may be chance",
        _ if chance => "A, may be chance",
        _ if gain > 0.0 => "B",
        _ => "A",
    }
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), plain)
}

fn signed(value: Option<f64>) -> String {
    let text = shown(value);
    if value.is_some_and(|value| value > 0.0) { format!("+{text}") } else { text }
}
