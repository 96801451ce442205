use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tenor_domain::{ErrorKind, Metric, Page, PageRequest, ParamValue, Run, State};
use tenor_platform::{NewRun, RunPatch, SearchRuns, parse_filter, parse_order};

use crate::oracle::{self, Dice, Field, METRICS, NUMBERS, Names, PARAMS, TAGS, TEXTS, quoted};
use crate::support::*;

const RUNS: usize = 1_000;

fn random_params(dice: &mut Dice) -> BTreeMap<String, ParamValue> {
    let mut params = BTreeMap::new();
    for key in PARAMS {
        let value = match dice.roll(9) {
            0 => continue,
            1 => ParamValue::Bool(dice.chance(50)),
            2 => ParamValue::Int(dice.pick(&[0, 1, -3, i64::MAX, i64::MIN, 9_007_199_254_740_993])),
            3..=5 => ParamValue::Float(dice.pick(&NUMBERS)),
            6 => ParamValue::Float(dice.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
            _ => ParamValue::Text((dice.pick(&TEXTS)).to_owned()),
        };
        params.insert(key.to_owned(), value);
    }
    params
}

/// Random runs in four experiments and ten that wait for a job, as the use cases return them.
async fn populate(bench: &Bench, dice: &mut Dice) -> (Vec<Run>, Names) {
    for n in 0..4 {
        bench.experiment(&format!("e{n}")).await;
    }
    let mut ids: Vec<tenor_domain::RunId> = Vec::new();
    for n in 0..RUNS - 10 {
        let mut new = NewRun { experiment: format!("e{}", dice.roll(4)), ..new_run(dice.pick(&TEXTS)) };
        new.note = (dice.pick(&["", "a\nb", "Äpfel\tund 'Birnen'", "u"])).to_owned();
        new.parent_run_id = dice.chance(20).then(|| ids.get(dice.roll(n.max(1))).cloned()).flatten();
        new.params = random_params(dice);
        for key in TAGS {
            if dice.chance(70) {
                new.tags.insert(key.to_owned(), (dice.pick(&TEXTS)).to_owned());
            }
        }
        bench.clock.advance_ms(i64::try_from(dice.roll(3)).unwrap() * 1_000);
        let run = bench.runs().create(&anyone(), new, None).await.unwrap();
        let mut points = Vec::new();
        for key in METRICS {
            let value = match dice.roll(10) {
                0..=2 => continue,
                3 => dice.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
                _ => dice.pick(&NUMBERS),
            };
            points.push(Metric { key: key.to_owned(), value, step: 1, at: START });
        }
        bench.runs().log_metrics(&anyone(), &run.id, points, None, None).await.unwrap();
        if dice.chance(60) {
            let state = dice.pick(&[State::Pending, State::Succeeded, State::Failed, State::Cancelled]);
            let error = (state == State::Failed).then(|| (dice.pick(&TEXTS)).to_owned());
            let patch = RunPatch { state: Some(state), error, ..RunPatch::default() };
            bench.runs().update(&run.id, patch, None).await.unwrap();
        }
        ids.push(run.id);
    }
    bench.import("kindle", "x", Value::Null).await;
    let split = bench.split("kindle").await;
    for _ in 0..10 {
        ids.push(bench.runs().train(&anyone(), train_spec(&split), None).await.unwrap().id);
    }
    let mut runs = Vec::new();
    for id in &ids {
        runs.push(bench.runs().get(id).await.unwrap());
    }
    let page = bench.experiments().list(PageRequest::first(0), None).await.unwrap();
    let names = page.items.into_iter().map(|found| (found.id.to_string(), found.name.to_string())).collect();
    (runs, names)
}

/// All pages of a search.
async fn all(bench: &Bench, search: &SearchRuns, size: u32) -> Vec<Run> {
    let mut page = PageRequest::first(size);
    let mut found = Vec::new();
    loop {
        let list = bench.runs().list(search.clone(), page.clone()).await;
        let Page { items, next, .. } = list.unwrap_or_else(|error| panic!("{search:?}: {error:?}"));
        assert!(items.len() == size as usize || next.is_none(), "only the last page is short");
        found.extend(items);
        assert!(found.len() <= RUNS, "it goes on for ever: {search:?}");
        let Some(next) = next else { return found };
        page.cursor = Some(next);
    }
}

fn search(filter: impl Into<String>, order_by: impl Into<String>) -> SearchRuns {
    SearchRuns { experiments: Vec::new(), filter: filter.into(), order_by: order_by.into() }
}

async fn agree(bench: &Bench, seed: u64, cases: usize) {
    let mut dice = Dice(seed);
    let (runs, names) = populate(bench, &mut dice).await;
    let mut sizes = BTreeSet::new();
    for case in 0..cases {
        let filter = oracle::filter(&mut dice, &runs, 3);
        let order: Vec<(Field, bool)> =
            (0..dice.roll(5)).map(|_| (oracle::field(&mut dice), dice.chance(50))).collect();
        let order_by: Vec<String> = order
            .iter()
            .map(|(field, descending)| {
                format!("{field}{}", if *descending { " desc" } else { dice.pick(&["", " ASC"]) })
            })
            .collect();
        let mut search = search(filter.to_string(), order_by.join(", "));
        if dice.chance(25) {
            search.experiments =
                vec!["e1".into(), names.iter().find(|(_, name)| *name == "training").unwrap().0.clone()];
        }
        let within = |run: &Run| {
            search.experiments.is_empty() || ["e1", "training"].contains(&names[run.experiment_id.as_str()].as_str())
        };
        let mut expected: Vec<&Run> = runs.iter().filter(|run| within(run) && filter.holds(run, &names)).collect();
        expected.sort_by(|one, other| oracle::by(&order, &names, one, other));
        sizes.insert(expected.len());
        let size = match expected.len() {
            0..=20 => 1,
            _ => dice.pick(&[7, 64, 333, 1_000]),
        };
        let found = all(bench, &search, size).await;
        let ids = |runs: &[&Run]| runs.iter().map(|run| run.id.to_string()).collect::<Vec<_>>();
        assert_eq!(
            ids(&found.iter().collect::<Vec<_>>()),
            ids(&expected),
            "case {case} of seed {seed} on {}, pages of {size}: {search:?}",
            bench.database.name
        );
        if case % 50 == 0 {
            for (found, expected) in found.iter().zip(expected) {
                check_metrics(&found.metrics, &expected.metrics);
                assert_eq!((&found.tags, &found.state, found.etag), (&expected.tags, &expected.state, expected.etag));
            }
        }
    }
    assert!(sizes.len() > cases / 5, "the searches are too much alike: {sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_searches_over_a_thousand_runs_find_what_brute_force_finds_page_by_page() {
    let benches = benches().await;
    futures::future::join_all(benches.iter().map(|bench| agree(bench, 20_261_124, 250))).await;
}

#[tokio::test]
async fn strings_that_try_to_break_out_are_only_strings() {
    const EVIL: [&str; 12] = [
        "'; DROP TABLE runs; --",
        "' OR '1'='1",
        "\" OR 1=1 --",
        "x'||(SELECT name FROM experiments)||'",
        "$1",
        "?1",
        ":name",
        "\\'; DELETE FROM runs; --",
        "%",
        "/*",
        "') UNION SELECT id FROM runs --",
        "\u{2019}; DROP TABLE runs",
    ];
    for bench in benches().await {
        bench.experiment("e").await;
        for evil in EVIL {
            let tags = tags(&[("team", evil), (evil, "x")]);
            bench.runs().create(&anyone(), NewRun { tags, ..new_run(evil) }, None).await.unwrap();
        }
        let count = async |filter: String, order: String| all(&bench, &search(filter, order), 100).await.len();
        for evil in EVIL {
            let text = quoted(evil);
            let key = evil.replace('"', "\"\"");
            assert_eq!(count(format!("tags.team = {text}"), String::new()).await, 1, "{evil}");
            assert_eq!(count(format!("name IN ({text}, 'x')"), String::new()).await, 1, "{evil}");
            assert_eq!(count(format!("tags.\"{key}\" = 'x'"), format!("tags.\"{key}\"")).await, 1, "{evil}");
            assert_eq!(count(format!("metrics.\"{key}\" > 0"), String::new()).await, 0, "{evil}");
            assert_eq!(count(String::new(), format!("params.\"{key}\" DESC")).await, EVIL.len(), "{evil}");
            // As a part of the language it is nothing.
            for text in [format!("name = '{evil}"), format!("name = {evil}"), evil.to_owned()] {
                let error = bench.runs().list(search(&text, ""), PageRequest::first(0)).await;
                assert!(error.is_err_and(|error| error.violations[0].field == "filter"), "{text}");
            }
            let error = bench.runs().list(search("", evil), PageRequest::first(0)).await;
            assert!(error.is_err_and(|error| error.violations[0].field == "order_by"), "{evil}");
            let experiments = SearchRuns { experiments: vec![evil.into()], ..SearchRuns::default() };
            let error = bench.runs().list(experiments, PageRequest::first(0)).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound);
        }
        assert_eq!(count(String::new(), String::new()).await, EVIL.len());
    }
}

/// A search with a few characters changed.
fn mutated(dice: &mut Dice, text: &str) -> String {
    const ODD: [char; 16] = ['\'', '"', '`', '(', ')', ',', '.', '\0', '\\', '%', '=', '<', ' ', '9', 'é', '\u{1F980}'];
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(chars.len() + 1);
        match dice.roll(4) {
            0 => chars.insert(at, dice.pick(&ODD)),
            1 => chars.truncate(at),
            2 if at < chars.len() => drop(chars.remove(at)),
            _ if at < chars.len() => chars[at] = dice.pick(&ODD),
            _ => chars.extend(text.chars().rev().take(5)),
        }
    }
    chars.into_iter().collect()
}

#[tokio::test]
async fn whatever_is_searched_for_the_answer_is_a_page_or_a_wrong_field() {
    for bench in benches().await {
        let run = bench.run("r").await;
        let mut dice = Dice(7);
        let (mut good, mut bad) = (0, 0);
        for _ in 0..3_000 {
            let filter = oracle::filter(&mut dice, std::slice::from_ref(&run), 2).to_string();
            let mut order = "metrics.f1 DESC, tags.\"a b\", name".to_owned();
            let filter = if dice.chance(50) { mutated(&mut dice, &filter) } else { filter };
            if dice.chance(50) {
                order = mutated(&mut dice, &order);
            }
            match (parse_filter(&filter), parse_order(&order)) {
                (Ok(_), Ok(_)) => {
                    good += 1;
                    let found = bench.runs().list(search(&filter, &order), PageRequest::first(0)).await;
                    found.unwrap_or_else(|error| panic!("{filter} by {order}: {error:?}"));
                }
                (Err(error), _) | (_, Err(error)) => {
                    bad += 1;
                    assert_eq!(
                        (error.kind, error.violations.len()),
                        (ErrorKind::InvalidArgument, 1),
                        "{filter}: {error}"
                    );
                }
            }
        }
        assert!(good > 100 && bad > 100, "{good} good, {bad} bad");
    }
}

#[tokio::test]
async fn a_search_at_its_limits_is_answered_and_one_beyond_them_refused() {
    for bench in benches().await {
        let run = bench.run("r").await;
        bench.runs().set_tags(&run.id, &tags(&[("t", &"🦀".repeat(5_000))]), None).await.unwrap();
        let list =
            async |filter: &str, order: &str| bench.runs().list(search(filter, order), PageRequest::first(0)).await;
        let depth = |levels: usize| format!("{}name = 'r'{}", "(".repeat(levels), ")".repeat(levels));
        let chain = |count: usize| vec!["name = 'r'"; count].join(" AND ");
        let values = |count: usize| format!("metrics.a IN ({}) OR name = 'r'", vec!["1"; count].join(","));
        for (good, bad) in [
            (depth(50), depth(51)),
            (format!("{}name = 'r'", "NOT ".repeat(50)), format!("{}name = 'r'", "NOT ".repeat(51))),
            (chain(200), chain(201)),
            (values(1_000), values(1_001)),
            (format!("name = 'r'{}", " ".repeat(16_374)), format!("name = 'r'{}", " ".repeat(16_375))),
            (format!("tags.t LIKE '{}%'", "🦀".repeat(5_000)), format!("tags.t LIKE '{}", "🦀".repeat(16_384))),
            // A longer one is too long for SQLite.
            (format!("tags.t NOT LIKE '{}'", "🦀".repeat(10_000)), format!("tags.t LIKE '{}'", "🦀".repeat(10_001))),
            (format!("tags.t NOT ILIKE '{}x'", "%🦀_".repeat(1_000)), "note ILIKE 7".to_owned()),
        ] {
            let shown: String = good.chars().take(40).collect();
            let found = list(&good, "").await.unwrap_or_else(|error| panic!("{shown}: {error:?}"));
            assert_eq!(found.items.len(), 1, "{shown} on {}", bench.database.name);
            let error = list(&bad, "").await.unwrap_err();
            assert_eq!(error.violations[0].field, "filter", "{shown}");
        }
        let key = "k".repeat(10_000);
        assert_eq!(list(&format!("metrics.{key} IS NULL"), &format!("tags.{key}")).await.unwrap().items.len(), 1);
        let error = list("", "name, name, name, name, name").await.unwrap_err();
        assert_eq!(error.violations[0].field, "order_by");
        let many = SearchRuns { experiments: vec!["e".into(); 1_001], ..SearchRuns::default() };
        let error = bench.runs().list(many, PageRequest::first(0)).await.unwrap_err();
        assert_eq!(error.violations[0].field, "experiments");
    }
}

#[tokio::test]
async fn a_page_token_fits_only_the_search_that_gave_it() {
    for bench in benches().await {
        for n in 0..5 {
            bench.run(&n.to_string()).await;
        }
        let given = search("name != 'x'", "name");
        let next = bench.runs().list(given.clone(), PageRequest::first(2)).await.unwrap().next;
        let page = PageRequest { size: 2, cursor: next };
        assert_eq!(bench.runs().list(given, page.clone()).await.unwrap().items[0].name, "2");
        let experiments = SearchRuns { experiments: vec!["e".into()], ..search("name != 'x'", "name") };
        for other in [search("name != 'y'", "name"), search("name != 'x'", "name DESC"), experiments] {
            let error = bench.runs().list(other, page.clone()).await.unwrap_err();
            check_error(&error, ErrorKind::InvalidArgument, "INVALID_FIELD", "other arguments");
        }
    }
}
