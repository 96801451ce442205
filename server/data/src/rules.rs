//! Validation rules: what is checked, how bad it is, and what happens to a row that breaks one.

use std::collections::BTreeMap;

use crate::Error;
use crate::reader::Location;
use crate::value::shorten;

/// Row locations that a rule keeps as evidence.
pub const MAX_EVIDENCE: usize = 20;

/// How bad a failed rule is. An `error` makes the data invalid and stops a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    Warning,
    Off,
}

/// What happens to a row that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The row stays as it is.
    Accept,
    /// The wrong value is mended (made null, dropped, replaced); the row stays and is counted.
    Repair,
    /// The row goes to the quarantine table.
    Quarantine,
    /// The import ends with an error.
    Reject,
}

macro_rules! rules {
    ($($id:ident $text:literal $severity:ident $mostly:literal [$($policy:ident)+] $doc:literal,)*) => {
        /// The rules, by name in JSON. The first policy of each is its default.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum RuleId { $(#[doc = $doc] $id,)* }

        impl RuleId {
            /// Every rule, in the order of the report.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];
            /// The rule's name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$id => $text,)* }
            }
            /// What the rule asks for.
            pub fn description(self) -> &'static str {
                match self { $(Self::$id => $doc,)* }
            }
            /// The policies that make sense for it; the first is the default.
            pub fn policies(self) -> &'static [Policy] {
                match self { $(Self::$id => &[$(Policy::$policy,)+],)* }
            }
            fn default_setting(self) -> RuleSetting {
                match self {
                    $(Self::$id => RuleSetting { severity: Severity::$severity, policy: self.policies()[0], mostly: $mostly },)*
                }
            }
        }
    };
}

rules! {
    InvalidUtf8 "invalid_utf8" Error 0.95 [Quarantine Repair Reject] "the values are UTF-8; repair puts U+FFFD",
    MalformedRecord "malformed_record" Error 0.95 [Quarantine Reject] "the record has the header's fields, or is a JSON object",
    MissingText "missing_text" Error 0.95 [Quarantine Reject] "the text is neither null nor blank",
    TextTooLong "text_too_long" Error 0.99 [Quarantine Accept Reject] "the text has at most 100,000 characters",
    EmptyAfterCleaning "empty_after_cleaning" Warning 1.0 [Quarantine Accept Reject] "something is left of the text after cleaning",
    BadLabel "bad_label" Error 0.95 [Quarantine Reject] "the label is a whole star from 1 to 5, or a name of 1 to 200 characters",
    MalformedTime "malformed_time" Warning 1.0 [Repair Quarantine Reject] "the time is a date from 1970 to 2200; repair makes it null",
    MalformedHelpful "malformed_helpful" Warning 1.0 [Repair Quarantine Reject] "the votes are `[useful, total]` with 0 <= useful <= total; repair makes them null",
    BadItemId "bad_item_id" Warning 1.0 [Accept Quarantine Reject] "an `asin` has 10 characters",
    MissingKey "missing_key" Warning 1.0 [Accept Quarantine Reject] "user and item are given where the file has such columns",
    ControlCharacters "control_characters" Warning 1.0 [Repair Accept Quarantine Reject] "the text has no control characters but tab and line ends; repair drops them",
    HtmlEntities "html_entities" Warning 1.0 [Accept Quarantine Reject] "the text has no HTML entities; cleaning turns them into characters",
    HtmlTags "html_tags" Warning 1.0 [Accept Quarantine Reject] "the text has no HTML tags",
    FeatureRange "feature_range" Warning 1.0 [Accept Quarantine Reject] "text_len <= 50,000, word_count <= 10,000, kindle_freq <= 50, avg_word_length <= 50",
    DuplicateRow "duplicate_row" Warning 1.0 [Quarantine Accept Reject] "no earlier row has the same text, user and item",
    NearDuplicates "near_duplicates" Warning 0.95 [Accept] "few texts are near duplicates of another (MinHash, Jaccard about 0.75)",
    UnexpectedColumns "unexpected_columns" Warning 1.0 [Accept] "every column is one that review files are known to have",
    LabelBalance "label_balance" Warning 1.0 [Accept] "there are two labels or more, and each is on 1 % of the rows at least",
}

impl RuleId {
    /// The rule of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.as_str() == text)
    }
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// How one rule is applied.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RuleSetting {
    pub severity: Severity,
    pub policy: Policy,
    /// Share of rows that must keep the rule for it to count as tolerated, 0 to 1.
    pub mostly: f64,
}

/// The setting of every rule. As JSON a map from names to settings; names left out keep their default, unknown names and
/// an empty map are errors.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct RuleSet(BTreeMap<RuleId, RuleSetting>);

impl Default for RuleSet {
    fn default() -> Self {
        Self(RuleId::ALL.iter().map(|rule| (*rule, rule.default_setting())).collect())
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PartialSetting {
    severity: Option<Severity>,
    policy: Option<Policy>,
    mostly: Option<f64>,
}

impl<'de> serde::Deserialize<'de> for RuleSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = BTreeMap::<String, PartialSetting>::deserialize(deserializer)?;
        Self::from_given(given).map_err(serde::de::Error::custom)
    }
}

impl RuleSet {
    /// Reads a rule set from JSON.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for no rule, an unknown rule, a policy that the rule cannot have, `mostly` outside 0 to 1.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|error| Error::option("rules", error.to_string()))
    }
    /// How `rule` is applied.
    pub fn setting(&self, rule: RuleId) -> RuleSetting {
        self.0.get(&rule).copied().unwrap_or_else(|| rule.default_setting())
    }
    /// The set with one rule changed.
    ///
    /// # Errors
    /// As [`RuleSet::from_json`].
    pub fn with(mut self, rule: RuleId, setting: RuleSetting) -> Result<Self, Error> {
        check(rule, setting).map_err(|message| Error::option("rules", message))?;
        self.0.insert(rule, setting);
        Ok(self)
    }

    fn from_given(given: BTreeMap<String, PartialSetting>) -> Result<Self, String> {
        if given.is_empty() {
            return Err("no rule is given; name one at least, or leave `rules` out for the defaults".into());
        }
        let mut set = Self::default();
        for (name, partial) in given {
            let Some(rule) = RuleId::parse(&name) else {
                let known = RuleId::ALL.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", ");
                return Err(format!("unknown rule `{name}`; the rules are {known}"));
            };
            let mut setting = rule.default_setting();
            setting.severity = partial.severity.unwrap_or(setting.severity);
            setting.policy = partial.policy.unwrap_or(setting.policy);
            setting.mostly = partial.mostly.unwrap_or(setting.mostly);
            check(rule, setting)?;
            set.0.insert(rule, setting);
        }
        Ok(set)
    }
}

fn check(rule: RuleId, setting: RuleSetting) -> Result<(), String> {
    let name = rule.as_str();
    if !rule.policies().contains(&setting.policy) {
        return Err(format!("rule `{name}` cannot `{:?}`; it can {:?}", setting.policy, rule.policies()).to_lowercase());
    }
    if setting.severity == Severity::Off && !rule.policies().contains(&Policy::Accept) {
        return Err(format!("rule `{name}` cannot be off: such a row has no place among the accepted ones"));
    }
    if !(0.0..=1.0).contains(&setting.mostly) {
        return Err(format!("`mostly` of rule `{name}` must lie between 0 and 1"));
    }
    Ok(())
}

/// How a rule came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// No violation.
    Passed,
    /// Violations, but no more than `mostly` allows.
    Tolerated,
    /// More violations than `mostly` allows.
    Failed,
    /// Switched off.
    Skipped,
}

/// One row that broke a rule.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Evidence {
    /// Line from 1 (row in Parquet); 0 for a rule about the whole file.
    pub line: u64,
    /// Byte from 0 of the decompressed file.
    pub byte: u64,
    /// The value, at most 200 bytes of it.
    pub value: String,
    pub reason: String,
}

/// What one rule found.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RuleResult {
    pub rule: String,
    pub description: String,
    pub severity: Severity,
    pub policy: Policy,
    pub mostly: f64,
    pub outcome: Outcome,
    pub checked: u64,
    pub violations: u64,
    /// At most [`MAX_EVIDENCE`], the first by line.
    pub evidence: Vec<Evidence>,
}

/// What validation found.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ValidationReport {
    /// Whether no rule of severity `error` failed.
    pub valid: bool,
    /// One sentence a failed rule of severity `error`.
    pub errors: Vec<String>,
    /// One sentence a failed rule of severity `warning`, and a tolerated one of severity `error`.
    pub warnings: Vec<String>,
    pub rules: Vec<RuleResult>,
}

/// Violations counted so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    counts: [u64; RuleId::ALL.len()],
    evidence: BTreeMap<RuleId, Vec<Evidence>>,
}

impl Findings {
    pub(crate) fn add(&mut self, rule: RuleId, at: Location, value: &str, reason: &str) {
        self.counts[rule.index()] += 1;
        let evidence = self.evidence.entry(rule).or_default();
        if evidence.len() < MAX_EVIDENCE {
            let value = shorten(value, 200).into_owned();
            evidence.push(Evidence { line: at.line, byte: at.byte, value, reason: reason.to_owned() });
        }
    }
    /// Adds the findings of a later block.
    pub(crate) fn merge(&mut self, later: Self) {
        for (count, more) in self.counts.iter_mut().zip(later.counts) {
            *count += more;
        }
        for (rule, more) in later.evidence {
            let evidence = self.evidence.entry(rule).or_default();
            let room = MAX_EVIDENCE - evidence.len();
            evidence.extend(more.into_iter().take(room));
        }
    }
    pub(crate) fn count(&self, rule: RuleId) -> u64 {
        self.counts[rule.index()]
    }

    pub(crate) fn report(mut self, rules: &RuleSet, rows: u64) -> ValidationReport {
        let mut report = ValidationReport { valid: true, errors: vec![], warnings: vec![], rules: vec![] };
        for rule in RuleId::ALL.iter().copied() {
            let setting = rules.setting(rule);
            let violations = self.count(rule);
            let share = violations as f64 / rows.max(1) as f64;
            let outcome = match () {
                () if setting.severity == Severity::Off => Outcome::Skipped,
                () if violations == 0 => Outcome::Passed,
                () if share <= 1.0 - setting.mostly => Outcome::Tolerated,
                () => Outcome::Failed,
            };
            let sentence = format!("{}: {violations} of {rows} rows break it ({})", rule.as_str(), rule.description());
            match (outcome, setting.severity) {
                (Outcome::Failed, Severity::Error) => report.errors.push(sentence),
                (Outcome::Failed, _) | (Outcome::Tolerated, Severity::Error) => report.warnings.push(sentence),
                _ => {}
            }
            report.rules.push(RuleResult {
                rule: rule.as_str().to_owned(),
                description: rule.description().to_owned(),
                severity: setting.severity,
                policy: setting.policy,
                mostly: setting.mostly,
                outcome,
                checked: if outcome == Outcome::Skipped { 0 } else { rows },
                violations,
                evidence: self.evidence.remove(&rule).unwrap_or_default(),
            });
        }
        report.valid = report.errors.is_empty();
        report
    }
}
