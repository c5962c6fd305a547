//! A kill at each point of each migration that does not run in a transaction, on its way up and on its way down, and then
//! something else each time.

use postgres_sandbox::Database;

use crate::chain::Chain;
use crate::digest::{difference, rows, schema};
use crate::relay::Outcome;
use crate::statement::{Moment, Point, points};

/// Which migrations a test tries.
#[derive(Clone, Copy)]
pub(crate) enum Share {
    /// All.
    Whole,
    /// The second, the fourth, and so on.
    Even,
    /// The first, the third, and so on.
    Odd,
}

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killed {
    Up,
    Down,
}

/// What comes after the kill of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// `up` to it.
    Up,
    /// `down` to the one before it.
    Down,
    /// `redo` of it.
    Redo,
    /// `up` to the one after it.
    UpBeyond,
    /// `down` to the one before the one before it.
    DownBeyond,
    /// `up` to the one before it.
    UpBelow,
}

/// They take turns, point by point.
const CONTINUATIONS: [Then; 6] =
    [Then::Up, Then::Down, Then::Redo, Then::DownBeyond, Then::UpBeyond, Then::UpBelow];

/// Kills and continues at every point of the service's migrations that do not run in a transaction.
pub(crate) fn rehearse(chain: &Chain, share: Share) {
    for (place, migration) in chain.service.migrations().enumerate() {
        let number = place + 1;
        let is_ours = match share {
            Share::Whole => true,
            Share::Even => number % 2 == 0,
            Share::Odd => number % 2 == 1,
        };
        if migration.is_transactional() || !is_ours {
            continue;
        }
        // From migration to migration they begin with another one, so that in the end each comes after each place and moment.
        let mut then = CONTINUATIONS.into_iter().cycle().skip(number);
        for (killed, n_most) in [(Killed::Up, 4), (Killed::Down, 3)] {
            for (point, then) in
                points(&undisturbed(chain, number, killed).statements, n_most).into_iter().zip(&mut then)
            {
                Rehearsal { chain, number, killed, point, then }.run();
            }
        }
    }
}

fn undisturbed(chain: &Chain, number: usize, killed: Killed) -> Outcome {
    let (database, arguments) = killed.begin(chain, number);
    let outcome = chain.run(&database, &arguments, None);
    assert!(outcome.status.success(), "{arguments:?} fails: {}", outcome.stderr);
    outcome
}

/// One kill, and what comes after it.
struct Rehearsal<'a> {
    chain: &'a Chain,
    number: usize,
    killed: Killed,
    point: Point,
    then: Then,
}

impl Killed {
    /// The database that it begins with, and its arguments.
    fn begin(self, chain: &Chain, number: usize) -> (Database, Vec<String>) {
        match self {
            Self::Up => (chain.copy(number - 1), chain.up(number)),
            Self::Down => (chain.copy(number), chain.down(number - 1)),
        }
    }
}

impl Rehearsal<'_> {
    fn run(&self) {
        let database = self.killed();
        let (arguments, n_migrations) = self.continuation();
        let continued = self.chain.run(&database, &arguments, None);
        if continued.status.success() {
            // What was reverted to its end is not there to be done again.
            let is_reverted = self.then == Then::Redo && self.chain.n_applied(&database) < self.number;
            self.check(&database, if is_reverted { self.number - 1 } else { n_migrations });
            return;
        }
        let code = continued.status.code();
        let is_refusal = code == Some(7) || code == Some(2);
        assert!(is_refusal && continued.stderr.contains("hint "), "{}{}", self.story(), continued.stderr);
        let finished = self.chain.run(&database, &self.chain.up(self.number), None);
        assert!(finished.status.success(), "{}is refused, and then {}", self.story(), finished.stderr);
        self.check(&database, self.number);
    }

    /// A database in which a run was killed. Batches follow the clock, so that a run may have fewer than the one before: then
    /// an earlier one is tried.
    fn killed(&self) -> Database {
        let mut point = self.point.clone();
        loop {
            let (database, arguments) = self.killed.begin(self.chain, self.number);
            let ran = self.chain.run(&database, &arguments, Some(&point));
            if ran.killed {
                return database;
            }
            assert!(ran.status.success(), "{}fails on its own: {}", self.story(), ran.stderr);
            assert!(point.id.nth > 0, "{}cannot be killed", self.story());
            point.id.nth /= 2;
        }
    }

    /// What comes next, and how many migrations are then applied.
    fn continuation(&self) -> (Vec<String>, usize) {
        let Self { chain, number, .. } = *self;
        match self.then {
            Then::Down => (chain.down(number - 1), number - 1),
            Then::Redo => (chain.redo(number - 1), number),
            Then::UpBeyond => {
                let beyond = (number + 1).min(chain.n_migrations());
                (chain.up(beyond), beyond)
            }
            Then::DownBeyond => {
                let beyond = number.saturating_sub(2);
                (chain.down(beyond), beyond)
            }
            Then::UpBelow if number > 1 => (chain.up(number - 1), number - 1),
            Then::Up | Then::UpBelow => (chain.up(number), number),
        }
    }

    /// Fails unless the database is the one after so many migrations, and keeps what they promised.
    fn check(&self, database: &Database, n_migrations: usize) {
        let name = self.chain.service.default_schema();
        let expected = self.chain.after(n_migrations);
        let mut differences = difference(&expected.schema, &schema(database, name));
        // What is reverted may be lost.
        let is_forward = matches!(self.then, Then::Up | Then::UpBeyond) && self.killed == Killed::Up;
        if is_forward {
            differences += &difference(&expected.rows, &rows(database, name));
        }
        assert!(differences.is_empty(), "{}is another:\n{differences}", self.story());
        let verified = self.chain.run(database, &self.chain.verify(), None);
        assert!(verified.status.success(), "{}breaks a promise: {}", self.story(), verified.stderr);
    }

    fn story(&self) -> String {
        let moment = match self.point.moment {
            Moment::Sent => "while the server worked on",
            Moment::Answered => "before it heard of",
        };
        format!(
            "`{}`, {:?} killed {moment} statement {} of\n{}\nand followed by {:?}, ",
            self.chain.name(self.number),
            self.killed,
            self.point.id.nth,
            self.point.id.shape,
            self.then
        )
    }
}
