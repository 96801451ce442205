//! What the whole process logs: statements, and errors of the API.

use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

/// One event, its fields as text.
#[derive(Debug, Clone)]
pub struct Line {
    pub target: String,
    pub text: String,
}

struct Recorder;

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        if target == "sqlx::query" || target.starts_with("tenor_graphql") {
            let mut line = Line { target: target.to_owned(), text: String::new() };
            event.record(&mut line);
            LINES.lock().unwrap().push(line);
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.text += &format!("{}={value:?} ", field.name());
    }
}

/// Begins to record; more than once does no harm.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Recorder)).unwrap();
    });
}

/// The lines of `target` since the start.
pub fn lines(target: &str) -> Vec<Line> {
    LINES.lock().unwrap().iter().filter(|line| line.target.starts_with(target)).cloned().collect()
}
