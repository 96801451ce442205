//! Files of a run, to and fro.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use tenor_sdk::{DownloadRange, NewArtifact};

use crate::context::Context;
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub struct Download {
    pub run: String,
    /// The file's name in the run, e.g. `reports/evaluation.json`.
    pub name: String,
    /// The file to write; stdout when left out or `-`.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// First byte.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub offset: i64,
    /// Bytes; 0 for all.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub length: i64,
}

#[derive(Debug, Args)]
pub struct Upload {
    pub run: String,
    pub file: PathBuf,
    /// A slash-separated label; the file's own name when left out.
    #[arg(long)]
    pub name: Option<String>,
    /// Judged by the file's ending when left out.
    #[arg(long)]
    pub media_type: Option<String>,
}

pub(crate) async fn download(args: Download, context: &mut Context<'_>) -> Result {
    let range = DownloadRange { offset: args.offset, length: args.length };
    let parts = context.client.experiments().download_artifact(args.run, args.name, range).await?;
    let to = args.to.unwrap_or_else(|| PathBuf::from("-"));
    save(context, parts, &to, 0).await
}

/// Writes a download to a file, whole or not at all, or to stdout for `-`.
pub(crate) async fn save(
    context: &mut Context<'_>,
    mut parts: BoxStream<'static, tenor_sdk::Result<Vec<u8>>>,
    to: &Path,
    size: u64,
) -> Result {
    if to == Path::new("-") {
        while let Some(part) = parts.try_next().await? {
            context.out.write_all(&part)?;
        }
        return Ok(());
    }
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let bar = context.bar(size, "bytes");
    bar.set_message("download");
    let mut file = std::fs::File::create(&unfinished).map_err(|error| Error::file("write", &unfinished, &error))?;
    let mut written = 0;
    let ended = async {
        while let Some(part) = parts.try_next().await? {
            file.write_all(&part).map_err(|error| Error::file("write", &unfinished, &error))?;
            written += part.len() as u64;
            bar.set_position(written);
        }
        std::fs::rename(&unfinished, to).map_err(|error| Error::file("write", to, &error))
    }
    .await;
    bar.finish_and_clear();
    if ended.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    ended?;
    context.note(&format!("{written} bytes written to {}", to.display()))
}

pub(crate) async fn upload(args: Upload, context: &mut Context<'_>) -> Result {
    let size = std::fs::metadata(&args.file).map_err(|error| Error::file("read", &args.file, &error))?.len();
    let own = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(name) = args.name.or(own) else {
        return Err(Error::usage(format!("`{}` has no name; give --name", args.file.display())));
    };
    let media_type = args.media_type.unwrap_or_else(|| media_type(&name).to_owned());
    let bar = context.bar(size, "bytes");
    bar.set_message("upload");
    let new = NewArtifact::new(args.run, name).media_type(media_type);
    let stored = context.client.experiments().upload_artifact(new, &args.file, |sent| bar.set_position(sent)).await;
    bar.finish_and_clear();
    context.item(&stored?)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("csv") => "text/csv",
        Some("html") => "text/html",
        Some("txt" | "log" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
