//! Bootstrap percentile intervals (Efron 1979): rows are drawn with replacement, everything is scored again.

use rayon::prelude::*;
use tenor_domain::Error;
use tenor_features::Stop;

use super::frame::Frame;
use tenor_features::random::Random;

/// The 95 % interval of each score of `frame`; `None` where fewer than half of the samples define the score, or without
/// samples. Sample `i` depends on the seed and on `i` only.
pub(super) fn intervals(
    frame: &Frame<'_>,
    resamples: u32,
    seed: u64,
    stop: Stop<'_>,
) -> Result<Vec<Option<(f64, f64)>>, Error> {
    let samples: Vec<Vec<Option<f64>>> = (0..u64::from(resamples))
        .into_par_iter()
        .map_init(
            || vec![0u32; frame.rows()],
            |weights, number| {
                stop.check()?;
                weights.fill(0);
                let mut random = Random::new(seed, number);
                for _ in 0..weights.len() {
                    weights[random.below(frame.rows())] += 1;
                }
                Ok(frame.scores(weights))
            },
        )
        .collect::<Result<_, Error>>()?;
    Ok((0..frame.names().len())
        .map(|score| {
            let mut values: Vec<f64> = samples.iter().filter_map(|sample| sample[score]).collect();
            if values.is_empty() || values.len() * 2 < samples.len() {
                return None;
            }
            values.sort_by(f64::total_cmp);
            Some((quantile(&values, 0.025), quantile(&values, 0.975)))
        })
        .collect())
}

/// The quantile of ascending `values`, which must not be empty, with linear interpolation (type 7 of Hyndman and Fan).
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let at = share * (values.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    values[below] + (values[above] - values[below]) * (at - below as f64)
}
