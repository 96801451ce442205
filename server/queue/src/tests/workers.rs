//! Workers: slots, queues, priorities, and several of them on one table.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use tenor_domain::{JobId, JobState};
use tenor_store::Db;
use tokio::sync::Semaphore;

use super::steps::{claim, history, moves, running_rows};
use super::*;
use crate::{Error, Fence};

/// A handler that counts who runs, and waits for a permit of the gate.
#[derive(Clone)]
struct Gate {
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { running: Arc::default(), most: Arc::default(), permits: Arc::new(Semaphore::new(0)) }
    }

    async fn pass(&self) {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        self.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_worker_runs_as_many_jobs_as_it_has_slots_and_no_more() {
    on_each(|queue, _| async move {
        let enqueued = join_all((0..30).map(|_| queue.enqueue(probe("x")))).await;
        let ids: Vec<JobId> = enqueued.into_iter().map(|job| job.unwrap().id).collect();
        let gate = Gate::new();
        let pass = gate.clone();
        let handler = move |_: JobContext, _: Probe| {
            let gate = pass.clone();
            async move {
                gate.pass().await;
                Ok(json!(null))
            }
        };
        let running = start(Worker::builder(queue.clone()).register(handler).slots(3), LONG);
        for _ in 0..10 {
            eventually(async || (gate.running.load(Ordering::SeqCst) == 3).then_some(())).await;
            gate.permits.add_permits(1);
        }
        eventually(async || (running_rows(&queue).await == 3).then_some(())).await;
        gate.permits.add_permits(30);
        for id in ids {
            assert_eq!(ended(&queue, id).await.state, JobState::Succeeded);
        }
        assert_eq!(gate.most.load(Ordering::SeqCst), 3);
        assert_eq!(running.stop().await.ended, 30);
    })
    .await;
}

#[tokio::test]
async fn several_queues_are_served_in_turn_however_long_one_of_them_is() {
    on_each(|queue, _| async move {
        let mut last = JobId(0);
        for n in 0..12 {
            // Priorities rank within a queue, so even these do not starve the others.
            last = queue.enqueue(probe("long").queue("long").priority(100 + n)).await.unwrap().id;
        }
        for n in 0..4 {
            queue.enqueue(probe("short").queue("short").priority(n)).await.unwrap();
            queue.enqueue(probe("other").queue("other").priority(-n)).await.unwrap();
        }
        let order: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&order);
        let handler = move |_: JobContext, probe: Probe| {
            seen.lock().unwrap().push(probe.tag);
            async { Ok(json!(null)) }
        };
        let builder = Worker::builder(queue.clone()).register(handler).slots(1).queues(["long", "short", "other"]);
        let running = start(builder, LONG);
        eventually(async || (order.lock().unwrap().len() == 20).then_some(())).await;
        let order = order.lock().unwrap().clone();
        for turn in order[..12].chunks(3) {
            assert_eq!(turn.iter().map(String::as_str).collect::<HashSet<_>>().len(), 3, "{order:?}");
        }
        ended(&queue, last).await;
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_is_not_served_waits() {
    on_each(|queue, _| async move {
        let elsewhere = queue.enqueue(probe("x").queue("elsewhere").priority(100)).await.unwrap().id;
        let running = echo(&queue);
        let here = queue.enqueue(probe("y")).await.unwrap().id;
        ended(&queue, here).await;
        assert_eq!(queue.get(elsewhere).await.unwrap().state, JobState::Ready);
        running.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_workers_each_job_is_run_by_one() {
    on_each(|queue, _| async move {
        let enqueued = join_all((0..300).map(|n| queue.enqueue(probe("x").priority(n % 5)))).await;
        let mut ids: Vec<JobId> = enqueued.into_iter().map(|job| job.unwrap().id).collect();
        ids.sort();
        let runs: Arc<Mutex<Vec<Fence>>> = Arc::default();
        let workers: Vec<Running> = (0..4)
            .map(|_| {
                let runs = Arc::clone(&runs);
                worker(&another(&queue), move |context, _| {
                    runs.lock().unwrap().push(context.fence());
                    async { Ok(json!(null)) }
                })
            })
            .collect();
        for id in &ids {
            assert_eq!(ended(&queue, *id).await.state, JobState::Succeeded);
        }
        let mut all = 0;
        for running in workers {
            all += running.stop().await.ended;
        }
        assert_eq!(all, 300);
        let mut runs = runs.lock().unwrap().clone();
        runs.sort_by_key(|fence| fence.job);
        let once: Vec<Fence> = ids.iter().map(|id| Fence { job: *id, token: 1 }).collect();
        assert_eq!(runs, once);
        for id in ids {
            assert_eq!(moves(&history(&queue, id).await), ["running", "succeeded"]);
        }
    })
    .await;
}

#[tokio::test]
async fn claims_of_any_worker_take_the_best_that_is_left_and_in_the_end_everything() {
    on_each(|queue, _| async move {
        for n in 0..20_i32 {
            queue.enqueue(probe("x").priority((n * 7) % 10 - 5)).await.unwrap();
        }
        let mut claimed = Vec::new();
        for limit in [1, 3, 2, 5, 4, 9] {
            claimed.extend(claim(&another(&queue), limit).await.into_iter().map(|row| (row.priority, row.id)));
        }
        let mut best_first = claimed.clone();
        best_first.sort_by_key(|(priority, id)| (-priority, *id));
        assert_eq!(claimed, best_first);
        assert_eq!(claimed.len(), 20);
    })
    .await;
}

#[tokio::test]
async fn claims_at_the_same_time_share_the_jobs_without_waiting_for_each_other() {
    on_each(|queue, _| async move {
        for _ in 0..40 {
            queue.enqueue(probe("x")).await.unwrap();
        }
        let claims = join_all((0..10).map(|_| claim(&queue, 3))).await;
        let mut rows: Vec<i64> = claims.iter().flatten().map(|row| row.id).collect();
        let all = rows.len();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), all, "no job twice");
        // A claim that meets another one on PostgreSQL passes over its rows, and takes the next ones.
        assert_eq!(all, 30);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_cannot_be_put_together_says_why() {
    on_each(|queue, _| async move {
        let handler = |_: JobContext, _: Probe| async { Ok(json!(null)) };
        let builder = || Worker::builder(queue.clone());
        let refused = |builder: WorkerBuilder, what: &str| match builder.build() {
            Err(Error::Invalid(error)) => assert!(error.to_string().contains(what), "{error}"),
            other => panic!("{other:?}"),
        };
        refused(builder(), "register at least one kind");
        refused(builder().register(handler).register(handler), "two handlers for kind `probe`");
        refused(builder().register(handler).slots(0), "at least 1");
        refused(builder().register(handler).name("Nobody's"), "1 to 63 of");
        refused(builder().register(handler).queues(["a", ""]), "1 to 63 of");
        assert!(builder().register(handler).build().is_ok());
    })
    .await;
}

#[tokio::test]
async fn the_listening_connection_ends_with_the_last_handle_of_its_queue() {
    on_each(|queue, _| async move {
        let Db::Pg(pool) = queue.db().clone() else { return };
        let listening = async || {
            sqlx::query_scalar::<_, i64>(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'",
            )
            .fetch_one(&pool)
            .await
            .unwrap()
        };
        let (first, second) = (another(&queue), another(&queue));
        first.listen();
        first.listen();
        second.listen();
        eventually(async || (listening().await == 2).then_some(())).await;
        let clone = first.clone();
        drop(first);
        clone.listen();
        drop(second);
        eventually(async || (listening().await == 1).then_some(())).await;
        drop(clone);
        eventually(async || (listening().await == 0).then_some(())).await;
    })
    .await;
}
