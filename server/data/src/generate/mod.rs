//! Seeded synthetic Kindle reviews. Lengths, stars, dates, votes, marks and word frequencies follow measured shares of real
//! sets; the words beyond the frequent ones are made up. Row `i` depends on the seed and `i` alone.

mod review;
mod rng;
mod words;

use std::io::Write;

use crate::Error;
use crate::error::Attempt as _;
use review::{Review, Reviews};

/// The layout of the generated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeneratedFormat {
    /// The columns of `kindle_reviews.csv`, a nameless row number first.
    #[default]
    KaggleCsv,
    /// The Amazon 5-core layout, one object a line.
    JsonLines,
}

/// What to generate.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateOptions {
    pub rows: u64,
    pub seed: u64,
    pub format: GeneratedFormat,
    /// Share of rows with one defect each, 0 to 1: empty text, bad or missing star, malformed votes, time or id, copies,
    /// control characters, invalid UTF-8, a broken record.
    pub defects: f64,
    /// Share of rows with characters beyond ASCII, 0 to 1.
    pub non_ascii: f64,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { rows: 5_000, seed: 42, format: GeneratedFormat::default(), defects: 0.0, non_ascii: 0.0 }
    }
}

const HEADER: &str = ",asin,helpful,overall,reviewText,reviewTime,reviewerID,reviewerName,summary,unixReviewTime\n";

/// Writes `options.rows` reviews.
///
/// # Errors
/// [`Error::InvalidOption`] for shares outside 0 to 1, [`Error::Io`] from the writer.
pub fn generate(options: &GenerateOptions, writer: &mut dyn Write) -> Result<(), Error> {
    for (name, share) in [("defects", options.defects), ("non_ascii", options.non_ascii)] {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::option(name, "must be a share between 0 and 1"));
        }
    }
    let write = |writer: &mut dyn Write, bytes: &[u8]| writer.write_all(bytes).attempt(|| "write reviews".to_owned());
    let reviews = Reviews::new(options);
    if options.format == GeneratedFormat::KaggleCsv {
        write(writer, HEADER.as_bytes())?;
    }
    let mut buffer = Vec::with_capacity(1 << 20);
    for row in 0..options.rows {
        let review = reviews.review(row);
        match options.format {
            GeneratedFormat::KaggleCsv => csv_line(row, &review, &mut buffer),
            GeneratedFormat::JsonLines => json_line(&review, &mut buffer),
        }
        if buffer.len() > 1 << 20 {
            write(writer, &buffer)?;
            buffer.clear();
        }
    }
    write(writer, &buffer)?;
    writer.flush().attempt(|| "write reviews".to_owned())
}

fn csv_field(text: &[u8], out: &mut Vec<u8>) {
    if text.iter().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')) {
        out.push(b'"');
        for byte in text {
            if *byte == b'"' {
                out.push(b'"');
            }
            out.push(*byte);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(text);
    }
}

fn csv_line(row: u64, review: &Review, out: &mut Vec<u8>) {
    out.extend_from_slice(row.to_string().as_bytes());
    let overall = review.overall.map(|star| star.to_string()).unwrap_or_default();
    let time = review.time.to_string();
    let fields: [&[u8]; 9] = [
        review.asin.as_bytes(),
        review.helpful.as_bytes(),
        overall.as_bytes(),
        &review.text,
        review.review_time.as_bytes(),
        review.user.as_bytes(),
        review.name.as_bytes(),
        review.summary.as_bytes(),
        time.as_bytes(),
    ];
    // A broken record lacks its last fields.
    let count = if review.broken { 4 } else { fields.len() };
    for field in &fields[..count] {
        out.push(b',');
        csv_field(field, out);
    }
    out.push(b'\n');
}

fn json_line(review: &Review, out: &mut Vec<u8>) {
    let text = |bytes: &[u8], out: &mut Vec<u8>| {
        out.push(b'"');
        for byte in bytes {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                0..32 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                byte => out.push(*byte),
            }
        }
        out.push(b'"');
    };
    let field = |name: &str, value: &[u8], quoted: bool, out: &mut Vec<u8>| {
        out.extend_from_slice(if out.last() == Some(&b'{') { b"\"" } else { b", \"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\": ");
        if quoted { text(value, out) } else { out.extend_from_slice(value) }
    };
    out.push(b'{');
    field("reviewerID", review.user.as_bytes(), true, out);
    field("asin", review.asin.as_bytes(), true, out);
    field("reviewerName", review.name.as_bytes(), true, out);
    field("helpful", review.helpful.as_bytes(), !review.helpful_is_list, out);
    field("reviewText", &review.text, true, out);
    if let Some(star) = review.overall {
        field("overall", format!("{star}.0").as_bytes(), false, out);
    }
    field("summary", review.summary.as_bytes(), true, out);
    field("unixReviewTime", review.time.to_string().as_bytes(), false, out);
    field("reviewTime", review.review_time.as_bytes(), true, out);
    out.extend_from_slice(if review.broken { b"\n" } else { b"}\n" });
}

#[cfg(test)]
mod tests;
