//! Jobs that wait for others: policies, chains, and parents that end before, after and at the same time.

use futures::future::{join, join_all};
use tenor_domain::{JobId, JobState};

use super::steps::{claim, claim_only, complete, end, history, moves, states};
use super::*;
use crate::DependencyPolicy::{self, AllDone, AllSuccess, AnySuccess};
use crate::finish::Outcome::{self, Failed, Retry, Succeeded};
use crate::{Error, Fence};

/// How a parent ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Succeeds,
    Fails,
    IsCancelled,
}
use End::{Fails, IsCancelled, Succeeds};

async fn let_end(queue: &Queue, parent: Fence, how: End) {
    match how {
        Succeeds => end(queue, parent, Succeeded).await,
        Fails => end(queue, parent, Failed).await,
        IsCancelled => {
            queue.cancel(parent.job).await.unwrap();
            end(queue, parent, Outcome::Cancelled).await;
        }
    }
}

/// Running jobs, oldest first.
async fn parents(queue: &Queue, count: usize) -> Vec<Fence> {
    for _ in 0..count {
        queue.enqueue(probe("parent").max_attempts(1)).await.unwrap();
    }
    let mut rows = claim(queue, count).await;
    assert_eq!(rows.len(), count);
    rows.sort_by_key(|row| row.id);
    rows.iter().map(|row| row.fence()).collect()
}

fn after(parents: impl IntoIterator<Item = JobId>, policy: DependencyPolicy) -> NewJob {
    parents.into_iter().fold(probe("child"), |job, parent| job.depends_on(parent, policy))
}

fn ids(parents: &[Fence]) -> Vec<JobId> {
    parents.iter().map(|parent| parent.job).collect()
}

#[tokio::test]
async fn every_policy_judges_its_parents_by_how_they_ended_before_and_after_the_enqueue() {
    use JobState::{Cancelled, Failed, Ready};
    // Policy, ends of the parents, what a child becomes that was enqueued before these ends, and after them.
    let cases: [(DependencyPolicy, &[End], JobState, JobState); 13] = [
        (AllSuccess, &[Succeeds], Ready, Ready),
        (AllSuccess, &[Succeeds, Succeeds], Ready, Ready),
        (AllSuccess, &[Succeeds, Fails], Failed, Failed),
        (AllSuccess, &[Fails, Succeeds], Failed, Failed),
        (AllSuccess, &[Succeeds, IsCancelled], Cancelled, Failed),
        (AnySuccess, &[Succeeds, Succeeds], Ready, Ready),
        (AnySuccess, &[Succeeds, Fails, IsCancelled], Ready, Ready),
        (AnySuccess, &[IsCancelled, Fails, Succeeds], Ready, Ready),
        (AnySuccess, &[Fails, IsCancelled], Failed, Failed),
        (AnySuccess, &[IsCancelled], Failed, Failed),
        (AllDone, &[Succeeds], Ready, Ready),
        (AllDone, &[Fails, IsCancelled], Ready, Ready),
        (AllDone, &[IsCancelled, Fails, Succeeds], Ready, Ready),
    ];
    on_each(|queue, _| async move {
        for (policy, ends, if_before, if_after) in cases {
            let parents = parents(&queue, ends.len()).await;
            let before = queue.enqueue(after(ids(&parents), policy)).await.unwrap().id;
            for (parent, how) in parents.iter().zip(ends) {
                assert_ne!(states(&queue, [before]).await, [Ready], "{policy:?} {ends:?}: it must wait for all");
                let_end(&queue, *parent, *how).await;
            }
            let later = queue.enqueue(after(ids(&parents), policy)).await.unwrap().id;
            assert_eq!(states(&queue, [before, later]).await, [if_before, if_after], "{policy:?} {ends:?}");
            for row in claim(&queue, 10).await {
                end(&queue, row.fence(), Succeeded).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_parent_that_must_succeed_and_does_not_fails_its_child_at_once_and_is_named() {
    on_each(|queue, _| async move {
        let parents = parents(&queue, 2).await;
        let child = queue.enqueue(after(ids(&parents), AllSuccess)).await.unwrap().id;
        end(&queue, parents[1], Failed).await;
        let job = queue.get(child).await.unwrap();
        assert_eq!(job.state, JobState::Failed);
        let named = format!("job {}, which it depends on, did not succeed", parents[1].job);
        assert_eq!(job.error.as_deref(), Some(named.as_str()));
        // The other one ends later and finds nobody who waits for it.
        end(&queue, parents[0], Succeeded).await;
        assert_eq!(moves(&history(&queue, child).await), ["failed"]);
    })
    .await;
}

#[tokio::test]
async fn policies_of_different_edges_hold_together() {
    on_each(|queue, _| async move {
        for (good, expected) in [(Some(1), JobState::Ready), (None, JobState::Failed)] {
            let parents = parents(&queue, 4).await;
            let job = after([parents[0].job], AllSuccess)
                .depends_on(parents[1].job, AnySuccess)
                .depends_on(parents[2].job, AnySuccess)
                .depends_on(parents[3].job, AllDone);
            let child = queue.enqueue(job).await.unwrap().id;
            end(&queue, parents[0], Succeeded).await;
            for (at, parent) in parents.iter().enumerate().skip(1) {
                assert_eq!(states(&queue, [child]).await, [JobState::Waiting]);
                end(&queue, *parent, if good == Some(at) { Succeeded } else { Failed }).await;
            }
            assert_eq!(states(&queue, [child]).await, [expected]);
            for row in claim(&queue, 10).await {
                end(&queue, row.fence(), Succeeded).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_failure_runs_down_a_chain_as_far_as_success_is_needed() {
    on_each(|queue, _| async move {
        let first = queue.enqueue(probe("first").max_attempts(2)).await.unwrap().id;
        let second = queue.enqueue(after([first], AllSuccess)).await.unwrap().id;
        let third = queue.enqueue(after([second], AllSuccess)).await.unwrap().id;
        let clean_up = queue.enqueue(after([third], AllDone)).await.unwrap().id;
        let last = queue.enqueue(after([clean_up], AllSuccess)).await.unwrap().id;
        let chain = [first, second, third, clean_up, last];
        let fence = claim_only(&queue, first).await;
        end(&queue, fence, Retry).await;
        // Attempts are left, so nothing has failed yet.
        assert_eq!(states(&queue, chain).await[1..], [JobState::Waiting; 4]);
        let fence = claim_only(&queue, first).await;
        end(&queue, fence, Retry).await;
        use JobState::{Failed, Ready, Waiting};
        assert_eq!(states(&queue, chain).await, [Failed, Failed, Failed, Ready, Waiting]);
        let fence = claim_only(&queue, clean_up).await;
        end(&queue, fence, Succeeded).await;
        assert_eq!(states(&queue, [last]).await, [Ready]);
    })
    .await;
}

#[tokio::test]
async fn a_chain_runs_in_order_and_a_delay_begins_with_the_enqueue() {
    on_each(|queue, _| async move {
        let running = echo(&queue);
        let mut chain = vec![queue.enqueue(probe("0")).await.unwrap().id];
        for n in 1..20 {
            let job = probe(&n.to_string()).depends_on(chain[n - 1], AllSuccess);
            chain.push(queue.enqueue(job).await.unwrap().id);
        }
        let late = queue.enqueue(after([chain[19]], AllSuccess).delay_ms(300)).await.unwrap().id;
        let late = ended(&queue, late).await;
        assert!(late.started_at.unwrap().0 >= late.created_at.0 + 300);
        let mut before = 0;
        for id in chain {
            let job = ended(&queue, id).await;
            assert!(job.started_at.unwrap().0 >= before);
            before = job.finished_at.unwrap().0;
        }
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_dependency_that_is_missing_or_has_two_policies_is_refused() {
    on_each(|queue, _| async move {
        let parent = queue.enqueue(probe("parent")).await.unwrap().id;
        let refused = async |job: NewJob, what: &str| match queue.enqueue(job).await {
            Err(Error::Invalid(error)) => assert!(error.message.contains(what), "{error}"),
            other => panic!("{other:?}"),
        };
        refused(after([parent, JobId(parent.0 + 1_000)], AllDone), "does not exist (any more)").await;
        refused(after([JobId(0)], AnySuccess), "job 0").await;
        refused(after([parent], AllDone).depends_on(parent, AllSuccess), "twice with different policies").await;
        refused(after((0..10_001).map(JobId), AllDone), "at most 10000 jobs, got 10001").await;
        // The same edge twice is one edge.
        let child = queue.enqueue(after([parent, parent], AllSuccess)).await.unwrap().id;
        let fence = claim_only(&queue, parent).await;
        end(&queue, fence, Succeeded).await;
        assert_eq!(states(&queue, [child]).await, [JobState::Ready]);
    })
    .await;
}

#[tokio::test]
async fn parents_that_end_at_the_same_time_free_their_join_once() {
    on_each(|queue, _| async move {
        let parents = parents(&queue, 24).await;
        let join = queue.enqueue(after(ids(&parents), AllDone)).await.unwrap().id;
        let ends = parents.iter().map(|parent| complete(&queue, *parent, Succeeded));
        assert!(join_all(ends).await.into_iter().all(|accepted| accepted.unwrap()));
        assert_eq!(moves(&history(&queue, join).await), ["ready"]);
        assert_eq!(claim(&queue, 10).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_join_enqueued_while_its_parents_end_is_not_forgotten() {
    on_each(|queue, _| async move {
        for round in 0..20 {
            let parents = parents(&queue, 4).await;
            let how = if round % 2 == 0 { Succeeded } else { Failed };
            let ends = join_all(parents.iter().map(|parent| complete(&queue, *parent, how)));
            let (ended, enqueued) = join(ends, queue.enqueue(after(ids(&parents), AllDone))).await;
            assert!(ended.into_iter().all(|accepted| accepted.unwrap()));
            let fence = claim_only(&queue, enqueued.unwrap().id).await;
            end(&queue, fence, Succeeded).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_parent_that_is_requeued_is_waited_for_again() {
    on_each(|queue, _| async move {
        let parents = parents(&queue, 2).await;
        let all_done = queue.enqueue(after(ids(&parents), AllDone)).await.unwrap().id;
        let any = queue.enqueue(after(ids(&parents), AnySuccess)).await.unwrap().id;
        let broken = queue.enqueue(after(ids(&parents), AllSuccess)).await.unwrap().id;
        for _ in 0..3 {
            let first = queue.row(parents[0].job).await.unwrap().fence();
            end(&queue, first, Failed).await;
            queue.requeue(first.job).await.unwrap();
            assert_eq!(states(&queue, [all_done, any]).await, [JobState::Waiting; 2]);
            claim_only(&queue, first.job).await;
        }
        end(&queue, parents[1], Failed).await;
        assert_eq!(states(&queue, [all_done, any]).await, [JobState::Waiting; 2], "one of two runs again");
        let first = queue.row(parents[0].job).await.unwrap().fence();
        end(&queue, first, Succeeded).await;
        assert_eq!(states(&queue, [all_done, any, broken]).await, [JobState::Ready, JobState::Ready, JobState::Failed]);
        assert_eq!(moves(&history(&queue, all_done).await), ["ready"]);
    })
    .await;
}
