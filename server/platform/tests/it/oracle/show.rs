//! A search as a client writes it.

use std::fmt;

use tenor_domain::Timestamp;

use super::{Expr, Field, Literal, Test};

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
        let (group, key) = match self {
            Self::Metric(key) => ("metrics", key),
            Self::Param(key) => ("params", key),
            Self::Tag(key) => ("tags", key),
            Self::Text(name) | Self::Time(name) => return f.write_str(name),
            Self::State => return f.write_str("state"),
            Self::Job => return f.write_str("job_id"),
        };
        if key.chars().all(plain) {
            return write!(f, "{group}.{key}");
        }
        write!(f, "{group}.\"{}\"", key.replace('"', "\"\""))
    }
}

pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number:e}"),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Integer(integer) => write!(f, "{integer}"),
            Self::Time(ms) => write!(f, "\"{}\"", Timestamp(*ms).to_rfc3339()),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                let word = if matches!(self, Self::And(_)) { "AND" } else { "or" };
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        write!(f, " {word} ")?;
                    }
                    match part {
                        Self::Is { .. } | Self::Not(_) => write!(f, "{part}")?,
                        // AND binds closer than OR.
                        Self::And(_) if word == "or" => write!(f, "{part}")?,
                        _ => write!(f, "({part})")?,
                    }
                }
                Ok(())
            }
            Self::Not(inner) => match &**inner {
                Self::Is { .. } | Self::Not(_) => write!(f, "NOT {inner}"),
                _ => write!(f, "not({inner})"),
            },
            Self::Is { field, negated, test } => {
                let not = if *negated { "NOT " } else { "" };
                match test {
                    Test::Null => write!(f, "{field} IS {not}NULL"),
                    Test::Compare(symbol, literal) => write!(f, "{field} {symbol} {literal}"),
                    Test::Between(low, high) => write!(f, "{field} {not}BETWEEN {low} AND {high}"),
                    Test::In(literals) => {
                        let list: Vec<_> = literals.iter().map(ToString::to_string).collect();
                        write!(f, "{field} {not}in ({})", list.join(","))
                    }
                    Test::Like { pattern, ignore_case } => {
                        let word = if *ignore_case { "iLike" } else { "LIKE" };
                        write!(f, "{field} {not}{word} {}", quoted(pattern))
                    }
                }
            }
        }
    }
}
