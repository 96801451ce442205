//! Slices that a user asks for: `year >= 2012 and text contains "refund"`.

use tenor_domain::Error;
use tenor_features::contract::FeatureContract;

use super::{RowYears, Slice};
use crate::Examples;

/// Longest filter, in bytes.
pub const MAX_FILTER_BYTES: usize = 500;

/// Conditions that all hold of the rows of a slice.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceFilter {
    text: String,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    /// Of the raw text, without regard to case.
    Contains { part: String, wanted: bool },
    /// Of the true label.
    Label { name: String, wanted: bool },
    /// Of `length`, `year` or a numeric feature. A row without the number does not fit.
    Number { field: String, operator: Operator, number: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
}

impl Operator {
    const ALL: [(&'static str, Self); 6] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("!=", Self::Unequal),
        ("<", Self::Less),
        (">", Self::More),
        ("=", Self::Equal),
    ];

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::More => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }
}

/// What is still to be read, with a way to say where something is wrong.
struct Reader<'a> {
    all: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &str) -> Error {
        const RULES: &str = "write conditions like `length > 200`, `year = 2014`, `label = \"negative\"`, `text contains \"refund\"` or \
                             `not text contains \"refund\"`, joined by `and`";
        let at = self.all[..self.all.len() - self.rest.len()].chars().count() + 1;
        Error::invalid("slices", format!("`{}`: {what} at character {at}; {RULES}", self.all))
    }
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }
    /// The next word, which may hold what names of features do.
    fn word(&mut self) -> Option<&'a str> {
        self.skip_space();
        let end =
            self.rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '-')).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
    /// Reads `keyword` if it comes next, in any case.
    fn keyword(&mut self, keyword: &str) -> bool {
        let before = self.rest;
        let found = self.word().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if !found {
            self.rest = before;
        }
        found
    }
    fn operator(&mut self) -> Option<Operator> {
        self.skip_space();
        let (sign, operator) = Operator::ALL.into_iter().find(|(sign, _)| self.rest.starts_with(sign))?;
        self.rest = &self.rest[sign.len()..];
        Some(operator)
    }
    fn quoted(&mut self) -> Result<String, Error> {
        self.skip_space();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let inner = quote.and_then(|quote| self.rest[1..].split_once(quote));
        let Some((text, rest)) = inner.filter(|(text, _)| !text.is_empty()) else {
            return Err(self.wrong("a text in quotes is wanted"));
        };
        self.rest = rest;
        Ok(text.to_owned())
    }
    fn number(&mut self) -> Result<f64, Error> {
        self.skip_space();
        let end = self.rest.find(|c: char| c.is_whitespace()).unwrap_or(self.rest.len());
        let number = self.rest[..end].parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| self.wrong("a number is wanted"))?;
        self.rest = &self.rest[end..];
        Ok(number)
    }
    fn condition(&mut self) -> Result<Condition, Error> {
        let wanted = !self.keyword("not");
        if self.keyword("text") {
            if !self.keyword("contains") {
                return Err(self.wrong("`contains` is wanted"));
            }
            return Ok(Condition::Contains { part: self.quoted()?.to_lowercase(), wanted });
        }
        if !wanted {
            return Err(self.wrong("`text contains` is wanted"));
        }
        let field = self.word().ok_or_else(|| self.wrong("a condition is wanted"))?;
        let operator = self.operator().ok_or_else(|| self.wrong("one of < <= > >= = != is wanted"))?;
        if field == "label" {
            let wanted = match operator {
                Operator::Equal => true,
                Operator::Unequal => false,
                _ => return Err(self.wrong("a label can only be compared by = and !=")),
            };
            return Ok(Condition::Label { name: self.quoted()?, wanted });
        }
        Ok(Condition::Number { field: field.to_owned(), operator, number: self.number()? })
    }
}

impl SliceFilter {
    /// Reads a filter; the error says where it is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_FILTER_BYTES {
            let why = format!("a filter must be at most {MAX_FILTER_BYTES} bytes, got {}", text.len());
            return Err(Error::invalid("slices", why));
        }
        let mut reader = Reader { all: text, rest: text };
        let mut conditions = vec![reader.condition()?];
        while reader.keyword("and") {
            conditions.push(reader.condition()?);
        }
        reader.skip_space();
        if !reader.rest.is_empty() {
            return Err(reader.wrong("`and` or the end is wanted"));
        }
        Ok(Self { text: text.trim().to_owned(), conditions })
    }

    /// The rows of `examples` of which all conditions hold. An error when a field or a label is unknown.
    pub(super) fn slice(
        &self,
        contract: &FeatureContract,
        examples: &Examples,
        years: RowYears<'_>,
    ) -> Result<Slice, Error> {
        let mut mask = vec![true; examples.len()];
        for condition in &self.conditions {
            let holds = self.check(condition, contract, examples, years)?;
            mask.iter_mut().enumerate().for_each(|(row, fits)| *fits &= holds(row));
        }
        Ok(Slice::of_mask("filter", &self.text, &mask))
    }

    fn check<'a>(
        &self,
        condition: &'a Condition,
        contract: &'a FeatureContract,
        examples: &'a Examples,
        years: RowYears<'a>,
    ) -> Result<Box<dyn Fn(usize) -> bool + 'a>, Error> {
        let unknown = |what: String| Error::invalid("slices", format!("`{}`: {what}", self.text));
        Ok(match condition {
            Condition::Contains { part, wanted } => {
                Box::new(move |row| examples.texts[row].to_lowercase().contains(part) == *wanted)
            }
            Condition::Label { name, wanted } => {
                let Some(class) = contract.classes.iter().position(|class| class == name) else {
                    return Err(unknown(format!(
                        "there is no label `{name}`; there are {}",
                        contract.classes.join(", ")
                    )));
                };
                Box::new(move |row| (examples.labels[row] as usize == class) == *wanted)
            }
            Condition::Number { field, operator, number } => {
                let number_of: Box<dyn Fn(usize) -> Option<f64> + 'a> = match field.as_str() {
                    "length" => Box::new(|row| Some(examples.texts[row].chars().count() as f64)),
                    "year" => Box::new(move |row| years.get(row).copied().flatten().map(f64::from)),
                    name => {
                        let Some(at) = contract.numeric.iter().position(|feature| feature.name == name) else {
                            let known: Vec<&str> =
                                contract.numeric.iter().map(|feature| feature.name.as_str()).collect();
                            let known = ["label", "text", "length", "year"].into_iter().chain(known);
                            let known = known.collect::<Vec<_>>().join(", ");
                            return Err(unknown(format!("there is no field `{name}`; there are {known}")));
                        };
                        Box::new(move |row| Some(examples.numbers(row)[at]))
                    }
                };
                Box::new(move |row| number_of(row).is_some_and(|value| operator.holds(value, *number)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::contract;

    fn rows(filter: &str) -> Result<Vec<u32>, Error> {
        let texts = ["I want a REFUND", "lovely", "no refund needed, lovely", "x"].map(str::to_owned).to_vec();
        let votes = [Some(1.0), Some(2.0), Some(3.0), Some(4.0)];
        let examples =
            Examples::from_columns(&contract(), (0..4).collect(), texts.clone(), texts, &votes, vec![0, 1, 0, 1])?;
        let years = [Some(2011), Some(2012), None, Some(2013)];
        Ok(SliceFilter::parse(filter)?.slice(&contract(), &examples, &years)?.rows)
    }

    #[test]
    fn rows_fit_when_all_conditions_hold() {
        for (filter, expected) in [
            ("text contains \"refund\"", vec![0, 2]),
            ("not text contains 'refund' and length > 1", vec![1]),
            ("year >= 2012", vec![1, 3]),
            ("year != 2012", vec![0, 3]),
            ("votes <= 2 AND label = 'bad'", vec![0]),
            ("label != \"bad\"", vec![1, 3]),
            ("  votes<3 ", vec![0, 1]),
            ("votes = 9", vec![]),
        ] {
            assert_eq!(rows(filter).unwrap(), expected, "{filter}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (filter, says) in [
            ("", "condition is wanted at character 1"),
            ("votes", "< <= > >= = != is wanted at character 6"),
            ("votes > many", "number is wanted at character 9"),
            ("votes > nan", "number is wanted"),
            ("text contains refund", "quotes"),
            ("text contains \"\"", "quotes"),
            ("text contains \"open", "quotes"),
            ("text is 'x'", "`contains` is wanted"),
            ("not votes > 1", "`text contains` is wanted"),
            ("label > 'bad'", "only be compared by = and !="),
            ("votes > 1 or votes < 0", "`and` or the end is wanted at character 11"),
            ("stars > 1", "no field `stars`; there are label, text, length, year, votes"),
            ("label = 'none'", "no label `none`; there are bad, good"),
        ] {
            let error = rows(filter).unwrap_err();
            assert_eq!(error.violations[0].field, "slices");
            assert!(error.violations[0].description.contains(says), "{filter}: {error}");
        }
        assert!(SliceFilter::parse(&"x".repeat(501)).is_err());
    }
}
