//! Cancelling: a running job, and the tree below a job.

use std::time::Instant;

use tenor_domain::{JobEventLevel, JobId, JobState};

use super::steps::{claim, claim_only, complete, end, history, states};
use super::*;
use crate::enqueue::insert;
use crate::finish::Outcome;
use crate::{DependencyPolicy, Fence};

#[tokio::test]
async fn a_running_job_is_cancelled_within_two_seconds_and_not_tried_again() {
    // By the hint within the process; the beat alone would take far longer.
    let options = QueueOptions { heartbeat_ms: 10_000, lease_ms: 60_000, ..fast() };
    on_each_with(options, |queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            context.cancelled().cancelled().await;
            Err(JobError::retry(format!("stopped: {:?}", context.cancel_reason())))
        });
        let id = queue.enqueue(probe("long")).await.unwrap().id;
        until_state(&queue, id, JobState::Running).await;
        let asked = Instant::now();
        assert!(queue.cancel(id).await.unwrap().cancel_requested);
        let job = ended(&queue, id).await;
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        assert_eq!((job.state, job.attempt), (JobState::Cancelled, 1));
        assert_eq!(queue.cancel(id).await.unwrap().state, JobState::Cancelled, "a second time changes nothing");
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_cancel_from_another_process_reaches_the_worker_within_two_seconds() {
    for test_db in databases().await {
        // Two handles share nothing in the process, as two processes do.
        let options = QueueOptions { heartbeat_ms: 10_000, lease_ms: 60_000, ..fast() };
        let (here, there) = (queue_on(&test_db, &options), queue_on(&test_db, &options));
        let running = worker(&there, |context, _| async move {
            context.cancelled().cancelled().await;
            Err(JobError::fail("stopped"))
        });
        let id = here.enqueue(probe("long")).await.unwrap().id;
        until_state(&here, id, JobState::Running).await;
        let asked = Instant::now();
        here.cancel(id).await.unwrap();
        assert_eq!(ended(&here, id).await.state, JobState::Cancelled);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?} on {}", asked.elapsed(), test_db.name);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_job_that_ignores_its_cancellation_is_abandoned() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |_, _| async move {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(json!(null))
        });
        let id = queue.enqueue(probe("deaf")).await.unwrap().id;
        until_state(&queue, id, JobState::Running).await;
        queue.cancel(id).await.unwrap();
        assert_eq!(ended(&queue, id).await.state, JobState::Cancelled);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn success_after_a_cancel_request_is_success() {
    on_each(|queue, _| async move {
        let running = worker(&queue, |context, _| async move {
            context.cancelled().cancelled().await;
            Ok(json!("it was nearly done"))
        });
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        until_state(&queue, id, JobState::Running).await;
        queue.cancel(id).await.unwrap();
        assert_eq!(ended(&queue, id).await.state, JobState::Succeeded);
        running.stop().await;
    })
    .await;
}

/// Enqueues as a running job does.
async fn child_of(queue: &Queue, parent: JobId, job: NewJob) -> JobId {
    let mut tx = queue.db().begin_write().await.unwrap();
    let id = insert(&mut tx, &job, Some(parent)).await.unwrap().id;
    tx.commit().await.unwrap();
    id
}

async fn after(queue: &Queue, parent: JobId, policy: DependencyPolicy) -> JobId {
    queue.enqueue(probe("after").depends_on(parent, policy)).await.unwrap().id
}

/// A running root with a tree below it.
struct Tree {
    root: Fence,
    running_child: Fence,
    ready_child: JobId,
    /// Waits for the root.
    waiting: JobId,
    /// Waits for the ready child.
    below: JobId,
    /// Goes on however the root ends.
    clean_up: JobId,
    /// Waits for the clean-up, so not for the success of the root.
    last: JobId,
    unrelated: JobId,
}

async fn tree(queue: &Queue) -> Tree {
    let root = queue.enqueue(probe("root")).await.unwrap().id;
    let root = claim_only(queue, root).await;
    let running_child = child_of(queue, root.job, probe("running child").max_attempts(5)).await;
    let running_child = claim_only(queue, running_child).await;
    let ready_child = child_of(queue, running_child.job, probe("ready child")).await;
    let clean_up = after(queue, root.job, DependencyPolicy::AllDone).await;
    Tree {
        waiting: after(queue, root.job, DependencyPolicy::AllSuccess).await,
        below: after(queue, ready_child, DependencyPolicy::AllSuccess).await,
        last: after(queue, clean_up, DependencyPolicy::AllSuccess).await,
        unrelated: queue.enqueue(probe("unrelated").priority(-1)).await.unwrap().id,
        root,
        running_child,
        ready_child,
        clean_up,
    }
}

#[tokio::test]
async fn cancelling_stops_the_tree_below_and_nothing_else() {
    use JobState::{Cancelled, Ready, Running, Waiting};
    on_each(|queue, _| async move {
        let tree = tree(&queue).await;
        let all = [tree.root.job, tree.running_child.job, tree.ready_child, tree.waiting, tree.below];
        assert!(queue.cancel(tree.root.job).await.unwrap().cancel_requested);
        assert_eq!(states(&queue, all).await, [Running, Running, Cancelled, Cancelled, Cancelled]);
        assert_eq!(states(&queue, [tree.clean_up, tree.last, tree.unrelated]).await, [Waiting, Waiting, Ready]);
        for told in [tree.root, tree.running_child] {
            let asked = history(&queue, told.job).await;
            let asked = asked.iter().filter(|event| event.message == "cancel requested").count();
            assert_eq!((asked, queue.get(told.job).await.unwrap().cancel_requested), (1, true));
        }
        // Attempts are left, but nobody wants them; and the heartbeat tells.
        assert_eq!(queue.beat(&[tree.running_child]).await.unwrap(), [(tree.running_child, true)]);
        end(&queue, tree.running_child, Outcome::Retry).await;
        end(&queue, tree.root, Outcome::Released).await;
        assert_eq!(states(&queue, all).await, [Cancelled; 5]);
        assert_eq!(states(&queue, [tree.clean_up, tree.last, tree.unrelated]).await, [Ready, Waiting, Ready]);
        assert_eq!(
            claim(&queue, 10).await.iter().map(|row| row.id).collect::<Vec<_>>(),
            [tree.clean_up.0, tree.unrelated.0]
        );
    })
    .await;
}

#[tokio::test]
async fn an_ended_job_is_left_as_it_is_and_so_is_who_needed_it_but_what_it_enqueued_is_cancelled() {
    use JobState::{Cancelled, Ready, Running, Waiting};
    on_each(|queue, _| async move {
        let tree = tree(&queue).await;
        let other = queue.enqueue(probe("other").queue("elsewhere")).await.unwrap().id;
        let both = probe("both").depends_on(tree.root.job, DependencyPolicy::AllSuccess);
        let both = queue.enqueue(both.depends_on(other, DependencyPolicy::AllSuccess)).await.unwrap().id;
        end(&queue, tree.root, Outcome::Succeeded).await;
        let before = queue.get(tree.root.job).await.unwrap();
        assert_eq!(queue.cancel(tree.root.job).await.unwrap(), before);
        let needed_it = [tree.waiting, both, tree.clean_up, tree.last, tree.unrelated, other];
        assert_eq!(states(&queue, needed_it).await, [Ready, Waiting, Ready, Waiting, Ready, Ready]);
        let enqueued = [tree.running_child.job, tree.ready_child, tree.below];
        assert_eq!(states(&queue, enqueued).await, [Running, Cancelled, Cancelled]);
        assert!(queue.get(tree.running_child.job).await.unwrap().cancel_requested);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_dies_after_the_request_leaves_a_cancelled_job() {
    on_each(|queue, _| async move {
        let id = queue.enqueue(probe("x").max_attempts(5)).await.unwrap().id;
        let fence = claim_only(&queue, id).await;
        queue.cancel(id).await.unwrap();
        steps::take_away(&queue, id).await;
        let job = queue.get(id).await.unwrap();
        assert_eq!((job.state, job.error.as_deref()), (JobState::Cancelled, Some("cancelled on request")));
        assert!(!complete(&queue, fence, Outcome::Succeeded).await.unwrap(), "too late");
        let levels: Vec<_> = history(&queue, id).await.into_iter().map(|event| event.level).collect();
        assert_eq!(levels, [JobEventLevel::State, JobEventLevel::Info, JobEventLevel::State]);
    })
    .await;
}

#[tokio::test]
async fn a_wide_running_tree_is_told_to_stop_and_gives_its_slots_back() {
    let options = QueueOptions { heartbeat_ms: 10_000, lease_ms: 60_000, ..fast() };
    on_each_with(options, |queue, _| async move {
        let running = worker(&queue, |context, probe| async move {
            if probe.tag == "after" {
                return Ok(json!(null));
            }
            if probe.tag == "root" {
                let mut spawn = context.begin_spawn().await?;
                for n in 0..7 {
                    spawn.enqueue(NewJob::of(&Probe { tag: n.to_string() })?).await?;
                }
                spawn.commit().await?;
            }
            context.cancelled().cancelled().await;
            Err(JobError::retry("stopped"))
        });
        let root = queue.enqueue(probe("root")).await.unwrap().id;
        // All eight slots.
        eventually(async || (steps::running_rows(&queue).await == 8).then_some(())).await;
        let asked = Instant::now();
        queue.cancel(root).await.unwrap();
        let next = queue.enqueue(probe("after")).await.unwrap().id;
        assert_eq!(ended(&queue, next).await.state, JobState::Succeeded);
        for child in root.0 + 1..=root.0 + 7 {
            assert_eq!(ended(&queue, JobId(child)).await.state, JobState::Cancelled);
        }
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        running.stop().await;
    })
    .await;
}
