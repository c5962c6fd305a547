//! A million books with their readers, beside their application: indexes, columns, and settings that become a table.

use super::Bench;
use super::under_load::{Phase, Subject};

/// The documented revisions up to the contract step, repaired so that they succeed: `CONCURRENTLY` cannot be in the one
/// transaction that their tool begins, and that transaction deadlocks with who uploads a book. So each statement is one.
const SCRIPT: &str = "\
ALTER TABLE books ADD COLUMN rating FLOAT8;
CREATE INDEX idx_books_rating ON books (rating);
CREATE INDEX idx_books_high_rating ON books (rating) WHERE rating >= 4.0;
CREATE TABLE user_preferences (id UUID DEFAULT gen_random_uuid() PRIMARY KEY, user_id UUID NOT NULL REFERENCES users ON DELETE CASCADE,
    theme VARCHAR(20) NOT NULL DEFAULT 'light', language VARCHAR(10) NOT NULL DEFAULT 'ru',
    notifications_enabled BOOL NOT NULL DEFAULT true, created_at TIMESTAMPTZ DEFAULT now(), updated_at TIMESTAMPTZ DEFAULT now(),
    CONSTRAINT uq_user_preferences_user_id UNIQUE (user_id));
INSERT INTO user_preferences (user_id, theme, language, notifications_enabled)
SELECT id, coalesce(reader_settings ->> 'theme', 'light'), coalesce(reader_settings ->> 'language', 'ru'),
    coalesce((reader_settings ->> 'notifications')::boolean, true) FROM users;
";

/// The documented revisions from the contract step on.
const SCRIPT_END: &str = "\
ALTER TABLE users DROP COLUMN reader_settings;
CREATE INDEX idx_books_user_created ON books (user_id, created_at);
CREATE INDEX idx_descriptions_chapter_priority ON descriptions (chapter_id, priority_score);
CREATE INDEX idx_books_unparsed ON books (user_id, created_at) WHERE is_parsed = false;
CREATE INDEX idx_images_completed ON generated_images (description_id, created_at) WHERE status = 'completed';
CREATE INDEX idx_books_fulltext ON books USING gin (to_tsvector('russian', title || ' ' || COALESCE(author, '')));
ALTER TABLE generated_images SET (autovacuum_vacuum_scale_factor = 0.1);
ALTER TABLE reading_progress SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE reading_progress ADD COLUMN reading_location_cfi VARCHAR(500);
CREATE INDEX idx_reading_progress_cfi ON reading_progress (book_id, user_id, reading_location_cfi);
ALTER TABLE reading_progress ADD COLUMN scroll_offset_percent FLOAT8 NOT NULL DEFAULT 0.0;
ALTER TABLE reading_progress ADD CONSTRAINT check_scroll_offset_range CHECK (scroll_offset_percent BETWEEN 0 AND 100);
";

/// What both releases of the application do: look up a book, turn a page.
const READ: (&str, u32) = (
    "\\set n random(1, 100000)\nSELECT title, author FROM bookreader.books WHERE id = md5('book' || :n)::uuid;\n",
    4,
);
const TURN: (&str, u32) = (
    "\\set n random(1, 100000)\nUPDATE bookreader.reading_progress SET current_page = current_page + 1, last_read_at = now() \
     WHERE id = md5('progress' || :n)::uuid;\n",
    3,
);
const UPLOAD: (&str, u32) = (
    "\\set n random(1, 1000)\nINSERT INTO bookreader.books (id, user_id, title, genre, language, file_path, file_format, file_size, \
     total_pages, estimated_reading_time, is_parsed, parsing_progress, created_at, updated_at) VALUES (gen_random_uuid(), \
     md5((:n)::text)::uuid, 'A new book', 'novel', 'ru', '/new', 'epub', 1, 1, 1, false, 0, now(), now());\n",
    1,
);

/// The application's old code: settings are a document.
const STATEMENTS: [(&str, u32); 4] = [
    READ,
    TURN,
    UPLOAD,
    (
        "\\set n random(1, 1000)\nUPDATE bookreader.users SET reader_settings = json_build_object('theme', 'dark', 'language', 'en', \
         'notifications', (:n)::integer % 2 = 0) WHERE id = md5((:n)::text)::uuid;\n",
        2,
    ),
];

/// The application's new code: it knows the new table alone.
const NEW_STATEMENTS: [(&str, u32); 4] = [
    READ,
    TURN,
    UPLOAD,
    (
        "\\set n random(1, 1000)\nUPDATE bookreader.user_preferences SET theme = 'sepia', updated_at = now() \
         WHERE user_id = md5((:n)::text)::uuid;\n",
        2,
    ),
];

/// Users whose preferences do not say what their settings say.
const LEFT: &str = "SELECT count(*) FROM users LEFT JOIN user_preferences AS kept ON kept.user_id = users.id \
    WHERE (kept.theme, kept.language, kept.notifications_enabled) IS DISTINCT FROM (coalesce(reader_settings ->> 'theme', 'light'), \
    coalesce(reader_settings ->> 'language', 'ru'), coalesce((reader_settings ->> 'notifications')::boolean, true))";

/// The service under load.
pub(super) fn subject(bench: &Bench) -> Subject {
    Subject {
        service: "bookreader",
        before: "m20250823_000001_create_bookreader",
        seed: seed(bench.rows),
        tables: &["bookreader.users", "bookreader.books", "bookreader.reading_progress"],
        phases: vec![
            Phase::expand("bookreader", &STATEMENTS, SCRIPT, LEFT),
            Phase::contract("bookreader", &NEW_STATEMENTS, SCRIPT_END, ("users", "reader_settings")),
        ],
    }
}

/// Books, each with somebody who reads it, and a tenth as many users, a thousand at least: the statements change those.
fn seed(n_rows: u64) -> String {
    let n_users = (n_rows / 10).max(1000);
    format!(
        "INSERT INTO users (id, email, password_hash, is_active, is_verified, is_admin, created_at, updated_at, reader_settings)
SELECT md5(n::text)::uuid, 'user' || n || '@example.org', 'x', true, true, false, now(), now(),
    CASE WHEN n % 5 > 0 THEN json_build_object('theme', (ARRAY['light', 'dark', 'sepia'])[n % 3 + 1], 'language', 'ru',
        'notifications', n % 2 = 0) END
FROM generate_series(1, {n_users}) AS n;
INSERT INTO books (id, user_id, title, author, genre, language, file_path, file_format, file_size, total_pages,
    estimated_reading_time, is_parsed, parsing_progress, created_at, updated_at)
SELECT md5('book' || n)::uuid, md5((n % {n_users} + 1)::text)::uuid, 'Книга ' || md5(n::text), 'Автор ' || n % 1000, 'novel', 'ru',
    '/books/' || n, 'epub', 1000000, 300, 600, n % 10 > 0, 100, now(), now()
FROM generate_series(1, {n_rows}) AS n;
INSERT INTO reading_progress (id, user_id, book_id, current_chapter, current_page, current_position, reading_time_minutes,
    reading_speed_wpm, created_at, updated_at)
SELECT md5('progress' || n)::uuid, md5((n % {n_users} + 1)::text)::uuid, md5('book' || n)::uuid, 1, 1, 1, 1, 200, now(), now()
FROM generate_series(1, {n_rows}) AS n;"
    )
}
