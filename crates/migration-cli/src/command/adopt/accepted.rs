//! Differences that a person accepts by name, and how the journal records them.

use migration_rehearsal::Object;

/// How the words of a consent begin that name an accepted difference.
const ACCEPTED: &str = "accepted:";

/// The word of the journal for an object whose difference is accepted.
pub(super) fn consent_to(object: &str) -> String {
    format!("{ACCEPTED}{}", object.replace('%', "%25").replace(' ', "%20"))
}

/// The objects whose differences were accepted, of a consent in the journal.
pub(in crate::command) fn accepted_objects(consent: &str) -> impl Iterator<Item = String> {
    let objects = consent.split(' ').filter_map(|word| word.strip_prefix(ACCEPTED));
    objects.map(|object| object.replace("%20", " ").replace("%25", "%"))
}

pub(super) fn is_accepted(object: &Object, accepted: &[String]) -> bool {
    accepted.iter().any(|name| is_called(object, name))
}

/// Whether a person calls an object so: by its name, with its table, or as the comparison writes it.
pub(super) fn is_called(object: &Object, pattern: &str) -> bool {
    let qualified = object.parent.as_ref().map(|parent| format!("{parent}.{}", object.name));
    let qualified = qualified.as_deref().unwrap_or(&object.name);
    [&object.name, qualified, &object.to_string()].into_iter().any(|name| matches(pattern, name))
}

/// Whether a text is as a pattern in which `*` stands for anything.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(begin) else { return false };
    (0..=text.len()).filter(|&place| text.is_char_boundary(place)).any(|place| matches(rest, &text[place..]))
}

#[cfg(test)]
mod tests {
    use super::{accepted_objects, consent_to, matches};

    #[test]
    fn what_was_accepted_is_read_again() {
        let objects = ["column users.id", "index a b.100% c", "table x"];
        let consent = objects.map(consent_to).join(" ");
        assert!(accepted_objects(&format!("adopted {consent}")).eq(objects));
    }

    #[test]
    fn patterns() {
        let matching =
            [("a.b", "a.b"), ("*", "a.b"), ("a.*", "a.b"), ("*.b", "a.b"), ("a*b*", "a.bc"), ("*é", "né")];
        let other = [("a.b", "a.bc"), ("a.*", "b.a.c"), ("*.b", "a.bc"), ("", "a"), ("a*a", "a")];
        assert!(matching.iter().all(|(pattern, text)| matches(pattern, text)));
        assert!(!other.iter().any(|(pattern, text)| matches(pattern, text)));
    }
}
