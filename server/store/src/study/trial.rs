//! Trials of studies, and what they report.

use tenor_domain::{JobId, StudyId, Timestamp, Trial, TrialReport, TrialState};

use crate::row::{Place, all, execute, json};
use crate::{Error, Tx};

macro_rules! columns {
    () => {
        "study_id, number, state, params, metrics, violation, origin, client_id, job_id, lease_until, error, created_at, started_at, \
         finished_at, revision, start_revision, finish_revision"
    };
}

crate::statements! {
    Both INSERT = concat!("-- trial.insert
INSERT INTO trials (", columns!(), ")
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)");
    Both UPDATE = "-- trial.update
UPDATE trials
SET state = $3, metrics = $4, violation = $5, client_id = $6, job_id = $7, lease_until = $8, error = $9, started_at = $10,
    finished_at = $11, revision = $12, start_revision = $13, finish_revision = $14
WHERE study_id = $1 AND number = $2";
    Both SINCE = concat!("-- trial.since
SELECT ", columns!(), " FROM trials WHERE study_id = $1 AND revision > $2 ORDER BY number");
    Both INSERT_REPORT = "-- trial.insert_report
INSERT INTO trial_reports (study_id, number, step, reported, prune, reason, at, revision) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    Both REPORTS_SINCE = "-- trial.reports_since
SELECT study_id, number, step, reported, prune, reason, at, revision
FROM trial_reports
WHERE study_id = $1 AND revision > $2
ORDER BY number, step";
}

#[derive(sqlx::FromRow)]
struct Row {
    study_id: String,
    number: i64,
    state: String,
    params: String,
    metrics: String,
    violation: f64,
    origin: String,
    client_id: String,
    job_id: Option<i64>,
    lease_until: Option<i64>,
    error: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    revision: i64,
    start_revision: Option<i64>,
    finish_revision: Option<i64>,
}

impl TryFrom<Row> for Trial {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self, Error> {
        let id = format!("{}/{}", row.study_id, row.number);
        let place = Place { table: "trials", id: &id };
        Ok(Self {
            state: place.parsed("state", &row.state, TrialState::parse(&row.state))?,
            params: place.json("params", &row.params)?,
            metrics: place.json("metrics", &row.metrics)?,
            study_id: StudyId::trusted(row.study_id),
            number: row.number,
            violation: row.violation,
            origin: row.origin,
            client_id: row.client_id,
            job_id: row.job_id.map(JobId),
            lease_until: row.lease_until.map(Timestamp),
            error: row.error,
            created_at: Timestamp(row.created_at),
            started_at: row.started_at.map(Timestamp),
            finished_at: row.finished_at.map(Timestamp),
            revision: row.revision,
            start_revision: row.start_revision,
            finish_revision: row.finish_revision,
            reports: Vec::new(),
        })
    }
}

pub async fn insert_trials(tx: &mut Tx, trials: &[Trial]) -> Result<(), Error> {
    for trial in trials {
        let (params, metrics) = (json(&trial.params)?, json(&trial.metrics)?);
        execute!(
            tx,
            INSERT,
            trial.study_id.as_str(),
            trial.number,
            trial.state.as_str(),
            &params,
            &metrics,
            trial.violation,
            &trial.origin,
            &trial.client_id,
            trial.job_id.map(|id| id.0),
            trial.lease_until.map(|at| at.0),
            trial.error.as_deref(),
            trial.created_at.0,
            trial.started_at.map(|at| at.0),
            trial.finished_at.map(|at| at.0),
            trial.revision,
            trial.start_revision,
            trial.finish_revision,
        )?;
    }
    Ok(())
}

/// Writes all of a trial that may change, but its reports.
pub async fn update_trial(tx: &mut Tx, trial: &Trial) -> Result<(), Error> {
    let metrics = json(&trial.metrics)?;
    execute!(
        tx,
        UPDATE,
        trial.study_id.as_str(),
        trial.number,
        trial.state.as_str(),
        &metrics,
        trial.violation,
        &trial.client_id,
        trial.job_id.map(|id| id.0),
        trial.lease_until.map(|at| at.0),
        trial.error.as_deref(),
        trial.started_at.map(|at| at.0),
        trial.finished_at.map(|at| at.0),
        trial.revision,
        trial.start_revision,
        trial.finish_revision,
    )?;
    Ok(())
}

/// The trials that changed after a revision of their study, by number and without reports.
pub async fn trials_since(tx: &mut Tx, study: &StudyId, revision: i64) -> Result<Vec<Trial>, Error> {
    all!(tx, Row, SINCE, study.as_str(), revision)?.into_iter().map(Trial::try_from).collect()
}

#[derive(sqlx::FromRow)]
struct ReportRow {
    study_id: String,
    number: i64,
    step: i64,
    reported: String,
    prune: bool,
    reason: String,
    at: i64,
    revision: i64,
}

pub async fn insert_report(
    tx: &mut Tx,
    study: &StudyId,
    number: i64,
    report: &TrialReport,
    revision: i64,
) -> Result<(), Error> {
    let values = json(&report.values)?;
    execute!(
        tx,
        INSERT_REPORT,
        study.as_str(),
        number,
        report.step,
        &values,
        report.prune,
        &report.reason,
        report.at.0,
        revision,
    )?;
    Ok(())
}

/// The reports after a revision of the study, by number of the trial and step, each with its own revision.
pub async fn reports_since(tx: &mut Tx, study: &StudyId, revision: i64) -> Result<Vec<(i64, i64, TrialReport)>, Error> {
    let rows: Vec<ReportRow> = all!(tx, ReportRow, REPORTS_SINCE, study.as_str(), revision)?;
    let decode = |row: ReportRow| {
        let id = format!("{}/{}/{}", row.study_id, row.number, row.step);
        let values = Place { table: "trial_reports", id: &id }.json("reported", &row.reported)?;
        let report =
            TrialReport { step: row.step, values, prune: row.prune, reason: row.reason, at: Timestamp(row.at) };
        Ok((row.number, row.revision, report))
    };
    rows.into_iter().map(decode).collect()
}
