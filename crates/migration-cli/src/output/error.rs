//! What went wrong, as lines for people and as events for machines: what failed, why, and what to do next, each once.

use migration_report::Diagnostic;

use super::Paint;
use super::fields::TARGET;
use crate::exit::Exit;

/// Something that went wrong, for people.
pub(super) fn lines(diagnostic: &Diagnostic, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |head: String, text: &str| {
        for (number, line) in text.lines().enumerate() {
            let head = if number == 0 { head.as_str() } else { "         " };
            lines.push(format!("{head} {}", paint.safe(line)));
        }
    };
    add(paint.bad("error:"), &diagnostic.message);
    for cause in &diagnostic.causes {
        add(format!("  {}", paint.faint("because")), cause);
    }
    if let Some(statement) = &diagnostic.statement {
        add(format!("       {}", paint.faint("in")), statement);
    }
    for place in &diagnostic.context {
        add(format!("       {}", paint.faint("at")), place);
    }
    if let Some(hint) = &diagnostic.hint {
        add(format!("  {}", paint.strong("hint")), hint);
    }
    lines
}

/// Something that went wrong as an event, for `--format ndjson`.
pub(super) fn event(diagnostic: &Diagnostic) {
    let Diagnostic { message, causes, sqlstate, statement, context, hint, .. } = diagnostic;
    tracing::error!(
        target: TARGET,
        kind = "error",
        message,
        causes = (!causes.is_empty()).then(|| causes.join("; ")),
        sqlstate,
        statement,
        context = (!context.is_empty()).then(|| context.join("; ")),
        hint,
    );
}

/// The last event of `--format ndjson`: how the command ended.
pub(super) fn ended(exit: Exit) {
    tracing::info!(target: TARGET, kind = "ended", ok = exit == Exit::DONE, exit_code = u64::from(exit.code()));
}
