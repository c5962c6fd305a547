//! What was tried so far, as a table: which fault met how many commands, and how the commands ended.

use std::collections::BTreeMap;
use std::fmt;

use crate::play::Ended;
use crate::step::Fault;

/// The steps of all episodes.
#[derive(Default)]
pub(crate) struct Tally {
    n_episodes: usize,
    n_steps: usize,
    /// How many steps had a fault, and how many of them it met: a command that sends few statements is over before.
    faults: BTreeMap<&'static str, (usize, usize)>,
    /// How often a command ran, and with which exit codes it ended.
    commands: BTreeMap<String, BTreeMap<i32, usize>>,
}

impl Tally {
    pub(crate) fn add_episode(&mut self) {
        self.n_episodes += 1;
    }

    /// Adds a step: its fault, whether that met the command, and how all commands of the step ended.
    pub(crate) fn add_step(&mut self, fault: Fault, has_met: bool, ended: &[Ended]) {
        self.n_steps += 1;
        let (n_steps, n_met) = self.faults.entry(fault.as_str()).or_default();
        *n_steps += 1;
        *n_met += usize::from(has_met);
        for ended in ended {
            let codes = self.commands.entry(ended.command.arguments[0].clone()).or_default();
            *codes.entry(ended.code).or_default() += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} steps in {} databases\n", self.n_steps, self.n_episodes)?;
        writeln!(f, "| what happened to a command | steps | met it |\n|---|---|---|")?;
        for (fault, (n_steps, n_met)) in &self.faults {
            writeln!(f, "| {fault} | {n_steps} | {n_met} |")?;
        }
        writeln!(f, "\n| command | ran | exit codes |\n|---|---|---|")?;
        for (command, codes) in &self.commands {
            let n_runs: usize = codes.values().sum();
            let codes: Vec<String> = codes.iter().map(|(code, n)| format!("{code}: {n}")).collect();
            writeln!(f, "| `{command}` | {n_runs} | {} |", codes.join(", "))?;
        }
        Ok(())
    }
}
