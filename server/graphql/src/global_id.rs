//! Global ids: `Run:0199d2c4-...` in base64, so that one field can find every kind of node. Opaque to clients.

use async_graphql::ID;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tenor_domain::{
    DatasetId, DatasetVersionId, DeploymentId, Error, ExperimentId, JobId, ModelVersionId, RegisteredModelId, RunId,
    SplitId, StudyId,
};

use crate::error::{Failure, Result};

/// No id of this server is longer.
const MAX_CHARS: usize = 128;

macro_rules! nodes {
    ($($(#[$doc:meta])* $variant:ident($id:ident) $name:literal;)*) => {
        /// The id of a node with its type.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum GlobalId { $($variant($id),)* }

        impl GlobalId {
            pub(crate) fn parse(id: &ID) -> Result<Self> {
                Self::decoded(id).ok_or_else(|| wrong("is not an id of this server; take it from the field `id`"))
            }

            fn decoded(id: &ID) -> Option<Self> {
                if id.len() > MAX_CHARS {
                    return None;
                }
                let text = String::from_utf8(URL_SAFE_NO_PAD.decode(id.as_str()).ok()?).ok()?;
                match text.split_once(':')? {
                    $(($name, id) => $id::parse(id).ok().map(Self::$variant),)*
                    _ => None,
                }
            }
        }

        $(
            impl From<&$id> for GlobalId {
                fn from(id: &$id) -> Self {
                    Self::$variant(id.clone())
                }
            }
        )*

        impl From<GlobalId> for ID {
            fn from(id: GlobalId) -> Self {
                let text = match &id { $(GlobalId::$variant(id) => format!(concat!($name, ":{}"), id),)* };
                Self(URL_SAFE_NO_PAD.encode(text))
            }
        }
    };
}

nodes! {
    Dataset(DatasetId) "Dataset";
    DatasetVersion(DatasetVersionId) "DatasetVersion";
    Split(SplitId) "Split";
    Experiment(ExperimentId) "Experiment";
    Run(RunId) "Run";
    Study(StudyId) "Study";
    Model(RegisteredModelId) "Model";
    ModelVersion(ModelVersionId) "ModelVersion";
    Deployment(DeploymentId) "Deployment";
    Job(JobId) "Job";
}

/// The global id of a node.
pub(crate) fn of<'a, T>(id: &'a T) -> ID
where
    GlobalId: From<&'a T>,
{
    GlobalId::from(id).into()
}

/// The id of a run, as a global id or as gRPC and the command line write it.
pub(crate) fn run(id: &ID) -> Result<RunId> {
    match GlobalId::decoded(id) {
        Some(GlobalId::Run(id)) => Ok(id),
        _ => RunId::parse(id).map_err(|_| wrong("must be the id of a run")),
    }
}

/// Like [`run`], for a split.
pub(crate) fn split(id: &ID) -> Result<SplitId> {
    match GlobalId::decoded(id) {
        Some(GlobalId::Split(id)) => Ok(id),
        _ => SplitId::parse(id).map_err(|_| wrong("must be the id of a split")),
    }
}

/// Like [`run`], for a job.
pub(crate) fn job(id: &ID) -> Result<JobId> {
    match GlobalId::decoded(id) {
        Some(GlobalId::Job(id)) => Ok(id),
        _ => JobId::parse(id).map_err(|_| wrong("must be the id of a job")),
    }
}

fn wrong(what: &str) -> Failure {
    Error::invalid("id", what).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_global_id_finds_its_node_and_no_other() {
        let id = RunId::new();
        let global = of(&id);
        assert!(!global.contains(id.as_str()));
        assert_eq!(GlobalId::parse(&global).unwrap(), GlobalId::Run(id.clone()));
        assert_eq!((run(&global).unwrap(), run(&ID::from(id.as_str())).unwrap()), (id.clone(), id));
        assert!(split(&global).is_err() && job(&global).is_err());
        assert_eq!(job(&ID::from("17")).unwrap(), JobId(17));
        assert_eq!(GlobalId::parse(&of(&JobId(17))).unwrap(), GlobalId::Job(JobId(17)));
    }

    #[test]
    fn what_is_no_global_id_is_refused() {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let texts = [
            "",
            "Run",
            "Run:",
            "Run:1",
            "Nothing:1",
            "Job:0",
            "Job:-1",
            "Job:99999999999999999999",
            ":",
            "\u{0}:\u{0}",
        ];
        for id in texts.map(encoded).into_iter().chain(["%".into(), "x".repeat(1 << 20), "ü".into(), String::new()]) {
            assert!(GlobalId::parse(&ID::from(&id)).is_err(), "{id}");
        }
    }
}
