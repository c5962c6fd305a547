//! The arguments of `adopt` and `stamp`.

use clap::{Args, ValueEnum};

/// What shows what an earlier system has applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// `alembic_version`
    Alembic,
    /// `seaql_migrations`, of sea-orm
    Seaql,
    /// `__diesel_schema_migrations`
    Diesel,
    /// `_sqlx_migrations`
    Sqlx,
    /// `flyway_schema_history`
    Flyway,
    /// `django_migrations`; an id is `app.name`
    Django,
    /// `_prisma_migrations`
    Prisma,
    /// The live schema: the newest migration at which it is as the migrations make it
    Schema,
}

/// What `adopt` takes over, and whereto.
#[derive(Debug, Clone, Args)]
pub(crate) struct AdoptFrom {
    /// What shows what was applied: the version table of an earlier tool, or the live schema itself
    #[arg(long = "from", value_enum, value_name = "SOURCE")]
    pub(crate) source: Source,
    /// What the earlier tool's version table is called, if not as usual
    #[arg(long, value_name = "[SCHEMA.]TABLE")]
    pub(crate) version_table: Option<String>,
    /// A revision in Alembic's version table that is another project's, so that nothing is concluded from it; repeatable
    #[arg(long, value_name = "REVISION")]
    pub(crate) ignore_revision: Vec<String>,
    /// Rename the earlier tool's version table in the same transaction, to its name and `_retired`, so that the tool is not run by
    /// mistake
    #[arg(long)]
    pub(crate) retire: bool,
    /// Move what is the service's into a schema of its own in the same transaction, that of its name if none is given; the
    /// old names stay as views that old code can write to
    #[arg(long, value_name = "SCHEMA", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "the option may be absent, alone, or with a schema")]
    pub(crate) into_schema: Option<Option<String>>,
}

/// What `adopt` and `stamp` understand.
#[derive(Debug, Clone, Args)]
pub(crate) struct AdoptOptions {
    /// A migration that the earlier system never had, so that `up` applies it; `*` stands for any characters; repeatable
    #[arg(long, value_name = "MIGRATION")]
    pub(crate) without: Vec<String>,
    /// An object whose difference does not matter, as the comparison names it, such as `messages.my_index`; `*` stands for
    /// any characters; repeatable, written to the journal
    #[arg(long, value_name = "OBJECT")]
    pub(crate) accept: Vec<String>,
    /// Compare and show what would be recorded; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
