use super::*;
use crate::testing::{contract, overconfident};

fn names(slices: &[Slice]) -> Vec<(&str, usize)> {
    slices.iter().map(|slice| (slice.name.as_str(), slice.rows.len())).collect()
}

#[test]
fn rows_are_grouped_by_label_length_number_and_mask() {
    let classes = ["bad", "good"].map(str::to_owned);
    assert_eq!(names(&Slice::by_label(&[1, 0, 1], &classes)), [("bad", 1), ("good", 2)]);
    let texts = ["a", "bb", "cccé", "a longer one"].map(str::to_owned);
    assert_eq!(names(&Slice::by_length(&texts, 2)), [("up to 3", 2), ("above 3", 2)]);
    let edged = Slice::by_edges("year", &[2001.0, 2005.0, 2010.0, f64::NAN], &[2001.0, 2003.5, 2004.0]);
    assert_eq!(names(&edged), [("up to 2001", 1), ("above 2004", 2)]);
    assert_eq!(names(&Slice::by_edges("x", &[1.0], &[])), [("all", 1)]);
    assert_eq!(Slice::of_mask("x", "y", &[false, true]).rows, [1]);
}

#[test]
fn the_usual_slices_are_by_label_length_and_what_the_caller_sent() {
    let texts: Vec<String> = (1..=8).map(|length| "x".repeat(length)).collect();
    let votes: Vec<Option<f64>> = (0..8).map(|row| Some(f64::from(row % 2))).collect();
    let labels = vec![0, 1, 0, 1, 0, 1, 1, 1];
    let examples = Examples::from_columns(&contract(), (0..8).collect(), texts.clone(), texts, &votes, labels).unwrap();
    let years = [2001, 2002, 2001, 2001, 2002, 2002, 2001, 2001].map(Some);
    let slices = Slice::standard(&contract(), &examples, &years);
    let count =
        |by: &str| slices.iter().filter(|slice| slice.by == by).map(|slice| slice.rows.len()).collect::<Vec<_>>();
    assert_eq!((count("label"), count("length"), count("votes")), (vec![3, 5], vec![2; 4], vec![4, 4]));
    assert_eq!(count("year"), [5, 3]);
    assert_eq!(Slice::by_year(&[Some(2001), None]), []);
    let many: Vec<Option<i32>> = (0..300).map(Some).collect();
    assert_eq!(Slice::by_year(&many).len(), 30);
}

#[test]
fn quantiles_never_part_equal_values() {
    let skewed: Vec<f64> = (0..100).map(|row| if row < 70 { 1.0 } else { f64::from(row) }).collect();
    assert_eq!(
        names(&Slice::by_quantiles("reviews", &skewed, 4)),
        [("up to 1", 70), ("above 1 up to 74.250", 5), ("above 74.250", 25)]
    );
    assert_eq!(names(&Slice::by_quantiles("x", &[3.0; 5], 4)), [("all", 5)]);
    assert_eq!(Slice::by_quantiles("x", &[f64::NAN], 4), []);
    let even: Vec<f64> = (0..100).map(f64::from).collect();
    assert!(Slice::by_quantiles("x", &even, 4).iter().all(|slice| slice.rows.len() == 25));
}

/// Overconfident rows, of which every fifth is answered by the wrong class.
fn spoiled() -> (Vec<u32>, Vec<f64>, Vec<Slice>) {
    let (labels, mut probabilities) = overconfident(6, 1_000, 3);
    probabilities.chunks_mut(3).step_by(5).for_each(|row| row.rotate_left(1));
    let fifth = |part: usize| (0..1_000).map(|row| row % 5 == part).collect::<Vec<bool>>();
    let mut slices: Vec<Slice> = (0..5).map(|part| Slice::of_mask("fifth", &part.to_string(), &fifth(part))).collect();
    slices.push(Slice::of_mask("tiny", "one wrong row", &(0..1_000).map(|row| row == 0).collect::<Vec<_>>()));
    slices.push(Slice::of_mask("none", "empty", &[false; 1_000]));
    (labels, probabilities, slices)
}

#[test]
fn the_spoiled_slice_is_named_and_a_tiny_one_is_not() {
    let (labels, probabilities, slices) = spoiled();
    let report = evaluate_slices(&labels, &probabilities, 3, &slices, &SliceOptions::default()).unwrap();
    assert_eq!((report.slices.len(), report.worst_by_accuracy, report.worst_by_macro_f1), (6, Some(0), Some(0)));
    for slice in report.slices.iter().take(5).chain([&report.overall]) {
        for estimate in [slice.accuracy, slice.macro_f1, slice.ece] {
            let (low, high) = estimate.interval.unwrap();
            assert!(low < high && low - 0.05 < estimate.value && estimate.value < high + 0.05, "{slice:?}");
        }
    }
    let parts: f64 = report.slices[..5].iter().map(|slice| slice.accuracy.value / 5.0).sum();
    assert!((parts - report.overall.accuracy.value).abs() < 1e-12);
    let table = crate::report::slice_table(&report);
    assert!(table.contains("lowest macro F1 with 30 rows or more: fifth: 0\n"), "{table}");
    assert_eq!(table.lines().count(), 1 + 7 + 2);
    let nothing = SliceOptions { min_rows: 2_000, resamples: 0, ..SliceOptions::default() };
    let report = evaluate_slices(&labels, &probabilities, 3, &slices, &nothing).unwrap();
    assert_eq!((report.worst_by_accuracy, report.overall.ece.interval), (None, None));
    assert!(crate::report::slice_table(&report).contains("rows or more: none"));
}

#[test]
fn scores_of_all_rows_are_those_of_evaluate() {
    let (labels, probabilities, _) = spoiled();
    let report = evaluate_slices(&labels, &probabilities, 3, &[], &SliceOptions::default()).unwrap();
    let classes: Vec<String> = (0..3).map(|class| class.to_string()).collect();
    let whole = crate::evaluate(&labels, &probabilities, &classes, None, &crate::EvaluateOptions::default()).unwrap();
    let overall = &report.overall;
    for (name, value) in [("accuracy", overall.accuracy), ("macro_f1", overall.macro_f1), ("ece", overall.ece)] {
        assert!((whole.get(name).unwrap() - value.value).abs() < 1e-12, "{name}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing_and_a_wish_to_stop_ends_it() {
    let (labels, probabilities, slices) = spoiled();
    let with = |threads, options: SliceOptions<'static>| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| evaluate_slices(&labels, &probabilities, 3, &slices, &options))
    };
    let options = SliceOptions { resamples: 50, ..SliceOptions::default() };
    assert_eq!(with(1, options).unwrap(), with(3, options).unwrap());
    let error = with(1, SliceOptions { stop: Stop::when(&|| true), ..options }).unwrap_err();
    assert_eq!(error.kind, tenor_domain::ErrorKind::Cancelled);
    let past = [Slice { by: "x".into(), name: "y".into(), rows: vec![1_000] }];
    let error = evaluate_slices(&labels, &probabilities, 3, &past, &options).unwrap_err();
    assert_eq!(error.violations[0].field, "slices");
}
