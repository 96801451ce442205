//! A study as it goes on.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tenor_domain::{Error, Study, StudyId, Trial};
use tenor_store::{Db, study};
use tokio::sync::watch;

use super::{Studies, missing};

/// Changes of other processes are seen so soon.
const POLL: Duration = Duration::from_millis(500);

/// A change that was seen: of the study itself, or of one of its trials.
#[derive(Debug, Clone)]
pub struct StudyChange {
    /// The study as it was when this was seen.
    pub study: Study,
    /// Without reports.
    pub trial: Option<Trial>,
    /// Go on after this one.
    pub revision: i64,
}

pub type StudyChanges = BoxStream<'static, Result<StudyChange, Error>>;

struct Watcher {
    db: Db,
    id: StudyId,
    after: i64,
    pending: VecDeque<StudyChange>,
    changed: watch::Receiver<()>,
    first: bool,
    ended: bool,
}

impl Studies<'_> {
    /// The study's changes after a revision, as they come; several changes of a trial in a row may be seen as one. Ends with the
    /// study.
    pub fn watch(&self, id: &StudyId, after: i64) -> StudyChanges {
        let watcher = Watcher {
            db: self.0.db.clone(),
            id: id.clone(),
            after,
            pending: VecDeque::new(),
            changed: self.0.studies_changed.subscribe(),
            first: true,
            ended: false,
        };
        stream::unfold(watcher, |mut watcher| async move { watcher.next().await.map(|next| (next, watcher)) }).boxed()
    }
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<StudyChange, Error>> {
        loop {
            if let Some(change) = self.pending.pop_front() {
                return Some(Ok(change));
            }
            if self.ended {
                return None;
            }
            if !std::mem::take(&mut self.first) {
                tokio::select! {
                    _ = self.changed.changed() => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
            if let Err(error) = self.look().await {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        let mut tx = self.db.begin_read().await?;
        let found = study::by_id(&mut tx, self.id.as_str()).await?.ok_or_else(|| missing(self.id.as_str()))?;
        self.ended = found.state.is_final() && found.jobs.is_empty();
        if found.revision <= self.after {
            return Ok(());
        }
        let mut trials = study::trials_since(&mut tx, &self.id, self.after).await?;
        trials.sort_by_key(|trial| trial.revision);
        for trial in trials {
            self.after = self.after.max(trial.revision);
            let (study, revision) = (found.clone(), trial.revision);
            self.pending.push_back(StudyChange { study, trial: Some(trial), revision });
        }
        // What changed last may be the study itself.
        if found.revision > self.after {
            self.after = found.revision;
            let revision = found.revision;
            self.pending.push_back(StudyChange { study: found, trial: None, revision });
        }
        Ok(())
    }
}
