use super::*;

fn limits() -> Limits {
    Limits::default()
}

fn reason(query: &str) -> String {
    let error = parse(query, &limits()).err().unwrap_or_else(|| panic!("not refused: {query:.60}"));
    let extensions = serde_json::to_value(&error.extensions).unwrap();
    extensions["reason"].as_str().unwrap_or("PARSER").to_owned()
}

fn chain(length: usize, spreads: usize) -> String {
    let mut query = "{ ...F0 }".to_owned();
    for n in 0..length {
        let body = format!("...F{} ", n + 1).repeat(spreads);
        query += &format!(" fragment F{n} on Query {{ {body} }}");
    }
    query + &format!(" fragment F{length} on Query {{ __typename }}")
}

#[test]
fn nesting_is_counted_outside_of_strings_and_comments() {
    for (query, depth) in [
        ("", 0),
        ("{a}", 1),
        ("{a(x:[{b:1}]){c}}", 4),
        ("}}}{", 1),
        ("{ # {{{{\n a }", 1),
        ("{ # {{{{\r a { b } }", 2),
        (r#"{ a(x: "{{{\"{{" y: "}}}") { b } }"#, 2),
        (r#"{ a(x: """{{ " \""" {{ """) { b } }"#, 2),
        (r#"{ a(x: "") { b { c } } }"#, 3),
        ("{ a(x: \"open\n {{{{{", 2),
        // No block, but an empty string, a string, and brackets.
        (r#"{ a(x: [""" " [[[ "#, 6),
        (r#"{ a(x: [""" \""" [[[ "#, 3),
        (r#"{ a(x: """open {{{{ "#, 2),
        (r#"{ a(x: \ [[[[ "#, 2),
    ] {
        assert_eq!(nesting(query), depth, "{query}");
    }
}

#[test]
fn deep_texts_are_refused_before_they_are_parsed() {
    let hidden = format!("{{a(x:[\"\"\" \" {}", "[".repeat(50_000));
    for deep in [
        hidden,
        "{a".repeat(20_000),
        format!("{{a(x:{}", "[".repeat(50_000)),
        format!("query($x:{}", "[".repeat(50_000)),
    ] {
        assert_eq!(reason(&deep), "QUERY_TOO_DEEP");
    }
    assert_eq!(reason(&"x".repeat(64 << 10 | 1)), "QUERY_TOO_LARGE");
    // At the limit the parser still has its stack, also on a small thread.
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(|| {
        for (open, close) in [("{a", "}"), ("{a(x:[", "])}")] {
            let levels = MAX_NESTING / open.matches(['{', '[', '(']).count();
            let _ = parse(&(open.repeat(levels) + &close.repeat(levels)), &limits());
        }
        let _ = parse(&format!("{{a(x:{}{})}}", "[".repeat(62), "]".repeat(62)), &limits());
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn fragments_are_written_out_in_the_count_but_not_in_memory() {
    // 2^90 fields.
    assert_eq!(reason(&chain(90, 2)), "QUERY_TOO_LARGE");
    assert_eq!(reason(&chain(200, 1)), "QUERY_TOO_LARGE");
    assert_eq!(reason("{ ...A } fragment A on Query { ...B } fragment B on Query { x { ...A } }"), "QUERY_INVALID");
    assert_eq!(reason("{ __typename } fragment A on Query { ...A }"), "QUERY_INVALID");
    assert!(parse(&chain(20, 1), &limits()).is_ok());
}

#[test]
fn many_aliases_directives_and_fields_are_refused() {
    let many = |count: usize, one: &str| format!("{{ {} }}", one.repeat(count));
    assert!(parse(&many(30, "a:__typename "), &limits()).is_ok());
    assert_eq!(reason(&many(31, "a:__typename ")), "QUERY_TOO_LARGE");
    assert_eq!(reason(&format!("{{ __typename {} }}", "@include(if: true) ".repeat(31))), "QUERY_TOO_LARGE");
    assert_eq!(reason(&many(31, "... @skip(if: false) { __typename } ")), "QUERY_TOO_LARGE");
    assert_eq!(reason(&format!("query {} {{ __typename }}", "@x ".repeat(31))), "QUERY_TOO_LARGE");
    assert_eq!(reason(&many(1_001, "__typename ")), "QUERY_TOO_LARGE");
    assert_eq!(reason(&format!("{}{}", "{ a ".repeat(17), "}".repeat(17))), "QUERY_TOO_DEEP");
    // Many operations are no way around.
    let named: String = (0..31).map(|n| format!("query Q{n} {{ a: __typename }} ")).collect();
    assert_eq!(reason(&named), "QUERY_TOO_LARGE");
}

#[test]
fn circles_of_introspection_are_refused() {
    let circle = "fields { type { fields { type { fields { name } } } } }";
    assert_eq!(reason(&format!("{{ __schema {{ types {{ {circle} }} }} }}")), "QUERY_TOO_DEEP");
    assert_eq!(reason(&format!("{{ {} }}", "__schema { types { name } } ".repeat(5))), "QUERY_TOO_LARGE");
}

#[test]
fn malformed_queries_say_where() {
    let error = parse("{ a(x: }", &limits()).unwrap_err();
    assert_eq!((error.locations.len(), error.extensions.is_none()), (1, true));
    for malformed in ["", "{", "{}", "query", "\0", "{ a }}", "mutation { a ", "\u{feff}", "{ a(x: \"\\u{110000}\") }"]
    {
        assert!(parse(malformed, &limits()).is_err(), "{malformed}");
    }
}
