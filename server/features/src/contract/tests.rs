use proptest::prelude::*;
use tenor_domain::ContractMode;

use super::*;
use crate::text::{AGGREGATE_FEATURES, clean, text_features};

fn feature(name: &str, source: FeatureSource, min: f64, max: f64) -> NumericFeature {
    NumericFeature { name: name.into(), source, min, max, mean: 10.0, std: 20.0, default: 8.0 }
}

fn contract() -> FeatureContract {
    let mut numeric: Vec<_> =
        TEXT_FEATURES.iter().map(|name| feature(name, FeatureSource::Text, -1.0, 50_000.0)).collect();
    for name in AGGREGATE_FEATURES {
        let source = if name.starts_with("user") { FeatureSource::User } else { FeatureSource::Item };
        numeric.push(feature(name, source, 0.0, 1_000.0));
    }
    FeatureContract {
        format: 1,
        text_column: "reviewText".into(),
        cleaning: CleaningProfile::Unicode,
        min_chars: 1,
        max_chars: 2_000,
        lexicon: lexicon_digest(),
        numeric,
        classes: vec!["negative".into(), "positive".into()],
        stars: None,
    }
}

fn all_given() -> [(&'static str, NumericValue); 4] {
    AGGREGATE_FEATURES.map(|name| (name, NumericValue::Number(12.5)))
}

/// Applies and returns (accepted, rules in order, prepared).
fn apply(mode: ContractMode, text: &str, numeric: &[(&str, NumericValue)]) -> (bool, Vec<&'static str>, Prepared) {
    let mut out = Prepared::default();
    let result = contract().apply(mode, &Input { text, numeric }, &mut out);
    let accepted = result.is_ok();
    let findings = result.unwrap_or_else(|errors| errors);
    assert!(findings.iter().all(|finding| Violation::RULES.contains(&finding.rule) && !finding.description.is_empty()));
    (accepted, findings.iter().map(|finding| finding.rule).collect(), out)
}

const EVERY_MODE: [ContractMode; 3] = [ContractMode::Strict, ContractMode::Warn, ContractMode::Impute];

#[test]
fn a_right_row_passes_in_every_mode_without_a_warning() {
    for mode in EVERY_MODE {
        let (accepted, rules, out) = apply(mode, "A Great book", &all_given());
        assert!(accepted && rules.is_empty(), "{rules:?}");
        assert_eq!(out.cleaned, "a great book");
        assert_eq!(out.numeric[..2], [12.0, 3.0]);
        assert_eq!(out.numeric[8..], [12.5; 4]);
    }
}

#[test]
fn an_empty_text_is_refused_in_every_mode() {
    for mode in EVERY_MODE {
        for (text, rule) in [("", "text_empty"), (" \n\u{a0}", "text_empty"), ("!!! 😀", "text_empty_after_cleaning")]
        {
            let (accepted, rules, _) = apply(mode, text, &all_given());
            assert!(!accepted);
            assert_eq!(rules, [rule]);
        }
    }
}

#[test]
fn the_modes_differ_as_documented() {
    use NumericValue::{Missing, Number, Wrong};
    let name = "user_avg_len";
    // What is sent for one feature -> rule, value used by `warn`, value used by `impute`.
    for (given, rule, warned, imputed) in [
        (Some(Missing), "missing_feature", 8.0, 8.0),
        (None, "missing_feature", 8.0, 8.0),
        (Some(Wrong), "wrong_type", 8.0, 8.0),
        (Some(Number(f64::NAN)), "not_finite", 8.0, 8.0),
        (Some(Number(f64::INFINITY)), "not_finite", 8.0, 8.0),
        (Some(Number(-5.0)), "out_of_range", -5.0, 8.0),
    ] {
        let mut row: Vec<_> = all_given().into_iter().filter(|(given, _)| *given != name).collect();
        row.extend(given.map(|value| (name, value)));
        let (accepted, rules, _) = apply(ContractMode::Strict, "good book", &row);
        assert!(!accepted && rules == [rule], "{rules:?}");
        for (mode, wanted) in [(ContractMode::Warn, warned), (ContractMode::Impute, imputed)] {
            let (accepted, rules, out) = apply(mode, "good book", &row);
            assert!(accepted && rules == [rule], "{rules:?}");
            assert_eq!(out.numeric[8], wanted);
        }
    }
}

#[test]
fn unknown_and_repeated_names_are_errors_only_in_strict() {
    for (extra, rule) in [(("nonsense", 1.0), "unknown_feature"), (("user_avg_len", 99.0), "repeated_feature")] {
        let mut row = all_given().to_vec();
        row.push((extra.0, NumericValue::Number(extra.1)));
        let (accepted, rules, _) = apply(ContractMode::Strict, "good book", &row);
        assert!(!accepted && rules == [rule]);
        let (accepted, rules, out) = apply(ContractMode::Warn, "good book", &row);
        assert!(accepted && rules == [rule]);
        assert_eq!(out.numeric[8], 12.5, "the first value counts");
    }
}

#[test]
fn a_value_for_a_computed_feature_is_ignored_with_a_warning() {
    for mode in EVERY_MODE {
        let mut row = all_given().to_vec();
        row.push(("text_len", NumericValue::Number(40.0)));
        let (accepted, rules, out) = apply(mode, "good book", &row);
        assert!(accepted && rules == ["computed_feature"]);
        assert_eq!(out.numeric[0], 9.0);
    }
}

#[test]
fn three_standard_deviations_are_a_warning_in_every_mode() {
    for mode in EVERY_MODE {
        let mut row = all_given();
        row[0].1 = NumericValue::Number(70.1);
        let (accepted, rules, out) = apply(mode, "good book", &row);
        assert!(accepted && rules == ["three_sigma"]);
        assert_eq!(out.numeric[8], 70.1);
        row[0].1 = NumericValue::Number(70.0);
        assert!(apply(mode, "good book", &row).1.is_empty());
    }
}

#[test]
fn a_text_that_is_too_long_is_an_error_only_in_strict() {
    let text = "word ".repeat(401);
    assert!(!apply(ContractMode::Strict, &text, &all_given()).0);
    let (accepted, rules, _) = apply(ContractMode::Impute, &text, &all_given());
    assert!(accepted && rules.contains(&"text_too_long"));
}

#[test]
fn a_contract_survives_json_bit_for_bit_and_keeps_its_hash() {
    let mut contract = contract();
    contract.numeric[0].mean = 0.1 + 0.2;
    contract.numeric[1].std = 5e-324;
    contract.numeric[2].default = 1.0 / 3.0;
    contract.numeric[3].max = 123_456_789.123_456_79;
    let read: FeatureContract = serde_json::from_str(&serde_json::to_string(&contract).unwrap()).unwrap();
    assert_eq!(read, contract);
    assert_eq!(read.hash(), contract.hash());
    contract.numeric[2].default = 1.0;
    assert_ne!(read.hash(), contract.hash());
}

#[test]
fn validate_names_the_field() {
    type Spoil = fn(&mut FeatureContract);
    let cases: [(&str, Spoil); 13] = [
        ("contract.format", |c| c.format = 2),
        ("contract.text_column", |c| c.text_column.clear()),
        ("contract.max_chars", |c| c.max_chars = 0),
        ("contract.max_chars", |c| c.min_chars = 2_001),
        ("contract.lexicon", |c| c.lexicon = Digest::of(b"other")),
        ("contract.numeric[1]", |c| c.numeric[1].name = "text_len".into()),
        ("contract.numeric[0] (`length`)", |c| c.numeric[0].name = "length".into()),
        ("contract.numeric[2] (`kindle_freq`)", |c| c.numeric[2].mean = f64::NAN),
        ("contract.numeric[2] (`kindle_freq`)", |c| c.numeric[2].min = 60_000.0),
        ("contract.numeric[2] (`kindle_freq`)", |c| c.numeric[2].std = -1.0),
        ("contract.classes", |c| c.classes.truncate(1)),
        ("contract.classes", |c| c.classes[1] = "negative".into()),
        ("contract.stars", |c| c.stars = Some(vec![1.0])),
    ];
    contract().validate().unwrap();
    for (field, spoil) in cases {
        let mut spoiled = contract();
        spoil(&mut spoiled);
        let error = spoiled.validate().unwrap_err();
        assert_eq!(error.violations[0].field, field);
    }
}

#[test]
fn every_kind_of_change_has_its_level() {
    use ChangeLevel::{Major, Minor, None, Patch};
    type Change = fn(&mut FeatureContract);
    let cases: [(ChangeLevel, Change); 24] = [
        (None, |_| ()),
        (Patch, |c| c.numeric[0].mean = 11.0),
        (Patch, |c| c.numeric[0].std = 21.0),
        (Patch, |c| c.numeric[0].default = 9.0),
        (Patch, |c| c.text_column = "review".into()),
        (Minor, |c| c.numeric[9].max = 2_000.0),
        (Minor, |c| c.numeric[9].min = -1.0),
        (Minor, |c| c.max_chars = 5_000),
        (Minor, |c| c.numeric.push(feature("votes", FeatureSource::Caller, 0.0, 9.0))),
        (Minor, |c| c.numeric.insert(0, feature("votes", FeatureSource::Caller, 0.0, 9.0))),
        (Minor, |c| c.min_chars = 0),
        (Major, |c| c.numeric[9].max = 999.0),
        (Major, |c| c.max_chars = 1_999),
        (Major, |c| c.min_chars = 2),
        (Major, |c| drop(c.numeric.remove(3))),
        (Major, |c| c.numeric[9].name = "renamed".into()),
        (Major, |c| c.numeric.swap(0, 1)),
        (Major, |c| c.numeric[9].source = FeatureSource::Caller),
        (Major, |c| c.cleaning = CleaningProfile::Ascii),
        (Major, |c| c.lexicon = Digest::of(b"other")),
        (Major, |c| c.classes.swap(0, 1)),
        (Major, |c| c.classes.push("neutral".into())),
        (Major, |c| c.stars = Some(vec![1.0, 5.0])),
        (Major, |c| c.format = 2),
    ];
    for (index, (level, change)) in cases.into_iter().enumerate() {
        let mut new = contract();
        change(&mut new);
        let found = compare(&contract(), &new);
        assert_eq!(found.level, level, "case {index}: {found:?}");
        assert_eq!(found.reasons.is_empty(), level == None, "case {index}");
    }
    let mut both = contract();
    both.numeric[0].mean = 11.0;
    both.cleaning = CleaningProfile::Ascii;
    let found = compare(&contract(), &both);
    assert_eq!((found.level, found.reasons.len()), (Major, 2));
    assert!(found.reasons[0].contains("cleaning"));
}

#[test]
fn a_stored_row_that_does_not_fit_is_refused() {
    let contract = contract();
    assert!(contract.prepare_for_training("a".into(), &[Some(1.0); 11]).is_err());
    assert!(contract.prepare_for_training("a".into(), &[Some(f64::NAN); 12]).is_err());
    assert_eq!(contract.prepare_for_training("a".into(), &[None; 12]).unwrap().numeric, [8.0; 12]);
}

proptest! {
    /// Train features == serve features, bit for bit.
    #[test]
    fn a_stored_row_is_prepared_as_the_raw_row_is(
        raw in "\\PC*[a-z]|([A-Za-z'!?<>&;#0-9é’]{1,9} ?){1,30}",
        aggregates in proptest::collection::vec(proptest::option::of(-1e6f64..1e6), 4),
    ) {
        let contract = contract();
        let cleaned = clean(contract.cleaning, &raw);
        prop_assume!(!cleaned.is_empty());
        let mut stored: Vec<Option<f64>> = text_features(&raw, &cleaned).map(Some).to_vec();
        stored.extend(&aggregates);
        let numeric: Vec<_> = AGGREGATE_FEATURES
            .into_iter()
            .zip(&aggregates)
            .map(|(name, value)| (name, value.map_or(NumericValue::Missing, NumericValue::Number)))
            .collect();
        let mut served = Prepared { cleaned: "left over".into(), numeric: vec![1.0; 3] };
        contract.apply(ContractMode::Warn, &Input { text: &raw, numeric: &numeric }, &mut served).unwrap();
        let trained = contract.prepare_for_training(cleaned, &stored).unwrap();
        prop_assert_eq!(&trained.cleaned, &served.cleaned);
        let bits = |row: &Prepared| row.numeric.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&trained), bits(&served));
    }
}
