//! Every unary method against messages that make no sense: the answer is never that the server is at fault.

use prost_types::field_descriptor_proto::Type;
use tenor_store::testing::databases;
use tonic::Code;

use crate::fixture::{Fixture, fill, fixture};
use crate::support::start_on;
use crate::wire::{self, Rpc, Value};

/// Waits for as long as it is told.
const WAITS: &str = "JobService/WaitJob";

fn unary() -> Vec<Rpc> {
    let rpcs: Vec<Rpc> = wire::rpcs().into_iter().filter(|rpc| rpc.unary && rpc.name != WAITS).collect();
    assert!(rpcs.len() > 45, "{}", rpcs.len());
    rpcs
}

fn check(rpc: &Rpc, message: &[u8], answer: Result<Vec<u8>, tonic::Status>) {
    let Err(status) = answer else { return };
    let fault = [Code::Internal, Code::Unknown, Code::DataLoss, Code::Unavailable, Code::DeadlineExceeded];
    assert!(!fault.contains(&status.code()), "{}: {status:?} to {message:?}", rpc.name);
}

#[tokio::test]
async fn an_empty_message_is_answered_or_refused_by_every_method() {
    let fixture = fixture().await;
    for rpc in unary() {
        match rpc.call(&fixture.channel, &[]).await {
            // Lists without arguments, and an upload of nobody knows what.
            Ok(_) => assert!(rpc.name.contains("/List") || rpc.name.ends_with("/StartUpload"), "{}", rpc.name),
            Err(status) => {
                let expected = [Code::InvalidArgument, Code::NotFound];
                assert!(expected.contains(&status.code()), "{}: {status:?}", rpc.name);
            }
        }
    }
}

/// Names that are there, so that calls get far, and texts that should not.
fn texts(fixture: &Fixture) -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        "kindle",
        "e",
        "stars",
        "champion",
        "front",
        "new",
        "1",
        "latest",
        "{}",
        "logreg",
        "loss",
        "search",
        "client",
        "knee",
        "\0",
        "a\0b",
        "\u{202e}",
        "'; DROP TABLE runs; --",
        "🦀",
        "../../etc/passwd",
        "NaN",
        "-1",
        "{\"a\": \"\\u0000\"}",
    ]
    .iter()
    .map(|text| (*text).to_owned())
    .collect();
    texts.push("x".repeat(300_000));
    texts.extend([&fixture.runs[0], &fixture.trained].map(ToString::to_string));
    texts.extend([fixture.upload.to_string(), fixture.split.clone(), "0".repeat(64)]);
    texts
}

fn message(rpc: &Rpc, texts: &[String], dice: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    const INTEGERS: [i64; 10] = [0, 1, 2, -1, 77, 1_000, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN];
    let mut message = Vec::new();
    for (field, kind) in rpc.scalars() {
        let value = match kind {
            _ if dice(4) == 0 => continue,
            Type::String | Type::Bytes => Value::Text(&texts[dice(texts.len())]),
            // Of 32 bits the lower ones count.
            Type::Int32 | Type::Int64 | Type::Uint64 | Type::Enum | Type::Bool => Value::Integer(INTEGERS[dice(10)]),
            other => panic!("{}: a {other:?} field", rpc.name),
        };
        message = rpc.set(&message, &field, value);
    }
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_makes_a_method_fail_on_either_database() {
    for database in databases().await {
        let folder = tempfile::tempdir().unwrap();
        let server = start_on(database.db(), folder, tenor_api::Limits::default(), Default::default()).await;
        let fixture = fill(server).await;
        let texts = texts(&fixture);
        let mut state = 42u64;
        let mut dice = |sides: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((state >> 33) % sides as u64).unwrap()
        };
        let (mut answered, mut refused) = (0, 0);
        for rpc in unary() {
            for _ in 0..40 {
                let message = message(&rpc, &texts, &mut dice);
                let answer = rpc.call(&fixture.channel, &message).await;
                if answer.is_ok() {
                    answered += 1
                } else {
                    refused += 1
                };
                check(&rpc, &message, answer);
            }
        }
        assert!(answered > 100 && refused > 1_000, "{answered} answered, {refused} refused on {}", database.name);
        fixture.server.shutdown.cancel();
    }
}
