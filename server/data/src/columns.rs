//! Which column plays which role.

use crate::Error;

/// What a column means to us. Other columns are named in the report and left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Text,
    Label,
    User,
    Item,
    Time,
    Summary,
    /// `[useful, total]` votes.
    Helpful,
    /// Useful votes alone.
    Votes,
    /// A second time column, read where the first is missing.
    TimeText,
}

/// Whether labels are star ratings or names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// Whole stars 1 to 5, stored as `1` to `5`.
    Stars,
    /// Free names of at most 200 characters.
    Names,
}

pub(crate) const ROLES: usize = 9;

impl Role {
    pub(crate) const ALL: [Self; ROLES] = [
        Self::Text,
        Self::Label,
        Self::User,
        Self::Item,
        Self::Time,
        Self::Summary,
        Self::Helpful,
        Self::Votes,
        Self::TimeText,
    ];

    /// Automatic names in order of preference, lower-case letters and digits only.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Text => &[
                "reviewtext",
                "text",
                "review",
                "reviewbody",
                "sentence",
                "content",
                "comment",
                "body",
                "tweet",
                "message",
            ],
            Self::Label => &[
                "overall",
                "rating",
                "stars",
                "star",
                "starrating",
                "score",
                "airlinesentiment",
                "sentiment",
                "polarity",
                "label",
                "class",
                "target",
            ],
            Self::User => &["reviewerid", "userid", "user", "customerid", "authorid", "author", "reviewer"],
            Self::Item => &["asin", "itemid", "productid", "parentasin", "item", "product", "businessid"],
            Self::Time => &[
                "unixreviewtime",
                "timestamp",
                "unixtime",
                "time",
                "reviewtime",
                "reviewdate",
                "date",
                "createdat",
                "tweetcreated",
            ],
            Self::Summary => &["summary", "title", "headline", "reviewtitle", "reviewheadline"],
            Self::Helpful => &["helpful", "helpfulness"],
            Self::Votes => &["vote", "votes", "helpfulvote", "helpfulvotes"],
            Self::TimeText => &["reviewtime", "reviewdate"],
        }
    }
    pub(crate) fn index(self) -> usize {
        self as usize
    }
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Label => "label",
            Self::User => "user",
            Self::Item => "item",
            Self::Time => "time",
            Self::Summary => "summary",
            Self::Helpful => "helpful",
            Self::Votes => "votes",
            Self::TimeText => "time_text",
        }
    }
}

/// The column of each role, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnMap {
    pub(crate) names: [Option<String>; ROLES],
}

impl ColumnMap {
    /// Finds the columns: those that `wanted` names, else by their usual names.
    pub(crate) fn resolve(columns: &[String], wanted: &[(Role, Option<&str>)]) -> Result<Self, Error> {
        let mut map = Self::default();
        for role in Role::ALL {
            let named = wanted.iter().find(|(r, _)| *r == role).and_then(|(_, name)| *name);
            let found = match named {
                Some(name) => {
                    let hit = columns
                        .iter()
                        .find(|c| *c == name)
                        .or_else(|| columns.iter().find(|c| c.trim().eq_ignore_ascii_case(name.trim())));
                    Some(hit.ok_or_else(|| missing(role, columns, Some(name)))?)
                }
                None => role.names().iter().find_map(|name| columns.iter().find(|c| squeeze(c) == *name)),
            };
            map.names[role.index()] = found.filter(|name| map.role_of(name).is_none()).cloned();
        }
        for role in [Role::Text, Role::Label] {
            if map.names[role.index()].is_none() {
                return Err(missing(role, columns, None));
            }
        }
        Ok(map)
    }

    pub(crate) fn role_of(&self, column: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| self.names[role.index()].as_deref() == Some(column))
    }
    pub(crate) fn name(&self, role: Role) -> Option<&str> {
        self.names[role.index()].as_deref()
    }
}

/// Whether `column` is a row number that a data frame left behind.
pub(crate) fn is_index_column(position: usize, column: &str) -> bool {
    position == 0 && (column.trim().is_empty() || column.trim() == "Unnamed: 0")
}

fn squeeze(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn missing(role: Role, columns: &[String], named: Option<&str>) -> Error {
    let list = columns.iter().take(50).map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
    let flag = role.flag();
    let what = named.map_or_else(|| format!("no {flag} column found"), |name| format!("there is no column `{name}`"));
    let other = columns.len() == 1 && columns[0].contains([';', '|', '\t', ',']);
    let hint = if other { "; the header is one column, is the delimiter wrong? set it with `--delimiter`" } else { "" };
    let message = format!("{what}; the columns are {list}; name the right one with `--{flag} <column>`{hint}");
    Error::MissingColumn { role: role.flag(), columns: columns.to_vec(), message }
}
