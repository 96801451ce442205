//! One review: star, date, length, words, marks, ids, and a defect where one is due.

use std::borrow::Cow;

use super::rng::Rng;
use super::words::{CUES, Words};
use super::{GenerateOptions, GeneratedFormat};
use crate::value::{civil, days};

/// A review as it will be written.
pub(super) struct Review {
    pub(super) user: String,
    pub(super) asin: String,
    pub(super) name: String,
    pub(super) helpful: String,
    pub(super) helpful_is_list: bool,
    pub(super) text: Vec<u8>,
    pub(super) overall: Option<u8>,
    pub(super) summary: String,
    /// Seconds since 1970.
    pub(super) time: i64,
    pub(super) review_time: String,
    pub(super) broken: bool,
}

pub(super) struct Reviews<'a> {
    options: &'a GenerateOptions,
    words: Words,
}

const STARS: [f64; 5] = [2.63, 3.73, 9.44, 25.40, 58.80];
/// (first day, weight) of each span of dates; shares by year to 2011, then by quarter.
const DATES: [(i64, u32, f64); 16] = [
    (2006, 8, 5.0),
    (2010, 1, 13.0),
    (2011, 1, 135.0),
    (2012, 1, 90.0),
    (2012, 4, 110.0),
    (2012, 7, 141.0),
    (2012, 10, 286.0),
    (2013, 1, 473.0),
    (2013, 4, 467.0),
    (2013, 7, 562.0),
    (2013, 10, 610.0),
    (2014, 1, 818.0),
    (2014, 4, 965.0),
    (2014, 7, 230.0),
    (2014, 8, 0.0),
    (2014, 9, 0.0),
];
const WORDS: [(f64, f64); 12] = [
    (0.0, 4.0),
    (0.006, 20.0),
    (0.01, 20.0),
    (0.05, 21.0),
    (0.10, 24.0),
    (0.25, 33.0),
    (0.50, 61.0),
    (0.75, 129.0),
    (0.90, 268.0),
    (0.95, 388.0),
    (0.99, 652.0),
    (1.0, 1274.0),
];
const MEAN_WORDS: [f64; 5] = [94.7, 98.6, 114.1, 137.9, 100.8];
const BANGS: [f64; 5] = [0.62, 0.40, 0.27, 0.81, 1.24];
const ASKS: [f64; 5] = [0.60, 0.47, 0.20, 0.28, 0.20];
const RATIO: [f64; 5] = [0.50, 0.54, 0.67, 0.83, 0.87];
const VOTES: [(f64, f64); 7] =
    [(0.0, 1.0), (0.5, 1.9), (0.75, 3.9), (0.90, 6.9), (0.95, 10.9), (0.99, 21.9), (1.0, 164.0)];
const ENTITIES: [(&str, f64); 8] = [
    ("&#8217;", 285.0),
    ("&#34;", 129.0),
    ("&#8220;", 33.0),
    ("&#8221;", 33.0),
    ("&#8230;", 26.0),
    ("&#8216;", 18.0),
    ("&#8211;", 17.0),
    ("&eacute;", 13.0),
];
const SUMMARIES: [&str; 8] =
    ["loved it", "good read", "great book", "ok", "great read", "Good story", "Loved it!", "A good book"];
const NAMES: [&str; 10] = [
    "Kindle Customer",
    "Amazon Customer",
    "Jean",
    "M. Reader",
    "Bookworm",
    "Sam \"Sammy\" Hill",
    "Alex",
    "Kim",
    "D. Lane",
    "Pat",
];
const BEYOND_ASCII: [&str; 8] = [
    "caf\u{e9}",
    "na\u{ef}ve",
    "\u{201c}quoted\u{201d}",
    "\u{1f600}",
    "\u{4f60}\u{597d}",
    "\u{43a}\u{43d}\u{438}\u{433}\u{430}",
    "e\u{301}t\u{e9}",
    "\u{2026}",
];
const DEFECTS: usize = 11;

impl<'a> Reviews<'a> {
    pub(super) fn new(options: &'a GenerateOptions) -> Self {
        Self { options, words: Words::new() }
    }

    pub(super) fn review(&self, row: u64) -> Review {
        let mut defect = Rng::new(self.options.seed, row ^ 0xDEF0_0000_0000_0000);
        if !defect.chance(self.options.defects) {
            return self.sound(row);
        }
        let kind = defect.below(DEFECTS);
        // A copy repeats the row before it.
        let mut review = self.sound(if kind == 0 { row.saturating_sub(1) } else { row });
        match kind {
            1 => review.text.clear(),
            2 => review.text = b"   ".to_vec(),
            3 => review.overall = Some(7),
            4 => review.overall = None,
            5 => (review.time, review.review_time) = (-1, String::new()),
            6 => (review.helpful, review.helpful_is_list) = ("[, 36]".to_owned(), false),
            7 => review.asin.truncate(8),
            8 => review.text.splice(0..0, *b"\x07\x08").for_each(drop),
            9 => review.text.extend_from_slice(b" \xff\xfe"),
            10 => review.broken = true,
            _ => {}
        }
        review
    }

    fn sound(&self, row: u64) -> Review {
        let mut rng = Rng::new(self.options.seed, row);
        let span = rng.weighted(&DATES.map(|(_, _, weight)| weight));
        let first = |at: usize| days(DATES[at].0, DATES[at].1, 1).unwrap_or(0);
        let day = first(span) + rng.below((first(span + 1) - first(span)).max(1) as usize) as i64;
        let (year, month, date) = civil(day);
        let tilt = match year {
            ..=2010 => -0.55,
            2011 => -0.25,
            2012 | 2013 => -0.03,
            _ => 0.08,
        };
        let mut shares = STARS;
        shares.iter_mut().enumerate().for_each(|(star, share)| *share *= (tilt * (star as f64 - 3.3)).exp());
        let star = rng.weighted(&shares);
        let votes = if rng.chance(0.543) { 0 } else { rng.quantile(&VOTES) as u64 };
        let useful = (0..votes).filter(|_| rng.chance(RATIO[star])).count();
        let name = if rng.chance(0.0049) { String::new() } else { (*rng.pick(&NAMES)).to_owned() };
        let text = self.text(star, &mut rng);
        let summary = if rng.chance(0.18) {
            (*rng.pick(&SUMMARIES)).to_owned()
        } else {
            let words = 1 + rng.below(7);
            (0..words).map(|_| self.words.draw(polarity(star), &mut rng)).collect::<Vec<_>>().join(" ")
        };
        let list = self.options.format == GeneratedFormat::JsonLines;
        Review {
            user: format!("A{:013X}", crate::split::mix(self.owner(row, 14, 1), 77) >> 12),
            asin: format!("B00{:07X}", crate::split::mix(self.owner(row, 16, 2), 78) >> 36),
            name,
            helpful: format!("[{useful}, {votes}]"),
            helpful_is_list: list,
            text: text.into_bytes(),
            overall: Some(star as u8 + 1),
            summary,
            time: day * 86_400,
            review_time: format!("{month:02} {date}, {year}"),
            broken: false,
        }
    }

    /// A user or item number: each has 5 rows or more, `mean` on average, some far more.
    fn owner(&self, row: u64, mean: u64, stream: u64) -> u64 {
        let rows = self.options.rows.max(1);
        let owners = (rows / mean).max(1);
        // Rows in an order of their own: a step that shares no divisor with their number visits each once.
        let mut step = (crate::split::mix(stream, self.options.seed) % rows) | 1;
        while gcd(step, rows) != 1 {
            step += 2;
        }
        let place = (u128::from(row) * u128::from(step) % u128::from(rows)) as u64;
        if place < 5 * owners {
            return place % owners;
        }
        let mut rng = Rng::new(self.options.seed ^ stream << 32, row);
        (owners as f64 * rng.unit().powf(2.5)) as u64
    }

    fn text(&self, star: usize, rng: &mut Rng) -> String {
        let mut length = rng.quantile(&WORDS);
        if length > 20.0 {
            length = 20.0 + (length - 20.0) * (MEAN_WORDS[star] - 20.0) / 91.0;
        }
        let length = length.round() as usize;
        let positive = (polarity(star) + 0.13 * rng.normal()).clamp(0.0, 1.0);
        // Some prefer short words, some long ones: they think twice about a share of their words.
        let taste = 0.19 * rng.normal() - 0.09;
        let word = |rng: &mut Rng| {
            let first = self.words.draw(positive, rng);
            if !rng.chance(taste.abs()) {
                return Cow::Borrowed(first);
            }
            let second = self.words.draw(positive, rng);
            Cow::Borrowed(if (second.len() < first.len()) == (taste < 0.0) { second } else { first })
        };
        let mut words: Vec<Cow<'_, str>> = (0..length).map(|_| word(rng)).collect();
        // A cue's rate is of documents of any length; longer ones hold more of them.
        let reach = (length as f64 / 110.0).sqrt().clamp(0.5, 1.8);
        for (cue, negative_share, positive_share) in CUES {
            let share = negative_share + (positive_share - negative_share) * polarity(star).clamp(0.1, 0.9);
            if length > 0 && rng.chance(share * reach) {
                let at = rng.below(length);
                words[at] = Cow::Borrowed(cue);
            }
        }
        self.decorate(&mut words, rng);
        sentences(words, star, rng)
    }

    /// Digits, entities, quotes and foreign letters at their rates.
    fn decorate(&self, words: &mut [Cow<'_, str>], rng: &mut Rng) {
        let mut edit = |share: f64, most: usize, rng: &mut Rng, change: &mut dyn FnMut(&mut Cow<'_, str>, &mut Rng)| {
            if !words.is_empty() && rng.chance(share) {
                for _ in 0..=rng.below(most) {
                    let at = rng.below(words.len());
                    change(&mut words[at], rng);
                }
            }
        };
        edit(0.27, 2, rng, &mut |word, rng| *word = Cow::Owned((1 + rng.below(99)).to_string()));
        edit(0.108, 9, rng, &mut |word, rng| {
            let entity = ENTITIES[rng.weighted(&ENTITIES.map(|(_, weight)| weight))].0;
            let marked = if entity == "&#34;" { format!("{entity}{word}{entity}") } else { format!("{word}{entity}s") };
            *word = Cow::Owned(marked);
        });
        edit(0.069, 2, rng, &mut |word, _| *word = Cow::Owned(format!("\"{word}\"")));
        edit(self.options.non_ascii, 3, rng, &mut |word, rng| *word = Cow::Borrowed(*rng.pick(&BEYOND_ASCII)));
    }
}

/// Share of positive vocabulary by star.
fn polarity(star: usize) -> f64 {
    [0.05, 0.15, 0.45, 0.80, 0.95][star]
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A count with the given mean that is zero in most rows.
fn marks(mean: f64, any: f64, rng: &mut Rng) -> usize {
    if !rng.chance(any) {
        return 0;
    }
    let more = 1.0 - any / mean.max(any);
    let mut count = 1;
    while count < 40 && rng.chance(more) {
        count += 1;
    }
    count
}

/// Joins words to sentences of about 12, with capitals, lost breaks, double spaces and marks.
fn sentences(words: Vec<Cow<'_, str>>, star: usize, rng: &mut Rng) -> String {
    let long = (words.len() as f64 / 111.0).powf(0.4);
    let mut bangs = marks(BANGS[star] * long, (0.35 * BANGS[star] / 0.99 * long).min(0.6), rng);
    let mut asks = marks(ASKS[star] * long, (0.13 * ASKS[star] / 0.24 * long).min(0.5), rng);
    let (lost_breaks, double_spaces) = (rng.chance(0.28), rng.chance(0.39));
    // Writers differ in the length of their sentences, in names and in their use of capitals.
    let style = rng.unit();
    let proper = -0.028 * (1.0 - rng.unit()).ln();
    let span = (13.5 * (0.38 * rng.normal()).exp()).clamp(4.0, 40.0) as usize;
    let sentence = |rng: &mut Rng| span / 2 + 1 + rng.below(span);
    let mut text = String::with_capacity(words.len() * 6);
    let (mut left, mut start) = (sentence(rng), true);
    let count = words.len();
    for (at, word) in words.into_iter().enumerate() {
        let capital = start || word == "i" || rng.chance(proper);
        if style > 0.993 {
            text.push_str(&word.to_ascii_uppercase());
        } else if capital && style > 0.02 {
            let mut letters = word.chars();
            text.extend(letters.next().map(|c| c.to_ascii_uppercase()));
            text.push_str(letters.as_str());
        } else {
            text.push_str(&word);
        }
        start = false;
        left -= 1;
        if left == 0 || at + 1 == count {
            let bang = bangs > 0 && (rng.chance(0.5) || at + 1 == count);
            if bang {
                let run = if at + 1 == count { bangs } else { 1 };
                text.extend(std::iter::repeat_n('!', run));
                bangs -= run;
            } else if asks > 0 {
                text.push('?');
                asks -= 1;
            } else {
                text.push('.');
            }
            (left, start) = (sentence(rng), true);
            match at + 1 == count {
                true => {}
                false if lost_breaks && rng.chance(0.25) => {}
                false if double_spaces && rng.chance(0.7) => text.push_str("  "),
                false => text.push(' '),
            }
        } else {
            text.push_str(if rng.chance(0.06) { ", " } else { " " });
        }
    }
    text
}
