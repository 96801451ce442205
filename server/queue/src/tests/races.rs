//! Random steps of several at a time. Nobody can foretell the outcome, but what must always hold is seen in the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use proptest::prelude::*;
use tenor_domain::{JobEvent, JobId};
use tenor_store::on;
use tokio::task::JoinSet;

use super::interleavings::{Step, new_job, on_random, pick, say, spawn, step};
use super::model::expire;
use super::steps::{check_history, claim, complete};
use super::*;
use crate::Fence;
use crate::finish::Outcome;

/// What the actors know together.
#[derive(Debug, Default)]
struct Known {
    jobs: Vec<JobId>,
    fences: Vec<Fence>,
    /// How often the end of an attempt was accepted, or its lease taken away.
    ends: HashMap<Fence, u32>,
}

async fn act(queue: Queue, known: Arc<Mutex<Known>>, steps: Vec<Step>) {
    let jobs = || known.lock().unwrap().jobs.clone();
    let fence = |at: usize| pick(&known.lock().unwrap().fences, at);
    let job = |at: usize| pick(&known.lock().unwrap().jobs, at);
    for step in steps {
        match step {
            Step::Enqueue { needs, max_attempts, priority, key } => {
                let mut new = new_job(&jobs(), &needs).max_attempts(max_attempts).priority(priority);
                new.unique_key = key.map(|key| key.to_string());
                let enqueued = queue.enqueue(new).await.unwrap();
                if !enqueued.existing {
                    known.lock().unwrap().jobs.push(enqueued.id);
                }
            }
            Step::Spawn { by, needs } => {
                let Some(by) = fence(by) else { continue };
                if let Ok(id) = spawn(&queue, by, &new_job(&jobs(), &needs)).await {
                    known.lock().unwrap().jobs.push(id);
                }
            }
            Step::Claim { limit } => {
                let rows = claim(&queue, limit).await;
                known.lock().unwrap().fences.extend(rows.iter().map(|row| row.fence()));
            }
            Step::Beat { fence: at } => {
                let Some(fence) = fence(at) else { continue };
                queue.beat(&[fence]).await.unwrap();
            }
            Step::Say { fence: at } => {
                let Some(fence) = fence(at) else { continue };
                say(&queue, fence).await.unwrap();
            }
            Step::Complete { fence: at, outcome } => {
                let Some(fence) = fence(at) else { continue };
                if complete(&queue, fence, outcome).await.unwrap() {
                    *known.lock().unwrap().ends.entry(fence).or_default() += 1;
                }
            }
            // What follows gives way to others where it cannot wait: a refusal changes nothing.
            Step::TakeAway { job: at } => {
                let Some(job) = job(at) else { continue };
                let _ = expire(&queue, job).await;
                for moved in queue.reap().await.unwrap_or_default() {
                    *known.lock().unwrap().ends.entry(moved.fence()).or_default() += 1;
                }
            }
            Step::Cancel { job: at } => {
                let Some(job) = job(at) else { continue };
                queue.cancel(job).await.unwrap();
            }
            Step::Requeue { job: at } => {
                let Some(job) = job(at) else { continue };
                let _ = queue.requeue(job).await;
            }
        }
    }
}

type Row = (i64, i64, String);

async fn rows(queue: &Queue, statement: &'static str) -> Vec<Row> {
    let mut tx = queue.db().begin_read().await.unwrap();
    on!(&mut tx, connection => sqlx::query_as(statement).fetch_all(connection).await.unwrap())
}

/// Runs what is left. A job that waits for nobody who could still end was forgotten.
async fn drain(queue: &Queue) {
    loop {
        claim(queue, 100).await;
        let running = rows(queue, "SELECT id, fence, state FROM jobs WHERE state = 'running'").await;
        if running.is_empty() {
            break;
        }
        let fences = running.iter().map(|(id, token, _)| Fence { job: JobId(*id), token: *token });
        join_all(fences.map(|fence| complete(queue, fence, Outcome::Succeeded))).await;
    }
    let forgotten = "SELECT id, fence, state FROM jobs WHERE state IN ('waiting', 'ready', 'running')";
    assert_eq!(rows(queue, forgotten).await, []);
}

/// How `parent` had ended when something happened at `when`; `None` if it had not, or ran again.
fn ended_as<'h>(parent: &'h [JobEvent], when: &JobEvent) -> Option<&'h str> {
    let ends = parent.iter().enumerate().filter(|(_, event)| {
        matches!(event.message.as_str(), "succeeded" | "failed" | "cancelled") && event.at <= when.at
    });
    let mut ends = ends.filter(|(at, _)| parent.get(at + 1).is_none_or(|next| next.at >= when.at));
    ends.next().map(|(_, event)| event.message.as_str())
}

async fn check_joins(queue: &Queue, histories: &HashMap<JobId, Vec<JobEvent>>) {
    let edges = rows(queue, "SELECT job_id, needs_id, policy FROM job_dependencies").await;
    let mut any: HashMap<JobId, bool> = HashMap::new();
    for (job, needs, policy) in &edges {
        let (job, needs) = (JobId(*job), JobId(*needs));
        // Whoever waited and was freed has this line first.
        let Some(freed) = histories[&job].first().filter(|event| event.message == "ready") else { continue };
        let end = ended_as(&histories[&needs], freed);
        assert!(end.is_some(), "{job} was freed before {needs} ended: {:?} {:?}", histories[&needs], freed);
        match policy.as_str() {
            "all_success" => assert_eq!(end, Some("succeeded"), "{job} needs {needs}"),
            "any_success" => *any.entry(job).or_default() |= end == Some("succeeded"),
            _ => {}
        }
    }
    let started = rows(queue, "SELECT id, fence, CASE WHEN any_succeeded THEN 'yes' ELSE 'no' END FROM jobs").await;
    for (job, _, any_succeeded) in started {
        if let Some(by_edge) = any.get(&JobId(job)) {
            assert!(*by_edge || any_succeeded == "yes", "{job} was freed though none succeeded");
        }
    }
}

async fn storm(queue: Queue, actors: Vec<Vec<Step>>) {
    let known: Arc<Mutex<Known>> = Arc::default();
    let mut running = JoinSet::new();
    for steps in actors {
        running.spawn(act(another(&queue), Arc::clone(&known), steps));
    }
    while let Some(actor) = running.join_next().await {
        actor.unwrap();
    }
    drain(&queue).await;
    let Known { jobs, ends, .. } = std::mem::take(&mut *known.lock().unwrap());
    assert!(ends.values().all(|count| *count == 1), "an attempt ended twice: {ends:?}");
    let mut histories = HashMap::new();
    for job in jobs {
        histories.insert(job, check_history(&queue, job).await);
    }
    check_joins(&queue, &histories).await;
}

#[test]
fn whatever_several_do_at_a_time_each_attempt_ends_once_and_each_join_comes_after_its_parents() {
    let actors = prop::collection::vec(prop::collection::vec(step(), 5..25), 2..6);
    on_random(30, actors, storm);
}
