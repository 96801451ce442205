use tenor_domain::{Digest, RequestId, RunId, Timestamp};
use tenor_store::request::{self, Claim};
use tenor_store::testing::databases;

fn keys(count: usize) -> Vec<RequestId> {
    (0..count).map(|_| RequestId::parse(RunId::new().as_str()).unwrap().unwrap()).collect()
}

#[tokio::test]
async fn old_keys_are_forgotten_in_batches_and_young_ones_stay() {
    for db in databases().await {
        let digest = Digest::of(b"request");
        let (old, young) = (keys(2_500), keys(3));
        let mut tx = db.begin_write().await.unwrap();
        for (keys, at) in [(&old, 1), (&young, 2)] {
            for keys in keys.chunks(500) {
                let claims: Vec<_> =
                    keys.iter().map(|key| Claim { principal: "p", key, digest: &digest, resource: "r" }).collect();
                request::claim_many(&mut tx, "M", &claims, Timestamp(at)).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        assert_eq!(request::prune(&db, Timestamp(1)).await.unwrap(), 0);
        assert_eq!(request::prune(&db, Timestamp(2)).await.unwrap(), 2_500);
        let mut tx = db.begin_read().await.unwrap();
        assert!(request::find(&mut tx, "p", &old[0]).await.unwrap().is_none());
        for key in &young {
            assert!(request::find(&mut tx, "p", key).await.unwrap().is_some());
        }
    }
}
