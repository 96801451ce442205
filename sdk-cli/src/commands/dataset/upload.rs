//! `tenor dataset upload`: the steps one by one, for uploads that outlive a process.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::context::Context;
use crate::error::{Error, Result};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Begin an upload of a file; nothing is sent yet.
    Start { file: PathBuf },
    /// Send what the server does not have yet of the file, and complete the upload.
    Send { upload: String, file: PathBuf },
    /// Show how far an upload is.
    Show { upload: String },
    /// End an upload.
    Complete {
        upload: String,
        /// Expected SHA-256 in hexadecimal; not checked when left out.
        #[arg(long, default_value = "")]
        digest: String,
    },
}

pub(crate) async fn run(verb: Verb, context: &mut Context<'_>) -> Result {
    let datasets = context.client.datasets();
    let upload = match verb {
        Verb::Start { file } => {
            let meta = std::fs::metadata(&file).map_err(|error| Error::file("read", &file, &error))?;
            datasets.start_upload(label(&file), meta.len()).await?
        }
        Verb::Send { upload, file } => {
            let bar = context.bar(0, "bytes");
            bar.set_message("upload");
            let sent = datasets
                .resume_upload(upload, &file, |sent, size| {
                    bar.set_length(size);
                    bar.set_position(sent);
                })
                .await;
            bar.finish_and_clear();
            sent?
        }
        Verb::Show { upload } => datasets.upload(upload).await?,
        Verb::Complete { upload, digest } => datasets.complete_upload(upload, digest).await?,
    };
    context.item(&upload)
}

/// The file's own name, without its folders.
fn label(file: &Path) -> String {
    file.file_name().map_or_else(|| "upload".to_owned(), |name| name.to_string_lossy().into_owned())
}
