//! How two contracts differ, as semantic versioning sees it.

use std::collections::BTreeSet;

use super::{FeatureContract, FeatureSource, NumericFeature};

/// What a change means for those who send rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeLevel {
    None,
    /// Only statistics or defaults moved.
    Patch,
    /// Whatever was accepted still is.
    Minor,
    /// Rows that were right may now be refused, or mean something else.
    Major,
}

/// The difference of two contracts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ContractChange {
    /// The gravest of all reasons.
    pub level: ChangeLevel,
    /// One sentence a difference, gravest first.
    pub reasons: Vec<String>,
}

/// Compares `new` with the `old` contract that it would replace.
pub fn compare(old: &FeatureContract, new: &FeatureContract) -> ContractChange {
    use ChangeLevel::{Major, Minor, Patch};
    let mut found: Vec<(ChangeLevel, String)> = Vec::new();
    let mut differs = |level, what: &str, old: &dyn std::fmt::Debug, new: &dyn std::fmt::Debug| {
        found.push((level, format!("{what} changed from {old:?} to {new:?}")));
    };
    if old.format != new.format {
        differs(Major, "format", &old.format, &new.format);
    }
    if old.cleaning != new.cleaning {
        differs(Major, "cleaning profile", &old.cleaning, &new.cleaning);
    }
    if old.lexicon != new.lexicon {
        differs(Major, "sentiment lexicon", &old.lexicon, &new.lexicon);
    }
    if old.classes != new.classes {
        differs(Major, "classes", &old.classes, &new.classes);
    }
    if old.stars != new.stars {
        differs(Major, "star values", &old.stars, &new.stars);
    }
    if old.text_column != new.text_column {
        differs(Patch, "name of the text column", &old.text_column, &new.text_column);
    }
    range(&mut found, Major, "text length", [old.min_chars, old.max_chars], [new.min_chars, new.max_chars]);

    let old_names: BTreeSet<&str> = old.numeric.iter().map(|feature| feature.name.as_str()).collect();
    let new_names: BTreeSet<&str> = new.numeric.iter().map(|feature| feature.name.as_str()).collect();
    for feature in old.numeric.iter().filter(|feature| !new_names.contains(feature.name.as_str())) {
        found.push((Major, format!("feature `{}` was removed or renamed", feature.name)));
    }
    for feature in new.numeric.iter().filter(|feature| !old_names.contains(feature.name.as_str())) {
        let how =
            if feature.source == FeatureSource::Text { "computed from the text" } else { "optional, with a default" };
        found.push((Minor, format!("feature `{}` was added, {how}", feature.name)));
    }
    let kept = |of: &'_ FeatureContract, others: &BTreeSet<&str>| -> Vec<String> {
        of.numeric.iter().map(|feature| feature.name.clone()).filter(|name| others.contains(name.as_str())).collect()
    };
    if kept(old, &new_names) != kept(new, &old_names) {
        found.push((Major, "the order of the features changed".to_owned()));
    }
    for before in &old.numeric {
        if let Some(after) = new.numeric.iter().find(|feature| feature.name == before.name) {
            compare_feature(&mut found, before, after);
        }
    }
    found.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    ContractChange {
        level: found.first().map_or(ChangeLevel::None, |(level, _)| *level),
        reasons: found.into_iter().map(|(_, reason)| reason).collect(),
    }
}

fn compare_feature(found: &mut Vec<(ChangeLevel, String)>, old: &NumericFeature, new: &NumericFeature) {
    let name = &old.name;
    if old.source != new.source {
        let reason = format!("source of `{name}` changed from {:?} to {:?}", old.source, new.source);
        found.push((ChangeLevel::Major, reason));
    }
    // Nobody sends what is computed from the text, and its range follows the longest of the training rows: a narrower one takes
    // nothing from callers.
    let narrowed = if new.source == FeatureSource::Text { ChangeLevel::Minor } else { ChangeLevel::Major };
    range(found, narrowed, &format!("range of `{name}`"), [old.min, old.max], [new.min, new.max]);
    for (what, old, new) in
        [("mean", old.mean, new.mean), ("std", old.std, new.std), ("default", old.default, new.default)]
    {
        if old.to_bits() != new.to_bits() {
            found.push((ChangeLevel::Patch, format!("{what} of `{name}` changed from {old} to {new}")));
        }
    }
}

fn range<T: PartialOrd + std::fmt::Display>(
    found: &mut Vec<(ChangeLevel, String)>,
    narrowed: ChangeLevel,
    what: &str,
    [old_min, old_max]: [T; 2],
    [new_min, new_max]: [T; 2],
) {
    let (level, how) = if new_min > old_min || new_max < old_max {
        (narrowed, "narrowed")
    } else if new_min < old_min || new_max > old_max {
        (ChangeLevel::Minor, "widened")
    } else {
        return;
    };
    found.push((level, format!("{what} {how} from {old_min}..{old_max} to {new_min}..{new_max}")));
}
