//! Exit codes, help and errors.

use tenor_cli::{exit, kind_code, run};
use tenor_sdk::Kind;

fn tenor(args: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(std::iter::once(&"tenor").chain(args), &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// A port on which nobody listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn help_goes_to_stdout_and_lists_the_exit_codes() {
    let (code, out, err) = tenor(&["--help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for word in ["Exit codes:", "130 interrupted", "TENOR_SERVER", "dataset", "predict", "completions"] {
        assert!(out.contains(word), "{word}: {out}");
    }
}

#[test]
fn wrong_usage_is_2_and_leaves_stdout_empty() {
    for args in [
        &["nonsense"][..],
        &["dataset", "import"],
        &["run", "train", "--experiment", "e"],
        &["run", "train", "--experiment", "e", "--dataset", "d", "--alias", "champion"],
        &["predict", "d"],
        &["dataset", "describe-version", "d@x"],
        &["dataset", "update", "d"],
        &["dataset", "update", "d", "--tag", "nokey"],
        &["deployment", "create", "d", "--model", "m"],
        &["deployment", "create", "d", "--model", "m", "--alias", "a", "--version", "1"],
        &["alias", "get", "m", "a", "--as-of", "yesterday"],
        &["job", "describe", "x"],
        &["predict", "d", "t", "--explain", "101"],
        &["ping", "--server", "ftp://x"],
        &["ping", "--server", "not a url"],
        &["ping", "--timeout", "0"],
    ] {
        let (code, out, err) = tenor(args);
        assert_eq!((code, out.as_str()), (exit::USAGE, ""), "{args:?}: {err}");
        assert!(err.starts_with("error: "), "{args:?}: {err}");
    }
}

#[test]
fn a_server_that_is_away_is_7_with_a_hint() {
    let server = nowhere();
    let (code, out, err) = tenor(&["dataset", "list", "--server", &server]);
    assert_eq!((code, out.as_str()), (exit::UNAVAILABLE, ""), "{err}");
    let expected = format!("error: no connection to {server}: ");
    assert!(err.starts_with(&expected), "{err}");
    assert!(err.contains("\n\nhint: is a server running?"), "{err}");
}

#[test]
fn a_missing_file_is_1_and_named() {
    let (code, _, err) = tenor(&["dataset", "import", "no-such-file.csv", "--dataset", "d", "--server", &nowhere()]);
    assert_eq!(code, exit::FAILURE);
    assert!(err.contains("no-such-file.csv"), "{err}");
}

#[test]
fn the_timeout_ends_a_command_with_7() {
    // Accepts and never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let start = std::time::Instant::now();
    let (code, _, err) = tenor(&["dataset", "list", "--server", &server, "--timeout", "1"]);
    assert_eq!(code, exit::UNAVAILABLE, "{err}");
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
    drop(listener);
}

#[test]
fn each_kind_of_error_has_its_documented_exit_code() {
    for (kind, code) in [
        (Kind::NotFound, 3),
        (Kind::PermissionDenied, 4),
        (Kind::AlreadyExists, 5),
        (Kind::FailedPrecondition, 5),
        (Kind::Conflict, 5),
        (Kind::InvalidArgument, 6),
        (Kind::Unavailable, 7),
        (Kind::DeadlineExceeded, 7),
        (Kind::ResourceExhausted, 7),
        (Kind::Internal, 1),
        (Kind::Io, 1),
    ] {
        assert_eq!(kind_code(kind), code, "{kind:?}");
    }
}

#[test]
fn completions_name_the_nouns() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, out, _) = tenor(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(out.contains("deployment"), "{shell}");
    }
}
