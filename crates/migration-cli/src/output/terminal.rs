//! What the terminal can show, from the environment and from the terminal itself.

use std::io::{IsTerminal, stderr, stdout};

use crate::arguments::Colour;

/// What can be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Whether data is coloured.
    pub(super) stdout_coloured: bool,
    /// Whether what goes beside the data is coloured.
    pub(super) stderr_coloured: bool,
    /// Whether only ASCII is shown.
    pub(super) ascii: bool,
    /// Columns of a line; `None` where lines may be as long as they like.
    pub(super) width: Option<usize>,
    /// Whether lines can be drawn over.
    pub(super) bars: bool,
}

impl Terminal {
    /// The terminal of this process. `wide` is for those who want whole tables on a narrow one.
    pub(crate) fn of_process(colour: Colour, wide: bool) -> Self {
        let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let coloured = |is_terminal: bool| match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => variable("NO_COLOR").is_none() && is_terminal && !is_dumb,
        };
        Self {
            stdout_coloured: coloured(stdout().is_terminal()),
            stderr_coloured: coloured(stderr().is_terminal()),
            ascii: ["LC_ALL", "LC_CTYPE", "LANG"]
                .iter()
                .find_map(|name| variable(name))
                .is_some_and(|locale| is_ascii(&locale)),
            width: if wide { None } else { width() },
            bars: stderr().is_terminal() && !is_dumb && colour != Colour::Never,
        }
    }
}

/// Whether a locale knows ASCII only, as far as we write it. Without any locale a log is meant, and logs are UTF-8.
fn is_ascii(locale: &str) -> bool {
    let locale = locale.to_ascii_uppercase();
    !locale.contains("UTF-8") && !locale.contains("UTF8")
}

/// `COLUMNS`, else the width of the terminal.
fn width() -> Option<usize> {
    let given = variable("COLUMNS").and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    given.or_else(|| {
        // A terminal may say how wide it is and not how high.
        let size = rustix::termios::tcgetwinsize(stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    })
}

/// A variable that is set and not empty.
#[expect(clippy::disallowed_methods, reason = "this is the command line")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
