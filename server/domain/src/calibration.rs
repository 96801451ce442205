//! The ways to calibrate a model's probabilities.

use crate::Error;

/// How probabilities are corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// One number for all classes; keeps the order of the classes (Guo et al. 2017). Needs the fewest rows.
    Temperature,
    /// A sigmoid of the log-odds of each class against the rest (Platt 1999, targets and solver of Lin, Lin, Weng 2007).
    Platt,
    /// A rising step function of each class's probability, with straight lines between the steps (Zadrozny, Elkan 2002).
    /// Needs about a thousand rows.
    Isotonic,
}

impl CalibrationMethod {
    pub const ALL: [Self; 3] = [Self::Temperature, Self::Platt, Self::Isotonic];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::Platt => "platt",
            Self::Isotonic => "isotonic",
        }
    }
    /// The method of that name; the error lists them.
    pub fn parse(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|method| method.as_str() == name).ok_or_else(|| {
            let short: String = name.chars().take(80).collect();
            let all = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid("calibration", format!("must be one of {all}, got `{short}`"))
        })
    }
}
