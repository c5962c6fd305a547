//! What a default gives, however it is spelt: the server keeps `0`, `0.0` and `'0'::numeric` apart, `now()` and
//! `CURRENT_TIMESTAMP`, and a constant from itself with a cast.
//!
//! Only spellings that give the same in every session are one. Whether two constants of a type are equal that are written
//! differently, such as two intervals, only a server can tell.

/// What the default of a column of this type gives, in one spelling. `None` if that is null, as without a default.
pub(crate) fn of_default(sql: &str, type_: &str) -> Option<String> {
    if let Some(value) = constant(sql) {
        return match value {
            Constant::Null => None,
            Constant::Value(value) if is_number(type_) => Some(number(&value).unwrap_or(value)),
            Constant::Value(value) if type_ == "boolean" => Some(truth(&value).map_or(value, str::to_owned)),
            Constant::Value(value) => Some(format!("'{value}'")),
        };
    }
    let is_moment = |type_: &str| type_.starts_with("timestamp");
    let is_time = is_moment(type_) || type_ == "date";
    let bare = bare(sql, |cast| cast == type_ || is_time && is_moment(cast) && !cast.contains('('));
    let lower = bare.to_ascii_lowercase();
    let unqualified = lower.strip_prefix("pg_catalog.").unwrap_or(&lower);
    Some(match unqualified {
        "now()" | "current_timestamp" | "transaction_timestamp()" => "now()".to_owned(),
        "'now'::text" if is_time => "now()".to_owned(),
        "localtimestamp" if is_moment(type_) && type_.ends_with("without time zone") => "now()".to_owned(),
        "current_date" if type_ == "date" => "now()".to_owned(),
        "gen_random_uuid()" => "gen_random_uuid()".to_owned(),
        // Of an extension, in whatever schema that is.
        other if other == "uuid_generate_v4()" || other.ends_with(".uuid_generate_v4()") => {
            "gen_random_uuid()".to_owned()
        }
        "timezone('utc'::text, now())"
        | "timezone('utc'::text, current_timestamp)"
        | "now() at time zone 'utc'::text"
        | "current_timestamp at time zone 'utc'::text" => "timezone('utc', now())".to_owned(),
        _ => bare.to_owned(),
    })
}

/// The value of a default that is a constant, as it would be written between quotes; `None` of any other, and of null.
pub(crate) fn constant_of_default(sql: &str) -> Option<String> {
    match constant(sql)? {
        Constant::Value(value) => Some(value),
        Constant::Null => None,
    }
}

enum Constant {
    /// The text between the quotes, or the number, or the word.
    Value(String),
    Null,
}

/// A constant without the casts around it. A cast that has a limit may shorten what it is applied to, and is kept.
fn constant(sql: &str) -> Option<Constant> {
    let bare = bare(sql, |cast| !cast.contains('('));
    if let Some(quoted) = bare.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        let is_one = !quoted.replace("''", "").contains('\'');
        return is_one.then(|| Constant::Value(quoted.to_owned()));
    }
    if bare == "NULL" {
        return Some(Constant::Null);
    }
    let is_word = matches!(bare, "true" | "false");
    (is_word || number(bare).is_some()).then(|| Constant::Value(bare.to_owned()))
}

/// An expression without the parentheses around it and without those last casts that may go.
fn bare(sql: &str, may_go: impl Fn(&str) -> bool) -> &str {
    let mut bare = sql.trim();
    loop {
        let inner = bare.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        if let Some(inner) = inner.filter(|inner| is_balanced(inner)) {
            bare = inner.trim();
            continue;
        }
        match last_cast(bare) {
            // `'now'::text` is read when the default is needed, `'now'` when it is made.
            Some(("'now'", _)) => return bare,
            Some((rest, cast)) if may_go(cast) => bare = rest,
            _ => return bare,
        }
    }
}

/// What is before the last cast of an expression that is one, and the type of that cast.
fn last_cast(sql: &str) -> Option<(&str, &str)> {
    let (rest, cast) = sql.rsplit_once("::")?;
    let is_of_type = |letter: char| letter.is_alphanumeric() || " _.\"[](),".contains(letter);
    let is_type = !cast.is_empty() && cast.chars().all(is_of_type) && is_balanced(cast);
    (is_type && (is_primary(rest) || last_cast(rest).is_some())).then_some((rest, cast))
}

/// Whether it is a constant, a name, a call or something in parentheses: no operator is outside of these.
fn is_primary(sql: &str) -> bool {
    let (mut depth, mut is_quoted) = (0_i32, false);
    let is_inside = |letter: char| {
        is_quoted ^= letter == '\'';
        depth +=
            i32::from(!is_quoted && "([".contains(letter)) - i32::from(!is_quoted && ")]".contains(letter));
        is_quoted || depth > 0 || letter.is_alphanumeric() || "_.\"')]".contains(letter)
    };
    !sql.is_empty() && is_balanced(sql) && sql.chars().all(is_inside)
}

/// Whether parentheses outside of quotes close only what they opened.
fn is_balanced(sql: &str) -> bool {
    let (mut depth, mut is_quoted) = (0_i32, false);
    for letter in sql.chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && !is_quoted
}

fn is_number(type_: &str) -> bool {
    matches!(type_, "smallint" | "integer" | "bigint" | "real" | "double precision")
        || type_.starts_with("numeric")
}

/// A decimal number without signs and zeros that say nothing; `None` if it is none.
fn number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(match fraction {
        "" if whole == "0" => "0".to_owned(),
        "" => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    })
}

fn truth(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "on" | "1" => Some("true"),
        "f" | "false" | "n" | "no" | "off" | "0" => Some("false"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::of_default;

    /// Spellings as the server keeps them: in each line, all give the same, and none gives what one of another line of its type does.
    const ALIKE: [(&str, &[&str]); 14] = [
        ("integer", &["0", "'0'::integer", "(0)::bigint", "((0))", "'00'::smallint", "'-0'::integer"]),
        ("integer", &["'-1'::integer", "(-1)", "'-1'::bigint"]),
        ("numeric(5,2)", &["0.0", "0", "'0'::numeric", "(0)::double precision", "0.00", "'0.0'::numeric"]),
        ("numeric(5,2)", &["0.5", "'.50'::numeric"]),
        ("numeric(5,2)", &["NULL::numeric", "NULL"]),
        (
            "character varying(9)",
            &["'it''s'::character varying", "'it''s'::text", "('it''s'::text)::character varying"],
        ),
        ("character varying(9)", &["'its'::character varying"]),
        ("character varying(9)", &["'its'::character varying(2)"]),
        ("boolean", &["true", "'t'::boolean", "('yes'::boolean)"]),
        (
            "timestamp with time zone",
            &[
                "now()",
                "CURRENT_TIMESTAMP",
                "transaction_timestamp()",
                "pg_catalog.now()",
                "('now'::text)::timestamp with time zone",
            ],
        ),
        (
            "timestamp with time zone",
            &["timezone('utc'::text, now())", "(CURRENT_TIMESTAMP AT TIME ZONE 'UTC'::text)"],
        ),
        ("timestamp with time zone", &["LOCALTIMESTAMP"]),
        ("timestamp with time zone", &["CURRENT_TIMESTAMP(0)"]),
        ("timestamp with time zone", &["(now())::date"]),
    ];

    #[test]
    fn a_default_has_one_meaning() {
        let given = |(type_, spellings): &(&str, &[&str])| {
            let meanings: Vec<_> = spellings.iter().map(|sql| of_default(sql, type_)).collect();
            assert!(meanings.windows(2).all(|two| two[0] == two[1]), "{spellings:?}: {meanings:?}");
            ((*type_).to_owned(), meanings[0].clone())
        };
        let meanings: Vec<_> = ALIKE.iter().map(given).collect();
        for (place, meaning) in meanings.iter().enumerate() {
            assert!(!meanings[..place].contains(meaning), "{meaning:?}");
        }
        for (type_, one, other) in [
            ("timestamp without time zone", "LOCALTIMESTAMP", "(now())::timestamp without time zone"),
            ("date", "CURRENT_DATE", "('now'::text)::date"),
            ("date", "CURRENT_DATE", "(now())::date"),
            ("uuid", "gen_random_uuid()", "extensions.uuid_generate_v4()"),
            ("jsonb", "'{}'::jsonb", "('{}'::text)::jsonb"),
        ] {
            assert_eq!(of_default(one, type_), of_default(other, type_));
        }
        for (type_, one, other) in [
            ("text", "'now'::text", "now()"),
            ("text", "(a || 'x'::text)", "(a || 'x'::bytea)"),
            ("uuid", "gen_random_uuid()", "uuid_generate_v1()"),
            ("text", "'a'::text", "('a'::text || 'b'::text)"),
            ("integer", "nextval('a_seq'::regclass)", "nextval('b_seq'::regclass)"),
        ] {
            assert_ne!(of_default(one, type_), of_default(other, type_));
        }
    }
}
