//! Who runs, as the journal records it.

/// Who runs, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// Name of the machine.
    pub host: String,
    /// Name and version of the tool.
    pub tool: String,
}

impl Caller {
    /// A tool, by its name and version, on this machine.
    #[must_use]
    pub fn new(tool: impl Into<String>) -> Self {
        Self { host: gethostname::gethostname().to_string_lossy().into_owned(), tool: tool.into() }
    }
}
