//! Data sets in the base schema, the same ones every time: a realistic one, and users whose settings are dirty.
//!
//! They are written out by the server from running numbers, so that a thousand rows cost one statement. What is expected
//! of each kind of settings stands beside it here, said independently of the SQL under test.

use migration_testing::Scratch;

/// The tables of the base schema, referenced ones first.
pub(crate) const TABLES: [&str; 7] =
    ["users", "books", "subscriptions", "chapters", "reading_progress", "descriptions", "generated_images"];

/// One kind of `reader_settings`, and what is expected of it.
pub(crate) struct Settings {
    /// As the old application stored it.
    pub(crate) json: Option<&'static str>,
    pub(crate) theme: &'static str,
    pub(crate) language: &'static str,
    pub(crate) notifications: bool,
    /// Field and reason of each reject.
    pub(crate) rejects: &'static [(&'static str, &'static str)],
}

impl Settings {
    const fn clean(
        json: Option<&'static str>,
        theme: &'static str,
        language: &'static str,
        notifications: bool,
    ) -> Self {
        Self { json, theme, language, notifications, rejects: &[] }
    }

    /// The preferences as the row `theme|language|notifications`.
    pub(crate) fn preferences(&self) -> String {
        format!("{}|{}|{}", self.theme, self.language, if self.notifications { "t" } else { "f" })
    }

    /// What the contract step's `down` restores: rejected settings to the byte, others from the preferences.
    pub(crate) fn restored(&self) -> String {
        match self.json {
            Some(json) if !self.rejects.is_empty() => json.to_owned(),
            _ => restored(self.theme, self.language, self.notifications),
        }
    }
}

/// Settings as the contract step's `down` makes them of preferences.
pub(crate) fn restored(theme: &str, language: &str, notifications: bool) -> String {
    format!(r#"{{"theme" : "{theme}", "language" : "{language}", "notifications" : {notifications}}}"#)
}

/// Settings as the old application wrote them.
pub(crate) const REALISTIC: [Settings; 8] = [
    Settings::clean(None, "light", "ru", true),
    Settings::clean(Some("{}"), "light", "ru", true),
    Settings::clean(Some(r#"{"theme": "dark"}"#), "dark", "ru", true),
    Settings::clean(Some(r#"{"theme": "sepia", "fontSize": 18, "lineHeight": 1.6}"#), "sepia", "ru", true),
    Settings::clean(Some(r#"{"language": "en", "theme": "light"}"#), "light", "en", true),
    Settings::clean(Some(r#"{"notifications": false, "theme": "dark"}"#), "dark", "ru", false),
    Settings::clean(Some(r#"{"notifications_enabled": false, "language": "de"}"#), "light", "de", false),
    Settings::clean(
        Some(r#"{"theme": "\u043d\u043e\u0447\u044c", "note": "\ud83d\ude00"}"#),
        "ночь",
        "ru",
        true,
    ),
];

/// Settings that nobody meant to write, and that a production database has nevertheless.
pub(crate) const DIRTY: [Settings; 19] = [
    dirty("null", &[]),
    dirty("42", &[("reader_settings", "is a JSON number, not an object")]),
    dirty(r#""dark""#, &[("reader_settings", "is a JSON string, not an object")]),
    dirty(r#"["dark", "en"]"#, &[("reader_settings", "is a JSON array, not an object")]),
    dirty(r#"{"theme": 7}"#, &[("theme", "is a JSON number, not a string")]),
    dirty(r#"{"theme": null, "notifications": null}"#, &[]),
    dirty(r#"{"theme": {"name": "dark"}}"#, &[("theme", "is a JSON object, not a string")]),
    dirty(r#"{"theme": "a theme with a name too long"}"#, &[("theme", "is longer than 20 characters")]),
    dirty(r#"{"language": "русский язык"}"#, &[("language", "is longer than 10 characters")]),
    dirty(r#"{"language": ["ru"]}"#, &[("language", "is a JSON array, not a string")]),
    dirty(r#"{"notifications": "true"}"#, &[("notifications", "is a JSON string, neither true nor false")]),
    dirty(
        r#"{"notifications_enabled": 1}"#,
        &[("notifications_enabled", "is a JSON number, neither true nor false")],
    ),
    dirty(r#"{"theme": "\u0000"}"#, &[("reader_settings", "holds an escape that is not text")]),
    dirty(
        r#"{"theme": "dark", "note": "\ud83d"}"#,
        &[("reader_settings", "holds an escape that is not text")],
    ),
    dirty(
        r#"{"theme": 1, "language": 2, "notifications": 3}"#,
        &[
            ("language", "is a JSON number, not a string"),
            ("notifications", "is a JSON number, neither true nor false"),
            ("theme", "is a JSON number, not a string"),
        ],
    ),
    Settings {
        json: Some(r#"{"theme": "dark", "language": false, "extra": "lost otherwise"}"#),
        theme: "dark",
        language: "ru",
        notifications: true,
        rejects: &[("language", "is a JSON boolean, not a string")],
    },
    Settings {
        json: Some(r#"{"notifications_enabled": false, "notifications": true}"#),
        theme: "light",
        language: "ru",
        notifications: false,
        rejects: &[("notifications", "contradicts notifications_enabled")],
    },
    Settings::clean(Some(r#"{"theme": "dark", "theme": "sepia"}"#), "sepia", "ru", true),
    Settings::clean(Some(r#"  {"theme":"exactly twenty chars"}  "#), "exactly twenty chars", "ru", true),
];

const fn dirty(json: &'static str, rejects: &'static [(&'static str, &'static str)]) -> Settings {
    Settings { json: Some(json), theme: "light", language: "ru", notifications: true, rejects }
}

/// 1,200 users with everything that hangs on them, 34,800 rows in all.
pub(crate) async fn realistic(scratch: &Scratch) {
    users(scratch, "reader", &REALISTIC, 150).await;
    for statement in [
        "INSERT INTO subscriptions (id, user_id, plan, status, start_date, end_date, auto_renewal, books_uploaded, \
         images_generated_month, last_reset_date, created_at, updated_at) \
         SELECT md5('subscription' || n)::uuid, id, (ARRAY['FREE', 'PREMIUM', 'ULTIMATE']::subscriptionplan[])[n % 3 + 1], \
         (ARRAY['ACTIVE', 'EXPIRED', 'CANCELLED', 'PENDING']::subscriptionstatus[])[n % 4 + 1], created_at, \
         CASE WHEN n % 3 > 0 THEN created_at + interval '1 year' END, n % 2 = 0, n % 7, n % 31, created_at, created_at, \
         created_at FROM numbered_users",
        "INSERT INTO books (id, user_id, title, author, genre, language, file_path, file_format, file_size, cover_image, \
         description, book_metadata, total_pages, estimated_reading_time, is_parsed, parsing_progress, parsing_error, \
         created_at, updated_at, last_accessed) \
         SELECT md5('book' || n || '.' || k)::uuid, id, 'Мастер и Маргарита, том ' || k, \
         CASE WHEN n % 5 > 0 THEN 'Автор №' || n % 97 END, 'fiction', 'ru', '/books/' || n || '/' || k || '.epub', \
         (ARRAY['epub', 'fb2'])[k % 2 + 1], 1000 * n + k, NULL, E'Строка с \\'кавычкой\\'\\nи переводом', \
         json_build_object('isbn', n, 'tags', ARRAY['a', 'б']), 100 + n % 300, 60 + n % 300, n % 10 > 0, \
         CASE WHEN n % 10 > 0 THEN 100 ELSE n % 100 END, CASE WHEN n % 50 = 0 THEN 'broken archive' END, \
         created_at + k * interval '1 day', created_at + k * interval '2 days', NULL \
         FROM numbered_users CROSS JOIN generate_series(1, 3) AS k",
        "INSERT INTO chapters (id, book_id, chapter_number, title, content, html_content, word_count, \
         estimated_reading_time, is_description_parsed, descriptions_found, parsing_progress, created_at, updated_at, \
         parsed_at) \
         SELECT md5('chapter' || books.id || k)::uuid, books.id, k, 'Глава ' || k, repeat('Текст главы. ', 3 + k), NULL, \
         6 + 2 * k, k, k < 3, k, 100, books.created_at, books.created_at, books.created_at + interval '1 hour' \
         FROM books CROSS JOIN generate_series(1, 3) AS k",
        "INSERT INTO reading_progress (id, user_id, book_id, current_chapter, current_page, current_position, \
         reading_time_minutes, reading_speed_wpm, created_at, updated_at, last_read_at) \
         SELECT md5('progress' || id)::uuid, user_id, id, 1 + file_size % 3, file_size % 300, file_size % 5000, \
         file_size % 600, 180.1 + file_size % 40, created_at, updated_at, updated_at FROM books",
        "INSERT INTO descriptions (id, chapter_id, type, content, context, confidence_score, position_in_chapter, \
         word_count, is_suitable_for_generation, priority_score, entities_mentioned, emotional_tone, complexity_level, \
         image_generated, generation_requested, created_at, updated_at) \
         SELECT md5('description' || id)::uuid, id, (enum_range(NULL::descriptiontype))[word_count % 5 + 1], \
         'Тёмный лес', NULL, 1.0 / (chapter_number + 2), 10 * chapter_number, 2, chapter_number < 3, \
         chapter_number / 7.0, 'лес', 'мрачный', 'low', chapter_number = 1, chapter_number < 3, created_at, updated_at \
         FROM chapters",
        "INSERT INTO generated_images (id, description_id, user_id, service_used, status, image_url, local_path, \
         prompt_used, generation_parameters, generation_time_seconds, file_size, image_width, image_height, file_format, \
         quality_score, is_moderated, moderation_result, moderation_notes, view_count, download_count, error_message, \
         retry_count, created_at, updated_at, generated_at) \
         SELECT md5('image' || descriptions.id)::uuid, descriptions.id, books.user_id, 'pollinations', \
         (ARRAY['completed', 'failed', 'pending'])[books.file_size % 3 + 1], NULL, '/images/' || descriptions.id, \
         'dark forest', '{\"seed\":  7, \"steps\": 20}', 3.14159, 2048, 512, 512, 'png', 0.1 + 0.2, false, NULL, NULL, \
         books.file_size % 11, 0, NULL, 0, descriptions.created_at, descriptions.updated_at, NULL \
         FROM descriptions JOIN chapters ON chapters.id = chapter_id JOIN books ON books.id = book_id \
         WHERE image_generated",
    ] {
        scratch.execute(&statement.replace("numbered_users", NUMBERED_USERS)).await;
    }
}

/// Users with an account number, which their address holds.
const NUMBERED_USERS: &str = "(SELECT users.*, substring(email FROM '[0-9]+')::int AS n FROM users WHERE email LIKE 'reader%') AS numbered";

/// Users of each kind of settings, `n_each` of a kind; user `n` has the kind `n % kinds.len()`.
pub(crate) async fn users(scratch: &Scratch, name: &str, kinds: &[Settings], n_each: usize) {
    for (kind, settings) in kinds.iter().enumerate() {
        let json = settings.json.map_or("NULL".to_owned(), migration_kit::literal);
        scratch
            .execute(&format!(
                "INSERT INTO users (id, email, password_hash, full_name, is_active, is_verified, is_admin, \
                 reader_settings, created_at, updated_at, last_login) \
                 SELECT md5('{name}' || n)::uuid, '{name}' || n || '@example.org', md5('secret' || n), \
                 CASE WHEN n % 3 > 0 THEN 'Читатель ' || n END, n % 9 > 0, n % 4 > 0, n = 0, {json}, \
                 '2025-01-01 12:00:00.123456+00'::timestamptz + n * interval '1 hour', \
                 '2025-06-01 12:00:00+00'::timestamptz + n * interval '1 minute', NULL \
                 FROM generate_series({kind}, {kind} + {n_kinds} * ({n_each} - 1), {n_kinds}) AS n",
                n_kinds = kinds.len(),
            ))
            .await;
    }
}

/// The rows of `users`, or of a table that refers to them, that belong to one kind of settings.
pub(crate) async fn of_kind(
    scratch: &Scratch,
    (name, n_kinds, kind): (&str, usize, usize),
    columns: &str,
    tables: &str,
) -> Vec<String> {
    scratch
        .rows(&format!(
            "SELECT {columns} FROM {tables} WHERE email LIKE '{name}%' \
             AND substring(email FROM '[0-9]+')::int % {n_kinds} = {kind}"
        ))
        .await
}
