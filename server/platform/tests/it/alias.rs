use tenor_domain::{AliasEvent, ErrorKind, Etag, PageRequest, Timestamp};
use tenor_platform::AliasMove;

use crate::support::*;

async fn set(bench: &Bench, version: i64) -> AliasEvent {
    bench
        .models()
        .set_alias(&anyone(), "stars", &alias("champion"), AliasMove { why: "better", ..AliasMove::to(version) })
        .await
        .unwrap()
}

async fn with_versions(bench: &Bench, count: usize) {
    for n in 0..count {
        bench.version("stars", &n.to_string()).await;
    }
}

#[tokio::test]
async fn an_alias_tells_what_it_meant_at_any_time() {
    for bench in benches().await {
        with_versions(&bench, 3).await;
        let models = bench.models();
        let champion = alias("champion");
        let first = set(&bench, 1).await;
        assert_eq!((first.version, first.previous, first.at, first.etag), (Some(1), None, START, Etag(1)));
        assert_eq!((first.actor.as_str(), first.why.as_str()), ("anonymous", "better"));
        bench.clock.advance_ms(1_000);
        set(&bench, 3).await;
        bench.clock.advance_ms(1_000);
        let removed = models.delete_alias(&anyone(), "stars", &champion, None, "broken").await.unwrap();
        assert_eq!((removed.version, removed.previous, removed.etag), (None, Some(3), Etag(3)));
        bench.clock.advance_ms(1_000);
        set(&bench, 2).await;

        let as_of = async |ms: i64| models.get_alias("stars", &champion, Some(Timestamp(START.0 + ms))).await;
        for (ms, version) in [
            (0, Some(1)),
            (999, Some(1)),
            (1_000, Some(3)),
            (1_999, Some(3)),
            (2_000, None),
            (2_999, None),
            (3_000, Some(2)),
            (1 << 50, Some(2)),
        ] {
            assert_eq!(as_of(ms).await.unwrap().version, version, "{ms} ms on {}", bench.database.name);
        }
        for before in [Timestamp(START.0 - 1), Timestamp(i64::MIN)] {
            let error = models.get_alias("stars", &champion, Some(before)).await.unwrap_err();
            check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "had no alias `champion` then");
        }
        assert_eq!(models.get_alias("stars", &champion, None).await.unwrap().version, Some(2));
        assert_eq!(models.get("stars").await.unwrap().aliases["champion"], 2);

        let history = models.alias_history("stars", &champion, PageRequest::first(3)).await.unwrap();
        assert_eq!(history.items.iter().map(|event| event.version).collect::<Vec<_>>(), [Some(2), None, Some(3)]);
        let rest = PageRequest { size: 3, cursor: history.next };
        let rest = models.alias_history("stars", &champion, rest).await.unwrap();
        assert_eq!((rest.items.as_slice(), rest.next), (std::slice::from_ref(&first), None));
        let other = models.alias_history("stars", &alias("other"), PageRequest::first(3)).await.unwrap();
        assert!(other.items.is_empty());
    }
}

#[tokio::test]
async fn setting_what_is_set_changes_nothing_and_a_missing_version_is_refused() {
    for bench in benches().await {
        with_versions(&bench, 2).await;
        let models = bench.models();
        let first = set(&bench, 1).await;
        bench.clock.advance_ms(5);
        assert_eq!(set(&bench, 1).await, first);
        for version in [3, 0, -1, i64::MAX, i64::MIN] {
            let set = models.set_alias(&anyone(), "stars", &alias("champion"), AliasMove::to(version)).await;
            check_error(&set.unwrap_err(), ErrorKind::NotFound, "NOT_FOUND", "latest is 2");
        }
        let error = models.delete_alias(&anyone(), "stars", &alias("other"), None, "").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        models.delete_alias(&anyone(), "stars", &alias("champion"), Some(Etag(1)), "").await.unwrap();
        let error = models.delete_alias(&anyone(), "stars", &alias("champion"), None, "").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(models.get("stars").await.unwrap().aliases.is_empty());
        let error = models.get_version("stars", "champion").await.unwrap_err();
        check_error(&error, ErrorKind::NotFound, "NOT_FOUND", "has no alias `champion`");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_reorder_the_history() {
    for bench in benches().await {
        with_versions(&bench, 2).await;
        let first = set(&bench, 1).await;
        bench.clock.advance_ms(-60_000);
        let second = set(&bench, 2).await;
        assert!(second.at >= first.at, "{second:?}");
        let now = bench.models().get_alias("stars", &alias("champion"), Some(first.at)).await.unwrap();
        assert_eq!(now, second);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_set_an_alias_under_one_etag_one_wins() {
    for bench in benches().await {
        with_versions(&bench, 12).await;
        // Etag 0 expects an alias that was never set; later ones are read.
        for etag in [Etag(0), Etag(1), Etag(2)] {
            let current = bench.models().get("stars").await.unwrap().aliases.get("champion").copied();
            let calls: Vec<_> = (1..=12)
                .filter(|version| Some(*version) != current)
                .map(|version| {
                    let platform = bench.platform.clone();
                    tokio::spawn(async move {
                        let champion = alias("champion");
                        platform
                            .models()
                            .set_alias(
                                &anyone(),
                                "stars",
                                &champion,
                                AliasMove { etag: Some(etag), ..AliasMove::to(version) },
                            )
                            .await
                    })
                })
                .collect();
            let mut winners = Vec::new();
            for call in calls {
                match call.await.unwrap() {
                    Ok(event) => winners.push(event),
                    Err(error) => check_error(&error, ErrorKind::Conflict, "STALE_ETAG", "read it again"),
                }
            }
            assert_eq!(winners.len(), 1, "{} on {}", etag.0, bench.database.name);
            assert_eq!(winners[0].etag, Etag(etag.0 + 1));
            assert_eq!(bench.models().get_alias("stars", &alias("champion"), None).await.unwrap(), winners[0]);
        }
        // Removal is a change like another.
        let stale = bench.models().delete_alias(&anyone(), "stars", &alias("champion"), Some(Etag(2)), "").await;
        check_error(&stale.unwrap_err(), ErrorKind::Conflict, "STALE_ETAG", "read it again");
    }
}
