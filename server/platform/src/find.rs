//! From what clients write, a name or an id, to the row; and what to say when it is not there or not as expected.

use tenor_domain::{Dataset, Deployment, Error, Etag, Experiment, RegisteredModel, RunId, Study};
use tenor_store::{Tx, dataset, deployment, experiment, model, study};

/// The beginning of what a client wrote, for messages.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

/// Ids as the store takes them.
macro_rules! texts {
    ($ids:expr) => {
        $ids.iter().map(|id| id.as_str()).collect::<Vec<_>>()
    };
}
pub(crate) use texts;

macro_rules! find {
    ($(#[$doc:meta])* $name:ident $store:ident $entity:ty, $noun:literal, $field:literal, $hint:literal) => {
        $(#[$doc])*
        pub(crate) async fn $name(tx: &mut Tx, name_or_id: &str) -> Result<$entity, Error> {
            if name_or_id.is_empty() {
                return Err(Error::invalid($field, concat!("must be the name or the id of a ", $noun)));
            }
            // An id looks like a name, so the id is tried first.
            if RunId::parse(name_or_id).is_ok()
                && let Some(found) = $store::by_id(tx, &name_or_id.to_ascii_lowercase()).await?
            {
                return Ok(found);
            }
            let found = if name_or_id.contains('\0') { None } else { $store::by_name(tx, name_or_id).await? };
            found.ok_or_else(|| {
                Error::not_found(format!(concat!($noun, " `{}` does not exist; ", $hint), shown(name_or_id)))
            })
        }
    };
}

find!(dataset dataset Dataset, "dataset", "dataset", "list the datasets to see which do");
find!(experiment experiment Experiment, "experiment", "experiment", "list the experiments to see which do");
find!(study study Study, "study", "study", "list the studies to see which do");
find!(model model RegisteredModel, "model", "model", "list the models to see which do");
find!(deployment deployment Deployment, "deployment", "deployment", "list the deployments to see which do");

/// Compares what the client saw with what is there.
pub(crate) fn check_etag(noun: &str, expected: Option<Etag>, found: Etag) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != found => Err(stale(noun)),
        _ => Ok(()),
    }
}

pub(crate) fn stale(noun: &str) -> Error {
    Error::conflict("STALE_ETAG", format!("the {noun} was changed in between; read it again, then repeat the change"))
}

/// A state that a row cannot go to.
pub(crate) fn illegal_transition(noun: &str, from: impl std::fmt::Display, to: impl std::fmt::Display) -> Error {
    Error::precondition(
        "ILLEGAL_TRANSITION",
        format!("the {noun} is {from} and cannot become {to}; a finished one stays as it is"),
    )
}
