use proptest::prelude::*;

use super::*;

fn unicode(raw: &str) -> String {
    clean(CleaningProfile::Unicode, raw)
}

fn ascii(raw: &str) -> String {
    clean(CleaningProfile::Ascii, raw)
}

#[test]
fn entities_are_unescaped_once() {
    for (raw, wanted) in [
        ("it&#8217;s", "it’s"),
        ("&#x2019;&#X41;", "’A"),
        ("caf&eacute; &amp; bar", "café & bar"),
        ("&amp;#34;", "&#34;"),
        ("&amp;amp;", "&amp;"),
        ("&#150;", "–"),
        ("&#0;&#xD800;&#99999999;", "\u{fffd}\u{fffd}\u{fffd}"),
        ("&nosuch; &; &# ; &#x; & a;", "&nosuch; &; &# ; &#x; & a;"),
        ("AT&T; R&D", "AT&T; R&D"),
        ("&", "&"),
        ("&#12", "&#12"),
        ("&LT;&lt;&apos;", "<<'"),
    ] {
        assert_eq!(unescape_entities(raw), wanted, "{raw}");
    }
    assert!(matches!(unescape_entities("no entity & nothing"), Cow::Borrowed(_)));
}

#[test]
fn the_unicode_profile_keeps_letters_of_every_script() {
    for (raw, wanted) in [
        ("  Great   BOOK!! ", "great book"),
        ("Don&#8217;t 'quote' readers' o''clock", "don't quote readers o'clock"),
        ("see http://a.b/c?d=1 and HTTPS://X.Y now", "see and now"),
        ("<a href=\"http://x\">link</a><br/>text", "link text"),
        ("I <3 this, 5 > 4", "i 3 this 5 4"),
        ("a &lt;b&gt;bold&lt;/b&gt; move", "a bold move"),
        ("unclosed <b tag", "unclosed b tag"),
        ("ÉTÉ Straße ΑΒΓ Привет 你好 नमस्ते", "été straße αβγ привет 你好 नमस्ते"),
        ("e\u{301}te\u{301}", "e\u{301}te\u{301}"),
        ("1\u{fe0f}\u{20e3} 😀 \u{301}x", "1 x"),
        ("word.Word\n\tnext\u{a0}one", "word word next one"),
        ("!!! 😀", ""),
        ("", ""),
    ] {
        assert_eq!(unicode(raw), wanted, "{raw}");
    }
}

#[test]
fn the_ascii_profile_is_the_replaced_systems() {
    for (raw, wanted) in [
        ("  Great   BOOK!! 5 stars", "great book stars"),
        ("Don't; see http://a.b/c <br> word.Word", "dont see br wordword"),
        ("caf&eacute; ÉTÉ", "caf t"),
        ("a\nb\tc\u{a0}d\u{2003}e", "a b c d e"),
        ("1 2 3", ""),
    ] {
        assert_eq!(ascii(raw), wanted, "{raw}");
    }
}

#[test]
fn text_features_follow_their_definitions() {
    let raw = "My Kindle's KINDLE? Great!! ok";
    let [length, words, kindle, exclamations, questions, caps, word_length, sentiment] =
        text_features(raw, &unicode(raw));
    assert_eq!((length, words, kindle, exclamations, questions), (30.0, 5.0, 2.0, 2.0, 1.0));
    assert_eq!(caps, 9.0 / 30.0);
    assert_eq!(word_length, 6.0);
    assert!(sentiment > 0.0);
    assert_eq!(text_features("", ""), [0.0; 8]);
    assert_eq!(text_features(" \u{a0}", "")[..2], [2.0, 0.0]);
    assert_eq!(text_features("ÉTÉ", "été")[5], 1.0);
}

#[test]
fn many_open_tags_cost_one_scan() {
    let raw = "<a".repeat(500_000);
    assert_eq!(unicode(&raw).len(), 1_000_000 - 1);
}

proptest! {
    #[test]
    fn cleaning_never_panics_and_leaves_single_inner_spaces(raw in "\\PC*|[<>&#;'a-zA-Z0-9 h-t]*") {
        for profile in [CleaningProfile::Unicode, CleaningProfile::Ascii] {
            let cleaned = clean(profile, &raw);
            prop_assert_eq!(cleaned.trim(), &cleaned);
            prop_assert!(!cleaned.contains("  "));
        }
        prop_assert!(ascii(&raw).bytes().all(|b| b == b' ' || b.is_ascii_lowercase()));
    }

    #[test]
    fn the_unicode_profile_is_idempotent(raw in "\\PC*|(http|&#[0-9]{1,5};|&amp;|<b>|[a-zA-Z'’é ]){0,20}") {
        let once = unicode(&raw);
        prop_assert_eq!(unicode(&once), once);
    }

    #[test]
    fn a_text_without_entities_is_left_alone(raw in "[^&]*") {
        prop_assert_eq!(unescape_entities(&raw), &*raw);
    }

    #[test]
    fn features_are_finite_and_within_range(raw in "\\PC*") {
        let features = text_features(&raw, &unicode(&raw));
        prop_assert!(features.iter().all(|value| value.is_finite()));
        prop_assert!((0.0..=1.0).contains(&features[5]) && (-1.0..=1.0).contains(&features[7]));
        prop_assert_eq!(features[0] as usize, raw.chars().count());
        prop_assert_eq!(features[1] as usize, raw.split_whitespace().count());
    }
}

/// The words as they stand in `raw`.
fn found(profile: CleaningProfile, raw: &str) -> Vec<&str> {
    words(profile, raw).into_iter().map(|range| &raw[range]).collect()
}

#[test]
fn words_are_found_in_the_raw_text() {
    for (raw, wanted) in [
        ("  Great   BOOK!! ", &["Great", "BOOK"][..]),
        ("Don&#8217;t 'quote' o''clock", &["Don&#8217;t", "quote", "o''clock"]),
        ("caf&eacute; &amp; bar", &["caf&eacute;", "bar"]),
        ("<a href=\"http://x\">link</a><br/>text <3 x", &["link", "text", "3", "x"]),
        ("see http://a.b/c?d=1 now", &["see", "now"]),
        ("unclosed <b tag", &["unclosed", "b", "tag"]),
        ("&lt;b&gt;bold", &["bold"]),
        ("Été e\u{301}te\u{301} 日本語 🦀", &["Été", "e\u{301}te\u{301}", "日本語"]),
        ("!!!", &[]),
        ("", &[]),
    ] {
        assert_eq!(found(CleaningProfile::Unicode, raw), wanted, "{raw}");
    }
    assert_eq!(found(CleaningProfile::Ascii, "Don't caf&eacute; 5 stars!"), ["Don't", "caf", "stars"]);
}

proptest! {
    #[test]
    fn the_words_of_the_raw_text_are_those_of_the_cleaned_one(
        raw in "\\PC*|(http|&#[0-9]{1,5};|&amp;|&lt;|<b>|[<>a-zA-Z'’é\u{301} ;&]){0,30}",
    ) {
        for profile in [CleaningProfile::Unicode, CleaningProfile::Ascii] {
            let each: Vec<String> = found(profile, &raw).into_iter().map(|word| clean(profile, word)).collect();
            prop_assert_eq!(each.join(" "), clean(profile, &raw));
        }
    }
}
