//! Labels that are probably wrong, by confident learning (Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating
//! Uncertainty in Dataset Labels", JAIR 70). Needs answers of models that have not seen the row:
//! [`cross_validate`](crate::cross_validation::cross_validate) gives them.

use tenor_domain::Error;

use crate::label_of;
use crate::metrics::check_rows;

/// How far below its class's threshold a probability may lie: rounding, as in cleanlab.
const SLACK: f64 = 1e-6;

/// A row whose label is probably wrong.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Suspect {
    pub row: u64,
    /// Classes.
    pub given: u32,
    pub suggested: u32,
    /// `(p[given] - max p[other] + 1) / 2`, the normalised margin: 0 is certainly wrong, 1 certainly right.
    pub score: f64,
}

/// What is known about the labels of a set of rows.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LabelNoise {
    pub rows: u64,
    /// Mean probability of each class on the rows that carry its label; `None` for a class without rows.
    pub thresholds: Vec<Option<f64>>,
    /// `confident_joint[given][true]`, in rows: those that reach the threshold of a class count for the likeliest such class.
    pub confident_joint: Vec<Vec<u64>>,
    /// `joint[given][true]`, estimated shares: the confident joint scaled so that each given class has its share of all rows.
    pub joint: Vec<Vec<f64>>,
    /// Estimated share of wrong labels: what lies off the diagonal of `joint`.
    pub noise_rate: f64,
    /// The most suspicious first; equals by row.
    pub suspects: Vec<Suspect>,
}

/// Finds suspicious labels by out-of-fold `probabilities` (row-major, one a class). Suspected is a row that counts for another
/// class than its own in the confident joint and whose likeliest class is not its label: cleanlab's
/// `filter_by="confident_learning"`, ranked by normalised margin. The same errors as [`evaluate`](crate::evaluate).
pub fn find_label_noise(labels: &[u32], probabilities: &[f64], classes: usize) -> Result<LabelNoise, Error> {
    check_rows(labels, probabilities, classes)?;
    let (counts, thresholds) = thresholds(labels, probabilities, classes);
    let mut confident_joint = vec![vec![0u64; classes]; classes];
    let mut suspects = Vec::new();
    for (index, (row, &given)) in probabilities.chunks_exact(classes).zip(labels).enumerate() {
        let Some(confident) = confident_class(row, &thresholds) else { continue };
        confident_joint[given as usize][confident] += 1;
        let likeliest = label_of(row) as u32;
        if confident != given as usize && likeliest != given {
            let score = normalised_margin(row, given as usize);
            suspects.push(Suspect { row: index as u64, given, suggested: likeliest, score });
        }
    }
    suspects.sort_by(|a, b| a.score.total_cmp(&b.score).then(a.row.cmp(&b.row)));
    let joint = joint(&confident_joint, &counts);
    let right: f64 = (0..classes).map(|class| joint[class][class]).sum();
    let noise_rate = (1.0 - right).clamp(0.0, 1.0);
    Ok(LabelNoise { rows: labels.len() as u64, thresholds, confident_joint, joint, noise_rate, suspects })
}

/// `(p[given] - max p[other] + 1) / 2`: cleanlab's label quality by normalised margin.
fn normalised_margin(row: &[f64], given: usize) -> f64 {
    let others = row.iter().enumerate().filter(|(class, _)| *class != given);
    (row[given] - others.map(|(_, p)| *p).fold(0.0, f64::max) + 1.0) / 2.0
}

/// Rows of each class and the mean probability that they give it.
fn thresholds(labels: &[u32], probabilities: &[f64], classes: usize) -> (Vec<u64>, Vec<Option<f64>>) {
    let (mut counts, mut sums) = (vec![0u64; classes], vec![0.0; classes]);
    for (row, &label) in probabilities.chunks_exact(classes).zip(labels) {
        counts[label as usize] += 1;
        sums[label as usize] += row[label as usize];
    }
    let mean = |(count, sum): (&u64, f64)| (*count > 0).then(|| sum / *count as f64);
    let thresholds = counts.iter().zip(sums).map(mean).collect();
    (counts, thresholds)
}

/// The class that reaches its threshold; of several the likeliest of those that do (Northcutt et al. 2021, equation 1). cleanlab takes
/// the likeliest class of all there, whether it reaches its own or not.
fn confident_class(row: &[f64], thresholds: &[Option<f64>]) -> Option<usize> {
    let confident = |class: &usize| thresholds[*class].is_some_and(|threshold| row[*class] >= threshold - SLACK);
    let mut reached = (0..row.len()).filter(confident);
    let first = reached.next()?;
    Some(reached.fold(first, |best, class| if row[class] > row[best] { class } else { best }))
}

/// Scales each row of the confident joint to the share of its class. Every class is taken to have one row that is rightly
/// labelled, so that a class without any confident row keeps its share.
fn joint(confident_joint: &[Vec<u64>], counts: &[u64]) -> Vec<Vec<f64>> {
    let all: u64 = counts.iter().sum();
    let of_class = |(class, row): (usize, &Vec<u64>)| {
        let at_least = |(other, count): (usize, &u64)| if other == class { (*count).max(1) } else { *count } as f64;
        let row: Vec<f64> = row.iter().enumerate().map(at_least).collect();
        let scale = counts[class] as f64 / all as f64 / row.iter().sum::<f64>();
        row.into_iter().map(|count| count * scale).collect()
    };
    confident_joint.iter().enumerate().map(of_class).collect()
}

#[cfg(test)]
mod tests {
    use tenor_features::random::Random;

    use super::*;
    use crate::calibration::Calibrator;
    use crate::folds::Folds;
    use crate::testing::{flat, golden};
    use tenor_domain::CalibrationMethod;

    /// cleanlab 2.9.0: the same rows in the same order, the same confident joint; scores within 1e-12. Its joint is made of whole
    /// rows: within two of them.
    #[test]
    fn suspects_and_joint_equal_cleanlabs() {
        for case in golden()["noise"].as_array().unwrap() {
            let labels: Vec<u32> = serde_json::from_value(case["labels"].clone()).unwrap();
            let probabilities = flat(&case["probs"]);
            let classes = probabilities.len() / labels.len();
            let found = find_label_noise(&labels, &probabilities, classes).unwrap();
            assert_eq!(serde_json::to_value(&found.confident_joint).unwrap(), case["confident_joint"]);
            let rows: Vec<u64> = found.suspects.iter().map(|suspect| suspect.row).collect();
            assert_eq!(serde_json::to_value(rows).unwrap(), case["issues"]);
            for (ours, theirs) in found.joint.concat().iter().zip(flat(&case["joint"])) {
                assert!((ours - theirs).abs() <= 2.0 / labels.len() as f64, "{ours} {theirs}");
            }
            let rows = probabilities.chunks_exact(classes).zip(&labels);
            for ((row, label), theirs) in rows.zip(case["quality"].as_array().unwrap()) {
                assert!((normalised_margin(row, *label as usize) - theirs.as_f64().unwrap()).abs() < 1e-12);
            }
        }
    }

    /// Labels that follow from one number but for about 3 in 100, and that number as a probability.
    fn world(seed: u64, rows: usize) -> (Vec<u32>, Vec<f64>) {
        let mut random = Random::new(seed, 0);
        let (mut labels, mut inputs) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            let score = 12.0 * (random.unit() - 0.5);
            let second = |sharp: f64| 1.0 / (1.0 + (-sharp * score).exp());
            labels.push(u32::from(random.unit() < second(4.0)));
            inputs.extend([1.0 - second(1.0), second(1.0)]);
        }
        (labels, inputs)
    }

    /// What a logistic regression says of each row when it has learned from the other folds' labels, wrong ones among them.
    fn out_of_fold(labels: &[u32], inputs: &[f64]) -> Vec<f64> {
        let folds = Folds::stratified(labels, 5, 1).unwrap();
        let mut answers = inputs.to_vec();
        for fold in 0..folds.count() {
            let (train, test) = folds.split(fold);
            let of_train: Vec<u32> = train.iter().map(|row| labels[*row as usize]).collect();
            let row = |row: &u32| &inputs[*row as usize * 2..*row as usize * 2 + 2];
            let seen: Vec<f64> = train.iter().flat_map(row).copied().collect();
            let learned = Calibrator::fit(CalibrationMethod::Platt, &of_train, &seen, 2).unwrap();
            test.iter().for_each(|row| learned.apply(&mut answers[*row as usize * 2..*row as usize * 2 + 2]));
        }
        answers
    }

    #[test]
    fn injected_flips_are_found() {
        for seed in 0..5 {
            let (truth, inputs) = world(seed, 4_000);
            let mut random = Random::new(seed, 1);
            let labels: Vec<u32> = truth.iter().map(|label| label ^ u32::from(random.unit() < 0.05)).collect();
            let found = find_label_noise(&labels, &out_of_fold(&labels, &inputs), 2).unwrap();
            let is_right = |suspect: &&Suspect| truth[suspect.row as usize] == suspect.suggested;
            let right = found.suspects.iter().filter(is_right).count() as f64;
            let flipped = labels.iter().zip(&truth).filter(|(given, truth)| given != truth).count() as f64;
            let (precision, recall) = (right / found.suspects.len() as f64, right / flipped);
            println!("precision {precision:.3}, recall {recall:.3}, estimated rate {:.3}", found.noise_rate);
            assert!(precision >= 0.6 && recall >= 0.6, "{precision} {recall}");
            assert!((0.03..0.09).contains(&found.noise_rate), "{}", found.noise_rate);
            assert!(found.suspects[..50].iter().filter(is_right).count() >= 45);
        }
    }

    #[test]
    fn clean_labels_of_a_sure_model_have_no_suspects() {
        let found = find_label_noise(&[0, 1, 1], &[0.9, 0.1, 0.2, 0.8, 0.3, 0.7], 2).unwrap();
        assert_eq!((found.suspects.len(), found.noise_rate), (0, 0.0));
        let absent = find_label_noise(&[0, 0], &[0.9, 0.0, 0.1, 0.8, 0.1, 0.1], 3).unwrap();
        assert_eq!(absent.thresholds[1], None);
        assert!(absent.joint.concat().iter().all(|share| share.is_finite()));
        assert!(find_label_noise(&[], &[], 2).is_err());
    }
}
