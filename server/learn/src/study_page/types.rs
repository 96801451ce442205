//! What a page is made of.

/// All that the page of a study shows. Numbers are not NaN; infinite ones are drawn at the edge of their scale.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StudyPage {
    pub name: String,
    pub description: String,
    /// Name and value, shown in the given order.
    pub facts: Vec<(String, String)>,
    pub objectives: Vec<PageObjective>,
    pub params: Vec<PageParam>,
    pub trials: Vec<PageTrial>,
    /// Of what, and the share of each parameter in it by the parameter's name.
    pub importance: Vec<(String, Vec<(String, f64)>)>,
    /// The number of the trial that won, and why.
    pub winner: Option<(i64, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PageObjective {
    pub name: String,
    pub maximize: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PageParam {
    pub name: String,
    pub scale: Scale,
}

/// How the values of a parameter stand on an axis.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    Linear,
    Log,
    /// Names of the categories; values are indexes of them.
    Categories(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct PageTrial {
    pub number: i64,
    /// `waiting`, `running`, `complete`, `pruned` or `failed`.
    pub state: &'static str,
    /// One an objective; empty unless complete.
    pub values: Vec<f64>,
    pub feasible: bool,
    pub on_front: bool,
    /// One a parameter; none where it does not exist.
    pub params: Vec<Option<f64>>,
    /// Step and the first metric reported at it.
    pub reports: Vec<(i64, f64)>,
}

impl StudyPage {
    /// The page: one file that asks nothing of the network, the same bytes for the same input. Names and texts come
    /// from users; none of them is markup.
    pub fn to_html(&self) -> String {
        super::page::write(self)
    }
}
