//! Random interleavings: one after the other against the model, and several at a time against what must always hold.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tenor_domain::{JobEventLevel, JobId, JobState};
use tenor_store::on;
use tenor_store::testing::execute;

use super::model::Model;
use super::steps::{check_history, claim, complete, take_away};
use super::*;
use crate::enqueue::insert;
use crate::fence::cancel_requested;
use crate::finish::Outcome;
use crate::hints::Effects;
use crate::lines::{self, Lines};
use crate::{DependencyPolicy, Error, Fence};

/// One step of somebody. Numbers choose among what there is, modulo its count.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Enqueue {
        needs: Vec<(usize, DependencyPolicy)>,
        max_attempts: i32,
        priority: i32,
        key: Option<u8>,
    },
    /// The same as a running job does, or one that no longer runs.
    Spawn {
        by: usize,
        needs: Vec<(usize, DependencyPolicy)>,
    },
    Claim {
        limit: usize,
    },
    Beat {
        fence: usize,
    },
    Say {
        fence: usize,
    },
    Complete {
        fence: usize,
        outcome: Outcome,
    },
    TakeAway {
        job: usize,
    },
    Cancel {
        job: usize,
    },
    Requeue {
        job: usize,
    },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    use DependencyPolicy::{AllDone, AllSuccess, AnySuccess};
    let any = 0..1_000_usize;
    let policy = prop_oneof![Just(AllSuccess), Just(AnySuccess), Just(AllDone)];
    let needs = prop::collection::vec((any.clone(), policy), 0..4);
    let outcome = prop_oneof![
        4 => Just(Outcome::Succeeded),
        2 => Just(Outcome::Retry),
        2 => Just(Outcome::Failed),
        1 => Just(Outcome::Cancelled),
        1 => Just(Outcome::Released),
    ];
    prop_oneof![
        6 => (needs.clone(), 1..4, -1..2, prop::option::weighted(0.3, 0..2_u8))
            .prop_map(|(needs, max_attempts, priority, key)| Step::Enqueue { needs, max_attempts, priority, key }),
        2 => (any.clone(), needs).prop_map(|(by, needs)| Step::Spawn { by, needs }),
        5 => (1..4_usize).prop_map(|limit| Step::Claim { limit }),
        1 => any.clone().prop_map(|fence| Step::Beat { fence }),
        1 => any.clone().prop_map(|fence| Step::Say { fence }),
        8 => (any.clone(), outcome).prop_map(|(fence, outcome)| Step::Complete { fence, outcome }),
        2 => any.clone().prop_map(|job| Step::TakeAway { job }),
        2 => any.clone().prop_map(|job| Step::Cancel { job }),
        3 => any.prop_map(|job| Step::Requeue { job }),
    ]
}

/// Plays `cases` lists of values on each database; the same ones each time, others with `PROPTEST_RNG_SEED`.
pub(super) fn on_random<T: std::fmt::Debug, F: Future<Output = ()>>(
    cases: u32,
    values: impl Strategy<Value = T>,
    play: impl Fn(Queue, T) -> F,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for test_db in runtime.block_on(databases()) {
        // A lease that never runs out by itself.
        let options = QueueOptions { lease_ms: 3_600_000, ..fast() };
        let given = Config::default();
        let rng_seed = if given.rng_seed == RngSeed::Random { RngSeed::Fixed(20_261_125) } else { given.rng_seed };
        let config = Config { cases, rng_seed, max_shrink_iters: 400, failure_persistence: None, ..given };
        let outcome = TestRunner::new(config).run(&values, |value| {
            runtime.block_on(async {
                execute(&test_db, "DELETE FROM job_dependencies; DELETE FROM job_events; DELETE FROM jobs")
                    .await
                    .unwrap();
                play(queue_on(&test_db, &options), value).await;
            });
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("on {}: {error}", test_db.name));
    }
}

pub(super) fn pick<T: Copy>(from: &[T], at: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[at % from.len()])
}

pub(super) fn new_job(jobs: &[JobId], needs: &[(usize, DependencyPolicy)]) -> NewJob {
    let mut job = probe("x");
    for (at, policy) in needs {
        let Some(id) = pick(jobs, *at) else { continue };
        if job.depends_on.iter().all(|(other, _)| *other != id) {
            job = job.depends_on(id, *policy);
        }
    }
    job
}

/// Enqueues as a running job does.
pub(super) async fn spawn(queue: &Queue, by: Fence, job: &NewJob) -> Result<JobId, Error> {
    let mut tx = queue.db().begin_write().await?;
    if cancel_requested(&mut tx, &by).await? {
        return Err(Error::CancelRequested(by.job));
    }
    let id = insert(&mut tx, job, Some(by.job)).await?.id;
    tx.commit().await?;
    Ok(id)
}

/// Says a line as a running job does.
pub(super) async fn say(queue: &Queue, fence: Fence) -> Result<(), Error> {
    let said = Lines::default();
    said.push(fence, JobEventLevel::Info, "a line", None, None);
    let mut tx = queue.db().begin_write().await?;
    lines::append(&mut tx, &said.take(), &mut Effects::default()).await?;
    Ok(tx.commit().await?)
}

/// Every job with what the model knows of it.
type Seen = (i64, String, i32, i64, bool, i64, i32);

async fn check(queue: &Queue, model: &Model, step: &Step) {
    const ALL: &str = "SELECT id, state, attempt, fence, cancel_requested, event_seq, \
                       CASE WHEN state = 'waiting' THEN waits_for ELSE 0 END FROM jobs ORDER BY id";
    let mut tx = queue.db().begin_read().await.unwrap();
    let rows: Vec<Seen> = on!(&mut tx, connection => sqlx::query_as(ALL).fetch_all(connection).await.unwrap());
    let expected: Vec<Seen> = model
        .jobs
        .iter()
        .map(|(id, job)| {
            let open = job.edges.iter().filter(|edge| edge.open && job.state == JobState::Waiting).count();
            let state = job.state.as_str().to_owned();
            (id.0, state, job.attempt, job.fence, job.cancel_requested, job.lines, open as i32)
        })
        .collect();
    assert_eq!(rows, expected, "after {step:?}");
}

/// Takes the steps one after the other; after each, every row must be what the model says.
async fn play(queue: Queue, steps: Vec<Step>) {
    let mut model = Model::default();
    let mut fences: Vec<Fence> = Vec::new();
    for step in steps {
        let jobs: Vec<JobId> = model.jobs.keys().copied().collect();
        match &step {
            Step::Enqueue { needs, max_attempts, priority, key } => {
                let mut job = new_job(&jobs, needs).max_attempts(*max_attempts).priority(*priority);
                job.unique_key = key.map(|key| key.to_string());
                let holder = job.unique_key.as_deref().and_then(|key| model.holder(key));
                let enqueued = queue.enqueue(job.clone()).await.unwrap();
                match holder {
                    Some(holder) => assert_eq!((enqueued.id, enqueued.existing), (holder, true)),
                    None => model.enqueue(enqueued.id, &job, None),
                }
            }
            Step::Spawn { by, needs } => {
                let Some(by) = pick(&fences, *by) else { continue };
                let job = new_job(&jobs, needs);
                let allowed = model.holds(by) && !model.jobs[&by.job].cancel_requested;
                let spawned = spawn(&queue, by, &job).await;
                assert_eq!(spawned.is_ok(), allowed, "{spawned:?}");
                if let Ok(id) = spawned {
                    model.enqueue(id, &job, Some(by.job));
                }
            }
            Step::Claim { limit } => {
                let rows = claim(&queue, *limit).await;
                let mut best = model.claimable();
                best.truncate(*limit);
                assert_eq!(rows.iter().map(|row| row.priority).collect::<Vec<_>>(), best);
                for row in rows {
                    model.claim(row.fence());
                    fences.push(row.fence());
                }
            }
            Step::Beat { fence } => {
                let Some(fence) = pick(&fences, *fence) else { continue };
                let expected = model.holds(fence).then(|| (fence, model.jobs[&fence.job].cancel_requested));
                assert_eq!(queue.beat(&[fence]).await.unwrap(), expected.into_iter().collect::<Vec<_>>());
            }
            Step::Say { fence } => {
                let Some(fence) = pick(&fences, *fence) else { continue };
                say(&queue, fence).await.unwrap();
                if model.holds(fence) {
                    model.jobs.get_mut(&fence.job).unwrap().lines += 1;
                }
            }
            Step::Complete { fence, outcome } => {
                let Some(fence) = pick(&fences, *fence) else { continue };
                let expected = model.complete(fence, *outcome);
                assert_eq!(complete(&queue, fence, *outcome).await.unwrap(), expected, "{fence:?}");
            }
            Step::TakeAway { job } => {
                let Some(job) = pick(&jobs, *job) else { continue };
                model.reap(job);
                take_away(&queue, job).await;
            }
            Step::Cancel { job } => {
                let Some(job) = pick(&jobs, *job) else { continue };
                model.cancel(job);
                queue.cancel(job).await.unwrap();
            }
            Step::Requeue { job } => {
                let Some(job) = pick(&jobs, *job) else { continue };
                match (model.requeue(job), queue.requeue(job).await) {
                    (Ok(()), Ok(_)) | (Err(None), Err(Error::NotRequeueable { .. })) => {}
                    (Err(Some(held)), Err(Error::KeyTaken { key })) => assert_eq!(held, key),
                    other => panic!("{job}: {other:?}"),
                }
            }
        }
        check(&queue, &model, &step).await;
    }
    for id in model.jobs.keys() {
        check_history(&queue, *id).await;
    }
}

#[test]
fn any_sequence_of_steps_does_what_the_model_does() {
    on_random(60, prop::collection::vec(step(), 10..50), play);
}
