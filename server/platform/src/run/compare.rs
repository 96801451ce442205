//! What makes two runs different: parameters, metrics, and their answers to the test rows that they share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tenor_domain::{Artifact, Error, ParamValue, Run, RunId, State};
use tenor_features::Stop;
use tenor_learn::compare::{Change, CompareOptions, Comparison, compare};
use tenor_learn::predictions::{NAME, Predictions};
use tenor_store::run;

use super::{Runs, by_id, log};

/// Bootstrap samples when nobody says how many.
const RESAMPLES: u32 = 2_000;
const MAX_RESAMPLES: u32 = 10_000;
/// Resamples times probabilities of one run: about a minute of one core.
const MAX_WORK: u64 = 2_000_000_000;
const MAX_FLIPS: u32 = 1_000;

/// How to compare.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompareRuns {
    /// 0 to 10,000; 0 leaves intervals out. `None`: 2,000, or fewer when there are very many rows.
    pub resamples: Option<u32>,
    pub seed: u64,
    /// At most 1,000.
    pub max_flips: u32,
}

/// A parameter that is not the same; `None` where a run does not have it.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamDifference {
    pub name: String,
    pub first: Option<ParamValue>,
    pub second: Option<ParamValue>,
}

/// A row that the two answer differently.
#[derive(Debug, Clone, PartialEq)]
pub struct FlippedRow {
    pub row_id: i64,
    pub change: Change,
    pub truth: String,
    pub first: String,
    pub second: String,
    pub gain: f64,
}

/// The answers to the test rows that both runs have.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswersCompared {
    /// Test rows of each run.
    pub first_rows: u64,
    pub second_rows: u64,
    /// Rows that are in both with different labels; they are left out.
    pub relabelled: u64,
    /// Its flips moved to `flips`.
    pub comparison: Comparison,
    pub flipped: u64,
    /// The largest changes.
    pub flips: Vec<FlippedRow>,
}

/// All that a comparison tells.
#[derive(Debug, Clone)]
pub struct RunsCompared {
    pub first: Run,
    pub second: Run,
    pub params: Vec<ParamDifference>,
    /// `None` when a run has no predictions; `note` says which and what to do.
    pub answers: Option<AnswersCompared>,
    pub note: String,
}

/// Stops the work when nobody waits for it any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Runs<'_> {
    /// Compares `second` with `first`. One comparison of answers at a time, on a thread of its own; it ends with its caller.
    ///
    /// # Errors
    /// `RUNS_NOT_COMPARABLE` when both have predictions, but of different classes or without a common test row;
    /// `BROKEN_PREDICTIONS` when those of one cannot be read.
    pub async fn compare(&self, first: &RunId, second: &RunId, options: CompareRuns) -> Result<RunsCompared, Error> {
        if options.resamples.is_some_and(|resamples| resamples > MAX_RESAMPLES) {
            return Err(Error::invalid("resamples", format!("must be 0 to {MAX_RESAMPLES}")));
        }
        if options.max_flips > MAX_FLIPS {
            return Err(Error::invalid("max_flips", format!("must be 0 to {MAX_FLIPS}")));
        }
        let mut tx = self.0.read().await?;
        let (first, second) = (by_id(&mut tx, first).await?, by_id(&mut tx, second).await?);
        let artifacts =
            (run::artifact(&mut tx, &first.id, NAME).await?, run::artifact(&mut tx, &second.id, NAME).await?);
        drop(tx);
        let mut compared =
            RunsCompared { params: params(&first, &second), first, second, answers: None, note: String::new() };
        match artifacts {
            (Some(one), Some(other)) => compared.answers = Some(self.answers(one, other, options).await?),
            (one, other) => {
                let lacking = [(one, &compared.first), (other, &compared.second)];
                let lacking = lacking.iter().filter(|(artifact, _)| artifact.is_none()).map(|(_, run)| lacks(run));
                let lacking: Vec<String> = lacking.collect();
                compared.note = format!("{}: parameters and metrics only", lacking.join("; "));
            }
        }
        Ok(compared)
    }

    async fn answers(&self, one: Artifact, other: Artifact, options: CompareRuns) -> Result<AnswersCompared, Error> {
        let _turn = self.0.comparisons.acquire().await.map_err(Error::internal)?;
        let one = self.0.blobs.get_bytes(&one.digest, Predictions::MAX_BYTES).await?;
        let other = self.0.blobs.get_bytes(&other.digest, Predictions::MAX_BYTES).await?;
        let gone = Arc::new(AtomicBool::new(false));
        let _waiting = Waiting(Arc::clone(&gone));
        let work = move || {
            let (one, other) = (Predictions::from_bytes(&one)?, Predictions::from_bytes(&other)?);
            answers_compared(&one, &other, options, Stop::when(&|| gone.load(Ordering::Relaxed)))
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

fn lacks(run: &Run) -> String {
    let id = &run.id;
    match run.state {
        State::Pending | State::Running => format!("run `{id}` is {} and has no `{NAME}` yet", run.state),
        State::Failed | State::Cancelled => format!("run `{id}` is {} and has no `{NAME}`", run.state),
        State::Succeeded if run.kind.is_empty() => {
            format!("run `{id}` was logged from outside without `{NAME}`; upload it to compare answers")
        }
        State::Succeeded => format!("run `{id}` has no `{NAME}`; train it again to compare answers"),
    }
}

fn params(first: &Run, second: &Run) -> Vec<ParamDifference> {
    let names: std::collections::BTreeSet<&String> = first.params.keys().chain(second.params.keys()).collect();
    let values = |name: &String| (first.params.get(name), second.params.get(name));
    names
        .into_iter()
        .filter(|name| match values(name) {
            (Some(one), Some(other)) => !log::same(one, other),
            _ => true,
        })
        .map(|name| ParamDifference {
            name: name.clone(),
            first: first.params.get(name).cloned(),
            second: second.params.get(name).cloned(),
        })
        .collect()
}

fn answers_compared(
    one: &Predictions,
    other: &Predictions,
    options: CompareRuns,
    stop: Stop<'_>,
) -> Result<AnswersCompared, Error> {
    let (first_rows, second_rows) = (one.row_ids.len() as u64, other.row_ids.len() as u64);
    if one.classes != other.classes {
        let why = "the runs answer with different classes; compare runs of splits with the same task and label column";
        return Err(Error::precondition("RUNS_NOT_COMPARABLE", why));
    }
    let rows = one.common(other);
    if rows.row_ids.is_empty() {
        return Err(Error::precondition(
            "RUNS_NOT_COMPARABLE",
            format!(
                "none of the {first_rows} and {second_rows} test rows is in both runs with the same label; \
                 train both on the same split"
            ),
        ));
    }
    let most = u32::try_from(MAX_WORK / rows.first.len() as u64).unwrap_or(u32::MAX);
    if let Some(resamples) = options.resamples
        && resamples > most
    {
        let why = format!("must be at most {most} for {} common rows, got {resamples}", rows.row_ids.len());
        return Err(Error::invalid("resamples", why));
    }
    let resamples = options.resamples.unwrap_or(RESAMPLES.min(most));
    let how = CompareOptions { resamples, seed: options.seed, stop };
    let mut comparison = compare(&rows.labels, &rows.first, &rows.second, one.classes.len(), &how)?;
    let flips = std::mem::take(&mut comparison.flips);
    let class = |class: u32| one.classes[class as usize].clone();
    let shown = flips.iter().take(options.max_flips as usize).map(|flip| FlippedRow {
        row_id: rows.row_ids[flip.row as usize],
        change: flip.change,
        truth: class(flip.truth),
        first: class(flip.first),
        second: class(flip.second),
        gain: flip.gain,
    });
    Ok(AnswersCompared {
        first_rows,
        second_rows,
        relabelled: rows.relabelled,
        flipped: flips.len() as u64,
        flips: shown.collect(),
        comparison,
    })
}
