//! The package of a new service: its files without its migrations.

use std::path::Path;

use crate::template::formatted;

/// The files, below the directory of the service, and their text.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("Cargo.toml.txt")),
    ("README.md", include_str!("README.md.txt")),
    ("src/lib.rs", include_str!("lib.rs.txt")),
    ("src/main.rs", include_str!("main.rs.txt")),
    ("tests/main/main.rs", include_str!("tests_main.rs.txt")),
    ("tests/main/migrations.rs", include_str!("tests_migrations.rs.txt")),
];

/// The files of this service, laid out as the source in `directory` is.
pub(crate) fn files(service: &str, directory: &Path) -> impl Iterator<Item = (&'static str, String)> {
    FILES.into_iter().map(move |(path, template)| {
        let text = template.replace("$service", service).replace("$crate", &service.replace('-', "_"));
        let is_rust = Path::new(path).extension().is_some_and(|extension| extension == "rs");
        (path, if is_rust { formatted(text, directory) } else { text })
    })
}
