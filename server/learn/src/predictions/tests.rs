use super::*;

fn some() -> Predictions {
    Predictions {
        row_ids: vec![-1, i64::MAX, i64::MIN],
        labels: vec![0, 1, 1],
        classes: vec!["negative".into(), "positive".into()],
        probabilities: vec![0.75, 0.25, 0.5, 0.5, 0.0, 1.0],
    }
}

#[test]
fn what_is_written_is_read_again_to_the_bit() {
    let bytes = some().to_bytes().unwrap();
    assert_eq!(Predictions::from_bytes(&bytes).unwrap(), some());
    assert_eq!(some().to_bytes().unwrap(), bytes);
}

#[test]
fn a_file_that_is_cut_or_changed_is_refused_or_sound_and_never_a_panic() {
    let bytes = some().to_bytes().unwrap();
    for end in 0..bytes.len() {
        let error = Predictions::from_bytes(&bytes[..end]).unwrap_err();
        assert_eq!(error.reason, "BROKEN_PREDICTIONS");
        assert!(error.message.contains("train the run again"), "{error}");
    }
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            if let Ok(read) = Predictions::from_bytes(&bytes) {
                read.check().unwrap();
            }
        }
    }
}

#[test]
fn wrong_lengths_ranges_and_numbers_are_named() {
    type Change = fn(&mut Predictions);
    let cases: [(Change, &str); 8] = [
        (|p| p.labels[1] = 2, "label 2"),
        (|p| p.labels.truncate(2), "different lengths"),
        (|p| p.probabilities.truncate(5), "different lengths"),
        (|p| p.probabilities[0] = f64::NAN, "row 0"),
        (|p| p.probabilities[2] = f64::INFINITY, "row 1"),
        (|p| p.probabilities[4] = -0.5, "row 2"),
        (|p| p.probabilities[1] = 0.5, "row 0"),
        (|p| p.classes.truncate(1), "1 classes"),
    ];
    for (change, named) in cases {
        let mut wrong = some();
        change(&mut wrong);
        let error = wrong.to_bytes().unwrap_err();
        assert!(error.message.contains(named), "{error}");
    }
}

#[test]
fn common_rows_have_the_same_id_and_the_same_label() {
    let mut other = some();
    other.row_ids = vec![i64::MIN, 5, -1];
    other.labels = vec![1, 0, 1];
    other.probabilities = vec![0.25, 0.75, 0.5, 0.5, 1.0, 0.0];
    let common = some().common(&other);
    assert_eq!((common.row_ids, common.labels, common.relabelled), (vec![i64::MIN], vec![1], 1));
    assert_eq!((common.first, common.second), (vec![0.0, 1.0], vec![0.25, 0.75]));
}
