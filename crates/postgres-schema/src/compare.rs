//! The difference between two schemas, object by object.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Object, Properties, Schema, meaning};

/// An object that is not the same in both schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object.
    pub object: Object,
    /// What is different.
    pub change: Change,
}

/// What is different about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the second schema has it.
    Added,
    /// Only the first schema has it.
    Removed,
    /// Both have it, with other properties.
    Changed(Vec<PropertyChange>),
}

/// A property that is not the same in both schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyChange {
    /// Its name.
    pub property: String,
    /// Its value in the first schema, if it has one there.
    pub before: Option<String>,
    /// Its value in the second schema, if it has one there.
    pub after: Option<String>,
}

impl Schema {
    /// What has to change in this schema for it to become `other`. The order of columns is no difference, nor is how a default
    /// is spelt that gives the same.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let objects: BTreeSet<&Object> = self.objects.keys().chain(other.objects.keys()).collect();
        let changed = |object: &&Object| {
            let change = match (self.get(object), other.get(object)) {
                (Some(_), None) => Change::Removed,
                (None, _) => Change::Added,
                (Some(before), Some(after)) => match changes(before, after) {
                    none if none.is_empty() => return None,
                    changes => Change::Changed(changes),
                },
            };
            Some(Difference { object: (*object).clone(), change })
        };
        objects.iter().filter_map(changed).collect()
    }
}

fn changes(before: &Properties, after: &Properties) -> Vec<PropertyChange> {
    let properties: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |property: &String| PropertyChange {
        property: property.clone(),
        before: before.get(property).cloned(),
        after: after.get(property).cloned(),
    };
    let is_one = |change: &PropertyChange| {
        let spelt = |properties: &Properties, value: &Option<String>| {
            let type_ = properties.get("type").map_or("", String::as_str);
            match (value.as_deref(), change.property.as_str()) {
                (Some(value), "default") => meaning::of_default(value, type_),
                (value, _) => value.map(one_spelling),
            }
        };
        spelt(before, &change.before) != spelt(after, &change.after)
    };
    properties.into_iter().map(change).filter(is_one).collect()
}

/// `+ column note.text`, `- index note_text_idx`, `~ column note.id: type integer → bigint`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match &self.change {
            Change::Added => write!(f, "+ {object}"),
            Change::Removed => write!(f, "- {object}"),
            Change::Changed(changes) => {
                write!(f, "~ {object}: ")?;
                for (index, PropertyChange { property, before, after }) in changes.iter().enumerate() {
                    let [before, after] = [before, after].map(|value| value.as_deref().unwrap_or("nothing"));
                    let separator = if index > 0 { ", " } else { "" };
                    write!(f, "{separator}{property} {before} → {after}")?;
                }
                Ok(())
            }
        }
    }
}

/// An expression in the spelling that it keeps. The server writes a list of `varchar` that is compared with texts as
/// `ARRAY['a'::character varying]::text[]`, reads that as `ARRAY['a'::character varying::text]`, and writes it so from then on:
/// what a dump, or a repair, has brought back is spelt otherwise.
fn one_spelling(value: &str) -> String {
    const BEGIN: &str = "ARRAY[";
    const END: &str = "]::text[]";
    const ELEMENT: &str = "::character varying";
    let (mut spelt, mut rest) = (String::with_capacity(value.len()), value);
    while let Some(begin) = unquoted(rest, BEGIN) {
        let (before, list) = rest.split_at(begin + BEGIN.len());
        spelt.push_str(before);
        rest = list;
        let Some(end) = unquoted(list, "]").filter(|end| list[*end..].starts_with(END)) else { continue };
        let mut elements = Vec::new();
        let mut left = &list[..end];
        while let Some(comma) = unquoted(left, ", ") {
            elements.push(&left[..comma]);
            left = &left[comma + 2..];
        }
        elements.push(left);
        if elements.iter().all(|element| element.ends_with(ELEMENT)) {
            let elements: Vec<String> = elements.iter().map(|element| format!("{element}::text")).collect();
            spelt.push_str(&elements.join(", "));
            spelt.push(']');
            rest = &list[end + END.len()..];
        }
    }
    spelt + rest
}

/// Where a text begins in SQL, outside of what is quoted there.
fn unquoted(sql: &str, text: &str) -> Option<usize> {
    let mut is_quoted = false;
    sql.char_indices().find_map(|(place, letter)| {
        is_quoted ^= letter == '\'';
        (!is_quoted && sql[place..].starts_with(text)).then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::one_spelling;

    #[test]
    fn lists_of_texts_have_one_spelling() {
        let kept = "role::text = ANY (ARRAY['a'::character varying::text, 'b, ]'::character varying::text])";
        let first = "role::text = ANY (ARRAY['a'::character varying, 'b, ]'::character varying]::text[])";
        assert_eq!(one_spelling(first), kept);
        for other in [
            kept,
            "ARRAY[1, 2]",
            "'ARRAY['",
            "ARRAY['a'::text]::text[]",
            "ARRAY['a'::character varying, x]::text[]",
        ] {
            assert_eq!(one_spelling(other), other);
        }
        let two = "ARRAY[ARRAY[1], 2] || ARRAY['é'::character varying]::text[] || 'x'";
        assert_eq!(one_spelling(two), "ARRAY[ARRAY[1], 2] || ARRAY['é'::character varying::text] || 'x'");
    }
}
