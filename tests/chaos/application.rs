//! The old application: it writes as it did before the second migration of each service, and never fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use postgres_sandbox::Database;

/// What it writes, round by round; `{}` is the round.
const WRITES: &str = "SET statement_timeout = '20s'; \
  INSERT INTO chat.messages (user_id, chat_id, role, content, message_length, created_at) \
    VALUES (424242, 1, 'user', 'chaos', 5, '2026-01-01'); \
  UPDATE chat.messages SET content = content WHERE id = {}; \
  INSERT INTO rag.user_knowledge (id, user_id, name, expertise, created_at, updated_at) \
    VALUES (gen_random_uuid(), 'chaos{}', 'Chaos', '[]', '2026-01-01', '2026-01-01'); \
  INSERT INTO assessments.question_history (id, question_text, is_correct, asked_at, user_answer_transcript, ai_evaluation) \
    VALUES (gen_random_uuid(), 'chaos', true, '2026-01-01', 'x', '{\"score\": 3}'); \
  UPDATE bookreader.users SET is_active = true WHERE email = 'user{}@example.org'; \
  UPDATE profochatbot.run SET is_ended = is_ended WHERE chat_id = {}";

/// What takes its rows away again.
const CLEAN: &str = "DELETE FROM chat.messages WHERE user_id = 424242; \
  DELETE FROM rag.user_knowledge WHERE user_id LIKE 'chaos%'; \
  DELETE FROM assessments.question_history WHERE question_text = 'chaos'";

/// Words of an error that says that the server was made to crash, or its disk is full.
const CRASHED: [&str; 8] = [
    "No space left on device",
    "could not extend file",
    "server closed the connection",
    "terminating connection",
    "in recovery mode",
    "not yet accepting connections",
    "starting up",
    "connection to server",
];

/// An application that writes until it is stopped.
pub(crate) struct OldApplication {
    stop: Arc<AtomicBool>,
    writing: JoinHandle<Result<usize, String>>,
}

impl OldApplication {
    pub(crate) fn start(database: Arc<Database>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let writing = thread::spawn(move || {
            let mut n_rounds = 0;
            while !stopped.load(Ordering::SeqCst) {
                n_rounds += 1;
                if let Err(error) = database.psql(&WRITES.replace("{}", &n_rounds.to_string())) {
                    let error = error.to_string();
                    if !CRASHED.iter().any(|words| error.contains(words)) {
                        return Err(error);
                    }
                }
                thread::sleep(Duration::from_millis(20));
            }
            Ok(n_rounds)
        });
        Self { stop, writing }
    }

    /// Stops it, and takes its rows away.
    pub(crate) fn stop(self, database: &Database) -> Result<usize, String> {
        self.stop.store(true, Ordering::SeqCst);
        let n_rounds = self.writing.join().unwrap()?;
        database.psql(CLEAN).map_err(|error| error.to_string())?;
        Ok(n_rounds)
    }
}
