//! What a command can fail with, and the exit code and hint of each.

use tenor_sdk::Kind;

/// Exit codes, as `--help` and the README list them.
pub mod exit {
    pub const OK: u8 = 0;
    pub const FAILURE: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const NOT_FOUND: u8 = 3;
    pub const PERMISSION: u8 = 4;
    pub const CONFLICT: u8 = 5;
    pub const INVALID: u8 = 6;
    pub const UNAVAILABLE: u8 = 7;
    pub const INTERRUPTED: u8 = 130;
}

/// Who stops waiting does not stop what is waited for.
const GOES_ON: &str = "what was begun goes on at the server: see `tenor job list`, `tenor study watch NAME`";

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server or the SDK said no.
    #[error(transparent)]
    Server(#[from] tenor_sdk::Error),
    /// A wrong argument that clap could not see.
    #[error("{0}")]
    Usage(String),
    /// Data or a model did not pass.
    #[error("{message}")]
    Invalid { message: String, hint: String },
    /// A local file.
    #[error("{0}")]
    File(String),
    /// A job ended badly.
    #[error("{message}")]
    Job { message: String, hint: String },
    /// Stdout was closed by its reader, e.g. `| head`. Not a failure.
    #[error("output closed")]
    Closed,
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
    #[error("no end within {0} s")]
    Late(u64),
    #[error("interrupted")]
    Interrupted,
}

/// Shorthand for results of commands.
pub type Result<T = ()> = std::result::Result<T, Error>;

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Output(error) }
    }
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }
    pub(crate) fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File(format!("cannot {doing} `{}`: {error}", path.display()))
    }
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Closed => exit::OK,
            Self::Usage(_) => exit::USAGE,
            Self::Invalid { .. } => exit::INVALID,
            Self::Late(_) => exit::UNAVAILABLE,
            Self::Interrupted => exit::INTERRUPTED,
            Self::File(_) | Self::Output(_) | Self::Job { .. } => exit::FAILURE,
            Self::Server(error) => kind_code(error.kind()),
        }
    }
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage(_) => Some("`--help` after any command shows its arguments".to_owned()),
            Self::Late(_) => Some(format!("allow more with --timeout; {GOES_ON}")),
            Self::Interrupted => Some(GOES_ON.to_owned()),
            Self::Invalid { hint, .. } | Self::Job { hint, .. } => Some(hint.clone()),
            Self::Server(error) => {
                if let Some(after) = error.retry_after() {
                    return Some(format!("try again in {:.1} s", after.as_secs_f64()));
                }
                kind_hint(error.kind()).map(str::to_owned)
            }
            Self::File(_) | Self::Closed | Self::Output(_) => None,
        }
    }
}

/// The exit code of a server's answer.
pub fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::NotFound => exit::NOT_FOUND,
        Kind::PermissionDenied => exit::PERMISSION,
        Kind::AlreadyExists | Kind::FailedPrecondition | Kind::Conflict => exit::CONFLICT,
        Kind::InvalidArgument => exit::INVALID,
        Kind::Unavailable | Kind::DeadlineExceeded | Kind::ResourceExhausted => exit::UNAVAILABLE,
        Kind::Cancelled => exit::INTERRUPTED,
        _ => exit::FAILURE,
    }
}

fn kind_hint(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::NotFound => "the `list` command of that noun shows what there is",
        Kind::AlreadyExists => "choose another name, or use `describe` and `update` on the one that exists",
        Kind::Conflict => "somebody else changed it; `describe` it again and repeat with its new etag",
        Kind::Unavailable => {
            "is a server running? start one with `tenor-server serve`, or name another with --server or TENOR_SERVER"
        }
        Kind::DeadlineExceeded => "allow more time with --timeout",
        Kind::Unimplemented => "the server is older than this command; upgrade it",
        Kind::Internal => "the server's log has the cause",
        _ => return None,
    })
}
