//! Tables for people, JSON for programs.

use std::io::Write;

use serde_json::Value;

/// How to print results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    #[default]
    Table,
    /// One document, indented.
    Json,
    /// One JSON object a line.
    Ndjson,
}

/// Rows below a header, columns aligned by characters.
pub fn table(out: &mut dyn Write, header: &[&str], rows: &[Vec<String>]) -> std::io::Result<()> {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let upper: Vec<String> = header.iter().map(|cell| cell.to_uppercase()).collect();
    for row in std::iter::once(&upper).chain(rows) {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let pad = widths.get(i).copied().unwrap_or(0).saturating_sub(cell.chars().count());
            if is_number(cell) {
                line.extend(std::iter::repeat_n(' ', pad));
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', pad));
            }
            line.push_str("  ");
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

/// The value at `path` (`outcome.rows_read`, or the short `state`) of a JSON object, for a table cell.
pub fn cell(value: &Value, path: &str) -> String {
    let mut here = value;
    let mut rest = path;
    loop {
        if let Some(found) = here.get(rest) {
            return text(found, 60);
        }
        let Some((head, tail)) = rest.split_once('.') else { return String::new() };
        let Some(next) = here.get(head) else { return String::new() };
        (here, rest) = (next, tail);
    }
}

/// A value on one line of at most `limit` characters, without control characters: a name from elsewhere cannot drive the terminal.
pub fn text(value: &Value, limit: usize) -> String {
    let full = match value {
        Value::Null => String::new(),
        Value::String(text) => shorten_time(text).to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => plain(float),
            _ => number.to_string(),
        },
        Value::Object(map) => {
            map.iter().map(|(key, value)| format!("{key}={}", text(value, limit))).collect::<Vec<_>>().join(" ")
        }
        Value::Array(items) => items.iter().map(|item| text(item, limit)).collect::<Vec<_>>().join(" "),
        Value::Bool(value) => value.to_string(),
    };
    clip(&full, limit)
}

/// `text` without control characters, cut to `limit` characters.
pub fn clip(text: &str, limit: usize) -> String {
    let mut clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(limit + 1).collect();
    if clean.chars().count() > limit {
        clean = clean.chars().take(limit.saturating_sub(1)).collect();
        clean.push('…');
    }
    clean
}

/// Times without the fraction of a second.
fn shorten_time(text: &str) -> &str {
    let time = text.len() > 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T') && text.is_ascii();
    if time { &text[..19] } else { text }
}

/// A number with at most 4 decimals.
pub fn plain(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-4 {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Every field of an object on a line of its own; empty ones are left out.
pub fn fields(out: &mut dyn Write, value: &Value) -> std::io::Result<()> {
    let Value::Object(map) = value else { return writeln!(out, "{}", text(value, 2000)) };
    let shown: Vec<(&String, String)> =
        map.iter().map(|(key, value)| (key, text(value, 2000))).filter(|(_, text)| !text.is_empty()).collect();
    let width = shown.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    for (key, text) in shown {
        writeln!(out, "{key:width$}  {text}")?;
    }
    Ok(())
}

/// `values` as a row of blocks from the least to the greatest.
pub fn sparkline(values: &[f64], width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if finite.is_empty() || width == 0 {
        return String::new();
    }
    let (low, high) = finite.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let count = width.min(finite.len());
    (0..count)
        .map(|i| {
            let part = &finite[i * finite.len() / count..(i + 1) * finite.len() / count];
            let mean = part.iter().map(|v| v / part.len() as f64).sum::<f64>();
            let share = if high > low { (mean / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0) } else { 0.5 };
            BLOCKS[((share * 7.0).round() as usize).min(7)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        let mut out = Vec::new();
        table(&mut out, &["name", "rows"], &[vec!["a".into(), "5".into()], vec!["long".into(), "1234".into()]])
            .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME  ROWS\na        5\nlong  1234\n");
    }

    #[test]
    fn cells_follow_paths_and_never_carry_control_characters() {
        let value = json!({ "a": { "b.c": 0.25 }, "evil": "x\u{1b}[31m", "t": "2026-01-02T03:04:05.678Z" });
        assert_eq!(cell(&value, "a.b.c"), "0.25");
        assert_eq!(cell(&value, "evil"), "x [31m");
        assert_eq!(cell(&value, "t"), "2026-01-02T03:04:05");
        assert_eq!(cell(&value, "a.none"), "");
    }

    #[test]
    fn a_sparkline_shows_the_shape_and_bears_strange_values() {
        assert_eq!(sparkline(&[0.0, 1.0], 10), "▁█");
        assert_eq!(sparkline(&[2.0, 2.0, f64::NAN], 10).chars().count(), 2);
        assert_eq!(sparkline(&[], 10), "");
        assert_eq!(sparkline(&[f64::MIN, f64::MAX], 2), "▁█");
    }

    #[test]
    fn small_numbers_do_not_become_zero() {
        assert_eq!(plain(0.000_001), "1.00e-6");
        assert_eq!(plain(0.5), "0.5");
        assert_eq!(plain(12.0), "12");
    }
}
