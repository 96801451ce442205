//! Bootstrap percentile intervals (Efron 1979): rows are drawn with replacement, everything is scored again.

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;
use tenor_features::random::Random;

/// How many samples to draw, and from which streams of the seed.
#[derive(Clone, Copy)]
pub(crate) struct Bootstrap<'a> {
    pub resamples: u32,
    pub seed: u64,
    /// The stream of the first sample.
    pub stream: u64,
    pub stop: Stop<'a>,
}

impl Bootstrap<'_> {
    /// What `score` makes of each sample, given how often it holds each of `rows` rows. Sample `i` depends on the seed, the stream
    /// and `i` only.
    pub fn draw<T: Send>(&self, rows: usize, score: impl Fn(&[u32]) -> T + Sync) -> Result<Vec<T>, Error> {
        (0..u64::from(self.resamples))
            .into_par_iter()
            .map_init(
                || vec![0u32; rows],
                |weights, number| {
                    self.stop.check()?;
                    weights.fill(0);
                    let mut random = Random::new(self.seed, self.stream + number);
                    for _ in 0..rows {
                        weights[random.below(rows)] += 1;
                    }
                    Ok(score(weights))
                },
            )
            .collect()
    }
}

/// The values of the samples that define them, ascending; `None` when those are fewer than half of them, or there are none.
pub(crate) fn defined(samples: impl ExactSizeIterator<Item = Option<f64>>) -> Option<Vec<f64>> {
    let drawn = samples.len();
    let mut values: Vec<f64> = samples.flatten().collect();
    if values.is_empty() || values.len() * 2 < drawn {
        return None;
    }
    values.sort_by(f64::total_cmp);
    Some(values)
}

/// The 95 % interval of ascending `values`, which must not be empty.
pub(crate) fn interval(values: &[f64]) -> (f64, f64) {
    (quantile(values, 0.025), quantile(values, 0.975))
}

/// The quantile of ascending `values`, which must not be empty, with linear interpolation (type 7 of Hyndman and Fan).
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let at = share * (values.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    values[below] + (values[above] - values[below]) * (at - below as f64)
}
