//! Linear models over sparse terms or dense components, and numbers: one weight vector for two classes, one a class for more.

mod complement_nb;
mod dense;
#[cfg(test)]
mod golden;
mod lbfgs;
mod logreg;
mod loss;
mod model;
mod nbsvm;
mod series;
mod solve;
mod sparse;
#[cfg(test)]
mod tests;

use tenor_learn::TrainingData;

pub(crate) use complement_nb::ComplementNb;
pub(crate) use logreg::LogisticRegression;
pub(crate) use nbsvm::NbSvm;

/// How far below the lowest bias a class without training rows is put: its probability stays below 1e-15.
const ABSENT: f64 = 40.0;

/// The classes that occur in the training rows with any weight.
struct Present {
    /// Their places among all classes.
    classes: Vec<usize>,
    /// The label of each row among them; rows without weight may have any.
    labels: Vec<u32>,
}

impl Present {
    fn of(data: &TrainingData, weights: &[f64]) -> Self {
        let classes = data.contract.classes.len();
        let mut sums = vec![0.0; classes];
        weights.iter().zip(&data.train.labels).for_each(|(weight, &label)| sums[label as usize] += weight);
        let present: Vec<usize> = (0..classes).filter(|&class| sums[class] > 0.0).collect();
        let mut found = Self { labels: Vec::new(), classes: present };
        found.labels = data.train.labels.iter().map(|&label| found.place(label).unwrap_or(0)).collect();
        found
    }

    /// The place of `label` among the classes that occur.
    fn place(&self, label: u32) -> Option<u32> {
        self.classes.iter().position(|&class| class == label as usize).map(|place| place as u32)
    }
}

/// From the solution over the classes that occur (features x columns, then the biases) to all classes: one column for two classes,
/// else one a class.
fn expand(solution: &[f64], width: usize, classes: usize, present: &[usize]) -> model::Weights {
    let solved = if present.len() == 2 { 1 } else { present.len() };
    let (weights, biases) = solution.split_at(width * solved);
    if classes == 2 || present.len() == classes {
        return model::Weights {
            features: weights.iter().map(|&weight| weight as f32).collect(),
            biases: biases.to_vec(),
        };
    }
    // One weight vector is a softmax of two with half of it each, one of them turned round.
    let column = |at: usize, row: &[f64]| match solved {
        1 => row[0] * (at as f64 - 0.5),
        _ => row[at],
    };
    let mut features = vec![0.0; width * classes];
    for (row, solved) in features.chunks_mut(classes).zip(weights.chunks(solved)) {
        for (at, &class) in present.iter().enumerate() {
            row[class] = column(at, solved) as f32;
        }
    }
    let solved_biases: Vec<f64> = (0..present.len()).map(|at| column(at, biases)).collect();
    let lowest = solved_biases.iter().copied().fold(f64::INFINITY, f64::min);
    let mut all_biases = vec![lowest - ABSENT; classes];
    for (&class, bias) in present.iter().zip(solved_biases) {
        all_biases[class] = bias;
    }
    model::Weights { features, biases: all_biases }
}
