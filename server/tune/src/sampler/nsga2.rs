//! NSGA-II (Deb et al. 2002), rebuilt from the numbers of the trials: nothing is kept between suggestions.

use tenor_domain::Error;
use tenor_features::random::Random;

use super::Sampler;
use crate::history::{History, Trial, TrialState, random_of};
use crate::pareto::{crowding, fronts};
use crate::space::{AxisKind, Point, Space};

/// The sampler. Trials `0..population` are the first generation, the next so many the second.
#[derive(Debug, Clone, PartialEq)]
pub struct Nsga2 {
    /// 2 or more.
    pub population: u64,
    /// Chance that a child has two parents.
    pub crossover: f64,
}

impl Default for Nsga2 {
    fn default() -> Self {
        Self { population: 32, crossover: 0.9 }
    }
}

impl Sampler for Nsga2 {
    fn suggest(&self, space: &Space, history: History<'_>, study_seed: u64, number: u64) -> Result<Point, Error> {
        let mut random = random_of(study_seed, number);
        let population = self.population.max(2);
        let generation = number / population;
        let mut parents: Vec<Ranked<'_>> = Vec::new();
        for earlier in 0..generation {
            let numbers = earlier * population..(earlier + 1) * population;
            let from = history.trials.partition_point(|trial| trial.number < numbers.start);
            let to = history.trials.partition_point(|trial| trial.number < numbers.end);
            let born = history.trials[from..to].iter().filter(|trial| trial.state == TrialState::Complete);
            let all: Vec<&Trial> = parents.iter().map(|parent| parent.trial).chain(born).collect();
            parents = select(history, &all, population as usize);
        }
        if parents.len() < 2 {
            return Ok(space.random(&mut random));
        }
        let first = tournament(&parents, &mut random).clone();
        let second =
            if random.unit() < self.crossover { tournament(&parents, &mut random).clone() } else { first.clone() };
        let rate = 1.0 / space.params().len() as f64;
        Ok(space.build(|at, axis| {
            let inherited = if random.unit() < 0.5 { &first } else { &second }.coordinate(at);
            match inherited.or(first.coordinate(at)).or(second.coordinate(at)) {
                Some(value) if random.unit() >= rate => value,
                Some(value) if !matches!(axis.kind, AxisKind::Choices { .. }) => mutated(value, &mut random),
                _ => axis.kind.random(&mut random),
            }
        }))
    }
}

/// Polynomial mutation with index 20 (Deb, Goyal 1996): mostly a small step, and always inside.
fn mutated(value: f64, random: &mut Random) -> f64 {
    const INDEX: f64 = 20.0;
    let (draw, power) = (random.unit(), 1.0 / (INDEX + 1.0));
    let step = if draw < 0.5 {
        let base = 2.0 * draw + (1.0 - 2.0 * draw) * (1.0 - value).powf(INDEX + 1.0);
        base.powf(power) - 1.0
    } else {
        let base = 2.0 * (1.0 - draw) + 2.0 * (draw - 0.5) * value.powf(INDEX + 1.0);
        1.0 - base.powf(power)
    };
    (value + step).clamp(0.0, 1.0)
}

struct Ranked<'a> {
    trial: &'a Trial,
    rank: usize,
    distance: f64,
}

/// The better of two parents drawn with the same chance.
fn tournament<'a>(parents: &[Ranked<'a>], random: &mut Random) -> &'a Point {
    let (one, other) = (&parents[random.below(parents.len())], &parents[random.below(parents.len())]);
    let better = one.rank.cmp(&other.rank).then(other.distance.total_cmp(&one.distance)).is_le();
    &if better { one } else { other }.trial.point
}

/// The `count` best: those that keep the constraints front by front, the lonelier first; then those that break them least.
fn select<'a>(history: History<'_>, trials: &[&'a Trial], count: usize) -> Vec<Ranked<'a>> {
    let sound = |trial: &&&Trial| trial.values.iter().all(|value| value.is_finite());
    let (kept, mut broken): (Vec<&Trial>, Vec<&Trial>) =
        trials.iter().filter(sound).partition(|trial| trial.violation <= 0.0);
    let losses: Vec<Vec<f64>> = kept.iter().map(|trial| history.losses(trial)).collect();
    let mut chosen = Vec::with_capacity(count);
    let fronts = fronts(&losses, count);
    for (rank, front) in fronts.iter().enumerate() {
        let distances = crowding(&losses, front);
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|a, b| distances[*b].total_cmp(&distances[*a]).then(a.cmp(b)));
        let room = count - chosen.len();
        let ranked = |at: usize| Ranked { trial: kept[front[at]], rank, distance: distances[at] };
        chosen.extend(order.into_iter().take(room).map(ranked));
    }
    broken.sort_by(|a, b| a.violation.total_cmp(&b.violation).then(a.number.cmp(&b.number)));
    for (place, trial) in broken.into_iter().take(count - chosen.len()).enumerate() {
        chosen.push(Ranked { trial, rank: fronts.len() + place, distance: 0.0 });
    }
    chosen
}
