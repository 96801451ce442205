//! Fan-out that a running job decides on: one, a hundred, one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tenor_domain::{JobId, JobState, PageRequest};

use super::steps::{end, history, moves, states, take_away};
use super::*;
use crate::finish::Outcome;
use crate::{CancelReason, DependencyPolicy, Error, JobFilter};

const PARTS: usize = 100;

/// Enqueues the parts and the job that joins them, under keys, so that a second attempt finds them.
async fn fan_out(context: &JobContext, queue: &str, policy: DependencyPolicy) -> Result<Vec<JobId>, Error> {
    let root = context.job.id;
    let mut spawn = context.begin_spawn().await?;
    let mut ids = Vec::new();
    let mut join = probe("join").queue(queue).unique_key(format!("{root}/join"));
    for n in 0..PARTS {
        let part = probe(&format!("part {n}")).queue(queue).unique_key(format!("{root}/{n}"));
        let id = spawn.enqueue(part).await?.id;
        join = join.depends_on(id, policy);
        ids.push(id);
    }
    ids.push(spawn.enqueue(join).await?.id);
    spawn.commit().await?;
    Ok(ids)
}

fn listed(ids: &[JobId]) -> Value {
    ids.iter().map(|id| id.0).collect()
}

fn read(result: Option<Value>) -> Vec<JobId> {
    result.unwrap().as_array().unwrap().iter().map(|id| JobId(id.as_i64().unwrap())).collect()
}

#[tokio::test]
async fn a_fan_out_decided_at_run_time_is_joined_once_and_after_all_its_parts() {
    on_each(|queue, _| async move {
        let (parts, joins) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let handler = {
            let (parts, joins) = (Arc::clone(&parts), Arc::clone(&joins));
            move |context: JobContext, probe: Probe| {
                let (parts, joins) = (Arc::clone(&parts), Arc::clone(&joins));
                async move {
                    match probe.tag.as_str() {
                        "root" => Ok(listed(&fan_out(&context, "default", DependencyPolicy::AllSuccess).await?)),
                        "join" => {
                            joins.fetch_add(1, Ordering::SeqCst);
                            Ok(json!(parts.load(Ordering::SeqCst)))
                        }
                        // Some need a second attempt.
                        tag if tag.ends_with('7') && context.job.attempt == 1 => Err(JobError::retry("not yet")),
                        _ => Ok(json!(parts.fetch_add(1, Ordering::SeqCst))),
                    }
                }
            }
        };
        let workers = [worker(&queue, handler.clone()), worker(&another(&queue), handler)];
        let root = queue.enqueue(probe("root")).await.unwrap().id;
        let spawned = read(ended(&queue, root).await.result);
        let join = ended(&queue, spawned[PARTS]).await;
        assert_eq!((join.state, join.result), (JobState::Succeeded, Some(json!(PARTS))));
        for part in &spawned[..PARTS] {
            let part = queue.get(*part).await.unwrap();
            assert_eq!(part.state, JobState::Succeeded);
            assert!(part.finished_at <= join.started_at, "{part:?}");
        }
        for running in workers {
            running.stop().await;
        }
        assert_eq!((joins.load(Ordering::SeqCst), join.attempt), (1, 1));
        assert_eq!(moves(&history(&queue, join.id).await), ["ready", "running", "succeeded"]);
    })
    .await;
}

#[tokio::test]
async fn a_join_of_the_best_part_runs_although_others_fail() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, probe| async move {
            match probe.tag.as_str() {
                "root" => Ok(listed(&fan_out(&context, "default", DependencyPolicy::AnySuccess).await?)),
                "join" | "part 42" => Ok(json!(null)),
                _ => Err(JobError::fail("a bad trial")),
            }
        });
        let root = queue.enqueue(probe("root")).await.unwrap().id;
        let spawned = read(ended(&queue, root).await.result);
        assert_eq!(ended(&queue, spawned[PARTS]).await.state, JobState::Succeeded);
        let filter = JobFilter { states: vec![JobState::Failed], kind: None };
        let failed = queue.list(&filter, &PageRequest::first(200)).await.unwrap().items;
        assert_eq!(failed.len(), PARTS - 1);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_attempt_finds_the_parts_that_the_first_one_enqueued() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            // Nobody serves that queue, so the keys are held.
            let ids = fan_out(&context, "elsewhere", DependencyPolicy::AllSuccess).await?;
            if context.job.attempt == 1 { Err(JobError::retry(listed(&ids).to_string())) } else { Ok(listed(&ids)) }
        });
        let root = queue.enqueue(probe("root")).await.unwrap().id;
        let job = ended(&queue, root).await;
        assert_eq!((job.state, job.attempt), (JobState::Succeeded, 2));
        let again = history(&queue, root).await.into_iter().find(|event| event.message == "ready").unwrap();
        let first = again.data.unwrap()["error"].as_str().unwrap().to_owned();
        assert_eq!(first, job.result.unwrap().to_string());
        let all = queue.list(&JobFilter::default(), &PageRequest::first(500)).await.unwrap().items;
        assert_eq!(all.len(), 1 + PARTS + 1);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn children_that_were_not_committed_never_were() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            let mut spawn = context.begin_spawn().await?;
            let child = spawn.enqueue(probe("child").queue("elsewhere")).await?.id;
            Ok(json!(child.0))
        });
        let root = queue.enqueue(probe("root")).await.unwrap().id;
        let child = JobId(ended(&queue, root).await.result.unwrap().as_i64().unwrap());
        assert!(matches!(queue.get(child).await, Err(Error::NotFound(_))));
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_was_cancelled_or_lost_its_lease_enqueues_nothing_more() {
    // So seldom a heartbeat that only the fence can refuse.
    let options = QueueOptions { lease_ms: 60_000, heartbeat_ms: 20_000, ..fast() };
    on_each_with(options, |queue, _| async move {
        let refusals = Arc::new(Mutex::new(Vec::<(String, Option<CancelReason>)>::new()));
        let seen = Arc::clone(&refusals);
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let open = Arc::clone(&gate);
        let running = start(
            Worker::builder(queue.clone()).slots(1).register(move |context: JobContext, _: Probe| {
                let (seen, open) = (Arc::clone(&seen), Arc::clone(&open));
                async move {
                    open.acquire().await.unwrap().forget();
                    let error = context.begin_spawn().await.unwrap_err();
                    seen.lock().unwrap().push((error.to_string(), context.cancel_reason()));
                    Err::<Value, _>(error.into())
                }
            }),
            LONG,
        );
        let cancelled = queue.enqueue(probe("cancelled")).await.unwrap().id;
        until_state(&queue, cancelled, JobState::Running).await;
        queue.cancel(cancelled).await.unwrap();
        gate.add_permits(1);
        assert_eq!(ended(&queue, cancelled).await.state, JobState::Cancelled);

        let lost = queue.enqueue(probe("lost")).await.unwrap().id;
        until_state(&queue, lost, JobState::Running).await;
        take_away(&queue, lost).await;
        let owner = steps::claim_only(&queue, lost).await;
        gate.add_permits(1);
        running.stop().await;
        assert_eq!(
            *refusals.lock().unwrap(),
            [
                (format!("job {cancelled} was cancelled; stop and return"), Some(CancelReason::Requested)),
                (format!("the lease of job {lost} was lost; leave its rows alone, another attempt owns them"), None),
            ]
        );
        assert_eq!(states(&queue, [lost]).await, [JobState::Running]);
        end(&queue, owner, Outcome::Succeeded).await;
    })
    .await;
}
