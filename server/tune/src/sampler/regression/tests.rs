use tenor_features::random::Random;

use super::*;
use crate::normal;

fn inputs(rows: &[Vec<f64>]) -> Inputs {
    let mut inputs = Inputs::new((0..rows[0].len()).collect());
    rows.iter().for_each(|row| inputs.push(row));
    inputs
}

fn any_rows(count: usize, width: usize, random: &mut Random) -> Vec<Vec<f64>> {
    (0..count).map(|_| (0..width).map(|_| random.unit()).collect()).collect()
}

/// Gauss's elimination, which shares nothing with Cholesky's.
fn solved(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let count = right.len();
    for pivot in 0..count {
        let largest =
            (pivot..count).max_by(|a, b| matrix[*a][pivot].abs().total_cmp(&matrix[*b][pivot].abs())).unwrap();
        matrix.swap(pivot, largest);
        right.swap(pivot, largest);
        let pivotal = matrix[pivot].clone();
        for row in (0..count).filter(|row| *row != pivot) {
            let share = matrix[row][pivot] / pivotal[pivot];
            matrix[row].iter_mut().zip(&pivotal).for_each(|(value, of_pivot)| *value -= share * of_pivot);
            right[row] -= share * right[pivot];
        }
    }
    (0..count).map(|at| right[at] / matrix[at][at]).collect()
}

#[test]
fn mean_and_deviation_are_those_of_the_formula() {
    let mut random = Random::new(1, 1);
    let rows = any_rows(25, 3, &mut random);
    let targets: Vec<f64> =
        rows.iter().map(|row| 7.0 + (4.0 * row[0]).sin() + row[1] * row[2] + 0.1 * normal::draw(&mut random)).collect();
    let regression = Regression::fit(&inputs(&rows), &targets);
    // k = (1 + √5 r + 5 r²/3) exp(-√5 r); mean = m + k' (K + noise)⁻¹ (y - m); variance = s² (1 - k' (K + noise)⁻¹ k).
    let kernel = |a: &[f64], b: &[f64]| {
        let scaled =
            a.iter().zip(b).zip(&regression.inverse_lengths).map(|((a, b), inverse)| ((a - b) * inverse).powi(2));
        let r = scaled.sum::<f64>().sqrt();
        (1.0 + 5f64.sqrt() * r + 5.0 / 3.0 * r * r) * (-5f64.sqrt() * r).exp()
    };
    let matrix: Vec<Vec<f64>> = (0..25)
        .map(|a| (0..25).map(|b| kernel(&rows[a], &rows[b]) + if a == b { regression.noise } else { 0.0 }).collect())
        .collect();
    let middle = targets.iter().sum::<f64>() / 25.0;
    let centered: Vec<f64> = targets.iter().map(|target| target - middle).collect();
    let weights = solved(matrix.clone(), centered.clone());
    let variance = weights.iter().zip(&centered).map(|(a, b)| a * b).sum::<f64>() / 25.0;
    for at in any_rows(20, 3, &mut random) {
        let kernels: Vec<f64> = rows.iter().map(|row| kernel(row, &at)).collect();
        let mean = middle + kernels.iter().zip(&weights).map(|(a, b)| a * b).sum::<f64>();
        let explained: f64 = solved(matrix.clone(), kernels.clone()).iter().zip(&kernels).map(|(a, b)| a * b).sum();
        let found = regression.predict(&at);
        assert!((found.0 - mean).abs() < 1e-6, "{} {mean}", found.0);
        assert!((found.1 - (variance * (1.0 - explained)).sqrt()).abs() < 1e-6, "{} {variance} {explained}", found.1);
    }
}

#[test]
fn what_does_not_matter_gets_a_long_scale_and_noise_is_told_from_the_function() {
    let mut random = Random::new(2, 1);
    let rows = any_rows(60, 3, &mut random);
    for deviation in [0.0, 0.3] {
        let value = |row: &Vec<f64>| (6.0 * row[0]).sin();
        let targets: Vec<f64> = rows.iter().map(|row| value(row) + deviation * normal::draw(&mut random)).collect();
        let regression = Regression::fit(&inputs(&rows), &targets);
        let [matters, one, other] = regression.inverse_lengths[..] else { panic!() };
        assert!(matters > 3.0 * one && matters > 3.0 * other, "{:?}", regression.inverse_lengths);
        let noise = regression.noise.sqrt() * regression.deviation;
        if deviation == 0.0 {
            assert!(noise < 0.02, "{noise}");
        } else {
            assert!((0.2..0.45).contains(&noise), "{noise}");
        }
        // Where nothing was seen, most values lie within two deviations.
        let fresh = any_rows(200, 3, &mut random);
        let within = fresh.iter().filter(|row| {
            let (mean, error) = regression.predict(row);
            (mean - value(row)).abs() < 2.0 * error + 1e-3
        });
        assert!(within.count() > 160);
    }
}

#[test]
fn a_row_that_is_believed_moves_no_mean_and_settles_its_neighbourhood() {
    let mut random = Random::new(3, 1);
    let rows = any_rows(15, 2, &mut random);
    let targets: Vec<f64> = rows.iter().map(|row| row[0] - 2.0 * row[1]).collect();
    let before = Regression::fit(&inputs(&rows), &targets);
    let mut after = before.clone();
    let believed = [0.9, 0.05];
    after.believe(&believed);
    for at in any_rows(50, 2, &mut random) {
        let ((mean, deviation), (still, smaller)) = (before.predict(&at), after.predict(&at));
        assert!((mean - still).abs() < 1e-6 && smaller <= deviation * (1.0 + 1e-6));
    }
    assert!(after.predict(&believed).1 < 0.5 * before.predict(&believed).1 + 1e-5);
}

#[test]
fn targets_that_say_nothing_and_rows_that_come_twice_are_taken() {
    for (rows, targets) in [
        (vec![vec![0.5]], vec![3.0]),
        (vec![vec![0.1], vec![0.9]], vec![0.0, 0.0]),
        (vec![vec![0.5]; 30], (0..30).map(f64::from).collect()),
        ((0..40).map(|at| vec![0.5 + 1e-12 * f64::from(at)]).collect(), (0..40).map(|at| f64::from(at % 2)).collect()),
        (vec![vec![0.1], vec![0.2], vec![0.3]], vec![1e300, -1e300, 0.0]),
        (vec![vec![0.1], vec![0.2], vec![0.3]], vec![1e-300, 2e-300, 0.0]),
    ] {
        let regression = Regression::fit(&inputs(&rows), &targets);
        let (mean, deviation) = regression.predict(&[0.7]);
        assert!(mean.is_finite() && deviation >= 0.0, "{targets:?}: {mean} {deviation}");
    }
}
