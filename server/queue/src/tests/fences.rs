//! Writes under a fence.

use tenor_domain::{ErrorKind, JobId, JobState, PageRequest};

use super::*;
use crate::claim::Claim;
use crate::{Error, Fence, JobFilter, check_fence};

#[tokio::test]
async fn the_last_write_and_the_completion_can_be_one_transaction() {
    on_each(|queue, _| async move {
        let other = queue.clone();
        let running = worker(&queue, move |context, probe| {
            let queue = other.clone();
            async move {
                let fence = context.fence();
                context.info("before").await;
                let value = context
                    .finish_with(|tx| {
                        Box::pin(async move {
                            check_fence(tx, &fence).await?;
                            let next = queue.enqueue_in(tx, NewJob::new("never", json!({}))).await?;
                            match probe.tag.as_str() {
                                "ok" => Ok(json!(next.id.0)),
                                _ => Err(JobError::fail("no")),
                            }
                        })
                    })
                    .await?;
                Ok(value)
            }
        });
        let good = queue.enqueue(probe("ok")).await.unwrap().id;
        let job = ended(&queue, good).await;
        assert_eq!(job.state, JobState::Succeeded);
        let written = JobId(job.result.unwrap().as_i64().unwrap());
        assert_eq!(queue.get(written).await.unwrap().kind, "never");
        let lines: Vec<_> = queue.events(good, 0, 100).await.unwrap().into_iter().map(|event| event.message).collect();
        assert_eq!(lines, ["running", "before", "succeeded"]);

        let bad = queue.enqueue(probe("bad")).await.unwrap().id;
        assert_eq!(ended(&queue, bad).await.state, JobState::Failed);
        let filter = JobFilter { kind: Some("never".to_owned()), states: Vec::new() };
        assert_eq!(queue.list(&filter, &PageRequest::first(10)).await.unwrap().items.len(), 1);
        assert_eq!(running.stop().await.ended, 2);
    })
    .await;
}

#[tokio::test]
async fn a_void_fence_is_refused_and_a_held_one_keeps_its_lease_until_commit() {
    on_each(|queue, name| async move {
        let id = queue.enqueue(probe("x")).await.unwrap().id;
        let claim = Claim { queue: "default", kinds: "[\"probe\"]", worker: "w", limit: 1 };
        let row = queue.claim(&claim).await.unwrap().remove(0);
        let fence = row.fence();
        assert_eq!(fence, Fence { job: id, token: 1 });

        let mut tx = queue.db().begin_write().await.unwrap();
        check_fence(&mut tx, &fence).await.unwrap();
        assert!(matches!(check_fence(&mut tx, &Fence { token: 2, ..fence }).await, Err(Error::LeaseLost(_))));
        if name == "postgres" {
            // While the writer's transaction is open, nobody takes the job away.
            model::expire(&queue, id).await.unwrap_err();
            assert!(queue.reap().await.unwrap().is_empty());
        }
        tx.commit().await.unwrap();
        model::expire(&queue, id).await.unwrap();
        assert_eq!(queue.reap().await.unwrap().len(), 1);
        let mut tx = queue.db().begin_write().await.unwrap();
        let error = check_fence(&mut tx, &fence).await.unwrap_err();
        assert_eq!(tenor_domain::Error::from(error).kind, ErrorKind::Conflict);
    })
    .await;
}
