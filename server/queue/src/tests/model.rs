//! What the queue must do, as a model that any sequence of steps is checked against.

use std::collections::{BTreeMap, HashSet};

use tenor_domain::{JobId, JobState};
use tenor_store::on;

use crate::finish::Outcome;
use crate::{DependencyPolicy, Error, Fence, Queue};

/// Makes the lease of a running job run out now. Does not wait for a transaction that holds the row.
pub(super) async fn expire(queue: &Queue, job: JobId) -> Result<(), Error> {
    let mut tx = queue.db().begin_write().await?;
    if tx.is_postgres() {
        on!(&mut tx, connection => sqlx::query("SET LOCAL lock_timeout = '50ms'").execute(connection).await.map(|_| ()))?;
    }
    on!(&mut tx, connection => {
        sqlx::query("UPDATE jobs SET lease_until = 0 WHERE id = $1 AND state = 'running'")
            .bind(job.0)
            .execute(connection)
            .await
            .map(|_| ())
    })?;
    tx.commit().await?;
    Ok(())
}

/// A dependency that had not ended when the job was enqueued.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub needs: JobId,
    pub policy: DependencyPolicy,
    /// Its end has not been counted.
    pub open: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Known {
    pub state: JobState,
    pub attempt: i32,
    pub max_attempts: i32,
    pub fence: i64,
    pub cancel_requested: bool,
    pub priority: i32,
    pub key: Option<String>,
    pub parent: Option<JobId>,
    pub edges: Vec<Edge>,
    wants_any: bool,
    any_succeeded: bool,
    /// Lines of history.
    pub lines: i64,
}

/// All jobs as they must be.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub jobs: BTreeMap<JobId, Known>,
    /// Attempts whose end was accepted.
    accepted: HashSet<Fence>,
}

fn is_live(state: JobState) -> bool {
    !state.is_final()
}

impl Model {
    fn job(&mut self, id: JobId) -> &mut Known {
        self.jobs.get_mut(&id).unwrap()
    }

    pub(super) fn holder(&self, key: &str) -> Option<JobId> {
        let mut holders = self.jobs.iter().filter(|(_, job)| job.key.as_deref() == Some(key) && is_live(job.state));
        let holder = holders.next().map(|(id, _)| *id);
        assert_eq!(holders.next().map(|(id, _)| *id), None, "two jobs hold the key `{key}`");
        holder
    }

    pub(super) fn holds(&self, fence: Fence) -> bool {
        let job = &self.jobs[&fence.job];
        job.state == JobState::Running && job.fence == fence.token
    }

    pub(super) fn enqueue(&mut self, id: JobId, new: &crate::NewJob, parent: Option<JobId>) {
        let mut job = Known {
            state: JobState::Ready,
            attempt: 0,
            max_attempts: new.max_attempts,
            fence: 0,
            cancel_requested: false,
            priority: new.priority,
            key: new.unique_key.clone(),
            parent,
            edges: Vec::new(),
            wants_any: new.depends_on.iter().any(|(_, policy)| *policy == DependencyPolicy::AnySuccess),
            any_succeeded: false,
            lines: 0,
        };
        let mut broken = false;
        for &(needs, policy) in &new.depends_on {
            match (self.jobs[&needs].state, policy) {
                (JobState::Succeeded, DependencyPolicy::AnySuccess) => job.any_succeeded = true,
                (JobState::Failed | JobState::Cancelled, DependencyPolicy::AllSuccess) => broken = true,
                (state, _) if is_live(state) => job.edges.push(Edge { needs, policy, open: true }),
                _ => {}
            }
        }
        if broken || (job.edges.is_empty() && job.wants_any && !job.any_succeeded) {
            (job.state, job.lines) = (JobState::Failed, 1);
        } else if !job.edges.is_empty() {
            job.state = JobState::Waiting;
        }
        assert!(self.jobs.insert(id, job).is_none(), "{id} was given twice");
    }

    /// The priorities of what can be claimed, best first.
    pub(super) fn claimable(&self) -> Vec<i32> {
        let mut all: Vec<i32> =
            self.jobs.values().filter(|job| job.state == JobState::Ready).map(|job| job.priority).collect();
        all.sort_unstable_by_key(|priority| -priority);
        all
    }

    pub(super) fn claim(&mut self, fence: Fence) {
        let job = self.job(fence.job);
        assert_eq!(job.state, JobState::Ready, "{fence:?}");
        assert!(fence.token > job.fence, "fences only grow: {fence:?}");
        job.state = JobState::Running;
        job.attempt += 1;
        job.fence += 1;
        job.lines += 1;
    }

    /// Ends an attempt. Returns whether that must be accepted.
    pub(super) fn complete(&mut self, fence: Fence, outcome: Outcome) -> bool {
        if !self.holds(fence) {
            return false;
        }
        assert!(self.accepted.insert(fence), "two ends of one attempt: {fence:?}");
        let job = self.job(fence.job);
        let state = match outcome {
            Outcome::Succeeded => JobState::Succeeded,
            _ if job.cancel_requested => JobState::Cancelled,
            Outcome::Released => {
                job.attempt -= 1;
                JobState::Ready
            }
            Outcome::Retry if job.attempt < job.max_attempts => JobState::Ready,
            Outcome::Retry | Outcome::Failed | Outcome::Cancelled => JobState::Failed,
        };
        self.move_on(&[(fence.job, state)]);
        true
    }

    /// The lease of a running job ran out.
    pub(super) fn reap(&mut self, id: JobId) {
        let job = self.job(id);
        let fence = Fence { job: id, token: job.fence };
        let state = match job.state {
            JobState::Running if job.cancel_requested => JobState::Cancelled,
            JobState::Running if job.attempt >= job.max_attempts => JobState::Failed,
            JobState::Running => JobState::Ready,
            _ => return,
        };
        assert!(self.accepted.insert(fence), "the attempt had ended: {fence:?}");
        self.move_on(&[(id, state)]);
    }

    pub(super) fn cancel(&mut self, root: JobId) {
        loop {
            let mut moved = Vec::new();
            let mut any = false;
            for id in self.tree(root) {
                let job = self.job(id);
                match job.state {
                    JobState::Running if !job.cancel_requested => job.lines += 1,
                    JobState::Waiting | JobState::Ready => moved.push((id, JobState::Cancelled)),
                    _ => continue,
                }
                job.cancel_requested = true;
                any = true;
            }
            self.move_on(&moved);
            if !any {
                return;
            }
        }
    }

    fn tree(&self, root: JobId) -> HashSet<JobId> {
        let mut tree = HashSet::from([root]);
        loop {
            let needs_one = |job: &Known| {
                job.edges.iter().any(|edge| {
                    edge.policy == DependencyPolicy::AllSuccess
                        && tree.contains(&edge.needs)
                        && is_live(self.jobs[&edge.needs].state)
                })
            };
            let below = |job: &Known| job.parent.is_some_and(|parent| tree.contains(&parent)) || needs_one(job);
            let more: Vec<JobId> =
                self.jobs.iter().filter(|(id, job)| !tree.contains(id) && below(job)).map(|(id, _)| *id).collect();
            if more.is_empty() {
                return tree;
            }
            tree.extend(more);
        }
    }

    /// Returns the key that another job holds, if one does; `None` when the job is ready again.
    pub(super) fn requeue(&mut self, id: JobId) -> Result<(), Option<String>> {
        let job = self.jobs[&id].clone();
        if !matches!(job.state, JobState::Failed | JobState::Cancelled) {
            return Err(None);
        }
        if let Some(key) = job.key.filter(|key| self.holder(key).is_some()) {
            return Err(Some(key));
        }
        let job = self.job(id);
        (job.state, job.attempt, job.cancel_requested) = (JobState::Ready, 0, false);
        job.lines += 1;
        for job in self.jobs.values_mut().filter(|job| job.state == JobState::Waiting) {
            job.edges.iter_mut().filter(|edge| edge.needs == id).for_each(|edge| edge.open = true);
        }
        Ok(())
    }

    /// Moves jobs, and carries the ends over to whoever waits for them.
    fn move_on(&mut self, moved: &[(JobId, JobState)]) {
        let mut ended = Vec::new();
        for &(id, state) in moved {
            let job = self.job(id);
            let legal = match job.state {
                JobState::Waiting => matches!(state, JobState::Ready | JobState::Failed | JobState::Cancelled),
                JobState::Ready => state == JobState::Cancelled,
                JobState::Running => state != JobState::Waiting && state != JobState::Running,
                JobState::Succeeded | JobState::Failed | JobState::Cancelled => false,
            };
            assert!(legal, "{id} from {:?} to {state:?}", job.state);
            job.state = state;
            job.lines += 1;
            if state.is_final() {
                ended.push((id, state == JobState::Succeeded));
            }
        }
        if ended.is_empty() {
            return;
        }
        let mut next = Vec::new();
        for (id, job) in self.jobs.iter_mut().filter(|(_, job)| job.state == JobState::Waiting) {
            let (mut broken, mut touched) = (false, false);
            for edge in job.edges.iter_mut().filter(|edge| edge.open) {
                let Some((_, ok)) = ended.iter().find(|(id, _)| *id == edge.needs) else { continue };
                (edge.open, touched) = (false, true);
                broken |= edge.policy == DependencyPolicy::AllSuccess && !ok;
                job.any_succeeded |= edge.policy == DependencyPolicy::AnySuccess && *ok;
            }
            let open = job.edges.iter().any(|edge| edge.open);
            if broken || (touched && !open && job.wants_any && !job.any_succeeded) {
                next.push((*id, JobState::Failed));
            } else if touched && !open {
                next.push((*id, JobState::Ready));
            }
        }
        self.move_on(&next);
    }
}
