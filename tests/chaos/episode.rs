//! A database, some steps, and a plain `up` at the end.

use std::fmt::Write;
use std::sync::Arc;

use fastrand::Rng;
use postgres_sandbox::Database;

use crate::application::OldApplication;
use crate::digest::difference;
use crate::model;
use crate::play::play;
use crate::server::{EVERYTHING, Server, command};
use crate::step::Step;
use crate::tally::Tally;

/// Most steps of an episode.
const STEPS: usize = 8;

/// What happens to one database.
pub(crate) struct Episode<'a> {
    server: &'a Server,
    seed: u64,
    rng: Rng,
    /// Whether old code is gone, so that contract steps are applied too.
    with_contract: bool,
    database: Arc<Database>,
    story: String,
}

impl<'a> Episode<'a> {
    pub(crate) fn new(server: &'a Server, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let with_contract = rng.usize(..3) == 0;
        let database = Arc::new(server.database());
        let story = format!("seed {seed}, {}\n", if with_contract { "alone" } else { "beside old code" });
        Self { server, seed, rng, with_contract, database, story }
    }

    /// Plays it, and counts its steps.
    pub(crate) fn play(mut self, tally: &mut Tally) {
        tally.add_episode();
        let application = (!self.with_contract).then(|| OldApplication::start(Arc::clone(&self.database)));
        let n_steps = self.rng.usize(3..=STEPS);
        let stock = &self.server.stock;
        let mut is_reverted = vec![false; stock.len()];
        for _ in 0..n_steps {
            let step = Step::choose(&mut self.rng, stock, self.with_contract);
            let before = model::journals(&self.database, stock);
            let was_unfinished = model::is_unfinished(&self.database, stock);
            writeln!(self.story, "  {step}").unwrap();
            let (ended, has_met) = play(self.server, &self.database, &step);
            tally.add_step(step.fault, has_met, &ended);
            for ended in &ended {
                writeln!(self.story, "    {}: {}", ended.command, ended.code).unwrap();
                if let Some(wrong) = model::wrong_end(ended, step.fault, was_unfinished) {
                    self.fails(&wrong);
                }
            }
            let problems = model::problems(&self.database, stock);
            if !problems.is_empty() {
                self.fails(&problems);
            }
            let changes: Vec<usize> = step.changes().collect();
            for (number, (before, now)) in
                before.iter().zip(model::journals(&self.database, stock)).enumerate()
            {
                if !changes.contains(&number) && *before != now {
                    self.fails(&format!("{} has another journal: {before}, {now}", stock[number].name()));
                }
            }
            let reverting = step.commands().filter(|command| command.reverts);
            reverting.flat_map(|command| &command.changes).for_each(|&number| is_reverted[number] = true);
        }
        self.ends_at_head(application, &is_reverted);
    }

    /// A plain `up` ends at head, everything promised holds, and all rows are there.
    fn ends_at_head(&self, application: Option<OldApplication>, is_reverted: &[bool]) {
        let options = if self.with_contract { &EVERYTHING[..] } else { &[] };
        self.succeeds(&[&["up"], options].concat());
        if let Some(application) = application
            && let Err(error) = application.stop(&self.database)
        {
            self.fails(&format!("the old application: {error}"));
        }
        self.succeeds(&["verify"]);
        self.succeeds(&["status", "--check"]);
        for ((stock, expected), &is_reverted) in
            self.server.stock.iter().zip(self.server.heads(self.with_contract)).zip(is_reverted)
        {
            let found = self.server.head(&self.database, stock);
            let mut differences = difference(&expected.schema, &found.schema);
            // What is reverted may be lost; what old code has written never is.
            if !is_reverted {
                differences += &difference(&expected.rows, &found.rows);
            }
            differences += &difference(&expected.original, &found.original);
            if !differences.is_empty() {
                self.fails(&format!("{} is another:\n{differences}", stock.name()));
            }
        }
    }

    fn succeeds(&self, arguments: &[&str]) {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let ran = command(self.database.url(), &arguments).output().unwrap();
        if !ran.status.success() {
            let said = [ran.stdout, ran.stderr].concat();
            self.fails(&format!(
                "`{}`: {}\n{}",
                arguments.join(" "),
                ran.status,
                String::from_utf8_lossy(&said)
            ));
        }
    }

    fn fails(&self, problem: &str) -> ! {
        panic!("MIGRATE_CHAOS_SEED={}\n{}{problem}", self.seed, self.story)
    }
}
