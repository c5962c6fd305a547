//! Reverting a contract step, as an operator does whose new code fails: against one statement in `psql` that writes the same.

use std::fs;

use super::figure::{Figures, tell};
use super::{Bench, assessments, process, server};

/// Most rows; a revert is for emergencies, and its figure is per row.
const MOST_ROWS: u64 = 100_000;

/// A service at the head of its migrations, and the revert of its last contract step.
struct Revert {
    service: &'static str,
    /// The migration to which it is applied before there are rows.
    before: &'static str,
    seed: String,
    /// What reverts the step, beside `migrate down`.
    target: &'static str,
    /// The same work by hand.
    script: &'static str,
    /// A query for the number of rows that are as before.
    rebuilt: &'static str,
}

const ASSESSMENTS: &str = "SET search_path = assessments;
ALTER TABLE question_history ADD COLUMN user_answer_transcript TEXT, ADD COLUMN audio_duration_seconds INTEGER,
    ADD COLUMN transcription_confidence DOUBLE PRECISION, ADD COLUMN ai_evaluation JSONB;
UPDATE question_history SET ai_evaluation = jsonb_build_object('score', score, 'isCorrect', is_correct,
    'understandingDepth', understanding_depth, 'feedback', feedback, 'knowledgeGaps', to_jsonb(knowledge_gaps));\n";

const BOOKREADER: &str = "SET search_path = bookreader;
ALTER TABLE users ADD COLUMN reader_settings JSON;
UPDATE users SET reader_settings = json_build_object('theme', kept.theme, 'language', kept.language,
    'notifications', kept.notifications_enabled) FROM user_preferences AS kept WHERE kept.user_id = users.id;\n";

/// Users with settings, of every twenty-fifth of whom one cannot be carried over.
fn users(n_rows: u64) -> String {
    format!(
        "INSERT INTO users (id, email, password_hash, is_active, is_verified, is_admin, reader_settings)
SELECT md5(n::text)::uuid, n || '@example.org', repeat('x', 60), true, true, false, json_build_object(
    'theme', (ARRAY['light', 'dark', 'sepia'])[n % 3 + 1], 'language', CASE n % 25 WHEN 0 THEN 'a language' || n ELSE 'en' END,
    'notifications', n % 2 = 0, 'font', 'serif') FROM generate_series(1, {n_rows}) AS n;"
    )
}

pub(super) fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let n_rows = bench.rows.min(MOST_ROWS);
    let reverts = [
        Revert {
            service: "assessments",
            before: "m20260122_000001_create_questions",
            seed: assessments::seed(n_rows),
            target: "assessments@m20260126_000003",
            script: ASSESSMENTS,
            rebuilt: "SELECT count(*) FROM assessments.question_history WHERE ai_evaluation IS NOT NULL",
        },
        Revert {
            service: "bookreader",
            before: "m20250823_000001_create_bookreader",
            seed: users(n_rows),
            target: "bookreader@m20250824_154501",
            script: BOOKREADER,
            rebuilt: "SELECT count(*) FROM bookreader.users WHERE reader_settings IS NOT NULL",
        },
    ];
    for revert in reverts {
        let what = format!("contract step of {} reverted over {n_rows} rows", revert.service);
        of_service(bench, &revert, n_rows, &what, figures)?;
    }
    Ok(())
}

fn of_service(
    bench: &Bench,
    revert: &Revert,
    n_rows: u64,
    what: &str,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let Revert { service, before, seed, target, script, rebuilt } = revert;
    let template = contracted(bench, service, before, seed)?;
    let file = bench.cluster.socket_directory().join("revert.sql");
    fs::write(&file, script)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 1..=bench.repeat.div_ceil(3) {
        tell(&format!("{service}: {turn} of {}", bench.repeat.div_ceil(3)));
        let url = server::copy(&bench.cluster, &template, "reverted")?;
        let down = ["down", target, "--allow-data-loss"];
        ours.push(process::timed(&mut bench.migrate(&url, &down))?);
        let n_rebuilt = bench.cluster.psql("reverted", rebuilt)?;
        anyhow::ensure!(n_rebuilt.trim() == n_rows.to_string(), "{service}: {n_rebuilt} rows were rebuilt");
        server::drop_copy(&bench.cluster, "reverted")?;

        let url = server::copy(&bench.cluster, &template, "rewritten")?;
        theirs.push(process::timed(server::psql(&bench.cluster, &url).arg("-f").arg(&file))?);
        server::drop_copy(&bench.cluster, "rewritten")?;
    }
    figures.durations(what, &ours, &theirs, 2.0);
    Ok(server::drop_copy(&bench.cluster, &template)?)
}

/// A database over whose rows all migrations of the service were applied; its name.
fn contracted(bench: &Bench, service: &str, before: &str, seed: &str) -> anyhow::Result<String> {
    let name = format!("contracted_{service}");
    bench.cluster.psql("postgres", &format!("CREATE DATABASE {name}"))?;
    let url = bench.cluster.url(&name);
    let first = format!("{service}@{before}");
    process::timed(&mut bench.migrate(&url, &["up", &first]))?;
    bench.cluster.psql(&name, &format!("SET search_path = {service};\n{seed}"))?;
    process::timed(&mut bench.migrate(&url, &["up", service]))?;
    let contract = ["up", service, "--contract", "--ignore-soak", "--allow-data-loss"];
    process::timed(&mut bench.migrate(&url, &contract))?;
    bench.cluster.psql(&name, "VACUUM (ANALYZE)")?;
    Ok(name)
}
