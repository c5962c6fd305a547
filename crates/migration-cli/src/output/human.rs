//! Events for people: a line a migration on stdout, waits and notices on stderr, bars where stderr is a terminal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use migration_plan::counted;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::clock::duration;
use super::fields::{Fields, TARGET};
use super::{Output, Shared};

/// How often a bar is drawn while nothing is reported.
const TICK: Duration = Duration::from_millis(120);

/// Draws what is reported to it.
pub(super) struct HumanLayer {
    output: Output,
    bars: MultiProgress,
    running: Shared<BTreeMap<(String, String), Work>>,
}

/// A migration at work.
struct Work {
    bar: ProgressBar,
    /// Reported once it is over.
    rejects: BTreeMap<Rejected, u64>,
}

/// Why rows were rejected, losses first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rejected {
    harmless: bool,
    table: String,
    field: String,
    reason: String,
}

impl HumanLayer {
    pub(super) fn new(output: Output) -> Self {
        let visible = !output.quiet && !output.silent && output.terminal.bars;
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        Self { output, bars, running: Arc::new(Mutex::new(BTreeMap::new())) }
    }

    fn label(&self, fields: &Fields) -> String {
        let (service, migration) = self.output.width.get().copied().unwrap_or_default();
        format!("{:service$}  {:migration$}", fields.text("service"), fields.text("migration"))
    }

    fn out(&self, line: &str) {
        // Bars are taken away while a line is written, so that both stay whole.
        self.bars.suspend(|| self.output.line(line));
    }

    fn note(&self, line: &str) {
        self.bars.suspend(|| self.output.note(line));
    }

    fn started(&self, fields: &Fields) {
        let bar = self.bars.add(ProgressBar::new_spinner());
        if self.bars.is_hidden() {
            // In a log, the name comes before the work, however long that takes.
            let doing = if fields.text("direction") == "revert" { "reverting" } else { "applying" };
            self.note(&format!("{}  {doing}", self.label(fields)));
        } else {
            // It takes a thread to tick: not where nobody sees it.
            bar.set_style(spinner());
            bar.set_prefix(self.label(fields));
            bar.enable_steady_tick(TICK);
        }
        let key = (fields.text("service").to_owned(), fields.text("migration").to_owned());
        let work = Work { bar, rejects: BTreeMap::new() };
        if let Some(old) = self.running().insert(key, work) {
            old.bar.finish_and_clear();
        }
    }

    fn finished(&self, fields: &Fields) {
        let rejects = self.end(fields);
        let elapsed = duration(Duration::from_millis(fields.number("elapsed_ms")));
        let word = match (fields.is_true("already"), fields.text("direction")) {
            (true, _) => "done already",
            (false, "revert") => "reverted",
            (false, _) => "ok",
        };
        self.out(&format!(
            "{}  {}  {elapsed:>9}",
            self.label(fields),
            self.output.paint.good(&format!("{word:<4}"))
        ));
        self.say_rejects(fields, &rejects);
    }

    fn failed(&self, fields: &Fields) {
        let rejects = self.end(fields);
        let elapsed = duration(Duration::from_millis(fields.number("elapsed_ms")));
        let word = if fields.text("outcome") == "interrupted" { "interrupted" } else { "failed" };
        self.out(&format!("{}  {}  {elapsed:>9}", self.label(fields), self.output.paint.bad(word)));
        self.say_rejects(fields, &rejects);
    }

    /// Takes the bar away, and gives the rejects.
    fn end(&self, fields: &Fields) -> BTreeMap<Rejected, u64> {
        let key = (fields.text("service").to_owned(), fields.text("migration").to_owned());
        let ended = self.running().remove(&key);
        ended.map_or_else(BTreeMap::new, |work| {
            work.bar.finish_and_clear();
            work.rejects
        })
    }

    fn rejected(&self, fields: &Fields) {
        let key = (fields.text("service").to_owned(), fields.text("migration").to_owned());
        if let Some(work) = self.running().get_mut(&key) {
            let [table, field, reason] =
                ["table", "field", "reason"].map(|name| fields.text(name).to_owned());
            let rejected = Rejected { harmless: fields.is_true("harmless"), table, field, reason };
            work.rejects.insert(rejected, fields.number("n_rejects"));
        }
    }

    /// Losses first, rare ones before frequent ones, the first few by their reasons.
    fn say_rejects(&self, fields: &Fields, rejects: &BTreeMap<Rejected, u64>) {
        const SHOWN: usize = 6;
        let (service, note) = (fields.text("service"), self.output.paint.warn("note"));
        let mut rejects: Vec<(&Rejected, u64)> = rejects.iter().map(|(why, n)| (why, *n)).collect();
        rejects.sort_by_key(|(why, n_rejects)| (why.harmless, *n_rejects));
        for (Rejected { harmless, table, field, reason }, n_rejects) in rejects.iter().take(SHOWN) {
            let what = match (harmless, n_rejects) {
                (true, n) => {
                    let (rows, were) = (counted(*n, "row", "rows"), if *n == 1 { "was" } else { "were" });
                    format!("{rows} of `{table}` {were} changed by a rule, and nothing is lost")
                }
                (false, n) => format!("{} from `{table}`", counted(*n, "reject", "rejects")),
            };
            let field = if field.is_empty() { String::new() } else { format!("`{field}`: ") };
            self.note(&format!("{note}  `{service}`: {what}: {field}{reason}"));
        }
        let more = match rejects.len().saturating_sub(SHOWN) {
            _ if rejects.is_empty() => return,
            0 => String::new(),
            1 => "there is 1 more reason; ".to_owned(),
            n => format!("there are {n} more reasons; "),
        };
        self.note(&format!("{note}  `{service}`: {more}`rejects {service}` lists them"));
    }

    fn progress(&self, fields: &Fields) {
        let key = (fields.text("service").to_owned(), fields.text("migration").to_owned());
        let running = self.running();
        let Some(Work { bar, .. }) = running.get(&key) else { return };
        let (done, total, rate) =
            (fields.number("done"), fields.number("total"), fields.number("rows_per_s"));
        let rest = fields.signed("eta_ms").and_then(|ms| u64::try_from(ms).ok()).or_else(|| {
            let ms = fields.number("eta_ms");
            (ms > 0).then_some(ms)
        });
        let rest =
            rest.map_or_else(String::new, |ms| format!(" · {} left", duration(Duration::from_millis(ms))));
        // The total is the planner's estimate, and rows that move are met twice: a bar that is full would mislead.
        let (style, of) = if done < total {
            (bar_style(), format!(" of about {total}"))
        } else {
            (spinner(), String::new())
        };
        bar.set_style(style);
        bar.set_length(total.max(done));
        bar.set_position(done);
        bar.set_message(format!("{} · {done}{of} rows · {rate}/s{rest}", fields.text("what")));
    }

    fn lock_waiting(&self, fields: &Fields) {
        let waited = duration(Duration::from_millis(fields.number("waited_ms")));
        let holder = match fields.signed("holder_pid") {
            Some(pid) => format!(
                " · held by pid {pid} ({}, {})",
                fields.text("holder_application"),
                fields.text("holder_host")
            ),
            None => String::new(),
        };
        self.note(&format!(
            "waiting for the migration lock of `{}`{holder} · waiting for {waited}",
            fields.text("service")
        ));
    }

    fn reading_waiting(&self, fields: &Fields) {
        self.note(&format!(
            "waiting to read `{}` · a table is locked by {} · waiting for {}",
            fields.text("database"),
            blocker(fields),
            duration(Duration::from_millis(fields.number("waited_ms"))),
        ));
    }

    fn table_lock_waiting(&self, fields: &Fields) {
        self.note(&format!(
            "waiting for the {} lock on `{}` of `{}` · {} · waiting for {}",
            fields.text("mode"),
            fields.text("relation"),
            fields.text("service"),
            blocks(fields),
            duration(Duration::from_millis(fields.number("waited_ms"))),
        ));
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Work>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for HumanLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == TARGET
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let fields = Fields::for_people(event, self.output.paint);
        let (service, migration) = (fields.text("service"), fields.text("migration"));
        match fields.text("kind") {
            "migration_started" => self.started(&fields),
            "migration_finished" => self.finished(&fields),
            "migration_failed" => self.failed(&fields),
            "connecting_waiting" => self.note(&format!(
                "waiting for `{}`: {} · {}",
                fields.text("database"),
                fields.text("answer"),
                duration(Duration::from_millis(fields.number("waited_ms")))
            )),
            "extension_created" => self.note(&format!(
                "made the extension `{}` in `{}`, which `{service}` needs",
                fields.text("extension"),
                fields.text("database")
            )),
            "reading_waiting" => self.reading_waiting(&fields),
            "progress" => self.progress(&fields),
            "lock_waiting" => self.lock_waiting(&fields),
            "lock_acquired" => self.note(&format!(
                "got the migration lock of `{service}` after {}",
                duration(Duration::from_millis(fields.number("waited_ms")))
            )),
            "table_lock_waiting" => self.table_lock_waiting(&fields),
            "statement_waiting" => {
                self.note(&format!("`{service}`: `{migration}` waits for {}", blocker(&fields)));
            }
            "rejected" => self.rejected(&fields),
            "notice" => {
                self.note(&format!(
                    "{}  `{service}`: `{migration}`: {}",
                    self.output.paint.warn("note"),
                    fields.text("message")
                ));
            }
            "check_reported" => {
                self.note(&format!("  · `{service}`: {}: {}", fields.text("says"), fields.text("figure")));
            }
            _ => {}
        }
    }
}

/// That a transaction blocks. A prepared one has no process: its name is in place of the application's.
fn blocks(fields: &Fields) -> String {
    let application = fields.text("blocker_application");
    let age = duration(Duration::from_millis(fields.number("blocker_age_ms")));
    match fields.signed("blocker_pid").unwrap_or_default() {
        0 => format!("{application} blocks it and is {age} old"),
        pid => format!("pid {pid} ({application}) blocks it, its transaction is {age} old"),
    }
}

/// The transaction that blocks, for a sentence. A prepared one has no process: its name is in place of the application's.
fn blocker(fields: &Fields) -> String {
    let application = fields.text("blocker_application");
    let age = duration(Duration::from_millis(fields.number("blocker_age_ms")));
    match fields.signed("blocker_pid").unwrap_or_default() {
        0 => format!("{application}, {age} old"),
        pid => format!("pid {pid} ({application}), whose transaction is {age} old"),
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{prefix}  {spinner} {elapsed}  {msg}")
        .expect("the template is a literal that parses")
}

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix}  {spinner} {elapsed}\n  {bar:20} {percent:>3}%  {msg}")
        .expect("the template is a literal that parses")
}
