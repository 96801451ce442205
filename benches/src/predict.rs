//! Predicting in this process, without a network: the floor under every answer.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};
use tenor_benches::hot_path::HotPath;
use tenor_benches::measure::Percentiles;

use crate::requests;

#[derive(Debug, clap::Args)]
pub struct Predict {
    /// A downloaded model
    #[arg(long)]
    model: PathBuf,
    /// JSON lines with `reviewText`
    #[arg(long)]
    bodies: PathBuf,
    #[arg(long, default_value_t = 50_000)]
    calls: usize,
}

impl Predict {
    pub fn run(self) -> anyhow::Result<Value> {
        let bytes = std::fs::read(&self.model).with_context(|| format!("cannot read `{}`", self.model.display()))?;
        let mut path = HotPath::load(&bytes)?;
        let texts = requests::texts(&self.bodies)?;
        let mut took_us = Vec::with_capacity(self.calls);
        for text in texts.iter().cycle().take(self.calls) {
            let began = Instant::now();
            black_box(path.answer(black_box(text))?);
            took_us.push(began.elapsed().as_secs_f64() * 1e6);
        }
        Ok(json!({ "us": Percentiles::of(took_us), "size": path.model().size(), "model_bytes": bytes.len() }))
    }
}
