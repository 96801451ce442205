use serde_json::{Value, json};
use tenor_domain::Digest;
use tenor_features::contract::FeatureContract;
use tenor_features::pipeline::FeatureKind;
use tenor_features::random::Random;

use super::*;
use crate::baseline::FeatureBaseline;
use crate::html::tests::check_page;
use crate::metrics::{EvaluateOptions, evaluate};
use crate::slices::{Estimate, SliceReport, SliceScores};

/// Everything that a card borrows.
struct Stage {
    contract: FeatureContract,
    params: Value,
    lineage: Lineage,
    baseline: Baseline,
    test: Evaluation,
    languages: Vec<(String, f64)>,
    slice_names: [String; 2],
    features: Vec<(String, Vec<Contribution>)>,
}

const HOSTILE: [&str; 3] = [
    "</style><script>alert(1)</script>\n# heading\n\n- item",
    "`a` |b| **c** [d](javascript:e) ![f](http://g) <img src=x onerror=h>",
    "\u{202e}www.i.example https://j.example \\| \"'&amp; k_l _m_ ~n~ $o$\u{0}",
];

/// A small model with `classes`: with a `skill` of 1 as good as it is sure, with 0 as good as guessing.
fn stage(classes: &[&str], rows: usize, skill: f64) -> Stage {
    let classes: Vec<String> = classes.iter().map(|class| (*class).to_owned()).collect();
    let contract: FeatureContract = serde_json::from_value(json!({
        "format": 1, "text_column": "text", "cleaning": "unicode", "min_chars": 3, "max_chars": 5000,
        "lexicon": Digest::of(b"lexicon"), "classes": classes, "stars": null,
        "numeric": [{ "name": "votes", "source": "caller", "min": 0.0, "max": 900.0, "mean": 1.52, "std": 2.0, "default": 1.0 }],
    }))
    .unwrap();
    let mut random = Random::new(3, 1);
    let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let label = random.below(classes.len());
        let chance = 1.0 / classes.len() as f64;
        let sure = 1.0 - (1.0 - chance) * 0.9 * random.unit();
        let right = random.unit() < skill * sure + (1.0 - skill) * chance;
        let answer = if right { label } else { (label + 1 + random.below(classes.len() - 1)) % classes.len() };
        let rest = (1.0 - sure) / (classes.len() - 1) as f64;
        labels.push(label as u32);
        probabilities.extend((0..classes.len()).map(|class| if class == answer { sure } else { rest }));
    }
    let options = EvaluateOptions { resamples: 200, ..EvaluateOptions::default() };
    let test = evaluate(&labels, &probabilities, &classes, None, &options).unwrap();
    let quantiles = (0..=100).map(|part| f64::from(part * part) / 2.0 + 9.0).collect();
    let lengths =
        FeatureBaseline { name: "text_len".into(), mean: 400.0, std: 300.0, min: 9.0, max: 5009.0, quantiles };
    let shares = vec![1.0 / classes.len() as f64; classes.len()];
    let term = |feature: &str, value| Contribution { feature: feature.into(), kind: FeatureKind::Term, value };
    Stage {
        params: json!({ "c": 1.0, "note": classes[0], "tfidf": { "ngrams": [1, 2] } }),
        lineage: Lineage {
            program: "tenor 0.1.0".into(),
            train_digest: Some(Digest::of(b"train")),
            test_digest: Some(Digest::of(b"test")),
            train_rows: 8_000,
            seed: 42,
            ..Lineage::default()
        },
        baseline: Baseline { rows: 8_000, features: vec![lengths], classes: classes.clone(), class_shares: shares },
        languages: vec![("English".into(), 0.97), (classes[0].clone(), 0.03)],
        slice_names: [classes[0].clone(), "length: up to 120".into()],
        features: vec![(classes[1].clone(), vec![term("great", 2.5), term(&classes[0], -1.25), term("k_l", 0.5)])],
        contract,
        test,
    }
}

/// All that is known, or with `bare` nothing that may be missing.
fn with_inputs<T>(stage: &Stage, bare: bool, make: impl Fn(&CardInputs<'_>) -> T) -> T {
    let [first, second] = &stage.slice_names;
    let slice = |name: &String, accuracy: f64, half: f64| {
        let estimate = |value: f64| Estimate { value, interval: Some((value - half, value + half)) };
        let (by, name) = name.split_once(": ").unwrap_or(("label", name));
        SliceScores {
            by: by.into(),
            name: name.into(),
            rows: 120,
            accuracy: estimate(accuracy),
            macro_f1: estimate(accuracy - 0.02),
            ece: estimate(0.1),
        }
    };
    let slices = SliceReport {
        overall: slice(second, 0.8, 0.03),
        slices: vec![
            slice(second, 0.91, 0.05),
            slice(first, 0.55, 0.09),
            SliceScores { rows: 3, ..slice(first, 0.0, 0.0) },
        ],
        min_rows: 30,
        worst_by_accuracy: Some(1),
        worst_by_macro_f1: Some(1),
    };
    let bare_inputs = CardInputs {
        name: &stage.contract.classes[0],
        version: None,
        created: None,
        owner: None,
        licence: None,
        description: None,
        intended_use: None,
        out_of_scope: None,
        ethics: None,
        kind: "logreg",
        params: &stage.params,
        size: ModelSize { parameters: 40_001, nonzero: 31_000 },
        file: None,
        contract: &stage.contract,
        lineage: &Lineage::default(),
        calibration: None,
        rows: None,
        baseline: None,
        languages: None,
        test: None,
        validation: None,
        slices: None,
        features: None,
    };
    if bare {
        return make(&bare_inputs);
    }
    make(&CardInputs {
        version: Some(3),
        created: Some("2026-11-29 by ada"),
        owner: Some(&stage.contract.classes[0]),
        licence: Some("MIT"),
        description: Some(&stage.contract.classes[1]),
        intended_use: Some("Sorting reviews of books.\n\nNothing else."),
        file: Some((1_234_567, Digest::of(b"file"))),
        lineage: &stage.lineage,
        calibration: Some("temperature 1.31"),
        rows: Some([8_000, 1_000, stage.test.rows]),
        baseline: Some(&stage.baseline),
        languages: Some(&stage.languages),
        test: Some(&stage.test),
        validation: Some(&stage.test),
        slices: Some(&slices),
        features: Some(&stage.features),
        ..bare_inputs
    })
}

fn markdown(inputs: &CardInputs<'_>) -> String {
    write(inputs).markdown
}

fn html(inputs: &CardInputs<'_>) -> String {
    write(inputs).html
}

/// Checks what no name may break: one line a paragraph, no tag, no link, equally many cells in each row of a table.
fn check_markdown(text: &str) {
    assert!(!text.contains('<'), "{text}");
    assert!(text.chars().all(|c| c == '\n' || crate::html::visible(c) == c && c != '\t'));
    let headings = ["# ", "## ", "### "];
    let mut cells = None;
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        if fenced {
            continue;
        }
        let bare = line.replace("\\]", "").replace("\\:", "");
        assert!(!["](", "://", "www."].iter().any(|link| bare.contains(link)), "{line}");
        assert!(!line.starts_with('#') || headings.iter().any(|mark| line.starts_with(mark)), "{line}");
        assert!(!line.starts_with("# heading") && !line.starts_with("- item"), "{line}");
        match line.starts_with('|') {
            true => assert_eq!(*cells.get_or_insert(line.matches('|').count()), line.matches('|').count(), "{line}"),
            false => cells = None,
        }
    }
    assert!(!fenced);
}

#[test]
fn a_small_card_reads_as_recorded() {
    let card = with_inputs(&stage(&["bad", "fine", "good"], 240, 0.8), false, markdown);
    check_markdown(&card);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/card/tests/small.md");
    if std::env::var_os("TENOR_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &card).unwrap();
    }
    assert!(card == std::fs::read_to_string(path).unwrap(), "run with TENOR_UPDATE_SNAPSHOTS=1 and look at the change");
}

#[test]
fn hostile_names_cannot_break_out() {
    let stage = stage(&HOSTILE, 120, 0.7);
    for bare in [false, true] {
        check_markdown(&with_inputs(&stage, bare, markdown));
        let page = with_inputs(&stage, bare, html);
        check_page(&page);
        assert!(page.contains("&lt;script&gt;"));
    }
}

/// Writes the pages to look at them: `TENOR_PAGES=folder`.
#[test]
fn pages_can_be_looked_at() {
    let Some(folder) = std::env::var_os("TENOR_PAGES").map(std::path::PathBuf::from) else { return };
    std::fs::write(folder.join("card.html"), with_inputs(&stage(&["bad", "fine", "good"], 240, 0.8), false, html))
        .unwrap();
    std::fs::write(folder.join("hostile.html"), with_inputs(&stage(&HOSTILE, 120, 0.3), false, html)).unwrap();
    std::fs::write(folder.join("hostile.md"), with_inputs(&stage(&HOSTILE, 120, 0.3), false, markdown)).unwrap();
    std::fs::write(folder.join("bare.html"), with_inputs(&stage(&["bad", "good"], 100, 0.7), true, html)).unwrap();
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    for bare in [false, true] {
        let make = || {
            let stage = stage(&["bad", "good"], 150, 0.7);
            (with_inputs(&stage, bare, markdown), with_inputs(&stage, bare, html))
        };
        assert_eq!(make(), make());
    }
}

#[test]
fn missing_parts_are_said() {
    let stage = stage(&["bad", "good"], 100, 0.7);
    let card = with_inputs(&stage, true, markdown);
    for said in [
        "This version was not tested",
        "Nobody has described this model.",
        "No use has been written down.",
        "The languages of the training rows are not known.",
        "The lengths of the training texts are not known.",
        "There are no scores on test rows.",
        "There is no evaluation on test rows.",
        "The shares of the classes among the training rows are not known.",
        "The test rows were not looked at in slices.",
        "The importance of the features is not known.",
        "Test digest: not recorded",
        "File digest: not recorded",
        "Nobody has written down ethical considerations.",
    ] {
        assert!(card.contains(said), "{said}\n{card}");
        assert!(with_inputs(&stage, true, html).contains(said) || said.contains(": not recorded"), "{said}");
    }
    for title in ["Model Details", "Intended Use", "Factors", "Metrics", "Evaluation Data", "Training Data"] {
        assert!(card.contains(&format!("\n## {title}\n")));
    }
}

#[test]
fn a_card_warns_of_what_its_numbers_show() {
    let warned = |stage: &Stage, part: &str| {
        let found = with_inputs(stage, false, limits::warnings);
        assert!(found.iter().any(|warning| warning.contains(part)), "{part}: {found:?}");
    };
    let mut it = stage(&["bad", "fine", "good"], 120, 0.05);
    warned(&it, "Not better than guessing");
    warned(&it, "120 rows is a small test");
    warned(&it, "do not read the probabilities as frequencies");
    it.baseline.class_shares = vec![0.9, 0.02, 0.08];
    warned(&it, "“bad” has 90.0 % of the training rows, “fine” has 2.0 %");
    it.baseline.class_shares = vec![0.9, 0.0, 0.1];
    warned(&it, "without a single training row, so never learned: “fine”.");
    it.test.per_class[2].support = 0;
    warned(&it, "without a single test row, so never tested: “good”.");
    it.test.per_class[1].support = 7;
    warned(&it, "fewer than 30 test rows: “fine”.");
    it.test.resamples = 0;
    warned(&it, "have no intervals");

    let good = stage(&["bad", "good"], 900, 1.0);
    warned(&good, "Surely less accurate than the whole");
    assert_eq!(with_inputs(&good, false, limits::warnings).len(), 1);
    assert!(with_inputs(&good, false, markdown).contains("The weakest slice is “label: bad”, accuracy 0.550."));
}
