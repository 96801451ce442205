//! One suite for every kind of blob store, and what becomes of blobs that a killed process left on their way in.

use std::fs::{File, FileTimes};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tempfile::TempDir;
use tenor_domain::{Digest, UploadId};
use tenor_store::{Blobs, Error, Spool};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A file that was written to two days ago.
fn aged(path: &Path) {
    let file = File::create(path).unwrap();
    let now = file.metadata().unwrap().modified().unwrap();
    file.set_times(FileTimes::new().set_modified(now - 2 * DAY)).unwrap();
}

struct Store {
    blobs: Blobs,
    _folder: TempDir,
}

/// A folder, an object store in memory and, where `TENOR_TEST_S3_URL` names one, S3.
fn stores() -> Vec<Store> {
    let options: Vec<_> = std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect();
    let mut all = Vec::new();
    for url in [None, Some("memory:///below/this".to_owned())].into_iter().chain(s3().map(Some)) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = match &url {
            None => Blobs::folder(folder.path()).unwrap(),
            Some(url) => Blobs::open(url, &options, folder.path()).unwrap(),
        };
        all.push(Store { blobs, _folder: folder });
    }
    all
}

fn s3() -> Option<String> {
    let url = std::env::var("TENOR_TEST_S3_URL").ok()?;
    // A place of its own for each test.
    Some(format!("{url}/{}", UploadId::new().as_str()))
}

/// Bytes that do not repeat, and their digest.
fn bytes(size: usize) -> (Bytes, Digest) {
    let bytes: Bytes = (0_u32..).flat_map(u32::to_le_bytes).take(size).collect();
    (bytes.clone(), Digest::of(&bytes))
}

fn pieces(bytes: &Bytes) -> impl futures::Stream<Item = Result<Bytes, Error>> + Send + use<> {
    let bytes = bytes.clone();
    let starts = (0..bytes.len()).step_by(300_000);
    stream::iter(starts.map(move |at| Ok(bytes.slice(at..bytes.len().min(at + 300_000)))).collect::<Vec<_>>())
}

async fn read(blobs: &Blobs, digest: &Digest, range: Range<u64>) -> Vec<u8> {
    let mut stream = blobs.get_stream(digest, Some(range)).await.unwrap();
    let mut found = Vec::new();
    while let Some(chunk) = stream.next().await {
        found.extend_from_slice(&chunk.unwrap());
    }
    found
}

#[tokio::test]
async fn whichever_way_bytes_come_in_they_are_one_blob_and_come_back_whole_or_in_ranges() {
    for Store { blobs, _folder: folder } in stores() {
        // Nothing, one part, and several parts of an upload.
        for size in [0, 1, 70_000, 20 << 20] {
            let (expected, digest) = bytes(size);
            assert_eq!(blobs.size(&digest).await.unwrap(), None);
            let source = folder.path().join("source");
            std::fs::write(&source, &expected).unwrap();
            for _ in 0..2 {
                assert_eq!(blobs.put_stream(pieces(&expected), size as u64).await.unwrap(), (digest, size as u64));
                assert_eq!(blobs.put_file(&source).await.unwrap(), (digest, size as u64));
                assert_eq!(blobs.put_bytes(expected.clone()).await.unwrap(), digest);
            }
            assert_eq!(blobs.size(&digest).await.unwrap(), Some(size as u64));
            assert_eq!(blobs.get_bytes(&digest, size as u64).await.unwrap(), expected);
            let copy = folder.path().join("copy");
            assert_eq!(blobs.get_to_file(&digest, &copy).await.unwrap(), size as u64);
            assert_eq!(std::fs::read(&copy).unwrap(), expected);
            for (start, end) in [(0, 0), (0, size / 3), (size / 3, size), (size, size)] {
                assert_eq!(read(&blobs, &digest, start as u64..end as u64).await, expected[start..end]);
            }
            let beyond = blobs.get_stream(&digest, Some(0..size as u64 + 1)).await;
            assert!(matches!(beyond.err(), Some(Error::BlobRange { .. })));
        }
    }
}

#[tokio::test]
async fn of_many_who_put_the_same_bytes_at_once_all_succeed() {
    for Store { blobs, .. } in stores() {
        let (expected, digest) = bytes(9 << 20);
        let puts = (0..4).map(|_| blobs.put_stream(pieces(&expected), 1 << 30));
        for put in futures::future::join_all(puts).await {
            assert_eq!(put.unwrap(), (digest, 9 << 20));
        }
        assert_eq!(blobs.get_bytes(&digest, 1 << 30).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn what_is_missing_too_large_or_broken_off_is_said_and_leaves_nothing() {
    for Store { blobs, _folder: folder } in stores() {
        let (expected, digest) = bytes(400_000);
        assert!(matches!(blobs.get_bytes(&digest, 1).await, Err(Error::BlobMissing(missing)) if missing == digest));
        let copy = folder.path().join("copy");
        assert!(matches!(blobs.get_to_file(&digest, &copy).await, Err(Error::BlobMissing(_))));
        assert!(!copy.exists());
        blobs.put_stream(pieces(&expected), 399_999).await.unwrap_err();
        let broken = pieces(&expected).chain(stream::iter([Err(Error::Stream("gone".into()))]));
        assert!(blobs.put_stream(broken, 1 << 30).await.unwrap_err().to_string().contains("gone"));
        assert_eq!(blobs.size(&digest).await.unwrap(), None);
        blobs.put_bytes(expected).await.unwrap();
        let refused = blobs.get_bytes(&digest, 399_999).await;
        assert!(matches!(refused, Err(Error::BlobTooLarge { size_bytes: 400_000, limit_bytes: 399_999, .. })));
    }
}

#[tokio::test]
async fn bytes_that_changed_on_disk_are_noticed_by_every_whole_read() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::folder(folder.path()).unwrap();
    let (expected, digest) = bytes(400_000);
    blobs.put_bytes(expected.clone()).await.unwrap();
    let hex = digest.to_string();
    let path = folder.path().join("sha256").join(&hex[..2]).join(&hex[2..]);
    let changed = |at: usize| {
        let mut changed = expected.to_vec();
        changed[at] ^= 1;
        changed
    };
    for damaged in [changed(0), changed(399_999), expected[..399_999].to_vec(), Vec::new()] {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(blobs.get_bytes(&digest, 1 << 20).await, Err(Error::BlobCorrupt { .. })));
        let copy = folder.path().join("copy");
        assert!(matches!(blobs.get_to_file(&digest, &copy).await, Err(Error::BlobCorrupt { .. })));
        assert!(!copy.exists());
    }
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn what_a_killed_process_left_on_its_way_in_is_removed_and_blobs_stay() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::folder(folder.path()).unwrap();
    let digest = blobs.put_bytes(Bytes::from_static(b"blob")).await.unwrap();
    let incoming = folder.path().join("incoming");
    aged(&incoming.join(".tmpDead"));
    File::create(incoming.join(".tmpLive")).unwrap();
    assert_eq!(blobs.tidy(DAY).await.unwrap(), 1);
    assert!(incoming.join(".tmpLive").exists() && !incoming.join(".tmpDead").exists());
    assert_eq!(blobs.tidy(DAY).await.unwrap(), 0);
    assert_eq!(blobs.get_bytes(&digest, 10).await.unwrap(), "blob");
}

#[tokio::test]
async fn bytes_that_nobody_adds_to_are_found_by_their_upload() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let (old, new) = (UploadId::new(), UploadId::new());
    aged(&folder.path().join(old.as_str()));
    aged(&folder.path().join("not-ours.txt"));
    let bytes = stream::iter([Ok(Bytes::from_static(b"new"))]);
    spool.append(&new, 0, bytes, 10).await.unwrap();
    assert_eq!(spool.untouched(DAY).unwrap(), [old]);
}

#[tokio::test]
async fn a_stream_to_an_object_store_waits_in_the_scratch_folder_and_leaves_nothing_there() {
    let scratch = tempfile::tempdir().unwrap();
    let blobs = Blobs::open("memory:///", &[], scratch.path()).unwrap();
    let path = scratch.path().to_owned();
    let bytes = stream::iter(["a", "b"]).map(move |piece| {
        assert_eq!(count(&path), 1, "it is here and not in the system's folder");
        Ok(Bytes::from_static(piece.as_bytes()))
    });
    let (digest, size_bytes) = blobs.put_stream(bytes, 10).await.unwrap();
    assert_eq!((digest, size_bytes), (Digest::of(b"ab"), 2));
    assert_eq!(blobs.get_bytes(&digest, 10).await.unwrap(), "ab");
    let broken = stream::iter([Ok(Bytes::from_static(b"x")), Err(Error::Stream("gone".into()))]);
    blobs.put_stream(broken, 10).await.unwrap_err();
    assert_eq!(count(scratch.path()), 0);
    assert_eq!(blobs.tidy(DAY).await.unwrap(), 0);
}
