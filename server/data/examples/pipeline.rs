//! Generates, imports and processes reviews and prints one JSON line a step with time and peak memory so far:
//! `pipeline <folder> [rows] [csv|jsonl] [threads] [defects]`. A source that is there already is used again.

use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

use tenor_data::{GenerateOptions, GeneratedFormat, ImportOptions, ProcessOptions, Work, generate, import, process};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().ok_or("usage: pipeline <folder> [rows] [csv|jsonl] [threads] [defects]")?);
    let rows: u64 = arguments.get(1).map_or(Ok(100_000), |text| text.parse())?;
    let format = match arguments.get(2).map(String::as_str) {
        Some("jsonl") => GeneratedFormat::JsonLines,
        _ => GeneratedFormat::KaggleCsv,
    };
    let threads = arguments.get(3).map_or(Ok(2), |text| text.parse())?;
    let defects = arguments.get(4).map_or(Ok(0.01), |text| text.parse())?;
    let work = Work { progress: &|_, _| (), cancelled: &|| false, threads, scratch: folder };
    let source = folder.join(format!("reviews-{rows}-{format:?}"));
    let started = Instant::now();
    if !source.exists() {
        let options = GenerateOptions { rows, format, defects, ..GenerateOptions::default() };
        generate(&options, &mut BufWriter::new(std::fs::File::create(&source)?))?;
    }
    print("generate", started, rows);
    let started = Instant::now();
    let imported = import(&source, &ImportOptions::default(), &folder.join("import"), &work)?;
    print("import", started, imported.rows_accepted);
    let started = Instant::now();
    let options = ProcessOptions::new(tenor_domain::Task::Star);
    let processed = process(&imported.data, &options, &folder.join("split"), &work)?;
    print("process", started, processed.report.rows_out);
    Ok(())
}

fn print(step: &str, started: Instant, rows: u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak_kib: u64 = peak.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
    let wall_s = (started.elapsed().as_secs_f64() * 100.0).round() / 100.0;
    println!("{}", serde_json::json!({"step": step, "rows": rows, "wall_s": wall_s, "peak_rss_mib": peak_kib >> 10}));
}
