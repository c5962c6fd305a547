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
