//! Arguments that datasets, experiments and models share.

use clap::Args;
use tenor_sdk::{Change, NewNamed};

use crate::context::{map, pair};
use crate::error::{Error, Result};

/// A new named thing.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Create {
    /// 1 to 63 lowercase letters, digits, inner `-`, `_`, `.`.
    pub name: String,
    #[arg(long, default_value = "")]
    pub description: String,
    /// May be repeated.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    pub tags: Vec<(String, String)>,
    /// A UUID; the same command with the same id is done once.
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
}

impl Create {
    pub(crate) fn request(self) -> NewNamed {
        let new = NewNamed::new(self.name).description(self.description).tags(map(self.tags));
        match self.request_id {
            Some(id) => new.request_id(id),
            None => new,
        }
    }
}

/// Which things to list.
#[derive(Debug, Args)]
#[group(skip)]
pub struct List {
    /// Only names that begin with this.
    #[arg(long, default_value = "")]
    pub prefix: String,
    #[command(flatten)]
    pub limit: Limit,
}

/// How many things to list.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Limit {
    /// 0 for all.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

/// A change of description or tags.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Update {
    /// Name or id.
    pub name: String,
    #[arg(long)]
    pub description: Option<String>,
    /// Replaces all tags; may be repeated.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = pair)]
    pub tags: Vec<(String, String)>,
    /// Removes all tags.
    #[arg(long, conflicts_with = "tags")]
    pub clear_tags: bool,
    /// Fail when the thing has another etag by now.
    #[arg(long, default_value = "")]
    pub etag: String,
}

impl Update {
    pub(crate) fn request(self) -> Result<(String, Change)> {
        let mut change = Change::new().etag(self.etag);
        if self.description.is_none() && self.tags.is_empty() && !self.clear_tags {
            return Err(Error::usage("nothing to change; give --description, --tag or --clear-tags"));
        }
        if let Some(text) = self.description {
            change = change.description(text);
        }
        if self.clear_tags || !self.tags.is_empty() {
            change = change.tags(map(self.tags));
        }
        Ok((self.name, change))
    }
}

/// A removal.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Delete {
    /// Name or id.
    pub name: String,
    /// Fail when the thing has another etag by now.
    #[arg(long, default_value = "")]
    pub etag: String,
}
