//! `tenor-server generate`: synthetic reviews for demos, tests and benches.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use tenor_data::{GenerateOptions, GeneratedFormat, generate};

pub fn run(out: &Path, rows: u64, seed: u64, defects: f64) -> anyhow::Result<()> {
    let format = match out.extension().and_then(|e| e.to_str()) {
        Some("csv") => GeneratedFormat::KaggleCsv,
        Some("jsonl" | "json") => GeneratedFormat::JsonLines,
        _ => bail!("`{}`: the name must end in .csv or .jsonl", out.display()),
    };
    if !(0.0..=1.0).contains(&defects) {
        bail!("--defects must be 0 to 1, got {defects}");
    }
    let file = File::create(out).with_context(|| format!("cannot create `{}`", out.display()))?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let options = GenerateOptions { rows, seed, format, defects, ..GenerateOptions::default() };
    generate(&options, &mut writer)?;
    writer.flush().with_context(|| format!("cannot write `{}`", out.display()))?;
    eprintln!("wrote {rows} synthetic reviews to {}", out.display());
    Ok(())
}
