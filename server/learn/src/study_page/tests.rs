use super::*;
use crate::html::tests::check_page;

fn objective(name: &str, maximize: bool) -> PageObjective {
    PageObjective { name: name.to_owned(), maximize }
}

fn param(name: &str, scale: Scale) -> PageParam {
    PageParam { name: name.to_owned(), scale }
}

fn trial(number: i64, state: &'static str, values: &[f64], params: &[Option<f64>]) -> PageTrial {
    PageTrial {
        number,
        state,
        values: values.to_vec(),
        feasible: true,
        on_front: false,
        params: params.to_vec(),
        reports: Vec::new(),
    }
}

/// A number from 0 to 1 that looks random.
fn noise(seed: usize) -> f64 {
    (seed as f64 * 0.618_033_988_749_895).fract()
}

/// A study with every state, conditional parameters and reports.
fn study(trials: usize, objectives: usize, params: usize) -> StudyPage {
    let scale = |at: usize| match at % 3 {
        0 => Scale::Linear,
        1 => Scale::Log,
        _ => Scale::Categories(vec!["a".to_owned(), "b".to_owned()]),
    };
    let states = ["complete", "pruned", "complete", "failed", "complete", "complete", "running", "complete", "waiting"];
    let one = |number: usize| {
        let state = states[number % states.len()];
        let values = (0..if state == "complete" { objectives } else { 0 }).map(|at| noise(number * (at + 3)));
        let values: Vec<f64> = values.collect();
        let value = |at: usize| match at % 3 {
            0 => noise(number + at),
            1 => 10f64.powf(-5.0 * noise(number * 7 + at)),
            _ => (number % 2) as f64,
        };
        let params = (0..params).map(|at| (!(number + at).is_multiple_of(5)).then(|| value(at)));
        PageTrial {
            feasible: !number.is_multiple_of(7),
            on_front: number % 50 == 2,
            reports: (0..(number % 4) as i64).map(|step| (step * 10, noise(number) + step as f64)).collect(),
            ..trial(number as i64, state, &values, &params.collect::<Vec<_>>())
        }
    };
    StudyPage {
        name: "reviews".to_owned(),
        description: "finds a model".to_owned(),
        facts: vec![("sampler".to_owned(), "tpe".to_owned())],
        objectives: (0..objectives).map(|at| objective(&format!("objective {at}"), at % 2 == 0)).collect(),
        params: (0..params).map(|at| param(&format!("param {at}"), scale(at))).collect(),
        trials: (0..trials).map(one).collect(),
        importance: vec![("objective 0".to_owned(), (0..params).map(|at| (format!("param {at}"), 0.5)).collect())],
        winner: (trials > 2).then(|| (2, "it is the best".to_owned())),
    }
}

/// Checks that the page stands alone and holds together; returns it.
fn check(study: &StudyPage) -> String {
    let page = study.to_html();
    assert_eq!(page, study.to_html());
    for outside in ["http://", "https://", "url(", "@import", "<link", "<img", "<iframe", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
    // The two scripts are ours, and no other may run.
    let (before, scripts) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    let (data, script) = scripts.split_once("</script>\n<script>").unwrap();
    let (script, after) = script.split_once("</script>").unwrap();
    assert_eq!(script, include_str!("study.js"));
    assert!(page.contains("script-src 'sha256-"));
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let shown = data["trials"].as_object().unwrap();
    // Every mark of a trial has something to say.
    let mut rest = String::new();
    for (at, part) in format!("{before}{after}").split(" data-trial=\"").enumerate() {
        let Some((number, part)) = (if at == 0 { None } else { part.split_once('"') }) else {
            rest.push_str(part);
            continue;
        };
        assert!(shown.contains_key(number), "trial {number}");
        rest.push_str(part);
    }
    // The rest is what any page may hold, but for labels of pictures.
    let mut parts = rest.split(" aria-label=\"");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        plain.push_str(part.split_once('"').unwrap().1);
    }
    check_page(&plain);
    for picture in page.split("<svg").skip(1) {
        let picture = picture.split_once("</svg>").unwrap().0;
        assert!(!picture.contains("NaN") && !picture.contains("=\"inf") && !picture.contains("=\"-inf"), "{picture}");
    }
    page
}

fn count(page: &str, what: &str) -> usize {
    page.matches(what).count()
}

#[test]
fn a_page_has_every_section() {
    let page = check(&study(100, 2, 5));
    for title in [
        "Optimisation history",
        "Pareto front",
        "Importance of parameters",
        "Parallel coordinates",
        "Parameters against objective 0",
        "Reports on the way",
        "Trials",
    ] {
        assert!(page.contains(&format!("<h2>{title}</h2>")), "{title}");
    }
    assert!(page.contains("Winner: trial 2</h2><p>it is the best</p>"));
    assert_eq!(count(&page, "<tr class=\"marked\""), 1);
    assert_eq!(count(&page, "<svg"), 2 + 1 + 1 + 5 + 1);
}

#[test]
fn a_study_without_trials_says_so() {
    let page = check(&study(0, 1, 2));
    assert!(page.contains("No trial has ended yet.") && !page.contains("<svg"));
    check(&StudyPage::default());
}

#[test]
fn one_trial_is_enough_and_none_need_be_complete() {
    let page = check(&study(1, 1, 3));
    assert!(page.contains("<svg"));
    let mut failed = study(30, 2, 3);
    for trial in &mut failed.trials {
        trial.state = "failed";
        trial.values.clear();
        trial.on_front = false;
    }
    let page = check(&failed);
    assert!(page.contains("Optimisation history") && !page.contains("Pareto front"));
    assert_eq!(count(&page, "class=\"rug\""), 60);
}

#[test]
fn one_objective_has_no_front() {
    let page = check(&study(60, 1, 3));
    assert!(!page.contains("Pareto front") && !page.contains("on the front"));
}

#[test]
fn six_objectives_have_fifteen_pairs_and_200_parameters_twenty_plots() {
    let mut wide = study(150, 6, 200);
    wide.importance[0].1[150].1 = 0.9;
    let page = check(&wide);
    assert_eq!(count(&page, "<svg"), 6 + 15 + 1 + 20 + 1);
    assert!(page.contains("The 20 most important of 200 parameters."));
    assert!(page.contains("param 150") && !page.contains("param 120</th>"));
}

#[test]
fn twenty_thousand_trials_stay_readable() {
    let big = study(20_000, 2, 8);
    let page = check(&big);
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    assert_eq!(count(&page, "<tr class="), table::MAX_ROWS);
    assert!(page.contains("The first 200 of 20,000 trials"));
    assert!(page.contains("11,111 complete trials are drawn"));
    // The front is drawn whole where it fits.
    let view = view::View::new(&big);
    let fronts = |trials: &[usize]| trials.iter().filter(|&&trial| view.is_on_front(trial)).count();
    let all = (0..big.trials.len()).filter(|&trial| view.value(trial, 0).is_some()).collect::<Vec<_>>();
    assert_eq!(fronts(&view.complete), fronts(&all));
    assert!(view.complete.contains(&2) && view.complete.len() <= 800);
}

#[test]
fn a_front_larger_than_the_page_is_sampled_too() {
    let mut big = study(5_000, 3, 2);
    for trial in &mut big.trials {
        trial.on_front = trial.number % 9 == 2 || trial.number % 9 == 0;
    }
    let page = check(&big);
    assert!(page.contains("even samples of the front and of the others"));
    assert!(view::View::new(&big).complete.len() <= 800);
}

#[test]
fn equal_and_infinite_values_have_a_place() {
    let mut flat = study(40, 2, 3);
    for trial in &mut flat.trials {
        trial.values.fill(0.5);
        for value in trial.params.iter_mut().flatten() {
            *value = 1.0;
        }
    }
    check(&flat);
    for (at, trial) in flat.trials.iter_mut().enumerate() {
        let far = [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.0][at % 6];
        trial.values.fill(far);
        trial.params.fill(Some(far));
        trial.reports = vec![(i64::MIN, far), (i64::MAX, -far)];
    }
    let page = check(&flat);
    assert!(page.contains("<td class=\"number\">∞</td>"));
    for trial in &mut flat.trials {
        trial.values.fill(f64::INFINITY);
    }
    check(&flat);
}

#[test]
fn names_of_users_are_never_markup() {
    let hostile = "</script><script>alert('&\"')</script>\u{202e}\u{0}";
    let mut it = study(30, 2, 3);
    let names = [hostile.to_owned(), "x".repeat(5_000), "学習率-ñ-🦀".repeat(40)];
    it.name = hostile.to_owned();
    it.description = hostile.repeat(9);
    it.facts = vec![(hostile.to_owned(), hostile.to_owned())];
    it.winner = Some((2, hostile.to_owned()));
    it.importance = vec![(hostile.to_owned(), names.iter().map(|name| (name.clone(), 0.3)).collect())];
    for (param, name) in it.params.iter_mut().zip(&names) {
        param.name.clone_from(name);
    }
    it.params[2].scale = Scale::Categories(names.to_vec());
    it.objectives[0].name = hostile.to_owned();
    it.objectives[1].name = names[1].clone();
    let page = check(&it);
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert"));
    assert_eq!(count(&page, "<script"), 2);
    // A winner and a category that do not exist.
    it.winner = Some((77, "gone".to_owned()));
    it.trials[2].params[2] = Some(9.0);
    assert!(check(&it).contains("Winner: trial 77"));
}

#[test]
fn the_best_come_first() {
    let mut it = study(0, 1, 0);
    it.trials = vec![
        trial(0, "failed", &[], &[]),
        trial(1, "complete", &[0.4], &[]),
        trial(2, "pruned", &[], &[]),
        PageTrial { feasible: false, ..trial(3, "complete", &[0.9], &[]) },
        trial(4, "complete", &[0.6], &[]),
    ];
    let numbers = |it: &StudyPage| view::View::new(it).order;
    assert_eq!(numbers(&it), [4, 1, 3, 2, 0]);
    it.objectives[0].maximize = false;
    assert_eq!(numbers(&it), [1, 4, 3, 2, 0]);
    it.winner = Some((4, String::new()));
    assert_eq!(numbers(&it), [4, 1, 3, 2, 0]);
    let view = view::View::new(&it);
    assert_eq!([0.4, 0.6, 0.9].map(|value| view.shade(value)), [7, 3, 0]);
}

#[test]
fn ticks_are_round() {
    use super::axis::{Axis, number, range};
    let labels = |axis: Axis| axis.ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>();
    assert_eq!(labels(Axis::linear((0.0, 1.0), 5)), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    assert_eq!(labels(Axis::linear((-0.031, 0.052), 4)), ["-0.02", "0", "0.02", "0.04"]);
    assert_eq!(labels(Axis::linear((1e6, 4e6), 3)), ["1e6", "2e6", "3e6", "4e6"]);
    assert_eq!(labels(Axis::whole((0, 3), 10)), ["0", "1", "2", "3"]);
    assert_eq!(labels(Axis::whole((0, 20_000), 4)), ["0", "5,000", "10,000", "15,000", "20,000"]);
    assert_eq!(labels(Axis::log((1e-6, 1.0), 4)), ["1e-6", "1e-4", "0.01", "1"]);
    assert_eq!(labels(Axis::log((0.1, 0.5), 4)), ["0.1", "0.2", "0.5"]);
    assert_eq!(labels(Axis::log((0.0, 1.0), 2)), ["0", "0.5", "1.0"]);
    assert!(!labels(Axis::linear((3.0, 3.0), 5)).is_empty());
    let numbers = [0.0, 0.123_456_78, 1234.5, 12_345.678, 100_000.0, 1.5e-7, -3e9, f64::NEG_INFINITY].map(number);
    assert_eq!(numbers, ["0", "0.12346", "1234.5", "12346", "100000", "1.5e-7", "-3e9", "-∞"]);
    // One far value does not press the others flat, on the worse side only.
    let values = || (0..40).map(f64::from).chain([1e6]);
    assert!(range(values(), Some(false)).unwrap().1 < 100.0);
    assert_eq!(range(values(), Some(true)), Some((0.0, 1e6)));
    assert_eq!(range([f64::INFINITY].into_iter(), None), None);
}
