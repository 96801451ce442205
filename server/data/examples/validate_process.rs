//! Our side of the peers' `validate_process.py`: `validate_process <reviews.jsonl> [threads]` prints the same JSON fields.

use std::path::Path;
use std::time::Instant;

use tenor_data::{Work, peer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let source = arguments.next().ok_or("usage: validate_process <reviews.jsonl> [threads]")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.next().map_or(Ok(cores), |text| text.parse())?;
    let source = Path::new(&source);
    let out = tempfile::tempdir()?;
    let work = Work { progress: &|_, _| (), cancelled: &|| false, threads, scratch: out.path() };
    let (started, cpu) = (Instant::now(), cpu_s());
    let violations = peer::run(source, out.path(), &work)?;
    let (wall_s, cpu_s) = (started.elapsed().as_secs_f64(), cpu_s() - cpu);
    let peak = peak_rss_mib();
    let size = std::fs::metadata(out.path().join("peer.parquet"))?.len();
    let checksum = peer::checksum(out.path())?;
    let report = serde_json::json!({
        "bench": "validate_process", "engine": "tenor", "threads": threads,
        "input_mib": std::fs::metadata(source)?.len() >> 20,
        "wall_s": round(wall_s), "cpu_s": round(cpu_s), "peak_rss_mib": peak,
        "violations": violations, "checksum": checksum, "parquet_mib": size >> 20,
    });
    println!("{report}");
    Ok(())
}

fn round(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

/// User and system time of this process; 0 where `/proc` is missing.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: f64 = after.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|kib| kib.parse::<f64>().ok())
        .map_or(0.0, |kib| (kib / 102.4).round() / 10.0)
}
