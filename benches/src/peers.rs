//! The same hundred migrations by other tools, as far as `PATH` has them.
//!
//! Each tool gets its best case: one project, one process, a transaction a migration. None of them but Django knows services, so
//! that the others keep one history for all; ours keeps five, with locks and journals.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use benches::Size;

use super::figure::{Figures, tell};
use super::{Bench, process, server};

/// Another tool over a project of its own.
struct Peer {
    /// Its name with its version.
    name: String,
    run: Run,
}

/// The program and its arguments, for a database.
type Run = Box<dyn Fn(&Bench, &str) -> Command>;
/// Makes a tool's project in a directory.
type Make = fn(&Path) -> anyhow::Result<Peer>;

/// The programs of the other tools.
const LOOKED_FOR: [(&str, Make); 5] =
    [("alembic", alembic), ("django-admin", django), ("dbmate", dbmate), ("sqlx", sqlx), ("pgroll", pgroll)];

pub(super) fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let script = bench.cluster.socket_directory().join("peers.sql");
    fs::write(&script, Size::S5M20.script())?;
    let mut peers = vec![ours(), plain()];
    for (program, of) in LOOKED_FOR {
        if answers(program) {
            let directory = bench.cluster.socket_directory().join(program);
            fs::create_dir_all(&directory)?;
            peers.push(of(&directory).with_context(|| program.to_owned())?);
        } else {
            tell(&format!("peers: no `{program}` on PATH: skipped"));
        }
    }
    for peer in peers {
        peer.measure(bench, &script, figures)?;
    }
    Ok(())
}

impl Peer {
    /// A first run on an empty database and a run with nothing to do, by turns with `psql`.
    fn measure(&self, bench: &Bench, script: &Path, figures: &mut Figures) -> anyhow::Result<()> {
        let (mut first, mut all) = (Vec::new(), Vec::new());
        let (mut nothing, mut read) = (Vec::new(), Vec::new());
        let query = Size::S5M20.query();
        for turn in 1..=bench.repeat {
            tell(&format!("peers: {}: {turn} of {}", self.name, bench.repeat));
            let (mine, other) = (bench.cluster.create_database()?, bench.cluster.create_database()?);
            first.push(process::timed(&mut (self.run)(bench, mine.url()))?);
            all.push(process::timed(server::psql(&bench.cluster, other.url()).arg("-f").arg(script))?);
            nothing.push(process::timed(&mut (self.run)(bench, mine.url()))?);
            read.push(process::timed(server::psql(&bench.cluster, other.url()).args(["-c", &query]))?);
            let n_tables = bench.cluster.psql(
                mine.name(),
                "SELECT count(*) FROM pg_tables WHERE schemaname LIKE 'service%' AND tablename LIKE 'table%'",
            )?;
            anyhow::ensure!(n_tables.trim() == "25", "{}: {n_tables} tables were made", self.name);
        }
        figures.compared(&format!("{}: 100 migrations", self.name), &first, &all);
        figures.compared(&format!("{}: nothing to do", self.name), &nothing, &read);
        Ok(())
    }
}

/// This project's own program, for the same table.
fn ours() -> Peer {
    Peer { name: "ours".to_owned(), run: Box::new(|bench, url| bench.synthetic(url, Size::S5M20, &["up"])) }
}

fn plain() -> Peer {
    Peer {
        name: "sea-orm-migration alone".to_owned(),
        run: Box::new(|bench, url| process::over(&bench.programs.plain, url, &[])),
    }
}

/// What such a migration does in a project that knows one history: schema and names as in the others.
fn qualified([service, _, sql]: &[String; 3]) -> String {
    // The tools' own tables are in `public`, and are looked for there afterwards, in the same transaction.
    format!(
        "CREATE SCHEMA IF NOT EXISTS {service};\nSET LOCAL search_path = {service};\n{sql};\nSET LOCAL search_path = public;\n"
    )
}

fn alembic(directory: &Path) -> anyhow::Result<Peer> {
    const ENVIRONMENT: &str = "\
import os
from alembic import context
from sqlalchemy import create_engine, pool
url = os.environ['DATABASE_URL'].replace('postgres://', 'postgresql+psycopg://').replace('postgresql://', 'postgresql+psycopg://')
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
";
    let ini = directory.join("alembic.ini");
    fs::write(&ini, format!("[alembic]\nscript_location = {}\n", directory.display()))?;
    fs::write(directory.join("env.py"), ENVIRONMENT)?;
    fs::create_dir_all(directory.join("versions"))?;
    for (number, statement) in Size::S5M20.statements().enumerate() {
        let before = number.checked_sub(1).map_or("None".to_owned(), |before| format!("'r{before:03}'"));
        fs::write(
            directory.join(format!("versions/r{number:03}.py")),
            format!(
                "from alembic import op\nrevision = 'r{number:03}'\ndown_revision = {before}\n\
                 def upgrade():\n    op.execute('''{}''')\n",
                qualified(&statement)
            ),
        )?;
    }
    peer("Alembic", "alembic", &["--version"], move |url| {
        let mut command = process::over(Path::new("alembic"), url, &["-c"]);
        command.arg(&ini).args(["upgrade", "head"]);
        command
    })
}

fn django(directory: &Path) -> anyhow::Result<Peer> {
    const SETTINGS: &str = "\
import os
from urllib.parse import parse_qs, unquote, urlsplit
url = urlsplit(os.environ['DATABASE_URL'])
INSTALLED_APPS = [{apps}]
DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': url.path[1:],
    'USER': unquote(url.username or 'postgres'), 'HOST': parse_qs(url.query)['host'][0]}}
";
    for service in Size::S5M20.names() {
        let migrations = directory.join(&service).join("migrations");
        fs::create_dir_all(&migrations)?;
        fs::write(directory.join(&service).join("__init__.py"), "")?;
        fs::write(migrations.join("__init__.py"), "")?;
    }
    let apps: Vec<String> = Size::S5M20.names().map(|service| format!("'{service}'")).collect();
    fs::write(directory.join("settings.py"), SETTINGS.replace("{apps}", &apps.join(", ")))?;
    let mut before: Option<[String; 2]> = None;
    for statement in Size::S5M20.statements() {
        let [service, name, _] = &statement;
        let dependencies = match &before {
            Some([of, before]) if of == service => format!("('{of}', '{before}')"),
            _ => String::new(),
        };
        fs::write(
            directory.join(service).join("migrations").join(format!("{name}.py")),
            format!(
                "from django.db import migrations\nclass Migration(migrations.Migration):\n    \
                 dependencies = [{dependencies}]\n    operations = [migrations.RunSQL('''{}''')]\n",
                qualified(&statement)
            ),
        )?;
        before = Some([service.clone(), name.clone()]);
    }
    let directory = directory.to_owned();
    peer("Django", "django-admin", &["--version"], move |url| {
        let mut command =
            process::over(Path::new("django-admin"), url, &["migrate", "--settings", "settings"]);
        command.arg("--pythonpath").arg(&directory);
        command
    })
}

fn dbmate(directory: &Path) -> anyhow::Result<Peer> {
    for (number, statement) in Size::S5M20.statements().enumerate() {
        let file = directory.join(format!("20260101000{number:03}_migration.sql"));
        fs::write(file, format!("-- migrate:up\n{}\n-- migrate:down\n", qualified(&statement)))?;
    }
    let directory = directory.to_owned();
    peer("dbmate", "dbmate", &["--version"], move |url| {
        // Its word for the directory of a socket.
        let url = url.replace("host=", "socket=");
        let mut command = process::over(Path::new("dbmate"), &url, &["--no-dump-schema", "--migrations-dir"]);
        command.arg(&directory).arg("migrate");
        command
    })
}

fn sqlx(directory: &Path) -> anyhow::Result<Peer> {
    for (number, statement) in Size::S5M20.statements().enumerate() {
        fs::write(directory.join(format!("20260101000{number:03}_migration.sql")), qualified(&statement))?;
    }
    let directory = directory.to_owned();
    peer("sqlx-cli", "sqlx", &["--version"], move |url| {
        let mut command = process::over(Path::new("sqlx"), url, &["migrate", "run", "--source"]);
        command.arg(&directory);
        command
    })
}

/// Each migration is one of its raw statements. It makes its own schema with `init`, which may be repeated.
fn pgroll(directory: &Path) -> anyhow::Result<Peer> {
    for (number, statement) in Size::S5M20.statements().enumerate() {
        let migration = serde_json::json!({ "operations": [{ "sql": { "up": qualified(&statement) } }] });
        fs::write(directory.join(format!("{number:03}_migration.json")), migration.to_string())?;
    }
    let directory = directory.to_owned();
    peer("pgroll", "pgroll", &["--version"], move |url| {
        let both = "pgroll init && exec pgroll migrate --complete \"$0\"";
        let mut command = process::over(Path::new("sh"), url, &["-c", both]);
        command.arg(&directory).env("PGROLL_PG_URL", url);
        command
    })
}

/// A tool with the version that it says it is.
fn peer(
    name: &str,
    program: &str,
    version: &[&str],
    command: impl Fn(&str) -> Command + 'static,
) -> anyhow::Result<Peer> {
    let output = Command::new(program).args(version).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().last().unwrap_or_default();
    Ok(Peer { name: format!("{name} {version}"), run: Box::new(move |_, url| command(url)) })
}

/// Whether `PATH` has a program.
fn answers(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}
