use proptest::prelude::*;
use tenor_store::run::{Attribute, Comparison, Condition, Field, Filter};

use super::{parse_filter, parse_order};

fn is(field: Field, condition: Condition) -> Filter {
    Filter::Is(field, condition)
}

#[test]
fn the_example_of_the_documentation_parses() {
    let text =
        "metrics.f1 > 0.8 AND (params.C <= 1 OR tags.team = 'a') AND state = 'succeeded' AND NOT name LIKE '%x%'";
    let expected = Filter::And(vec![
        is(Field::Metric("f1".into()), Condition::Number(Comparison::Greater, 0.8)),
        Filter::Or(vec![
            is(Field::Param("C".into()), Condition::Number(Comparison::LessOrEqual, 1.0)),
            is(Field::Tag("team".into()), Condition::Text(Comparison::Equal, "a".into())),
        ]),
        is(Field::Attribute(Attribute::State), Condition::Text(Comparison::Equal, "succeeded".into())),
        Filter::Not(Box::new(is(
            Field::Attribute(Attribute::Name),
            Condition::Like { pattern: "%x%".into(), ignore_case: false },
        ))),
    ]);
    assert_eq!(parse_filter(text).unwrap(), Some(expected));
    assert_eq!(parse_filter(" \n").unwrap(), None);
}

#[test]
fn lists_bounds_nulls_times_and_quoted_keys_parse() {
    let check = |text, expected| assert_eq!(parse_filter(text).unwrap(), Some(expected), "{text}");
    let metric = |key: &str| Field::Metric(key.into());
    check("metrics.a IN (1, -2.5e3)", is(metric("a"), Condition::NumberIn(vec![1.0, -2500.0])));
    check("metrics.\"test f1\"\"\" between 0 and .5", is(metric("test f1\""), Condition::NumberBetween(0.0, 0.5)));
    check("metrics.test/f1.macro is null", is(metric("test/f1.macro"), Condition::Missing));
    check(
        "tags.`a b` NOT IN ('x', 'it''s')",
        Filter::Not(Box::new(is(Field::Tag("a b".into()), Condition::TextIn(vec!["x".into(), "it's".into()])))),
    );
    check("params.flag = TRUE", is(Field::Param("flag".into()), Condition::Text(Comparison::Equal, "true".into())));
    check(
        "create_time >= '1970-01-01T00:00:01Z'",
        is(Field::Attribute(Attribute::CreateTime), Condition::Integer(Comparison::GreaterOrEqual, 1_000)),
    );
    // AND binds closer than OR.
    let one = |key| is(metric(key), Condition::Missing);
    check(
        "metrics.a IS NULL OR metrics.b IS NULL AND metrics.c IS NULL",
        Filter::Or(vec![one("a"), Filter::And(vec![one("b"), one("c")])]),
    );
}

#[test]
fn errors_name_the_character_and_the_remedy() {
    for (text, at, says) in [
        ("metrics.f1 >", 13, "expected a number"),
        ("metrics.f1 > 'a'", 14, "metrics compare with numbers"),
        ("tags.a = 1", 10, "single quotes"),
        ("colour = 'red'", 1, "expected a field"),
        ("name = 'x", 8, "never closed"),
        ("name = 'x' name", 12, "expected `AND`"),
        ("(name = 'x'", 12, "expected `)`"),
        ("state = 'done'", 9, "a state is"),
        ("metrics.a IN (1, 'x')", 18, "metrics compare"),
        ("params.a IN (1, 'x')", 17, "all numbers, or all text"),
        ("name LIKE 'a\\'", 11, "must be followed by"),
        ("metrics.a LIKE 'x'", 11, "holds numbers"),
        ("metrics. = 1", 9, "a key must follow"),
        ("metrics.a = 1e999", 13, "too large"),
        ("metrics.a = 1.2.3", 13, "not a number"),
        ("name = 'x'; DROP TABLE runs", 11, "no meaning"),
        ("create_time > 'yesterday'", 15, "must be a time"),
        ("NOT", 4, "expected a field"),
    ] {
        let error = parse_filter(text).unwrap_err();
        let (description, field) = (&error.violations[0].description, &error.violations[0].field);
        assert_eq!(field, "filter");
        assert!(description.starts_with(&format!("at character {at}:")), "{text}: {description}");
        assert!(description.contains(says), "{text}: {description}");
    }
}

#[test]
fn what_would_exhaust_the_database_is_refused() {
    let long = |text: &str, times: usize| text.repeat(times);
    for text in [
        long("(", 10_000),
        long("NOT ", 4_000),
        format!("{}name = 'x'", long("name = 'x' AND ", 1_000)),
        format!("metrics.a IN (1{})", long(",1", 2_000)),
        long(" ", 20_000),
    ] {
        assert!(parse_filter(&text).is_err(), "{}", &text[..20]);
    }
}

#[test]
fn an_order_is_a_list_of_fields() {
    let order = parse_order("metrics.f1 DESC, create_time, params.C asc").unwrap();
    assert_eq!(order.iter().map(|key| key.descending).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(order[0].field, Field::Metric("f1".into()));
    assert!(parse_order("").unwrap().is_empty());
    for wrong in ["metrics.f1 DOWN", "metrics.f1,", ",", "f1", "name name", "name; name", "name,name,name,name,name"] {
        assert_eq!(parse_order(wrong).unwrap_err().violations[0].field, "order_by", "{wrong}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
        let _ = (parse_filter(&text), parse_order(&text));
    }

    #[test]
    fn no_heap_of_tokens_makes_the_parser_panic(
        words in proptest::collection::vec(
            prop::sample::select(vec![
                "metrics.a", "params.b", "tags.\"c d\"", "name", "state", "create_time", "=", "<", ">=", "!=", "AND", "OR",
                "NOT", "IN", "BETWEEN", "LIKE", "ILIKE", "IS", "NULL", "(", ")", ",", "1", "-2e3", "'x'", "'\\'", "TRUE", "'",
                "desc", "\u{0}", "é", ".",
            ]),
            0..24,
        )
    ) {
        let text = words.join(" ");
        if let Err(error) = parse_filter(&text) {
            prop_assert!(!error.violations.is_empty());
        }
        let _ = parse_order(&text);
    }
}
