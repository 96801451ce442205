//! What every command gets: the client, the two outputs, and the ways to use them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write};
use std::time::Duration;

use futures::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use tenor_sdk::types::{JobEventLevel, JobState};
use tenor_sdk::{Client, Items, Kind};

use crate::error::{Error, Result};
use crate::json::ToJson;
use crate::output::{self, Format};

/// One command's world.
pub(crate) struct Context<'a> {
    pub(crate) client: Client,
    pub(crate) server: String,
    pub(crate) format: Format,
    pub(crate) quiet: bool,
    pub(crate) yes: bool,
    /// Stdout may carry colour.
    pub(crate) colour: bool,
    pub(crate) out: &'a mut dyn Write,
    pub(crate) err: &'a mut dyn Write,
}

impl Context<'_> {
    /// One JSON value: as fields, as a document, or as a line.
    pub(crate) fn value(&mut self, value: &Value) -> Result {
        match self.format {
            Format::Table => output::fields(self.out, value)?,
            Format::Json => writeln!(self.out, "{value:#}")?,
            Format::Ndjson => writeln!(self.out, "{value}")?,
        }
        Ok(())
    }
    pub(crate) fn item(&mut self, item: &impl ToJson) -> Result {
        self.value(&item.to_json())
    }
    /// A list with the columns to show in a table, as paths; lines come while the pages come.
    pub(crate) async fn list<T: ToJson>(&mut self, mut items: Items<T>, limit: usize, columns: &[&str]) -> Result {
        let mut all = Vec::new();
        let mut count = 0;
        while let Some(item) = items.try_next().await? {
            if limit > 0 && count == limit {
                self.note(&format!("more than {limit}; --limit 0 shows all"))?;
                break;
            }
            count += 1;
            match self.format {
                Format::Ndjson => writeln!(self.out, "{}", item.to_json())?,
                Format::Table | Format::Json => all.push(item.to_json()),
            }
        }
        self.values(all, columns)
    }
    /// Values that are all there.
    pub(crate) fn values(&mut self, values: Vec<Value>, columns: &[&str]) -> Result {
        match self.format {
            Format::Json => writeln!(self.out, "{:#}", Value::Array(values))?,
            Format::Ndjson => {
                for value in values {
                    writeln!(self.out, "{value}")?;
                }
            }
            Format::Table => {
                let rows: Vec<Vec<String>> =
                    values.iter().map(|value| columns.iter().map(|path| output::cell(value, path)).collect()).collect();
                if rows.is_empty() {
                    self.note("none")?;
                } else {
                    let names: Vec<&str> = columns.iter().map(|path| path.rsplit('.').next().unwrap_or(path)).collect();
                    output::table(self.out, &names, &rows)?;
                }
            }
        }
        Ok(())
    }
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }
    /// A line for people, on stderr.
    pub(crate) fn note(&mut self, text: &str) -> Result {
        if !self.quiet {
            writeln!(self.err, "{}", output::clip(text, 1000))?;
        }
        Ok(())
    }
    /// Asks before something is destroyed.
    pub(crate) async fn confirm(&mut self, what: &str) -> Result {
        if self.yes {
            return Ok(());
        }
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Err(Error::usage(format!("{what} needs --yes when nobody can be asked")));
        }
        write!(self.err, "{what}? [y/N] ")?;
        self.err.flush()?;
        // On a thread of its own: while nobody answers, Ctrl-C and --timeout must.
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            stdin.lock().read_line(&mut answer).map(|_| answer)
        });
        let answer = answer.await.map_err(std::io::Error::other)??;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            Ok(())
        } else {
            Err(Error::usage("not confirmed, nothing was changed"))
        }
    }
    /// A bar on stderr, or nothing off a terminal.
    pub(crate) fn bar(&self, length: u64, unit: &str) -> ProgressBar {
        if self.quiet || !std::io::stderr().is_terminal() {
            return ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let template = match unit {
            "bytes" => "{msg:12} [{bar:30}] {bytes} of {total_bytes}  {bytes_per_sec}  {eta}",
            _ => "{msg:12} [{bar:30}] {percent:>3} %  {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar
    }
    /// Follows a job to its end with a bar; anything but success is an error. `what` is a word such as `import`. A job that is
    /// not there any more ended long ago, and its row says how.
    pub(crate) async fn finish_job(&mut self, job_id: i64, what: &str) -> Result {
        if job_id == 0 {
            return Ok(()); // what was asked for exists already
        }
        let bar = self.bar(1000, "share");
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        let mut lines = Vec::new();
        let followed = self
            .client
            .jobs()
            .follow(job_id, |event| {
                if let Some(share) = event.progress {
                    bar.set_position((share.clamp(0.0, 1.0) * 1000.0) as u64);
                }
                if matches!(event.level(), JobEventLevel::Warn | JobEventLevel::Error) {
                    let text = format!("{what}: {}", output::clip(&event.message, 500));
                    if bar.is_hidden() { lines.push(text) } else { bar.println(text) }
                }
            })
            .await;
        bar.finish_and_clear();
        for line in lines {
            self.note(&line)?;
        }
        let job = match followed {
            Ok(job) => job,
            Err(error) if error.kind() == Kind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        match job.state() {
            JobState::Succeeded => Ok(()),
            state => {
                let ended = if state == JobState::Cancelled { "was cancelled" } else { "failed" };
                let why =
                    if job.error.is_empty() { String::new() } else { format!(": {}", output::clip(&job.error, 1000)) };
                Err(Error::Job {
                    message: format!("{what} {ended}{why}"),
                    hint: format!("`tenor job watch {job_id}` shows what happened"),
                })
            }
        }
    }
}

/// `NAME` or `NAME@NUMBER`; the number 0 means the newest.
pub(crate) fn dataset_and_version(text: &str) -> Result<(String, i64)> {
    match text.split_once('@') {
        None => Ok((text.to_owned(), 0)),
        Some((name, number)) => match number.trim_start_matches('v').parse::<i64>() {
            Ok(number) if number > 0 => Ok((name.to_owned(), number)),
            _ if number == "latest" => Ok((name.to_owned(), 0)),
            _ => Err(Error::usage(format!("`{text}` is not NAME or NAME@NUMBER, e.g. reviews@2"))),
        },
    }
}

/// `key=value`.
pub(crate) fn pair(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not key=value")),
    }
}

/// `key=number`.
pub(crate) fn number_pair(text: &str) -> std::result::Result<(String, f64), String> {
    let (key, value) = pair(text)?;
    let number = value.trim().parse().map_err(|_| format!("`{value}` in `{text}` is not a number"))?;
    Ok((key, number))
}

pub(crate) fn map<V>(pairs: Vec<(String, V)>) -> BTreeMap<String, V> {
    pairs.into_iter().collect()
}

/// A value as JSON would read it (`1`, `0.5`, `true`, `[1, 2]`), else as text.
pub(crate) fn typed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
