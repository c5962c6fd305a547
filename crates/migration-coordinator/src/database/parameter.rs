//! The parameters of a URL. Each is understood, refused by name, or said to have no effect; none vanishes.

use sea_orm::sqlx::postgres::PgSslMode;

use super::DatabaseUrlError;

/// What a parameter is to us.
pub(super) enum Meaning {
    /// A part of the address.
    Value(&'static str),
    /// A setting of the server.
    Setting(String),
    /// It asks for what is done anyway.
    Done,
    /// It has no effect, with a sentence that says so.
    NoEffect(String),
}

/// Parts of an address and their spellings: libpq's first, then the driver's.
const VALUES: [(&str, &[&str]); 11] = [
    ("host", &[]),
    ("hostaddr", &[]),
    ("port", &[]),
    ("dbname", &[]),
    ("user", &[]),
    ("password", &[]),
    ("sslmode", &["ssl-mode"]),
    ("sslrootcert", &["ssl-root-cert", "ssl-ca"]),
    ("sslcert", &["ssl-cert"]),
    ("sslkey", &["ssl-key"]),
    ("options", &[]),
];

/// Parameters that make another connection than ours: the values that ask for no more than what is done, and what to write
/// instead of the others.
const REFUSED: [(&str, &[&str], &str); 23] = [
    ("ssl", &[], "write `sslmode=verify-full`, `sslmode=require` or `sslmode=disable`"),
    ("channel_binding", &["disable", "prefer"], "leave it out, and use `sslmode=verify-full`"),
    ("gssencmode", &["disable", "prefer"], "leave it out, and use `sslmode=verify-full`"),
    ("require_auth", &[], "leave it out, and use `sslmode=verify-full`"),
    ("requirepeer", &[], "leave it out"),
    ("requiressl", &["0"], "write `sslmode=require`"),
    ("sslpassword", &[], "leave it out, and name a key without a password"),
    ("sslcrl", &[], "leave it out: lists of revoked certificates are not read"),
    ("sslcrldir", &[], "leave it out: lists of revoked certificates are not read"),
    ("sslcertmode", &["allow"], "leave it out"),
    ("sslnegotiation", &["postgres"], "leave it out"),
    (
        "ssl_min_protocol_version",
        &["", "TLSv1", "TLSv1.1", "TLSv1.2"],
        "leave it out: TLS 1.2 is the oldest that is used",
    ),
    ("ssl_max_protocol_version", &["", "TLSv1.3"], "leave it out"),
    ("krbsrvname", &[], "leave it out: Kerberos is not supported"),
    ("gsslib", &[], "leave it out: Kerberos is not supported"),
    ("gssdelegation", &["0"], "leave it out: Kerberos is not supported"),
    ("target_session_attrs", &["any"], "leave it out, and name the one server that accepts writes"),
    ("load_balance_hosts", &["disable"], "leave it out, and name the one server that accepts writes"),
    ("service", &[], "write host, user and database into the address"),
    ("servicefile", &[], "write host, user and database into the address"),
    ("passfile", &[], "set PGPASSFILE instead"),
    ("replication", &["false", "off", "no", "0"], "leave it out"),
    ("client_encoding", &["auto", "utf8", "UTF8", "utf-8", "UTF-8"], "leave it out: UTF-8 is used"),
];

/// Beginnings of names that are about security, whatever comes after: a misspelt one must not be passed over.
const ABOUT_SECURITY: [&str; 8] = ["ssl", "tls", "gss", "krb", "scram", "oauth", "require", "channel"];

/// Other tools' names for a schema.
const SCHEMA: [&str; 4] = ["schema", "currentSchema", "search_path", "searchPath"];

/// What a parameter means. Its name is repeated only if `shown`.
pub(super) fn meaning(name: &str, value: &str, shown: bool) -> Result<Meaning, DatabaseUrlError> {
    let is_value = |(known, others): &&(&str, &[&str])| *known == name || others.contains(&name);
    if let Some((known, _)) = VALUES.iter().find(is_value) {
        return Ok(Meaning::Value(known));
    }
    if let Some(setting) = name.strip_prefix("options[").and_then(|rest| rest.strip_suffix(']')) {
        return Ok(Meaning::Setting(setting.to_owned()));
    }
    if let Some((_, done, instead)) = REFUSED.iter().find(|(known, _, _)| *known == name) {
        if done.contains(&value) {
            return Ok(Meaning::Done);
        }
        return Err(DatabaseUrlError::Unsupported { name: name.to_owned(), instead });
    }
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let shown = if shown && plain { name } else { "…" };
    if ABOUT_SECURITY.iter().any(|beginning| name.to_ascii_lowercase().starts_with(beginning))
        && !matches!(name, "sslsni" | "sslcompression")
    {
        let instead = "write `sslmode=disable`, `prefer`, `require`, `verify-ca` or `verify-full`";
        return Err(DatabaseUrlError::Unsupported { name: shown.to_owned(), instead });
    }
    let schema = if SCHEMA.contains(&name) {
        "; <SERVICE>_DATABASE_SCHEMA chooses the schema of a service"
    } else {
        ""
    };
    Ok(Meaning::NoEffect(format!("the parameter `{shown}` of the database URL has no effect{schema}")))
}

/// Reads `sslmode`.
///
/// # Errors
/// What to write instead.
pub(super) fn ssl_mode(text: &str) -> Result<PgSslMode, &'static str> {
    if text == "no-verify" {
        return Err("write `require`, which encrypts and does not verify, or `verify-full`");
    }
    text.parse().map_err(|_| "write `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`")
}

/// The word for `sslmode`.
pub(super) fn ssl_mode_name(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

/// The settings in a text of start-up options: `-c name=value`, `-cname=value` or `--name=value`, a blank between them,
/// a backslash before what is meant literally. `None` if there is anything else in it.
///
/// See <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS>.
pub(super) fn settings(text: &str) -> Option<Vec<(String, String)>> {
    let mut words = words(text).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(long), _) => long.to_owned(),
            (None, Some("")) => words.next()?,
            (None, Some(short)) => short.to_owned(),
            (None, None) => return None,
        };
        let (name, value) = setting.split_once('=')?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Some(settings)
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}
