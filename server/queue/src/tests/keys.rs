//! Unique keys of jobs that wait for others.

use tenor_domain::JobState;

use super::steps::{claim_only, end, states};
use super::*;
use crate::finish::Outcome;
use crate::{DependencyPolicy, Error};

#[tokio::test]
async fn a_waiting_job_holds_its_key_and_keeps_its_own_dependencies() {
    on_each(|queue, _| async move {
        let one = queue.enqueue(probe("one")).await.unwrap().id;
        let two = queue.enqueue(probe("two").queue("elsewhere")).await.unwrap().id;
        let child = || probe("child").unique_key("k");
        let first = queue.enqueue(child().depends_on(one, DependencyPolicy::AllSuccess)).await.unwrap();
        let second = queue.enqueue(child().depends_on(two, DependencyPolicy::AllSuccess)).await.unwrap();
        assert_eq!((second.id, second.existing), (first.id, true));
        let fence = claim_only(&queue, one).await;
        end(&queue, fence, Outcome::Succeeded).await;
        assert_eq!(states(&queue, [first.id, two]).await, [JobState::Ready; 2], "the second request added no edge");
    })
    .await;
}

#[tokio::test]
async fn the_key_of_a_job_that_failed_with_its_parent_is_free_again() {
    on_each(|queue, _| async move {
        let parent = queue.enqueue(probe("parent").max_attempts(1)).await.unwrap().id;
        let child = |parent| probe("child").unique_key("k").depends_on(parent, DependencyPolicy::AllSuccess);
        let first = queue.enqueue(child(parent)).await.unwrap().id;
        let fence = claim_only(&queue, parent).await;
        end(&queue, fence, Outcome::Failed).await;
        let next = queue.enqueue(probe("next")).await.unwrap().id;
        let second = queue.enqueue(child(next)).await.unwrap();
        assert!(!second.existing);
        assert_eq!(states(&queue, [first, second.id]).await, [JobState::Failed, JobState::Waiting]);
        assert!(matches!(queue.requeue(first).await, Err(Error::KeyTaken { key }) if key == "k"));
        queue.cancel(next).await.unwrap();
        assert_eq!(queue.requeue(first).await.unwrap().state, JobState::Ready);
    })
    .await;
}

#[tokio::test]
async fn a_live_key_answers_also_a_job_that_would_fail_at_birth() {
    on_each(|queue, _| async move {
        let parent = queue.enqueue(probe("parent").max_attempts(1)).await.unwrap().id;
        let fence = claim_only(&queue, parent).await;
        end(&queue, fence, Outcome::Failed).await;
        let holder = queue.enqueue(probe("holder").unique_key("k")).await.unwrap().id;
        let child = || probe("child").unique_key("k").depends_on(parent, DependencyPolicy::AllSuccess);
        let second = queue.enqueue(child()).await.unwrap();
        assert_eq!((second.id, second.existing), (holder, true));
        queue.cancel(holder).await.unwrap();
        let third = queue.enqueue(child()).await.unwrap();
        assert!(!third.existing);
        assert_eq!(states(&queue, [third.id]).await, [JobState::Failed]);
    })
    .await;
}
