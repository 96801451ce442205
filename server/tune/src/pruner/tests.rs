use super::wilcoxon::worse;
use super::*;
use crate::space::Point;

const LOSS: [Direction; 1] = [Direction::Minimize];

fn trial(number: u64, reports: &[&[f64]]) -> Trial {
    let report = |(step, values): (usize, &&[f64])| Report { step: step as u64 + 1, values: values.to_vec() };
    Trial {
        number,
        state: TrialState::Running,
        point: Point::default(),
        values: Vec::new(),
        violation: 0.0,
        reports: reports.iter().enumerate().map(report).collect(),
    }
}

fn decide(pruner: &dyn Pruner, directions: &[Direction], trials: &[Trial], trial: &Trial) -> bool {
    let decision = pruner.decide(History { directions, trials }, directions, trial);
    assert!(!decision.reason.is_empty());
    assert_eq!(pruner.decide(History { directions, trials }, directions, trial), decision);
    decision.prune
}

#[test]
fn the_median_rule_ends_what_is_worse_than_half() {
    let pruner = Median::default();
    let others: Vec<Trial> = (0..6).map(|number| trial(number, &[&[number as f64], &[number as f64]])).collect();
    for (loss, pruned) in [(2.0, false), (2.5, false), (2.6, true), (f64::NAN, true)] {
        assert_eq!(decide(&pruner, &LOSS, &others, &trial(9, &[&[loss]])), pruned, "{loss}");
    }
    // Its best so far counts, not its last.
    assert!(!decide(&pruner, &LOSS, &others, &trial(9, &[&[1.0], &[9.0]])));
    assert!(!decide(&pruner, &LOSS, &others[..4], &trial(9, &[&[9.0]])), "too few to compare with");
    assert!(!decide(&pruner, &LOSS, &others, &trial(9, &[])));
    let later = Median { warmup_steps: 2, ..pruner };
    assert!(!decide(&later, &LOSS, &others, &trial(9, &[&[9.0]])));
    let gain = [Direction::Maximize];
    assert!(
        decide(&pruner, &gain, &others, &trial(9, &[&[2.0]])) && !decide(&pruner, &gain, &others, &trial(9, &[&[4.0]]))
    );
}

#[test]
fn the_median_rule_orders_several_metrics_by_fronts() {
    let pruner = Median::default();
    let both = [Direction::Minimize, Direction::Maximize];
    let others: Vec<Trial> = (0..7).map(|number| trial(number, &[&[number as f64, number as f64]])).collect();
    for (own, pruned) in [([6.0, 6.0], false), ([0.0, 0.0], false), ([9.0, 7.0], false), ([4.0, 2.0], true)] {
        assert_eq!(decide(&pruner, &both, &others, &trial(9, &[&own])), pruned, "{own:?}");
    }
    // Fronts 0 to 4, one trial each.
    let chain: Vec<Trial> = (0..5).map(|number| trial(number, &[&[number as f64, -(number as f64)]])).collect();
    for (own, pruned) in [([1.5, -1.5], false), ([2.5, -2.5], true), ([0.5, -9.0], false), ([9.0, -0.5], false)] {
        assert_eq!(decide(&pruner, &both, &chain, &trial(9, &[&own])), pruned, "{own:?}");
    }
}

#[test]
fn the_median_rule_for_every_metric_keeps_what_is_good_at_anything() {
    let every = Median { every_metric: true, ..Median::default() };
    let both = [Direction::Minimize; 2];
    let rows = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [5.0, -1.0], [6.0, -1.5], [7.0, -2.0]];
    let others: Vec<Trial> = rows.iter().enumerate().map(|(number, row)| trial(number as u64, &[row])).collect();
    // Three others dominate it, and it is among the better half in the first metric.
    let own = trial(9, &[&[3.0, 3.0]]);
    assert!(decide(&Median::default(), &both, &others, &own) && !decide(&every, &both, &others, &own));
    assert!(decide(&every, &both, &others, &trial(9, &[&[4.0, 3.0]])));
}

#[test]
fn halving_lets_the_best_third_of_a_rung_go_on() {
    let pruner = Halving::default();
    let others: Vec<Trial> = (0..8).map(|number| trial(number, &[&[number as f64]])).collect();
    // Of nine three go on.
    for (loss, pruned) in [(-1.0, false), (1.5, false), (2.5, true), (9.0, true)] {
        assert_eq!(decide(&pruner, &LOSS, &others, &trial(9, &[&[loss]])), pruned, "{loss}");
    }
    // Step 2 lies between the rungs 1 and 3; at 3 it is alone.
    assert!(!decide(&pruner, &LOSS, &others, &trial(9, &[&[9.0], &[9.0]])));
    assert!(!decide(&pruner, &LOSS, &others, &trial(9, &[&[9.0], &[9.0], &[9.0]])));
    assert!(!decide(&pruner, &LOSS, &others[..4], &trial(9, &[&[9.0]])), "fewer than two times eta");
    let mut failed = others.clone();
    failed.iter_mut().for_each(|trial| trial.state = TrialState::Failed);
    assert!(!decide(&pruner, &LOSS, &failed, &trial(9, &[&[9.0]])));
}

#[test]
fn halving_by_fronts_keeps_the_front_and_spreads_it() {
    let both = [Direction::Minimize; 2];
    let rows = [[0.0, 8.0], [1.0, 5.0], [2.0, 4.5], [4.0, 3.0], [8.0, 0.0], [5.0, 6.0], [6.0, 7.0], [9.0, 9.0]];
    let others: Vec<Trial> = rows.iter().enumerate().map(|(number, row)| trial(number as u64, &[row])).collect();
    let strict = Halving { protect_front: false, ..Halving::default() };
    let own = trial(9, &[&[1.9, 4.6]]);
    assert!(!decide(&Halving::default(), &both, &others, &own), "it is on the front");
    // Three go on: both ends and what lies farthest from them.
    assert!(decide(&strict, &both, &others, &own));
    assert!(!decide(&strict, &both, &others, &trial(9, &[&[8.0, -1.0]])));
    assert!(decide(&Halving::default(), &both, &others, &trial(9, &[&[9.5, 9.5]])));
}

#[test]
fn brackets_of_hyperband_begin_later_and_later() {
    let pruner = Hyperband { last: 27, ..Hyperband::default() };
    let mut counts = [0u32; 4];
    (0..4_000).for_each(|number| counts[pruner.bracket_of(number) as usize] += 1);
    assert!(counts.is_sorted_by(|a, b| a > b) && counts[3] > 100, "{counts:?}");
    let numbers: Vec<u64> = (0..200).filter(|number| pruner.bracket_of(*number) == 1).collect();
    let others: Vec<Trial> = numbers[1..].iter().map(|number| trial(*number, &[&[1.0], &[1.0], &[1.0]])).collect();
    let bad = |steps: usize| trial(numbers[0], &vec![&[9.0][..]; steps]);
    assert!(!decide(&pruner, &LOSS, &others, &bad(1)), "bracket 1 begins at step 3");
    assert!(decide(&pruner, &LOSS, &others, &bad(3)));
}

/// scipy 1.15: `wilcoxon(x, alternative="greater", method="exact")` and `method="asymptotic", correction=True`.
#[test]
fn the_signed_rank_test_equals_scipys() {
    for (differences, p) in [
        (&[1.0, 2.0, 3.0, 4.0, 5.0][..], 0.03125),
        (&[1.0, -2.0, 3.0, 4.0, 5.0], 0.09375),
        (&[-1.0, -2.0, -3.0], 1.0),
        (&[0.5, 0.0, 1.5], 0.25),
        (&[0.0, 0.0], 1.0),
    ] {
        assert!((worse(differences) - p).abs() < 1e-12, "{differences:?} {}", worse(differences));
    }
}

#[test]
fn folds_that_are_worse_than_those_of_the_best_end_a_trial() {
    let pruner = Wilcoxon::default();
    let mut best = trial(0, &[&[0.10], &[0.20], &[0.15], &[0.12], &[0.18]]);
    best.state = TrialState::Complete;
    best.values = vec![0.15];
    let trials = [best];
    let with = |added: &[f64]| {
        let own: Vec<Vec<f64>> =
            trials[0].reports.iter().zip(added).map(|(report, added)| vec![report.values[0] + added]).collect();
        trial(5, &own.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    assert!(decide(&pruner, &LOSS, &trials, &with(&[0.01, 0.02, 0.03, 0.04])));
    assert!(!decide(&pruner, &LOSS, &trials, &with(&[0.01, 0.02])), "two folds say too little");
    assert!(!decide(&pruner, &LOSS, &trials, &with(&[0.01, -0.02, 0.03, -0.04])));
    assert!(!decide(&pruner, &LOSS, &[], &with(&[0.01, 0.02, 0.03, 0.04])));
}
