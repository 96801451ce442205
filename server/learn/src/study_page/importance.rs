//! Which parameters mattered.

use super::StudyPage;
use super::chart::fit;
use crate::html::Html;
use crate::plot::svg::clip;

/// Bars of one target, fewer when there are many targets.
const MAX_BARS: usize = 20;
const MAX_BARS_OF_MANY: usize = 10;
/// Shares that print as nothing get no bar.
const LEAST: f64 = 0.0005;

/// Bars of the shares, the largest first.
pub(super) fn write(page: &mut Html, study: &StudyPage) {
    page.element("p", "note", "How much of the difference between trials each parameter explains.").line();
    let most = if study.importance.len() > 2 { MAX_BARS_OF_MANY } else { MAX_BARS };
    page.open("div", &[("class", if study.importance.len() > 1 { "plots two" } else { "plots" })]).line();
    for (target, shares) in &study.importance {
        page.open("div", &[]).element("h3", "", &clip(target, 80));
        let mut shares: Vec<&(String, f64)> = shares.iter().collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        let large = shares.iter().take_while(|(_, share)| *share >= LEAST).count();
        let (shown, rest) = shares.split_at(large.min(most));
        page.open("div", &[("class", "bars")]);
        for (name, share) in shown {
            let percent = share.clamp(0.0, 1.0) * 100.0;
            page.open("span", &[("title", name)]).text(&fit(name, 158.0)).close("span");
            page.open("span", &[("class", "range"), ("aria-hidden", "true")]);
            page.open("i", &[("class", "bar"), ("style", &format!("width:{percent:.1}%"))]).close("i").close("span");
            page.element("span", "number", &format!("{percent:.1} %"));
        }
        page.close("div");
        if !rest.is_empty() {
            let share: f64 = rest.iter().map(|(_, share)| share).sum();
            let text = format!("Together {:.1} % for the other parameters ({}).", share * 100.0, rest.len());
            page.element("p", "note", &text);
        }
        page.close("div").line();
    }
    page.close("div").line();
}
