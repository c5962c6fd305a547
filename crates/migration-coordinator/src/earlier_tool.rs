//! Other tools for migrations, and where each keeps what it has applied.

/// A tool that keeps the ids of applied migrations in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlierTool {
    /// Alembic: its table has the newest revision of each branch only.
    Alembic,
    /// sea-orm-migration, or sea-orm-cli.
    SeaOrm,
    /// diesel.
    Diesel,
    /// sqlx.
    Sqlx,
    /// Flyway.
    Flyway,
    /// Django; an id is `app.name`.
    Django,
    /// Prisma.
    Prisma,
}

impl EarlierTool {
    const ALL: [Self; 7] =
        [Self::Alembic, Self::SeaOrm, Self::Diesel, Self::Sqlx, Self::Flyway, Self::Django, Self::Prisma];

    /// The tool whose table is called so.
    #[must_use]
    pub fn of_table(table: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.table() == table)
    }

    /// What its table is called unless it was renamed.
    #[must_use]
    pub fn table(self) -> &'static str {
        match self {
            Self::Alembic => "alembic_version",
            Self::SeaOrm => "seaql_migrations",
            Self::Diesel => "__diesel_schema_migrations",
            Self::Sqlx => "_sqlx_migrations",
            Self::Flyway => "flyway_schema_history",
            Self::Django => "django_migrations",
            Self::Prisma => "_prisma_migrations",
        }
    }

    /// The ids of what was applied, and stayed so, as columns and condition of a query.
    pub(crate) fn ids(self) -> [&'static str; 2] {
        match self {
            Self::Alembic => ["version_num", "true"],
            Self::SeaOrm | Self::Diesel => ["version", "true"],
            Self::Sqlx => ["version", "success"],
            Self::Flyway => ["version", "success AND version IS NOT NULL"],
            Self::Django => ["app || '.' || name", "true"],
            Self::Prisma => ["migration_name", "finished_at IS NOT NULL AND rolled_back_at IS NULL"],
        }
    }
}
