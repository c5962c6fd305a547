//! What an address is, and what it never says.

use super::*;

fn shown(text: &str) -> String {
    match text.parse::<DatabaseUrl>() {
        Ok(url) => format!("{url} as {}", url.user),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn the_password_is_never_shown() {
    let url: DatabaseUrl = "postgres://ada:s3cret@db:6432/shop?options=-c%20x%3Ds3cret".parse().unwrap();
    assert_eq!(format!("{url}"), "shop@db:6432");
    assert_eq!(format!("{url:?}"), "DatabaseUrl(shop@db:6432)");
}

#[test]
fn addresses_are_read_or_refused() {
    let socket = "d@/run/pg:5432 as u";
    for (text, expected) in [
        ("postgresql+asyncpg://u@h:5432/d", "d@h:5432 as u"),
        (" postgres://u@h/d\n", "d@h:5432 as u"),
        ("POSTGRES://u@h/d?", "d@h:5432 as u"),
        ("mysql://u:s3cret@h/d", "Scheme"),
        ("s3cret", "Scheme"),
        ("\"postgres://u:s3cret@h/d\"", "Quoted"),
        // Hosts.
        ("postgres://u@[::1]:6432/d", "d@[::1]:6432 as u"),
        ("postgres://u@[fe80::1%25eth0]/d", "d@[fe80::1%eth0]:5432 as u"),
        ("postgres://u@/d?host=::1", "d@[::1]:5432 as u"),
        ("postgres://u@h/d?hostaddr=::1", "d@[::1]:5432 as u"),
        (
            "postgres://u@h/d?hostaddr=name",
            "Value { name: \"hostaddr\", expected: \"write one IP address\" }",
        ),
        ("postgres://u@[::1/d", "Host"),
        ("postgres://u@[name]/d", "Host"),
        ("postgres://u@::1/d", "Port"),
        ("postgres://u@h e/d", "Host"),
        ("postgres://u@h1,h2/d", "Hosts"),
        ("postgres://u@h1:1,h2:2/d", "Hosts"),
        ("postgres://u@/d?host=h1,h2", "Hosts"),
        ("postgres://u@h/d?port=1,2", "Hosts"),
        ("postgres://u@/d?host=/run/pg", socket),
        ("postgres:///d?host=/run/pg&user=u", socket),
        ("postgres://u@%2Frun%2Fpg/d", socket),
        ("postgres://u@h:1/d?host=/run/pg&port=5432", socket),
        // Ports.
        ("postgres://u:s3cret@h:port/d", "Port"),
        ("postgres://u:s3cret@h:/d", "Port"),
        ("postgres://u@h:+1/d", "Port"),
        ("postgres://u@h:0/d", "Port"),
        ("postgres://u@h:65536/d", "Port"),
        // Databases and users.
        ("postgres://u:s3cret@h:5432", "NoDatabase"),
        ("postgres://u:s3cret@h:5432/", "NoDatabase"),
        ("postgres://u:s3cret@h?s3cret=1", "NoDatabase"),
        ("postgres://u@h?dbname=d", "d@h:5432 as u"),
        ("postgres://h/d", "NoUser"),
        ("postgres://u%40corp@h/a%40b%2Fc", "a@b/c@h:5432 as u@corp"),
        ("postgres://u@corp:pw@h/d", "d@h:5432 as u@corp"),
        // Special characters in a password.
        ("postgres://u:/s3cret@h/d", "Unencoded"),
        ("postgres://u:12/s3cret@h/d", "Unencoded"),
        ("postgres://u:p@ss/w:rd@h/d", "Unencoded"),
        ("postgres://u:p?s3cret=1@h/d", "Unencoded"),
        ("postgres://u:p#s3cret@h/d", "Unencoded"),
        ("postgres://u:p@h/d#s3cret", "Unencoded"),
        ("postgres://u:p@h/d/s3cret", "Unencoded"),
        ("postgres://u:p@h/d?s3cret", "Unencoded"),
        ("postgres://u:p@h/d?=s3cret", "Unencoded"),
        ("postgres://u:100%@h/d", "Encoding"),
        ("postgres://u:%zz@h/d", "Encoding"),
        ("postgres://u:%ff@h/d", "Encoding"),
        ("postgres://u:%00@h/d", "Encoding"),
        ("postgres://u:p@ss:w=rd&+@h/d", "d@h:5432 as u"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn a_parameter_is_understood_refused_or_noted() {
    let answer = |query: &str| match format!("postgres://u:p@h/d?{query}").parse::<DatabaseUrl>() {
        Ok(url) => match url.notes() {
            [] => "done".to_owned(),
            notes => notes.join("; "),
        },
        Err(error) => format!("{error}: {}", error.hint().unwrap_or_default()),
    };
    for (query, part) in [
        ("sslmode=verify-full", "done"),
        ("ssl-mode=require&ssl-ca=/ca.pem", "done"),
        ("sslrootcert=system", "done"),
        (
            "sslrootcert=system&sslmode=require",
            "`sslrootcert` has a value that it cannot have: `system` needs",
        ),
        ("sslmode=no-verify", "`sslmode` has a value that it cannot have: write `require`, which encrypts"),
        ("sslmode=on", "`sslmode` has a value that it cannot have: write `disable`"),
        ("sslcert=/c.pem", "`sslcert` has a value that it cannot have: give `sslcert` and `sslkey` together"),
        ("sslmode=require&ssl-mode=disable", "the parameter `ssl-mode` of the database URL is given twice"),
        ("ssl=true", "the parameter `ssl` of the database URL is not supported: write `sslmode=verify-full`"),
        ("sslmod=verify-full", "the parameter `sslmod` of the database URL is not supported"),
        ("channel_binding=require", "`channel_binding` of the database URL is not supported"),
        ("channel_binding=prefer&gssencmode=disable&target_session_attrs=any", "done"),
        ("gssencmode=require", "`gssencmode` of the database URL is not supported"),
        ("target_session_attrs=read-write", "`target_session_attrs` of the database URL is not supported"),
        ("require_auth=scram-sha-256", "`require_auth` of the database URL is not supported"),
        ("service=prod", "`service` of the database URL is not supported"),
        ("options=-c%20geqo=off%20--work-mem=4MB%20-cjit=on&options[a.b]=c", "done"),
        ("options=-E", "`options` has a value that it cannot have"),
        ("currentSchema=x", "`currentSchema` of the database URL has no effect; <SERVICE>_DATABASE_SCHEMA"),
        ("connect_timeout=3", "the parameter `connect_timeout` of the database URL has no effect"),
        (
            "pgbouncer=true&connection_limit=1",
            "`pgbouncer` of the database URL has no effect; the parameter `connection_limit`",
        ),
        ("password=a&s3cret=b", "the parameter `…` of the database URL has no effect"),
    ] {
        assert!(answer(query).contains(part), "{query}: {}", answer(query));
    }
}

#[test]
fn libpq_gets_the_same_address() {
    let url: DatabaseUrl = "postgres://ada:p%40ss+w%20d@[::1]:6432/shop?sslmode=verify-full&ssl-cert=/c&sslkey=/k&options=-c%20geqo%3Doff"
        .parse()
        .unwrap();
    let environment = url.libpq_environment("test", &[("search_path", "a b\\c")]);
    let mut found: Vec<_> =
        environment.variables().filter_map(|(name, value)| Some((name, value?))).collect();
    found.sort_unstable();
    let expected = [
        ("PGAPPNAME", "test"),
        ("PGDATABASE", "shop"),
        ("PGGSSENCMODE", "disable"),
        ("PGHOST", "::1"),
        ("PGOPTIONS", "-c geqo=off -c search_path=a\\ b\\\\c"),
        ("PGPASSWORD", "p@ss+w d"),
        ("PGPORT", "6432"),
        ("PGSSLCERT", "/c"),
        ("PGSSLKEY", "/k"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", "system"),
        ("PGUSER", "ada"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn defaults_fill_what_an_address_leaves_out_and_no_more() {
    let mut defaults = Defaults::default();
    for (parameter, variable) in Defaults::VARIABLES {
        let value = match parameter {
            "hostaddr" => "127.0.0.9",
            "port" => "6432",
            "sslmode" => "require",
            "options" => "-c geqo=off",
            _ => "other",
        };
        defaults.insert(parameter, variable, value);
    }
    let read = |text| DatabaseUrl::parse(text, &defaults);
    assert_eq!(read("postgres://u@h:1/d").unwrap().to_string(), "d@h:1");
    assert_eq!(read("postgres://u@/d?host=/run").unwrap().to_string(), "d@/run:6432");
    assert_eq!(read("postgres:///d").unwrap().to_string(), "d@127.0.0.9:6432");
    assert_eq!(read("postgres:///d").unwrap().user(), "other");
    assert_eq!(read("postgres://h").unwrap_err(), DatabaseUrlError::NoDatabase);
    defaults.insert("port", "PGPORT", "many");
    let refused = DatabaseUrl::parse("postgres://u@h/d", &defaults).unwrap_err();
    assert_eq!(refused.to_string(), "`PGPORT` has a value that it cannot have");
}

/// The test runs itself again, with variables that the driver would follow.
#[test]
fn the_environment_is_not_read() {
    const NAME: &str = "database::tests::the_environment_is_not_read";
    const ELSEWHERE: &str = "elsewhere";
    let variables = [
        "PGHOST",
        "PGHOSTADDR",
        "PGPORT",
        "PGUSER",
        "PGPASSWORD",
        "PGDATABASE",
        "PGSSLROOTCERT",
        "PGAPPNAME",
    ];
    if std::env::vars_os().any(|(name, value)| name == variables[0] && value == ELSEWHERE) {
        let url: DatabaseUrl = "postgres://u@/d".parse().unwrap();
        let options = format!("{:?}", url.options());
        assert!(!options.contains(ELSEWHERE) && url.port() == 5432, "{options}");
        return;
    }
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args([NAME, "--exact"]).envs(variables.map(|name| (name, ELSEWHERE)));
    let ran = again.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

proptest::proptest! {
    /// Four of the characters in a row are in no message, so that what looks like a piece of a password is one.
    #[test]
    fn no_piece_of_a_password_is_shown(
        password in "[QZX7@:/?#%&=+,;\\[\\] $~!*()'\"|<>^{}\\\\]{1,24}",
        host in "(h\\.example|\\[::1\\]|127\\.0\\.0\\.1|)(:5432)?",
        query in "(\\?sslmode=require|\\?host=/run/pg|\\?what=ever)?",
    ) {
        let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for login in [&password, &encoded] {
            let said = match format!("postgres://u:{login}@{host}/d{query}").parse::<DatabaseUrl>() {
                Ok(url) => format!("{url} {url:?} {} {} {:?}", url.user(), url.host(), url.notes()),
                Err(error) => format!("{error} {error:?} {:?}", error.hint()),
            };
            for piece in password.chars().collect::<Vec<_>>().windows(4) {
                let piece: String = piece.iter().collect();
                proptest::prop_assert!(!said.contains(&piece), "{piece}: {said}");
            }
        }
        let url: DatabaseUrl = format!("postgres://u:{encoded}@{host}/d{query}").parse().unwrap();
        proptest::prop_assert_eq!(url.password.as_deref(), Some(password.as_str()));
    }

    #[test]
    fn any_text_is_an_address_or_is_refused(
        text in "(postgres(ql)?|jdbc:|://|:|@|/|\\?|&|=|#|%|%[0-9A-F]{2}|\\[|\\]|::1|,|localhost|[0-9]{1,6}|host|options|sslmode|-c a%3Db|\\PC|\\p{Cc}){0,14}",
        prefix in "(postgres://|)",
    ) {
        match format!("{prefix}{text}").parse::<DatabaseUrl>() {
            // What it shows of itself, and what an engine there may say, is text as well.
            Ok(url) => drop((format!("{url:?} {:?}", url.notes()), crate::engine::judge(&url.host(), &text))),
            Err(error) => drop(format!("{error} {error:?} {:?}", error.hint())),
        }
    }
}
