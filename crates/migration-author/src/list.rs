//! Lists in source: the migrations of a service, and the services of a workspace. The parser says where a list ends; what is put in
//! there leaves everything else as it is.

use std::ops::Range;

use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, File, Ident, Item, Macro, MacroDelimiter, Stmt, Token};

/// A list between delimiters, in a text.
#[derive(Debug)]
pub(crate) struct List {
    /// The entries as source has them.
    pub(crate) entries: Vec<String>,
    /// Behind the opening delimiter to before the closing one.
    inside: Range<usize>,
    /// Where the last entry begins.
    last_begins: usize,
    /// Where the last entry ends, or the comma behind it.
    last_ends: usize,
    has_comma: bool,
}

/// The list of `migrations! { … }`.
pub(crate) fn migrations(text: &str) -> Result<List, String> {
    let mut found = Vec::new();
    for item in &parse(text)?.items {
        let Item::Macro(item) = item else { continue };
        if item.mac.path.segments.last().is_some_and(|segment| segment.ident == "migrations") {
            found.push(list::<Ident>(text, &item.mac, Punctuated::parse_terminated)?);
        }
    }
    one(found, "`migrations! {}`")
}

/// The list that `fn services()` returns: its last expression, `vec![…]`.
pub(crate) fn services(text: &str) -> Result<List, String> {
    let mut found = Vec::new();
    for item in &parse(text)?.items {
        let Item::Fn(function) = item else { continue };
        let Some(Stmt::Expr(Expr::Macro(last), None)) = function.block.stmts.last() else { continue };
        if function.sig.ident == "services" && last.mac.path.is_ident("vec") {
            found.push(list::<Expr>(text, &last.mac, Punctuated::parse_terminated)?);
        }
    }
    one(found, "`fn services` that ends with `vec![]`")
}

/// Whether a file declares a constant of this name.
pub(crate) fn has_constant(text: &str, name: &str) -> bool {
    let is_it = |item: &Item| matches!(item, Item::Const(constant) if constant.ident == name);
    parse(text).is_ok_and(|file| file.items.iter().any(is_it))
}

fn parse(text: &str) -> Result<File, String> {
    syn::parse_str(text).map_err(|error| format!("line {}: {error}", error.span().start().line))
}

fn one(mut found: Vec<List>, what: &str) -> Result<List, String> {
    match (found.pop(), found.is_empty()) {
        (Some(list), true) => Ok(list),
        (Some(_), false) => Err(format!("there are several {what}")),
        (None, _) => Err(format!("there is no {what}")),
    }
}

fn list<T: Spanned>(
    text: &str,
    mac: &Macro,
    parser: impl Parser<Output = Punctuated<T, Token![,]>>,
) -> Result<List, String> {
    let entries = parser.parse2(mac.tokens.clone()).map_err(|error| error.to_string())?;
    let delimiters = match &mac.delimiter {
        MacroDelimiter::Paren(paren) => paren.span,
        MacroDelimiter::Brace(brace) => brace.span,
        MacroDelimiter::Bracket(bracket) => bracket.span,
    };
    let inside = delimiters.open().byte_range().end..delimiters.close().byte_range().start;
    let last = entries.last().map(|entry| entry.span().byte_range());
    let comma = entries.pairs().next_back().and_then(|pair| pair.punct().map(Spanned::span));
    let range = |entry: &T| text[entry.span().byte_range()].to_owned();
    Ok(List {
        entries: entries.iter().map(range).collect(),
        last_begins: last.as_ref().map_or(inside.start, |last| last.start),
        last_ends: comma
            .map(|comma| comma.byte_range().end)
            .or(last.map(|last| last.end))
            .unwrap_or(inside.start),
        has_comma: comma.is_some(),
        inside,
    })
}

impl List {
    /// The text with one more entry at the end of this list.
    pub(crate) fn with(&self, text: &str, entry: &str) -> String {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let after = &text[self.last_ends..self.inside.end];
        let is_empty = self.entries.is_empty();
        let (mut before, mut rest) = (text[..self.last_ends].to_owned(), &text[self.last_ends..]);
        if !is_empty && !self.has_comma {
            before.push(',');
        }
        let indent = self.indent(text);
        match after.rfind('\n') {
            // What is between, a comment, stays with the entry before.
            Some(end_of_line) => {
                before += &rest[..=end_of_line];
                rest = &rest[end_of_line + 1..];
                before += &format!("{indent}{entry},{newline}");
            }
            None if is_empty => before += &format!("{newline}{indent}{entry},{newline}"),
            None => before += &format!(" {entry}"),
        }
        before + if is_empty { rest.trim_start_matches(' ') } else { rest }
    }

    /// The space before the last entry, if that begins its line.
    fn indent(&self, text: &str) -> String {
        let line = text[..self.last_begins].rsplit('\n').next().unwrap_or_default();
        if !self.entries.is_empty() && line.trim().is_empty() { line.to_owned() } else { "    ".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_added_and_everything_else_stays() {
        for (text, expected) in [
            ("migrations! {\n    a,\n    b,\n}\n", "migrations! {\n    a,\n    b,\n    c,\n}\n"),
            ("migrations! {\n    a,\n    b\n}\n", "migrations! {\n    a,\n    b,\n    c,\n}\n"),
            (
                "kit::migrations! {\n\ta, // first\n\tb, // last\n\t// end\n}\nfn f() {}\n",
                "kit::migrations! {\n\ta, // first\n\tb, // last\n\t// end\n\tc,\n}\nfn f() {}\n",
            ),
            ("migrations! {\n    a // no comma\n}\n", "migrations! {\n    a, // no comma\n    c,\n}\n"),
            ("migrations! {}\n", "migrations! {\n    c,\n}\n"),
            ("migrations! { }\n", "migrations! {\n    c,\n}\n"),
            ("migrations! {\n    // none yet\n}\n", "migrations! {\n    // none yet\n    c,\n}\n"),
            ("migrations! { a, b }\n", "migrations! { a, b, c }\n"),
            ("migrations!(a, b,);\n", "migrations!(a, b, c);\n"),
            ("migrations! {\r\n    a,\r\n}\r\n", "migrations! {\r\n    a,\r\n    c,\r\n}\r\n"),
            (
                "// migrations! { no }\nconst TEXT: &str = \"migrations! { é }\";\nmigrations! {\n    a,\n}\n",
                "// migrations! { no }\nconst TEXT: &str = \"migrations! { é }\";\nmigrations! {\n    a,\n    c,\n}\n",
            ),
        ] {
            let list = migrations(text).unwrap();
            let after = list.with(text, "c");
            assert_eq!(after, expected);
            let again = migrations(&after).unwrap().entries;
            assert_eq!(again, [&list.entries[..], &["c".to_owned()]].concat());
        }
    }

    #[test]
    fn a_service_is_added_and_everything_else_stays() {
        for (text, expected) in [
            (
                "fn f() {}\nfn services() -> Vec<S> {\n    vec![\n        a::service(),\n        b::service(1), // b\n    ]\n}\n",
                "fn f() {}\nfn services() -> Vec<S> {\n    vec![\n        a::service(),\n        b::service(1), // b\n        \
                 c::service(),\n    ]\n}\n",
            ),
            (
                "fn services() -> V { vec![a::service()] }\n",
                "fn services() -> V { vec![a::service(), c::service()] }\n",
            ),
        ] {
            assert_eq!(services(text).unwrap().with(text, "c::service()"), expected);
        }
        for text in ["fn f() {}", "fn services() -> V { other() }", "fn services() -> V { vec![a; 3] }"] {
            services(text).unwrap_err();
        }
    }

    #[test]
    fn what_is_no_list_or_two_is_refused() {
        for (text, why) in [
            ("fn f() {}", "there is no `migrations! {}`"),
            ("migrations! { a }\nmigrations! { b }", "there are several `migrations! {}`"),
            ("migrations! { a b }", "expected `,`"),
            ("fn f() {\n", "line"),
        ] {
            let error = migrations(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
