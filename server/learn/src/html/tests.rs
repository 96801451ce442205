use super::*;

/// Checks that `page` stands alone: every tag is one of ours and closed, attributes are ours and quoted, and nothing is fetched or run.
pub(crate) fn check_page(page: &str) {
    const VOID: [&str; 2] = ["meta", "!DOCTYPE"];
    const ATTRIBUTES: &str = "class style title dir aria-hidden lang charset http-equiv content name xmlns width height viewBox role \
                              font-family x y x1 y1 x2 y2 fill stroke stroke-width stroke-dasharray stroke-linejoin points cx cy r \
                              font-size font-weight text-anchor transform";
    let known: Vec<&str> = ATTRIBUTES.split_whitespace().collect();
    let mut open = Vec::new();
    for part in page.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("no end of `{part}`"));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let name = name.trim_end_matches('/');
        assert!(!["script", "img", "link", "iframe", "a", "object", "form"].contains(&name), "{tag}");
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "{part}"),
            None if tag.ends_with('/') || VOID.contains(&name) => {}
            None => open.push(name),
        }
        assert!(!text.contains('>') || name == "style", "{part}");
        let fetches = |text: &str| text.contains("url(") || text.contains("@import");
        assert!(!fetches(tag) && (name != "style" || !fetches(text)), "{part}");
        if name != "!DOCTYPE" {
            for name in attributes.split('"').step_by(2).map(|name| name.trim_matches(['/', '=', ' '])) {
                assert!(name.is_empty() || known.contains(&name), "attribute `{name}` of {tag}");
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(page.contains("default-src 'none'"));
    assert!(page.chars().all(|c| visible(c) == c), "a character that cannot be shown");
}

#[test]
fn a_text_cannot_become_markup() {
    let mut page = Html::default();
    let hostile = "</style><script>\"'&\u{0}\u{202e}\r";
    page.open("p", &[("title", hostile)]).text(hostile).close("p");
    let escaped = "&lt;/style&gt;&lt;script&gt;&quot;&#39;&amp;\u{fffd}\u{fffd} ";
    assert_eq!(page.body, format!("<p title=\"{escaped}\">{escaped}</p>"));
    check_page(&page.finish(hostile));
}
