use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::history::random_of;

fn text(value: &str) -> ParamValue {
    ParamValue::Text(value.to_owned())
}

fn param(name: &str, domain: Domain) -> Param {
    Param { name: name.to_owned(), domain, when: None }
}

fn conditional(name: &str, domain: Domain, parent: &str, value: &str) -> Param {
    Param { when: Some(When { param: parent.to_owned(), values: vec![text(value)] }), ..param(name, domain) }
}

/// Whether two assignments are the same but for the last bits of floats: a coordinate and its value are rounded each.
pub(crate) fn same(one: &Assignment, other: &Assignment) -> bool {
    let close = |pair: ((&String, &ParamValue), (&String, &ParamValue))| match pair {
        ((name, ParamValue::Float(a)), (of, ParamValue::Float(b))) => {
            // Beside the ends of a range around 0 a value may be tiny.
            name == of && (a - b).abs() <= 1e-9 * a.abs().max(1e-3)
        }
        (one, other) => one == other,
    };
    one.len() == other.len() && one.iter().zip(other).all(close)
}

/// One parameter of every sort, two of them conditional.
pub(crate) fn every_sort() -> Space {
    let choices = ["linear", "trees", "network"].map(text).to_vec();
    Space::new(vec![
        param("kind", Domain::Categorical { choices }),
        param("rate", Domain::Float { low: 1e-4, high: 0.5, log: true, step: None }),
        param("share", Domain::Float { low: -1.0, high: 1.0, log: false, step: None }),
        param("tenths", Domain::Float { low: 0.0, high: 1.0, log: false, step: Some(0.1) }),
        param("flag", Domain::Categorical { choices: vec![ParamValue::Bool(false), ParamValue::Bool(true)] }),
        conditional("depth", Domain::Int { low: 2, high: 32, log: false, step: 3 }, "kind", "trees"),
        conditional("width", Domain::Int { low: 8, high: 512, log: true, step: 1 }, "kind", "network"),
        param("bytes", Domain::Int { low: 1, high: 1 << 40, log: true, step: 1 }),
    ])
    .unwrap()
}

#[test]
fn points_and_values_are_the_same_thing() {
    let space = every_sort();
    for number in 0..500 {
        let point = space.random(&mut random_of(1, number));
        let values = space.assignment(&point);
        let ParamValue::Text(kind) = &values["kind"] else { panic!("{values:?}") };
        assert_eq!(values.contains_key("depth"), kind == "trees");
        assert_eq!(values.contains_key("width"), kind == "network");
        let again = space.point(&values).unwrap();
        assert!(same(&space.assignment(&again), &values), "{point:?} {again:?}");
    }
}

#[test]
fn every_value_of_a_small_domain_comes_up_as_often_as_its_room() {
    let space = Space::new(vec![
        param("even", Domain::Int { low: 1, high: 5, log: false, step: 1 }),
        param("log", Domain::Int { low: 1, high: 4, log: true, step: 1 }),
    ])
    .unwrap();
    let (mut even, mut log) = ([0u32; 6], [0u32; 5]);
    for number in 0..20_000 {
        let values = space.assignment(&space.random(&mut random_of(2, number)));
        let (ParamValue::Int(a), ParamValue::Int(b)) = (&values["even"], &values["log"]) else { panic!("{values:?}") };
        even[*a as usize] += 1;
        log[*b as usize] += 1;
    }
    assert!(even[1..].iter().all(|count| count.abs_diff(4_000) < 300), "{even:?}");
    let room = |value: f64| ((value + 0.5) / (value - 0.5)).ln() / 9f64.ln() * 20_000.0;
    for value in 1..=4 {
        assert!((f64::from(log[value]) - room(value as f64)).abs() < 400.0, "{log:?}");
    }
}

#[test]
fn values_outside_of_the_space_are_named() {
    let space = every_sort();
    let good = space.assignment(&space.random(&mut random_of(3, 0)));
    let changed = |name: &str, value: Option<ParamValue>| {
        let mut values = good.clone();
        values.insert("kind".to_owned(), text("trees"));
        values.insert("depth".to_owned(), ParamValue::Int(5));
        values.remove("width");
        match value {
            Some(value) => drop(values.insert(name.to_owned(), value)),
            None => drop(values.remove(name)),
        }
        space.point(&values)
    };
    assert!(changed("depth", Some(ParamValue::Int(8))).is_ok());
    for (name, value, says) in [
        ("depth", Some(ParamValue::Int(6)), "outside"),
        ("depth", Some(ParamValue::Float(5.0)), "whole number"),
        ("depth", None, "missing"),
        ("width", Some(ParamValue::Int(9)), "does not exist"),
        ("kind", Some(text("other")), "no choice other"),
        ("rate", Some(ParamValue::Float(0.6)), "outside"),
        ("rate", Some(ParamValue::Float(f64::NAN)), "outside"),
        ("tenths", Some(ParamValue::Float(0.55)), "not a multiple"),
        ("else", Some(ParamValue::Int(1)), "no parameter of the space"),
    ] {
        let error = changed(name, value).unwrap_err();
        assert_eq!(error.violations[0].field, format!("params.{name}"));
        assert!(error.violations[0].description.contains(says), "{error}");
    }
}

#[test]
fn a_wrong_space_is_refused_with_the_parameter_named() {
    let float = |low: f64, high: f64, log: bool, step: Option<f64>| Domain::Float { low, high, log, step };
    let int = |low: i64, high: i64, log: bool, step: i64| Domain::Int { low, high, log, step };
    for (domain, says) in [
        (float(1.0, 0.0, false, None), "low <= high"),
        (float(f64::NAN, 0.0, false, None), "finite"),
        (float(-f64::MAX, f64::MAX, false, None), "finite"),
        (float(0.0, 1.0, true, None), "above 0"),
        (float(1.0, 2.0, true, Some(0.5)), "not both"),
        (float(0.0, 1.0, false, Some(0.0)), "step above 0"),
        (float(0.0, 1e300, false, Some(1e-10)), "at most 2^53 of them"),
        (int(2, 1, false, 1), "low <= high"),
        (int(i64::MIN, i64::MAX, false, 1), "at most 2^53"),
        (int(0, 5, true, 1), "begin at 1"),
        (int(0, 5, false, 0), "step of 1"),
        (Domain::Categorical { choices: vec![] }, "choices"),
        (Domain::Categorical { choices: vec![text("a"), text("a")] }, "twice"),
    ] {
        let error = Space::new(vec![param("x", domain)]).unwrap_err();
        assert_eq!(error.violations[0].field, "space.x");
        assert!(error.violations[0].description.contains(says), "{error}");
    }
    let switch = || param("k", Domain::Categorical { choices: vec![text("a"), text("b")] });
    let x = |when: &str, value: &str| conditional("x", int(0, 1, false, 1), when, value);
    for (params, says) in [
        (vec![], "1 to 200 parameters"),
        (vec![switch(), switch()], "earlier one has"),
        (vec![x("k", "a"), switch()], "does not stand before it"),
        (vec![switch(), x("k", "c")], "no choice of `k`"),
        (vec![param("k", int(0, 1, false, 1)), x("k", "a")], "not categorical"),
        (vec![param("", int(0, 1, false, 1))], "1 to 100 bytes"),
    ] {
        let error = Space::new(params).unwrap_err();
        assert!(error.violations[0].description.contains(says), "{error}");
    }
}

#[test]
fn corners_have_every_choice_and_both_ends_of_every_number() {
    let space = every_sort();
    let corners: Vec<Assignment> = space.corners(1_000).iter().map(|point| space.assignment(point)).collect();
    assert!(corners.iter().all(|corner| space.point(corner).is_ok()) && corners.len() < 100, "{}", corners.len());
    for param in space.params() {
        let wanted = match &param.domain {
            Domain::Float { low, high, .. } => vec![ParamValue::Float(*low), ParamValue::Float(*high)],
            Domain::Int { low, high, .. } => vec![ParamValue::Int(*low), ParamValue::Int(*high)],
            Domain::Categorical { choices } => choices.clone(),
        };
        for value in wanted {
            let one = |value: &ParamValue| Assignment::from([(param.name.clone(), value.clone())]);
            let found = corners.iter().filter_map(|corner| corner.get(&param.name));
            assert!(found.into_iter().any(|it| same(&one(it), &one(&value))), "{}: {value}", param.name);
        }
    }
    assert_eq!(space.corners(3).len(), 3);
}

#[test]
fn a_space_is_read_from_json() {
    let params: Vec<Param> = serde_json::from_value(json!([
        { "name": "kind", "type": "categorical", "choices": ["rf", 1, 1.5, true] },
        { "name": "trees", "type": "int", "low": 50, "high": 500, "step": 50,
          "when": { "param": "kind", "in": ["rf", true] } },
        { "name": "lr", "type": "float", "low": 1e-3, "high": 0.5, "log": true },
    ]))
    .unwrap();
    let space = Space::new(params.clone()).unwrap();
    assert!(space.is_conditional());
    let Domain::Categorical { choices } = &params[0].domain else { panic!("{params:?}") };
    let expected =
        [ParamValue::Text("rf".to_owned()), ParamValue::Int(1), ParamValue::Float(1.5), ParamValue::Bool(true)];
    assert_eq!(choices[..], expected);
    let again: Vec<Param> = serde_json::from_value(serde_json::to_value(&params).unwrap()).unwrap();
    assert_eq!(again, params);
}

proptest! {
    #[test]
    fn whatever_the_domain_values_stay_inside(
        low in -1e6f64..1e6, span in 0f64..1e6, step in 1e-3f64..1e5, ints in (-1000i64..1000, 0i64..5000, 1i64..50),
        seed in any::<u64>(),
    ) {
        let (first, length, every) = ints;
        let space = Space::new(vec![
            param("f", Domain::Float { low, high: low + span, log: false, step: None }),
            param("s", Domain::Float { low, high: low + span, log: false, step: Some(step) }),
            param("l", Domain::Float { low: span + 1e-9, high: span + step, log: true, step: None }),
            param("i", Domain::Int { low: first, high: first + length, log: false, step: every }),
            param("j", Domain::Int { low: 1 + length, high: 1 + length * 3, log: true, step: 1 }),
        ]).unwrap();
        let values = space.assignment(&space.random(&mut random_of(seed, 0)));
        let float = |name: &str| match &values[name] { ParamValue::Float(value) => *value, other => panic!("{other:?}") };
        let int = |name: &str| match &values[name] { ParamValue::Int(value) => *value, other => panic!("{other:?}") };
        prop_assert!((low..=low + span).contains(&float("f")) && (low..=low + span).contains(&float("s")));
        prop_assert!((span + 1e-9..=span + step).contains(&float("l")));
        prop_assert!((first..=first + length).contains(&int("i")) && (int("i") - first) % every == 0);
        prop_assert!((1 + length..=1 + length * 3).contains(&int("j")));
        let again = space.assignment(&space.point(&values).unwrap());
        prop_assert!(same(&again, &values), "{again:?} {values:?}");
    }
}
