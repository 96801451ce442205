use super::*;
use crate::html::tests::check_page;

fn classes() -> Vec<String> {
    ["negative", "<b>positive</b>"].map(str::to_owned).into()
}

fn shares(tokens: &[(usize, usize, f64)]) -> Vec<TokenShare> {
    tokens.iter().map(|&(start, end, value)| TokenShare { start, end, value }).collect()
}

fn explained(text: &str, tokens: &[(usize, usize, f64)]) -> ExplainedText {
    ExplainedText {
        text: text.to_owned(),
        tokens: shares(tokens),
        label: 1,
        truth: Some(0),
        probabilities: vec![0.25, 0.75],
    }
}

#[test]
fn tokens_are_coloured_by_what_they_add() {
    let page = explanations("Answers", &classes(), &[explained("a great dull book", &[(2, 7, 2.0), (8, 12, -1.0)])]);
    check_page(&page);
    let great = "<span class=\"for\" style=\"background:rgba(var(--for),0.50)\" title=\"+2.0000\">great</span>";
    let dull = "<span class=\"against\" style=\"background:rgba(var(--against),0.25)\" title=\"-1.0000\">dull</span>";
    assert!(page.contains(&format!("a {great} {dull} book")), "{page}");
    assert!(page.contains("wrong, truth is <b>negative</b>") && page.contains("75.0 %"));
}

#[test]
fn overlapping_tokens_add_up_and_misfits_stand_outside() {
    // (1, 2) would cut the é in two.
    let tokens = [(3, 8, 1.0), (0, 8, 0.5), (1, 2, 7.0), (90, 99, 1.0), (5, 5, 1.0), (0, 2, f64::NAN)];
    let (pieces, outside) = spans("é great day", &shares(&tokens));
    assert_eq!(pieces, [("é ", 0.5), ("great", 1.5), (" day", 0.0)]);
    assert_eq!(outside, 9.0);
    assert_eq!(spans("", &[]), (vec![], 0.0));
    assert!(explanations("x", &classes(), &[explained("é great day", &tokens)]).contains("Outside the text"));
}

#[test]
fn texts_and_names_cannot_become_markup() {
    let hostile = "\"><script>alert(1)</script>\u{202e}\u{0}'";
    let names = vec![hostile.to_owned(); 2];
    let page = explanations(hostile, &names, &[explained(hostile, &[(2, 10, 1.0), (10, 11, -1.0)])]);
    check_page(&page);
    assert!(page.contains("&lt;script"));
}

#[test]
fn whatever_is_given_makes_the_same_page_twice() {
    let odd = ExplainedText {
        text: String::new(),
        tokens: vec![],
        label: 9,
        truth: None,
        probabilities: vec![f64::NAN, 2.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
    };
    let page = explanations("x", &classes(), std::slice::from_ref(&odd));
    check_page(&page);
    assert!(page.contains("class 9") && page.contains("truth not known") && page.contains("and 2 less likely classes"));
    assert_eq!(page, explanations("x", &classes(), &[odd]));
    let empty = explanations("x", &classes(), &[]);
    check_page(&empty);
    assert!(empty.contains("No answers to explain."));
}

/// Writes a page to look at it: `TENOR_PAGES=folder`.
#[test]
fn a_page_can_be_looked_at() {
    let Some(folder) = std::env::var_os("TENOR_PAGES").map(std::path::PathBuf::from) else { return };
    let text = "I wanted to love this book: the first chapters are great, the characters feel real.\nBut the end was slow, dull and predictable!";
    let word = |word: &str, value: f64| {
        let from = text.find(word).unwrap();
        (from, from + word.len(), value)
    };
    let words = [
        word("love", 0.4),
        word("great", 1.9),
        word("real", 0.7),
        word("slow", -0.8),
        word("dull", -1.6),
        word("predictable", -2.2),
        word("wanted", -0.5),
        word("wanted to", -0.4),
        word("!", 0.12),
        (999, 1000, -0.31),
    ];
    let wrong = ExplainedText {
        truth: Some(1),
        label: 0,
        probabilities: vec![0.81, 0.19],
        tokens: shares(&words.map(|(from, to, value)| (from, to, -value))),
        ..explained(text, &[])
    };
    let stars: Vec<String> = (1..=8).map(|star| format!("{star} stars")).collect();
    let long = ExplainedText {
        probabilities: vec![0.04, 0.5, 0.3, 0.05, 0.05, 0.03, 0.02, 0.01],
        truth: None,
        ..explained(text, &words)
    };
    let right = ExplainedText { truth: Some(1), ..explained(text, &words) };
    std::fs::write(
        folder.join("explained.html"),
        explanations("Answers of kindle-reviews, version 3", &classes(), &[wrong, right]),
    )
    .unwrap();
    std::fs::write(folder.join("stars.html"), explanations("Answers", &stars, &[long])).unwrap();
}
