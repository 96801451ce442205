//! The schema: all queries and subscriptions in one place, and types that several nouns share.

use std::collections::BTreeMap;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{
    EmptyMutation, Enum, MergedObject, SDLExportOptions, ServerError, SimpleObject, ValidationResult, async_trait,
};
use tenor_domain as domain;
use tenor_domain::{Error, ErrorKind, Tags};

use crate::dataset::DatasetQuery;
use crate::deployment::DeploymentQuery;
use crate::error::Failure;
use crate::experiment::ExperimentQuery;
use crate::job::{JobQuery, JobSubscription};
use crate::limits::Limits;
use crate::model::ModelQuery;
use crate::node::NodeQuery;
use crate::run::RunQuery;
use crate::scalar::Double;
use crate::split::SplitQuery;
use crate::study::StudyQuery;

/// Everything can be read here, and nothing changed: that is done by gRPC. Lists are Relay connections, forward only, with
/// 1 to 1,000 rows a page and 50 without `first`.
#[derive(Default, MergedObject)]
pub(crate) struct Query(
    NodeQuery,
    DatasetQuery,
    SplitQuery,
    ExperimentQuery,
    RunQuery,
    StudyQuery,
    ModelQuery,
    DeploymentQuery,
    JobQuery,
);

pub(crate) type Schema = async_graphql::Schema<Query, EmptyMutation, JobSubscription>;

/// The schema with those limits that the library keeps; the others are kept by [`crate::document`].
pub(crate) fn schema(limits: &Limits) -> Schema {
    Schema::build(Query::default(), EmptyMutation, JobSubscription)
        .limit_recursive_depth(limits.max_depth * 2)
        .limit_directives(limits.max_directives)
        .extension(ComplexityLimit(limits.max_complexity))
        .finish()
}

/// The schema in the GraphQL schema language.
pub fn sdl() -> String {
    schema(&Limits::default()).sdl_with_options(SDLExportOptions::new().prefer_single_line_descriptions())
}

/// Refuses what costs too much before anything is read.
#[derive(Debug, Clone, Copy)]
struct ComplexityLimit(usize);

impl ExtensionFactory for ComplexityLimit {
    fn create(&self) -> std::sync::Arc<dyn Extension> {
        std::sync::Arc::new(*self)
    }
}

#[async_trait::async_trait]
impl Extension for ComplexityLimit {
    async fn validation(
        &self,
        context: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(context).await?;
        if result.complexity <= self.0 {
            return Ok(result);
        }
        let message = format!(
            "the query has complexity {}, the limit is {}; ask for smaller pages or fewer fields",
            result.complexity, self.0
        );
        let error = Error::new(ErrorKind::ResourceExhausted, "QUERY_TOO_COMPLEX", message);
        Err(vec![Failure::from(error).into_server_error()])
    }
}

/// The life of anything that a job makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::State")]
pub(crate) enum State {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// A free key with a text.
#[derive(SimpleObject)]
pub(crate) struct Tag {
    key: String,
    value: String,
}

/// Tags by key.
pub(crate) fn tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// A metric's value.
#[derive(SimpleObject)]
pub(crate) struct MetricValue {
    key: String,
    value: Double,
}

/// Metrics by key.
pub(crate) fn metrics(metrics: &BTreeMap<String, f64>) -> Vec<MetricValue> {
    metrics.iter().map(|(key, value)| MetricValue { key: key.clone(), value: Double(*value) }).collect()
}
