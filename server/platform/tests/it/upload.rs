use std::time::Duration;

use bytes::Bytes;
use tenor_domain::{Digest, ErrorKind, Timestamp, UploadId};

use crate::support::*;

#[tokio::test]
async fn an_upload_resumes_after_a_broken_stream_and_a_restart() {
    for bench in benches().await {
        let id = bench.uploads().start(&anyone(), "r.csv", Some(10), None).await.unwrap().id;
        let broken = futures::stream::iter([Ok(Bytes::from("hello")), Err(tenor_store::Error::Stream("gone".into()))]);
        let error = bench.uploads().append(&id, 0, broken).await.unwrap_err();
        check_error(&error, ErrorKind::Cancelled, "STREAM_BROKEN", "broke off");
        let restarted = open(&bench.database, &bench.folder, &bench.clock);
        let uploads = restarted.uploads();
        assert_eq!(uploads.get(&id).await.unwrap().received_bytes, 5);
        for offset in [0, 4, 6, 100] {
            let error = uploads.append_bytes(&id, offset, Bytes::from("x")).await.unwrap_err();
            check_error(&error, ErrorKind::Conflict, "UPLOAD_OFFSET", "continue at offset 5");
        }
        let error = uploads.complete(&id, None).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "UPLOAD_INCOMPLETE", "from offset 5");
        let error = uploads.append_bytes(&id, 5, Bytes::from("too much")).await.unwrap_err();
        check_error(&error, ErrorKind::ResourceExhausted, "TOO_LARGE", "10 bytes");
        assert_eq!(uploads.append_bytes(&id, 5, Bytes::from("world")).await.unwrap().received_bytes, 10);
        let digest = Digest::of(b"helloworld");
        let done = uploads.complete(&id, Some(digest)).await.unwrap();
        assert_eq!((done.digest, done.received_bytes), (Some(digest), 10));
        assert_eq!(uploads.complete(&id, Some(digest)).await.unwrap(), done);
        assert_eq!(uploads.get(&id).await.unwrap(), done);
        let error = uploads.append_bytes(&id, 10, Bytes::from("x")).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "UPLOAD_COMPLETE", "start a new one");
        assert_eq!(bench.blobs().get_bytes(&digest, 100).await.unwrap(), "helloworld");
        assert_eq!(std::fs::read_dir(bench.folder.path().join("uploads")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_wrong_digest_is_noticed_and_an_abandoned_upload_is_cleared_away() {
    for bench in benches().await {
        let uploads = bench.uploads();
        let id = uploads.start(&anyone(), "r.csv", None, None).await.unwrap().id;
        uploads.append_bytes(&id, 0, Bytes::from("abc")).await.unwrap();
        let error = uploads.complete(&id, Some(Digest::of(b"abd"))).await.unwrap_err();
        check_error(&error, ErrorKind::FailedPrecondition, "DIGEST_MISMATCH", "start a new upload");
        assert_eq!(uploads.clear(START).await.unwrap(), 0);
        assert_eq!(uploads.clear(Timestamp(START.0 + 1)).await.unwrap(), 1);
        assert_eq!(uploads.get(&id).await.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(uploads.abort(&id).await.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(
            uploads.append_bytes(&UploadId::new(), 0, Bytes::new()).await.unwrap_err().kind,
            ErrorKind::NotFound
        );
        assert_eq!(uploads.append_bytes(&id, -1, Bytes::new()).await.unwrap_err().violations[0].field, "offset");
        assert_eq!(uploads.start(&anyone(), "a\nb", None, None).await.unwrap_err().violations[0].field, "file_name");
        assert_eq!(uploads.start(&anyone(), "a", Some(-1), None).await.unwrap_err().violations[0].field, "size_bytes");
        let empty = uploads.start(&anyone(), "../../etc/passwd", Some(0), None).await.unwrap().id;
        assert_eq!(uploads.complete(&empty, None).await.unwrap().digest, Some(Digest::of(b"")));
    }
}

#[tokio::test]
async fn two_appends_at_once_do_not_mix() {
    for bench in benches().await {
        let id = bench.uploads().start(&anyone(), "r.csv", None, None).await.unwrap().id;
        let (sender, receiver) = futures::channel::mpsc::unbounded();
        sender.unbounded_send(Ok(Bytes::from("first"))).unwrap();
        let (platform, upload) = (bench.platform.clone(), id.clone());
        let slow = tokio::spawn(async move { platform.uploads().append(&upload, 0, receiver).await });
        // The first holds the upload once its bytes have arrived.
        while bench.uploads().get(&id).await.unwrap().received_bytes == 0 {
            tokio::task::yield_now().await;
        }
        let error = bench.uploads().append_bytes(&id, 5, Bytes::from("second")).await.unwrap_err();
        check_error(&error, ErrorKind::Conflict, "UPLOAD_BUSY", "where to resume");
        drop(sender);
        assert_eq!(slow.await.unwrap().unwrap().received_bytes, 5);
    }
}

#[tokio::test]
async fn a_start_that_is_repeated_is_one_upload_with_what_has_arrived_meanwhile() {
    for bench in benches().await {
        let uploads = bench.uploads();
        let id = key();
        let start = async |name: &str| uploads.start(&anyone(), name, Some(10), id.clone()).await;
        let first = start("r.csv").await.unwrap();
        assert_eq!(start("r.csv").await.unwrap(), first);
        uploads.append_bytes(&first.id, 0, Bytes::from("hello")).await.unwrap();
        let again = start("r.csv").await.unwrap();
        assert_eq!((&again.id, again.received_bytes), (&first.id, 5));
        let error = start("other.csv").await.unwrap_err();
        check_error(&error, ErrorKind::InvalidArgument, "REQUEST_ID_REUSED", "make a new UUID");
        uploads.abort(&first.id).await.unwrap();
        check_error(&start("r.csv").await.unwrap_err(), ErrorKind::NotFound, "NOT_FOUND", "use a new request_id");
    }
}

#[tokio::test]
async fn bytes_without_an_upload_are_removed_once_they_are_old() {
    for bench in benches().await {
        let day = Duration::from_secs(24 * 3_600);
        let folder = bench.folder.path().join("uploads");
        let file = |id: &UploadId, age: Duration| {
            let file = std::fs::File::options().create(true).append(true).open(folder.join(id.as_str())).unwrap();
            let written = file.metadata().unwrap().modified().unwrap();
            file.set_modified(written - age).unwrap();
        };
        let silent = bench.uploads().start(&anyone(), "r.csv", None, None).await.unwrap().id;
        bench.uploads().append_bytes(&silent, 0, Bytes::from("half")).await.unwrap();
        let (stray, young) = (UploadId::new(), UploadId::new());
        for (id, age) in [(&silent, 2 * day), (&stray, 2 * day), (&young, Duration::ZERO)] {
            file(id, age);
        }
        bench.tidy().await.unwrap();
        let left = |id: &UploadId| folder.join(id.as_str()).exists();
        assert_eq!([left(&silent), left(&stray), left(&young)], [true, false, true]);
        assert_eq!(bench.uploads().get(&silent).await.unwrap().received_bytes, 4);
    }
}
