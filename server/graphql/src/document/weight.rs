//! How much a document asks for, with fragments written out but each looked at once.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

/// Sums over a document; `depth` and `lists` are maxima.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// Fields within fields.
    pub depth: usize,
    pub fields: usize,
    pub aliases: usize,
    pub directives: usize,
    /// `__schema` and `__type`.
    pub introspections: usize,
    /// Lists of an introspection within one another. No other field has their names.
    pub lists: usize,
}

impl Weight {
    /// Both, side by side.
    fn add(&mut self, other: Self) {
        self.depth = self.depth.max(other.depth);
        self.lists = self.lists.max(other.lists);
        self.fields = self.fields.saturating_add(other.fields);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.introspections = self.introspections.saturating_add(other.introspections);
    }
}

/// The weight of all operations, or of a fragment that none uses if that is more; `None` when a fragment contains itself.
pub(super) fn of(document: &ExecutableDocument) -> Option<Weight> {
    let mut scale = Scale { document, fragments: HashMap::new() };
    let mut total = Weight::default();
    for (_, operation) in document.operations.iter() {
        let definitions = &operation.node.variable_definitions;
        let directives = definitions.iter().map(|definition| definition.node.directives.len()).sum::<usize>();
        total.directives += directives + operation.node.directives.len();
        total.add(scale.selections(&operation.node.selection_set.node)?);
    }
    for (name, fragment) in &document.fragments {
        total.directives += fragment.node.directives.len();
        let weight = scale.fragment(name)?;
        total.fields = total.fields.max(weight.fields);
        total.depth = total.depth.max(weight.depth);
    }
    Some(total)
}

struct Scale<'a> {
    document: &'a ExecutableDocument,
    /// `None` while it is being weighed.
    fragments: HashMap<&'a str, Option<Weight>>,
}

impl<'a> Scale<'a> {
    fn fragment(&mut self, name: &'a str) -> Option<Weight> {
        if let Some(known) = self.fragments.get(name) {
            return *known;
        }
        // One that is not there is the library's to refuse.
        let Some(fragment) = self.document.fragments.get(name) else { return Some(Weight::default()) };
        self.fragments.insert(name, None);
        let weight = self.selections(&fragment.node.selection_set.node)?;
        self.fragments.insert(name, Some(weight));
        Some(weight)
    }

    fn selections(&mut self, selections: &'a SelectionSet) -> Option<Weight> {
        let mut total = Weight::default();
        for selection in &selections.items {
            let directives = selection.node.directives().len();
            let mut weight = match &selection.node {
                Selection::Field(field) => {
                    let name = field.node.name.node.as_str();
                    let mut weight = self.selections(&field.node.selection_set.node)?;
                    weight.depth += 1;
                    weight.fields = weight.fields.saturating_add(1);
                    weight.aliases = weight.aliases.saturating_add(usize::from(field.node.alias.is_some()));
                    weight.introspections += usize::from(matches!(name, "__schema" | "__type"));
                    weight.lists +=
                        usize::from(matches!(name, "fields" | "interfaces" | "possibleTypes" | "inputFields"));
                    weight
                }
                Selection::FragmentSpread(spread) => self.fragment(spread.node.fragment_name.node.as_str())?,
                Selection::InlineFragment(inline) => self.selections(&inline.node.selection_set.node)?,
            };
            weight.directives = weight.directives.saturating_add(directives);
            total.add(weight);
        }
        Some(total)
    }
}
