//! The vocabulary: frequent English words of reviews, then made-up ones, with the coverage of real sets and a class tilt.

use std::collections::HashSet;

use super::rng::{Alias, Rng};

/// Frequent words and their rate in 1,000 tokens.
const FREQUENT: &[(&str, f64)] = &[
    ("the", 45.8),
    ("and", 32.7),
    ("to", 28.7),
    ("a", 27.6),
    ("i", 26.0),
    ("of", 19.4),
    ("is", 16.3),
    ("this", 15.8),
    ("it", 14.4),
    ("in", 14.0),
    ("that", 11.9),
    ("book", 11.5),
    ("was", 11.2),
    ("for", 9.8),
    ("but", 8.0),
    ("with", 8.0),
    ("you", 7.4),
    ("not", 6.9),
    ("story", 6.9),
    ("read", 6.3),
    ("as", 6.2),
    ("have", 6.0),
    ("her", 5.9),
    ("are", 5.6),
    ("be", 5.4),
    ("on", 5.3),
    ("she", 5.0),
    ("my", 4.8),
    ("he", 4.7),
    ("so", 4.6),
    ("love", 4.2),
    ("his", 4.1),
    ("they", 3.9),
    ("all", 3.8),
    ("at", 3.7),
    ("an", 3.5),
    ("one", 3.5),
    ("about", 3.4),
    ("it's", 3.3),
    ("just", 3.2),
    ("from", 3.1),
    ("by", 3.1),
    ("or", 3.0),
    ("characters", 3.0),
    ("good", 3.0),
    ("more", 2.9),
    ("would", 2.9),
    ("what", 2.8),
    ("like", 2.8),
    ("great", 2.7),
    ("will", 2.7),
    ("if", 2.6),
    ("has", 2.6),
    ("who", 2.5),
    ("well", 2.5),
    ("had", 2.4),
    ("me", 2.4),
    ("when", 2.3),
    ("out", 2.3),
    ("up", 2.2),
    ("reading", 2.2),
    ("their", 2.2),
    ("can", 2.1),
    ("series", 2.1),
    ("really", 2.1),
    ("some", 2.1),
    ("very", 2.0),
    ("author", 2.0),
    ("there", 2.0),
    ("much", 1.8),
    ("time", 1.8),
    ("do", 1.8),
    ("get", 1.8),
    ("books", 1.7),
    ("how", 1.7),
    ("them", 1.7),
    ("no", 1.6),
    ("were", 1.6),
    ("than", 1.6),
    ("which", 1.5),
    ("your", 1.5),
    ("into", 1.5),
    ("written", 1.5),
    ("him", 1.5),
    ("been", 1.4),
    ("first", 1.4),
    ("next", 1.4),
    ("other", 1.3),
    ("life", 1.3),
    ("way", 1.3),
    ("don't", 1.2),
    ("could", 1.2),
    ("enjoyed", 1.2),
    ("kindle", 1.1),
    ("end", 1.1),
    ("many", 1.1),
    ("too", 1.1),
    ("only", 1.1),
    ("because", 1.1),
];

/// Words of a class: share of negative and of positive documents that hold them.
pub(super) const CUES: &[(&str, f64, f64)] = &[
    ("boring", 0.056, 0.006),
    ("supposed", 0.043, 0.005),
    ("grammar", 0.037, 0.004),
    ("ok", 0.059, 0.010),
    ("errors", 0.046, 0.009),
    ("potential", 0.034, 0.007),
    ("finish", 0.097, 0.023),
    ("free", 0.142, 0.037),
    ("money", 0.078, 0.023),
    ("poor", 0.037, 0.011),
    ("nothing", 0.104, 0.037),
    ("amazing", 0.002, 0.049),
    ("heart", 0.005, 0.065),
    ("highly", 0.005, 0.064),
    ("easy", 0.008, 0.066),
    ("fantastic", 0.002, 0.027),
    ("journey", 0.002, 0.024),
    ("disappointed", 0.070, 0.012),
    ("waste", 0.055, 0.002),
    ("terrible", 0.030, 0.003),
    ("bad", 0.090, 0.030),
    ("loved", 0.040, 0.150),
    ("wonderful", 0.006, 0.045),
    ("excellent", 0.006, 0.040),
    ("recommend", 0.070, 0.130),
    ("wait", 0.030, 0.080),
    ("favorite", 0.010, 0.040),
    ("enjoy", 0.040, 0.080),
];

/// Share of tokens up to a rank, as measured on real reviews.
const COVERAGE: &[(usize, f64)] = &[(100, 0.56), (500, 0.76), (1_000, 0.82), (5_000, 0.94), (60_000, 1.0)];

/// Spread of the class tilt of a word's log frequency; tuned so that TF-IDF and logistic regression reach the AUC of real reviews.
const TILT: f64 = 0.46;

const ONSETS: &[&str] = &[
    "b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "ch", "sh", "pl", "gr",
    "br", "",
];
const NUCLEI: &[&str] = &["a", "e", "i", "o", "u", "ea", "ou", "ai"];
const CODAS: &[&str] = &["", "", "n", "r", "s", "l", "t", "nd", "ck", "m"];

pub(super) struct Words {
    pub(super) list: Vec<String>,
    negative: Alias,
    positive: Alias,
}

impl Words {
    /// The vocabulary does not depend on the user's seed: two seeds are two samples of one language.
    pub(super) fn new() -> Self {
        let mut rng = Rng::new(0x0077_04D5, 1);
        let mut list: Vec<String> = FREQUENT.iter().map(|(word, _)| (*word).to_owned()).collect();
        let mut weights: Vec<f64> = FREQUENT.iter().map(|(_, rate)| rate / 1000.0).collect();
        let scale = COVERAGE[0].1 / weights.iter().sum::<f64>();
        weights.iter_mut().for_each(|w| *w *= scale);
        let mut seen: HashSet<String> =
            list.iter().cloned().chain(CUES.iter().map(|(w, ..)| (*w).to_owned())).collect();
        for pair in COVERAGE.windows(2) {
            let ((_, low), (to, high)) = (pair[0], pair[1]);
            let from = list.len();
            // Zipf-Mandelbrot within the span, scaled to the span's share.
            let shape: Vec<f64> = (from..to).map(|rank| 1.0 / (rank as f64 + 2.7).powf(1.15)).collect();
            let sum: f64 = shape.iter().sum();
            weights.extend(shape.iter().map(|w| w / sum * (high - low)));
            while list.len() < to {
                let word = made_up(list.len(), &mut rng);
                if seen.insert(word.clone()) {
                    list.push(word);
                }
            }
        }
        let tilts: Vec<f64> = (0..list.len()).map(|rank| if rank < 60 { 0.08 } else { TILT } * rng.normal()).collect();
        let table =
            |sign: f64| Alias::new(&weights.iter().zip(&tilts).map(|(w, t)| w * (sign * t).exp()).collect::<Vec<_>>());
        Self { negative: table(-1.0), positive: table(1.0), list }
    }

    /// A word of a text whose share of positive vocabulary is `positive`.
    pub(super) fn draw(&self, positive: f64, rng: &mut Rng) -> &str {
        let table = if rng.chance(positive) { &self.positive } else { &self.negative };
        &self.list[table.draw(rng)]
    }
}

fn made_up(rank: usize, rng: &mut Rng) -> String {
    let syllables = match rank {
        0..400 => 1 + usize::from(rng.chance(0.35)),
        400..2_000 => 1 + usize::from(rng.chance(0.75)),
        _ => 2 + usize::from(rng.chance(0.15)),
    };
    let mut word = String::new();
    for at in 0..syllables {
        word += *rng.pick::<&str>(ONSETS);
        word += *rng.pick::<&str>(NUCLEI);
        if at + 1 == syllables || rng.chance(0.3) {
            word += *rng.pick::<&str>(CODAS);
        }
    }
    if word.len() < 2 { word + "ne" } else { word }
}
