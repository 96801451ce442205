//! The committed schema, and what tools need of it.

use serde_json::json;

use crate::support::benches;

#[test]
fn the_schema_is_the_committed_one() {
    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let sdl = tenor_graphql::sdl();
    if std::env::var_os("TENOR_RENEW_SCHEMA").is_some() {
        std::fs::write(PATH, &sdl).unwrap();
    }
    let committed = std::fs::read_to_string(PATH).unwrap();
    if sdl != committed {
        let (line, (is, was)) = sdl
            .lines()
            .zip(committed.lines())
            .enumerate()
            .find(|(_, (is, was))| is != was)
            .unwrap_or((0, ("another length", "")));
        panic!("line {} is `{is}`, was `{was}`; look at it, then renew it with TENOR_RENEW_SCHEMA=1", line + 1);
    }
}

#[test]
fn there_are_no_mutations_and_scalars_say_what_they_hold() {
    let sdl = tenor_graphql::sdl();
    assert!(!sdl.contains("mutation") && !sdl.contains("Mutation"));
    for scalar in ["Long", "Double", "Digest", "DateTime", "JSON", "ParamValue"] {
        let at = sdl.find(&format!("scalar {scalar}\n")).unwrap_or_else(|| panic!("no scalar {scalar}"));
        assert!(sdl[..at].ends_with("\"\"\"\n") || sdl[..at].ends_with("\"\n"), "scalar {scalar} has no description");
    }
}

/// What GraphiQL and code generators send (graphql-js 16).
const INTROSPECTION: &str = "query IntrospectionQuery {
  __schema {
    description
    queryType { name kind } mutationType { name kind } subscriptionType { name kind }
    types { ...FullType }
    directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } }
  }
}
fragment FullType on __Type {
  kind name description specifiedByURL
  fields(includeDeprecated: true) {
    name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason
  }
  inputFields(includeDeprecated: true) { ...InputValue }
  interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue {
  name description type { ...TypeRef } defaultValue isDeprecated deprecationReason
}
fragment TypeRef on __Type {
  kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

#[tokio::test]
async fn the_usual_introspection_is_answered() {
    for bench in benches().await {
        let schema = &bench.data_of(INTROSPECTION, json!({})).await["__schema"];
        assert_eq!(schema["mutationType"], json!(null));
        let names: Vec<_> = schema["types"].as_array().unwrap().iter().map(|kind| &kind["name"]).collect();
        for name in ["Node", "RunConnection", "JobEvent"] {
            assert!(names.contains(&&json!(name)), "{name}");
        }
    }
}
