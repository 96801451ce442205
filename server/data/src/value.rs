//! Values as files spell them, and what they mean: stars, times, votes.

use std::borrow::Cow;

/// One value of a record.
#[derive(Debug, Clone, Default)]
pub(crate) enum Scalar<'a> {
    #[default]
    Null,
    Text(Cow<'a, str>),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// The first two elements of a list and its length.
    List([Option<f64>; 2], usize),
    /// An object, or a list of other things.
    Other,
}

impl Scalar<'_> {
    /// Whether nothing but white space stands there.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }
    /// The value as text; `None` when blank.
    pub(crate) fn to_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Null => None,
            Self::Text(text) if text.trim().is_empty() => None,
            Self::Text(text) => Some(Cow::Borrowed(text.trim())),
            Self::Int(n) => Some(n.to_string().into()),
            Self::Float(x) => Some(x.to_string().into()),
            Self::Bool(b) => Some(b.to_string().into()),
            Self::List(..) | Self::Other => Some(Cow::Borrowed("<list or object>")),
        }
    }
    pub(crate) fn to_number(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Float(x) => Some(*x),
            Self::Text(text) => text.trim().parse().ok().filter(|x: &f64| x.is_finite()),
            _ => None,
        }
    }
    /// For evidence: short, readable.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Text(text) => shorten(text, 200).into_owned(),
            Self::List(pair, len) => format!("{pair:?} of {len}"),
            other => other.to_text().unwrap_or_default().into_owned(),
        }
    }
}

/// At most `bytes` bytes of `text`, cut at a character.
pub(crate) fn shorten(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}...", &text[..text.floor_char_boundary(bytes)]))
}

/// A whole star, 1 to 5, from `5`, `5.0` or a number.
pub(crate) fn star(value: &Scalar<'_>) -> Option<u8> {
    let number = value.to_number()?;
    (1..=5u8).find(|star| f64::from(*star) == number)
}

/// Milliseconds since 1970. Numbers are seconds below 1e11, else milliseconds; texts are `MM D, YYYY`, `Month D, YYYY`, ISO dates
/// and date-times (UTC unless an offset stands there). Only times from 1970-01-02 to 2200 count.
pub(crate) fn time_ms(value: &Scalar<'_>) -> Option<i64> {
    let ms = match value.to_number() {
        Some(number) if number.abs() < 1e11 => (number * 1000.0) as i64,
        Some(number) => number as i64,
        None => match value {
            Scalar::Text(text) => date_text(text.trim())?,
            _ => return None,
        },
    };
    (1..7_258_118_400_000).contains(&ms).then_some(ms)
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn date_text(text: &str) -> Option<i64> {
    if let Some((month_day, year)) = text.split_once(',') {
        let (month, day) = month_day.trim().split_once(' ')?;
        let month = match month.parse::<u32>() {
            Ok(number) => number,
            Err(_) => {
                let name = month.get(..3)?.to_ascii_lowercase();
                MONTHS.iter().position(|m| *m == name)? as u32 + 1
            }
        };
        return Some(days(year.trim().parse().ok()?, month, day.trim().parse().ok()?)? * 86_400_000);
    }
    let date = text.get(..10)?;
    let mut parts = date.split('-');
    let day = days(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)?;
    let rest = text[10..].trim_start_matches(['T', ' ']);
    Some(day * 86_400_000 + clock_ms(rest)?)
}

/// `HH:MM[:SS[.fff]][Z|+HH:MM]`; nothing is midnight.
fn clock_ms(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let text = text.trim_end_matches('Z').trim_end_matches("UTC").trim();
    let (clock, offset_min) = match text.rfind(['+', '-']) {
        Some(at) => {
            let (hours, minutes) = text[at + 1..].split_once(':').or_else(|| text[at + 1..].split_at_checked(2))?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().unwrap_or(0);
            (text[..at].trim(), if text[at..].starts_with('-') { -minutes } else { minutes })
        }
        None => (text, 0),
    };
    let mut parts = clock.split(':');
    let hour: i64 = parts.next()?.parse().ok()?;
    let minute: i64 = parts.next()?.parse().ok()?;
    let second: f64 = parts.next().map_or(Some(0.0), |s| s.parse().ok())?;
    let valid = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..61.0).contains(&second);
    valid.then_some(((hour * 60 + minute - offset_min) * 60_000) + (second * 1000.0) as i64)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
/// Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
pub(crate) fn days(year: i64, month: u32, day: u32) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) || !(1000..=9999).contains(&year) {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y - era * 400;
    let day_of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Year, month and day of a day since 1970-01-01 (same source, `civil_from_days`).
pub(crate) fn civil(day: i64) -> (i64, u32, u32) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month as u32, (doy - (153 * mp + 2) / 5 + 1) as u32)
}

/// Useful and total votes: `[a, b]`, `a of b`, or a list. `None` is malformed; more useful than total votes is malformed too.
pub(crate) fn votes(value: &Scalar<'_>) -> Option<(i64, i64)> {
    let (useful, total) = match value {
        Scalar::List([Some(useful), Some(total)], 2) if useful.fract() == 0.0 && total.fract() == 0.0 => {
            (*useful as i64, *total as i64)
        }
        Scalar::Text(text) => {
            let text = text.trim();
            let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
            let (a, b) = match inner {
                Some(inner) => inner.split_once(',')?,
                None => text.split_once(" of ")?,
            };
            (count(a)?, count(b)?)
        }
        _ => return None,
    };
    (0 <= useful && useful <= total).then_some((useful, total))
}

/// A count with or without thousands separators, or a whole number.
pub(crate) fn vote_count(value: &Scalar<'_>) -> Option<i64> {
    match value {
        Scalar::Text(text) => count(text).or_else(|| count(text.strip_suffix(".0")?)),
        other => other.to_number().filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as i64),
    }
}

fn count(text: &str) -> Option<i64> {
    text.trim().replace(',', "").parse().ok().filter(|n| *n >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Scalar<'_> {
        Scalar::Text(value.into())
    }

    #[test]
    fn times_are_read_in_every_spelling_of_the_sets() {
        for (value, ms) in [
            (text("1390435200"), 1_390_435_200_000),
            (Scalar::Int(1_390_435_200), 1_390_435_200_000),
            (Scalar::Float(1_390_435_200_000.0), 1_390_435_200_000),
            (text("01 23, 2014"), 1_390_435_200_000),
            (text("January 23, 2014"), 1_390_435_200_000),
            (text("2014-01-23"), 1_390_435_200_000),
            (text("2014-01-23T01:00:00+01:00"), 1_390_435_200_000),
            (text("2014-01-23 00:00:01.5Z"), 1_390_435_201_500),
        ] {
            assert_eq!(time_ms(&value), Some(ms), "{value:?}");
        }
        for bad in ["", "-1", "13 40, 2014", "soon", "2014-02-30", "02 é, 2014", "2014-01-2é", "0"] {
            assert_eq!(time_ms(&text(bad)), None, "{bad}");
        }
        assert_eq!((civil(0), civil(16_093)), ((1970, 1, 1), (2014, 1, 23)));
    }

    #[test]
    fn stars_and_votes_refuse_what_is_out_of_range() {
        assert_eq!(
            [
                star(&text("5.0")),
                star(&Scalar::Int(1)),
                star(&Scalar::Float(4.5)),
                star(&text("0")),
                star(&text("NaN"))
            ],
            [Some(5), Some(1), None, None, None]
        );
        assert_eq!(
            [votes(&text("[1, 3]")), votes(&text("2 of 25")), votes(&text("[, 36]")), votes(&text("[4, 3]"))],
            [Some((1, 3)), Some((2, 25)), None, None]
        );
        assert_eq!(
            [vote_count(&text("1,204")), vote_count(&text("3.0")), vote_count(&text("x"))],
            [Some(1204), Some(3), None]
        );
    }
}
