//! Percentiles and processor time.

use std::io;

use serde::Serialize;

/// Exact percentiles, in the unit of the samples; `None` without samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    pub n: usize,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

impl Percentiles {
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let n = samples.len();
        let at = |share: f64| samples.get(((n as f64 * share) as usize).min(n.saturating_sub(1))).copied();
        Self { n, p50: at(0.50), p95: at(0.95), p99: at(0.99), max: samples.last().copied() }
    }
}

/// Processor seconds, user and system, of all threads that a process has and had, from `/proc`.
pub fn cpu_seconds(pid: u32) -> io::Result<f64> {
    /// USER_HZ: 100 on every Linux that programs see, whatever the kernel's own clock.
    const TICKS_A_SECOND: f64 = 100.0;
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    ticks(&text)
        .map(|ticks| ticks as f64 / TICKS_A_SECOND)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat reads `{text}`")))
}

/// Fields 14 and 15. The name in field 2 may hold anything, so counting begins after its closing bracket.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_and_nothing_has_none() {
        let found = Percentiles::of((0..1000).rev().map(f64::from).collect());
        assert_eq!((found.p50, found.p99, found.max), (Some(500.0), Some(990.0), Some(999.0)));
        assert_eq!(Percentiles::of(vec![7.0]).p99, Some(7.0));
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
    }

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 1 1 1";
        assert_eq!(ticks(stat), Some(300));
        assert!(cpu_seconds(std::process::id()).is_ok());
    }
}
