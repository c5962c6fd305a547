//! Reads the text of an address. What cannot be told apart for certain is refused: a piece of a password must never
//! be taken for a host or a database, since those are shown.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::parameter::{self, Meaning};
use super::{DatabaseUrl, DatabaseUrlError, Host, Roots, Tls};

/// What addresses leave out, by the parameters that could say it.
#[derive(Clone, Default)]
pub struct Defaults {
    values: BTreeMap<&'static str, Given>,
}

impl Defaults {
    /// What an address may leave out, and the variables in which libpq looks for it. The database is not among
    /// them: an address names it.
    pub const VARIABLES: [(&'static str, &'static str); 9] = [
        ("host", "PGHOST"),
        ("hostaddr", "PGHOSTADDR"),
        ("port", "PGPORT"),
        ("user", "PGUSER"),
        ("sslmode", "PGSSLMODE"),
        ("sslrootcert", "PGSSLROOTCERT"),
        ("sslcert", "PGSSLCERT"),
        ("sslkey", "PGSSLKEY"),
        ("options", "PGOPTIONS"),
    ];

    /// Adds one: the value of a parameter, and the variable it comes from, for messages.
    pub fn insert(&mut self, parameter: &'static str, variable: &'static str, value: &str) {
        self.values.insert(parameter, Given { name: variable, value: value.to_owned() });
    }
}

/// A value and what messages call it.
#[derive(Clone)]
struct Given {
    name: &'static str,
    value: String,
}

impl Given {
    fn refused(&self, expected: &'static str) -> DatabaseUrlError {
        DatabaseUrlError::Value { name: self.name.to_owned(), expected }
    }
}

/// The values of an address, by parameter.
struct Values {
    values: BTreeMap<&'static str, Given>,
    settings: Vec<(String, String)>,
    notes: Vec<String>,
}

pub(super) fn parse(text: &str, defaults: &Defaults) -> Result<DatabaseUrl, DatabaseUrlError> {
    let text = text.trim();
    if text.starts_with(['"', '\'']) {
        return Err(DatabaseUrlError::Quoted);
    }
    let (scheme, rest) = text.split_once("://").ok_or(DatabaseUrlError::Scheme)?;
    let (dialect, _driver) = scheme.split_once('+').unwrap_or((scheme, ""));
    if !["postgres", "postgresql"].iter().any(|name| dialect.eq_ignore_ascii_case(name)) {
        return Err(DatabaseUrlError::Scheme);
    }
    let mut values = Values { values: defaults.values.clone(), settings: Vec::new(), notes: Vec::new() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    // A password with one of these characters in it ends the authority too early, and its `@` comes after.
    if after.contains(['@', '#']) {
        return Err(DatabaseUrlError::Unencoded);
    }
    let (path, query) = after.split_once('?').unwrap_or((after, ""));
    values.authority(authority)?;
    values.path(path.strip_prefix('/').unwrap_or(path))?;
    values.query(query)?;
    values.url()
}

impl Values {
    fn set(&mut self, name: &'static str, value: String) {
        if name == "host" {
            // `PGHOSTADDR` goes with `PGHOST`.
            self.values.retain(|other, given| *other != "hostaddr" || given.name == "hostaddr");
        }
        self.values.insert(name, Given { name, value });
    }

    fn take(&mut self, name: &'static str) -> Option<Given> {
        self.values.remove(name).filter(|given| !given.value.is_empty())
    }

    fn authority(&mut self, authority: &str) -> Result<(), DatabaseUrlError> {
        // The last one: a password may hold others, a host none.
        let (login, server) = match authority.rsplit_once('@') {
            Some((login, server)) => (Some(login), server),
            None => (None, authority),
        };
        if let Some(login) = login {
            let (user, password) = login.split_once(':').map_or((login, None), |(u, p)| (u, Some(p)));
            if !user.is_empty() {
                self.set("user", decode(user)?);
            }
            if let Some(password) = password {
                self.set("password", decode(password)?);
            }
        }
        if server.contains(',') {
            return Err(DatabaseUrlError::Hosts);
        }
        let (host, port) = match server.strip_prefix('[') {
            Some(bracketed) => {
                let (address, after) = bracketed.split_once(']').ok_or(DatabaseUrlError::Host)?;
                let port = if after.is_empty() {
                    None
                } else {
                    after.strip_prefix(':').map(Some).ok_or(DatabaseUrlError::Host)?
                };
                let address = decode(address)?;
                let literal = address.split_once('%').map_or(address.as_str(), |(literal, _zone)| literal);
                literal.parse::<Ipv6Addr>().map_err(|_| DatabaseUrlError::Host)?;
                (address, port)
            }
            None => {
                let (host, port) = server.split_once(':').map_or((server, None), |(h, p)| (h, Some(p)));
                (decode(host)?, port)
            }
        };
        if let Some(port) = port {
            self.set("port", port.to_owned());
            self.port()?;
        }
        if !host.is_empty() {
            self.set("host", host);
        }
        Ok(())
    }

    fn path(&mut self, name: &str) -> Result<(), DatabaseUrlError> {
        if name.contains('/') {
            return Err(DatabaseUrlError::Unencoded);
        }
        self.set("dbname", decode(name)?);
        Ok(())
    }

    fn query(&mut self, query: &str) -> Result<(), DatabaseUrlError> {
        let pairs: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let parts = pair.split_once('=').filter(|(name, _)| !name.is_empty());
                let (name, value) = parts.ok_or(DatabaseUrlError::Unencoded)?;
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_, _>>()?;
        // Without a database, what looks like parameters may be the rest of a password. So it may be after a password that
        // is a parameter itself and has an `&` in it.
        let named = !self.values["dbname"].value.is_empty() || pairs.iter().any(|(name, _)| name == "dbname");
        if !named {
            return Err(DatabaseUrlError::NoDatabase);
        }
        let shown = !pairs.iter().any(|(name, _)| name == "password");
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in &pairs {
            let meaning = parameter::meaning(name, value, shown)?;
            let canonical = match &meaning {
                Meaning::Value(canonical) => canonical,
                _ => name.as_str(),
            };
            if seen.contains(&canonical) && shown {
                return Err(DatabaseUrlError::Repeated { name: name.clone() });
            }
            seen.push(canonical);
            match meaning {
                Meaning::Value(name) => self.set(name, value.clone()),
                Meaning::Setting(name) => self.settings.push((name, value.clone())),
                Meaning::Done => {}
                Meaning::NoEffect(note) => self.notes.push(note),
            }
        }
        Ok(())
    }

    fn url(mut self) -> Result<DatabaseUrl, DatabaseUrlError> {
        let port = self.port()?.unwrap_or(5432);
        let host = self.host(port)?;
        let database = self.take("dbname").ok_or(DatabaseUrlError::NoDatabase)?.value;
        let user = self.take("user").ok_or(DatabaseUrlError::NoUser)?.value;
        let password = self.values.remove("password").map(|given| given.value);
        let tls = self.tls()?;
        let mut settings = match self.take("options") {
            Some(options) => parameter::settings(&options.value).ok_or_else(|| {
                options.refused("write settings only: `-c name=value`, percent-encoded in an address")
            })?,
            None => Vec::new(),
        };
        settings.append(&mut self.settings);
        let options = options(&host, port, &user, password.as_deref(), &database, &tls, &settings);
        Ok(DatabaseUrl {
            host,
            port,
            user,
            password,
            database,
            tls,
            settings,
            notes: self.notes,
            options,
            named: None,
        })
    }

    fn port(&self) -> Result<Option<u16>, DatabaseUrlError> {
        let Some(given) = self.values.get("port") else { return Ok(None) };
        if given.value.contains(',') {
            return Err(DatabaseUrlError::Hosts);
        }
        let digits = given.value.bytes().all(|byte| byte.is_ascii_digit());
        match given.value.parse() {
            Ok(port) if port > 0 && digits => Ok(Some(port)),
            _ if given.name == "port" => Err(DatabaseUrlError::Port),
            _ => Err(given.refused("write a number from 1 to 65535")),
        }
    }

    /// `hostaddr` is where libpq connects to; `host` is then only the name in a certificate.
    fn host(&mut self, port: u16) -> Result<Host, DatabaseUrlError> {
        let host = self.take("host");
        if let Some(address) = self.take("hostaddr") {
            let literal =
                address.value.split_once('%').map_or(address.value.as_str(), |(literal, _zone)| literal);
            literal.parse::<IpAddr>().map_err(|_| address.refused("write one IP address"))?;
            return Ok(Host::Tcp(address.value));
        }
        let Some(host) = host else { return Ok(nearest(port)) };
        if host.value.contains(',') {
            return Err(DatabaseUrlError::Hosts);
        }
        if host.value.starts_with('/') {
            return Ok(Host::Socket(PathBuf::from(host.value)));
        }
        let literal = host.value.split_once('%').map_or(host.value.as_str(), |(literal, _zone)| literal);
        let is_name = host.value.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if is_name || literal.parse::<Ipv6Addr>().is_ok() {
            Ok(Host::Tcp(host.value))
        } else if host.name == "host" {
            Err(DatabaseUrlError::Host)
        } else {
            Err(host.refused("write one host name, IP address or directory"))
        }
    }

    fn tls(&mut self) -> Result<Tls, DatabaseUrlError> {
        let roots = self.take("sslrootcert");
        let of_system = roots.as_ref().is_some_and(|given| given.value == "system");
        let mode = match self.take("sslmode") {
            Some(given) => parameter::ssl_mode(&given.value).map_err(|expected| given.refused(expected))?,
            None if of_system => PgSslMode::VerifyFull,
            None => PgSslMode::Prefer,
        };
        if let Some(given) = roots.as_ref().filter(|_| of_system && !matches!(mode, PgSslMode::VerifyFull)) {
            return Err(given.refused("`system` needs `sslmode=verify-full`"));
        }
        let root_certificates = match roots {
            Some(given) if !of_system => Roots::File(PathBuf::from(given.value)),
            _ => Roots::Public,
        };
        let (certificate, key) = (self.take("sslcert"), self.take("sslkey"));
        if let (Some(alone), None) | (None, Some(alone)) = (&certificate, &key) {
            return Err(alone.refused("give `sslcert` and `sslkey` together"));
        }
        let path = |given: Option<Given>| given.map(|given| PathBuf::from(given.value));
        Ok(Tls { mode, root_certificates, certificate: path(certificate), key: path(key) })
    }
}

/// The address as the driver wants it: everything is said, so that it takes from the environment what is left, which is
/// named in the documentation of this module.
fn options(
    host: &Host,
    port: u16,
    user: &str,
    password: Option<&str>,
    database: &str,
    tls: &Tls,
    settings: &[(String, String)],
) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .port(port)
        .username(user)
        // To the driver, none and an empty one are the same.
        .password(password.unwrap_or_default())
        .database(database)
        .application_name("migrate");
    let options = match host {
        Host::Tcp(host) => options.host(host).ssl_mode(tls.mode),
        // As in libpq, `sslmode` is not for sockets: servers do not encrypt there.
        Host::Socket(directory) => options.host("localhost").socket(directory).ssl_mode(PgSslMode::Disable),
    };
    let options = match &tls.root_certificates {
        Roots::Public => options.ssl_root_cert_from_pem(Vec::new()),
        Roots::File(file) => options.ssl_root_cert(file),
    };
    let options = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => options.ssl_client_cert(certificate).ssl_client_key(key),
        _ => options,
    };
    // Empty options would be sent too, and a proxy may refuse whatever is called so.
    if settings.is_empty() {
        return options;
    }
    options.options(settings.iter().map(|(name, value)| (name, value)))
}

/// Where a server of this machine listens: the first socket directory that packages use and that has one.
fn nearest(port: u16) -> Host {
    let directories = ["/var/run/postgresql", "/private/tmp", "/tmp"].map(Path::new);
    let socket = format!(".s.PGSQL.{port}");
    let found = directories.into_iter().find(|directory| directory.join(&socket).exists());
    found.map_or_else(|| Host::Tcp("localhost".to_owned()), |directory| Host::Socket(directory.to_owned()))
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, DatabaseUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = after else { return Err(DatabaseUrlError::Encoding) };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
            return Err(DatabaseUrlError::Encoding);
        };
        bytes.push(high * 16 + low);
        rest = after;
    }
    let text = String::from_utf8(bytes).map_err(|_| DatabaseUrlError::Encoding)?;
    if text.chars().any(char::is_control) { Err(DatabaseUrlError::Encoding) } else { Ok(text) }
}
