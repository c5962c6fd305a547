//! The mark of statements that are no migration's own: tracing and checksums pass them over.

/// The text of a statement that keeps books or reads catalogs, with the mark of one: a literal.
#[macro_export]
macro_rules! bookkeeping {
    ($sql:literal) => {
        concat!("/* migrate */ ", $sql)
    };
}

/// Opens each statement that reads catalogs or keeps books, so that tracing can tell it from a migration's own SQL.
pub const BOOKKEEPING: &str = bookkeeping!("");
