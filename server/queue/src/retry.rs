//! The gap before the next attempt.

use tenor_domain::JobId;

use crate::QueueOptions;

/// Milliseconds to wait after failed attempt `attempt` (1, 2, ...) of `job`:
/// `min(cap, base * 2^(attempt - 1)) * jitter`, jitter in [0.8, 1.2) drawn from the job's id and the attempt, so that
/// jobs that failed together do not come back together, and a test can foretell it. Below the cap each gap is longer
/// than the one before, whatever the jitter: 2 * 0.8 > 1.2.
pub fn backoff_ms(options: &QueueOptions, job: JobId, attempt: i32) -> u64 {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(40);
    let gap = options.retry_base_ms.saturating_mul(1 << doublings).min(options.retry_cap_ms).min(1 << 50);
    let draw = mixed(job.0.cast_unsigned() ^ u64::from(attempt.cast_unsigned()).rotate_left(32));
    gap.saturating_mul(800 + draw % 400) / 1_000
}

/// Spreads polls: between 75 % and 125 % of `gap`, by a draw from `seed`.
pub(crate) fn jittered(gap: std::time::Duration, seed: u64) -> std::time::Duration {
    let thousandths = u32::try_from(750 + mixed(seed) % 500).unwrap_or(1_000);
    gap * thousandths / 1_000
}

/// The finalizer of splitmix64 (Steele, Lea, Flood 2014): equal inputs, equal draws.
fn mixed(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
