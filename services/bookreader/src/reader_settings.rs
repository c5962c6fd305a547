//! What is carried over from `users.reader_settings` to `user_preferences`, defined once, as SQL functions.
//!
//! The backfill, the trigger that keeps rows of still-running old code in step, the sweep of the contract step and the
//! checks all call [`CARRIED`]; none of them says a second time what a theme is. Nothing here decides when that
//! happens: the migrations do. Two published migrations call these steps, so they are no more edited than those.
//!
//! **What is carried.** `theme` and `language` from a JSON string that fits the column; `notifications_enabled` from
//! `true` or `false` under that key or under `notifications`, which the old application wrote at times. A key that is
//! absent gives the default, and so do `NULL` and a JSON `null`. Anything else gives the default too and is listed as a
//! reject: another JSON type, a string too long, two keys that contradict each other, settings that are no object, and
//! settings that cannot be read as text (`\u0000`, half a surrogate pair), which the type `json` stores without a word.
//! Of a key that stands twice the last one counts, as for the old application.
//!
//! **Who wins.** Preferences that exist are never overwritten by a backfill or a sweep. The trigger carries a field over
//! only when old code really changed that field in `reader_settings`: saving a user with the settings as they were
//! leaves alone what new code wrote to `user_preferences`, and so does a change to the other two fields.
//!
//! **What escapes the trigger.** Writers whose triggers are off (a restored dump, logical replication) change settings and
//! nothing else. A row does not say whether that, or new code, made settings and preferences differ. So both are kept: the
//! preferences stay, and the contract step lists the settings before they go. The trigger is not one that always fires: where
//! logical replication brings both tables, it would write preferences that arrive as well, and the subscription would stop.

use migration_kit::{Backfill, Check, Function, Online, Trigger, literal};
use sea_orm_migration::prelude::*;

/// `<schema>.carried_preferences(json)`: the preferences in some settings, and what could not be carried over.
pub(crate) const CARRIED: &str = "carried_preferences";

/// The trigger on `users`, and its function.
pub(crate) const TRIGGER: &str = "keep_preferences_in_step";

/// The service's table of rejects.
const REJECTS: &str = "migration_reject_bookreader";

/// The migrations that list settings.
const BY_US: &str =
    "IN ('m20250824_154501_backfill_user_preferences', 'm20250824_154502_drop_reader_settings')";

/// Where the list says that settings differ from the preferences.
const DIFFERING_FIELD: &str = "preferences";

/// The preferences of `kept`, as the list keeps them.
const KEPT: &str = "jsonb_build_object('theme', kept.theme, 'language', kept.language, \
    'notifications_enabled', kept.notifications_enabled)";

/// `FROM` list and condition of the users `source` whose settings say something else than their preferences `kept`. Settings
/// without a key say nothing.
const DIFFERING: &str = "users AS source JOIN user_preferences AS kept ON kept.user_id = source.id \
    CROSS JOIN LATERAL carried_preferences(source.reader_settings) AS carried \
    WHERE btrim(source.reader_settings::text) NOT IN ('{}', 'null') \
    AND (kept.theme, kept.language, kept.notifications_enabled) \
    <> (carried.theme, carried.language, carried.notifications_enabled)";

/// Condition beside [`DIFFERING`]: these settings are not listed.
const DIFFERING_NOT_LISTED: &str = "NOT EXISTS (SELECT FROM migration_reject_bookreader AS listed \
    WHERE listed.table_name = 'users' AND listed.row_key = jsonb_build_object('id', source.id) \
    AND listed.field = 'preferences' AND listed.row_data ->> 'reader_settings' = source.reader_settings::text)";

pub(crate) const FUNCTIONS: [Function; 2] = [
    Function::new(
        "carried_preferences(json)",
        "carried_preferences(settings json, OUT theme text, OUT language text, OUT notifications_enabled boolean, \
         OUT rejects jsonb)",
        CARRIED_BODY,
    )
    .language("plpgsql")
    .volatility("IMMUTABLE"),
    // It does what its caller may do: the trigger's function, all that has to be done.
    Function::new(
        "carry_reader_settings(uuid, json, json)",
        "carry_reader_settings(owner uuid, old_settings json, new_settings json) RETURNS void",
        CARRY_BODY,
    )
    .language("plpgsql")
    .volatility("VOLATILE"),
];

const TRIGGERS: [Trigger; 1] =
    [Trigger::new(TRIGGER, "users", "AFTER INSERT OR UPDATE OF reader_settings", TRIGGER_BODY)
        .unless_silent()];

/// Creates the functions and the trigger. From then on, preferences follow what old code writes.
pub(crate) async fn keep_in_step(online: &Online) -> Result<(), DbErr> {
    online.install_rejects().await?;
    online.create_functions(&FUNCTIONS).await?;
    online.create_triggers(&TRIGGERS).await
}

/// Drops the trigger and the functions.
pub(crate) async fn stop_keeping_in_step(online: &Online) -> Result<(), DbErr> {
    online.drop_triggers(&TRIGGERS).await?;
    online.drop_functions(FUNCTIONS.iter().rev()).await
}

/// Gives every user without preferences those that the settings say.
///
/// `FOR KEY SHARE` keeps a user from being deleted between being read and being referred to; it blocks no update but of
/// what a unique index has, the email.
pub(crate) fn fill(online: &Online) -> Backfill<'_> {
    online
        .backfill("users")
        .statement(format!(
            "INSERT INTO user_preferences (id, user_id, theme, language, notifications_enabled) \
             SELECT gen_random_uuid(), source.id, carried.theme, carried.language, carried.notifications_enabled \
             FROM users AS source CROSS JOIN LATERAL {CARRIED}(source.reader_settings) AS carried \
             WHERE {{batch}} AND NOT EXISTS (SELECT FROM user_preferences AS kept WHERE kept.user_id = source.id) \
             FOR KEY SHARE OF source \
             ON CONFLICT (user_id) DO NOTHING"
        ))
}

/// Does as [`fill`], and lists what could not be carried over. What is listed of settings that are others by now is
/// renewed; where a `down` was stopped there are none yet, and the list is the only place.
pub(crate) fn sweep(online: &Online) -> Backfill<'_> {
    fill(online)
        .statement(format!(
            "DELETE FROM {REJECTS} AS listed USING users AS source WHERE {{batch}} AND listed.migration {BY_US} \
             AND listed.table_name = 'users' AND listed.row_key = jsonb_build_object('id', source.id) \
             AND listed.row_data ->> 'reader_settings' <> source.reader_settings::text"
        ))
        .rejects(format!(
            "SELECT jsonb_build_object('id', source.id) AS key, found.field, found.value, found.reason, \
             jsonb_build_object('id', source.id, 'reader_settings', source.reader_settings::text) AS row \
             FROM {} WHERE {{batch}} AND {NOT_LISTED}",
            not_carried()
        ))
}

/// The last sweep: lists settings that differ from the preferences, too. It is repeated where that did not reach a user: one
/// whose row changed behind it, or behind an earlier try that was stopped.
pub(crate) async fn last_sweep(online: &Online) -> Result<(), DbErr> {
    for _ in 0..2 {
        sweep(online)
            .rejects(format!(
                "SELECT jsonb_build_object('id', source.id) AS key, '{DIFFERING_FIELD}' AS field, \
                 source.reader_settings::text AS value, 'the preferences of the user say something else' AS reason, \
                 jsonb_build_object('id', source.id, 'reader_settings', source.reader_settings::text, \
                 'preferences', {KEPT}) AS row FROM {DIFFERING} AND {{batch}} AND {DIFFERING_NOT_LISTED}"
            ))
            .run()
            .await?;
        let missed = format!("SELECT source.id::text FROM {DIFFERING} AND {DIFFERING_NOT_LISTED} LIMIT 1");
        if online.query_text(&missed).await?.is_none() {
            break;
        }
    }
    Ok(())
}

/// Writes the settings of every user for old code: those with a reject as they were, unless the preferences have changed since
/// it was listed; the others from the preferences.
///
/// The rejects are walked first, then the users, who have nothing listed by then that is not rebuilt; and the rejects once more, to
/// take off the list what did not come back, and to list under the backfill's name what the contract step has listed. The trigger
/// would do all that row by row.
pub(crate) async fn rebuild(online: &Online) -> Result<(), DbErr> {
    const FROM_PREFERENCES: &str = "json_build_object('theme', kept.theme, 'language', kept.language, \
        'notifications', kept.notifications_enabled)";
    const ENTRY: &str = "source.table_name = 'users' AND users.id = (source.row_key ->> 'id')::uuid";
    let with_rejects = format!(
        "UPDATE users SET reader_settings = CASE \
             WHEN {KEPT} = coalesce(source.row_data -> '{DIFFERING_FIELD}', jsonb_build_object('theme', carried.theme, \
                 'language', carried.language, 'notifications_enabled', carried.notifications_enabled)) \
             THEN (source.row_data ->> 'reader_settings')::json ELSE {FROM_PREFERENCES} END \
         FROM {REJECTS} AS source CROSS JOIN LATERAL {CARRIED}((source.row_data ->> 'reader_settings')::json) AS carried, \
         user_preferences AS kept \
         WHERE {{batch}} AND {ENTRY} AND source.migration {BY_US} AND users.reader_settings IS NULL \
         AND kept.user_id = users.id \
         AND NOT EXISTS (SELECT FROM {REJECTS} AS later WHERE later.migration {BY_US} AND later.table_name = 'users' \
             AND later.row_key = source.row_key AND later.id > source.id OFFSET 0)"
    );
    online.backfill(REJECTS).silent_statement(with_rejects).run().await?;
    online
        .backfill("users")
        .silent_statement(format!(
            "UPDATE users AS source SET reader_settings = {FROM_PREFERENCES} FROM user_preferences AS kept \
             WHERE {{batch}} AND source.reader_settings IS NULL AND kept.user_id = source.id"
        ))
        .unfinished(
            "source.reader_settings IS NULL \
             AND EXISTS (SELECT FROM user_preferences AS kept WHERE kept.user_id = source.id)",
        )
        .run()
        .await?;
    online
        .backfill(REJECTS)
        .statement(format!(
            "DELETE FROM {REJECTS} AS source USING users WHERE {{batch}} AND {ENTRY} AND source.migration {BY_US} \
             AND users.reader_settings::text <> source.row_data ->> 'reader_settings'"
        ))
        .statement(format!(
            "INSERT INTO {REJECTS} (migration, table_name, row_key, field, value, reason, row_data) \
             SELECT 'm20250824_154501_backfill_user_preferences', source.table_name, source.row_key, source.field, \
             source.value, source.reason, source.row_data FROM {REJECTS} AS source WHERE {{batch}} \
             AND source.migration = 'm20250824_154502_drop_reader_settings' AND source.table_name = 'users' \
             AND source.field <> '{DIFFERING_FIELD}' \
             ON CONFLICT DO NOTHING"
        ))
        .run()
        .await
        .map(drop)
}

/// Query for the users without preferences.
pub(crate) const WITHOUT_PREFERENCES: &str = "SELECT id::text FROM users \
     WHERE NOT EXISTS (SELECT FROM user_preferences AS kept WHERE kept.user_id = users.id)";

/// How many users have settings that say something else than their preferences, for the reader.
pub(crate) fn differing() -> Check {
    Check::report(
        "users whose preferences are not those of `reader_settings`: new code changed them, or the settings changed where no \
         trigger fires",
        format!("SELECT count(*)::text FROM {DIFFERING}"),
    )
}

/// Query of that number for who plans the contract step, without a row if it is none. It is asked of what is there: neither
/// before the function nor after the column.
pub(crate) fn preview_differing(column: &str) -> String {
    format!(
        "SELECT n FROM (SELECT CASE WHEN to_regprocedure('{CARRIED}(json)') IS NOT NULL AND EXISTS ({column}) \
         THEN substring(query_to_xml({}, false, false, '')::text FROM '<n>([0-9]+)</n>') END AS n) AS counted WHERE n <> '0'",
        literal(&format!("SELECT count(*) AS n FROM {DIFFERING}")),
    )
}

/// Query for the users whose settings hold something that could not be carried over and that is not listed.
pub(crate) fn not_listed() -> String {
    format!("SELECT source.id, found.field FROM {} WHERE {NOT_LISTED}", not_carried())
}

/// `FROM` list of what could not be carried over: `source` is the user, `found` one finding.
fn not_carried() -> String {
    format!(
        "users AS source CROSS JOIN LATERAL {CARRIED}(source.reader_settings) AS carried \
         CROSS JOIN LATERAL jsonb_to_recordset(carried.rejects) AS found (field text, value text, reason text)"
    )
}

/// Condition beside [`not_carried`]: nobody has listed the finding yet.
const NOT_LISTED: &str = "NOT EXISTS (SELECT FROM migration_reject_bookreader AS listed \
     WHERE listed.table_name = 'users' AND listed.row_key = jsonb_build_object('id', source.id) \
     AND listed.field = found.field AND listed.row_data ->> 'reader_settings' = source.reader_settings::text)";

/// Condition on `users`: some of the settings could not be carried over, and all of them are kept.
pub(crate) const LISTED: &str = "EXISTS (SELECT FROM migration_reject_bookreader AS listed \
     WHERE listed.table_name = 'users' AND listed.row_key = jsonb_build_object('id', users.id))";

/// Query that names each key without a column, and how many users have it, most frequent first. Settings that are no object,
/// or that cannot be read, are rejects and have no keys.
///
/// It also runs when an earlier try was stopped after the column was gone: `absent` then stands in for it.
pub(crate) const LOST_KEYS: &str = r"SELECT format('%s (%s)', key, count(DISTINCT old.id)) AS lost
    FROM (SELECT NULL::json AS reader_settings) AS absent
    CROSS JOIN LATERAL (SELECT id, reader_settings FROM users) AS old (id, settings)
    CROSS JOIN LATERAL json_object_keys(CASE
        WHEN json_typeof(old.settings) <> 'object' THEN '{}'
        WHEN regexp_replace(old.settings::text, '\\ud[89ab]..\\ud[c-f]..', '', 'gi') ~* '\\u(0000|d[89a-f])' THEN '{}'
        WHEN current_setting('server_encoding') <> 'UTF8' AND old.settings::text ~* '\\u(00[89a-f]|0[1-9a-f]|[1-9a-f])' THEN '{}'
        ELSE old.settings
    END) AS key
    WHERE key NOT IN ('theme', 'language', 'notifications', 'notifications_enabled')
    GROUP BY key ORDER BY count(DISTINCT old.id) DESC, key";

/// The keys of [`LOST_KEYS`], for the reader.
pub(crate) fn lost_keys(says: &str) -> Check {
    Check::report(says, format!("SELECT coalesce(string_agg(lost, ', '), 'none') FROM ({LOST_KEYS}) AS keys"))
}

/// The block has an exception handler because the type `json` stores escapes that no text can hold; whoever reads any
/// key of such settings gets an error.
const CARRIED_BODY: &str = r"
BEGIN
    theme := 'light';
    language := 'ru';
    notifications_enabled := true;
    rejects := '[]';
    IF settings IS NULL OR json_typeof(settings) = 'null' THEN
        RETURN;
    END IF;
    IF json_typeof(settings) <> 'object' THEN
        rejects := jsonb_build_array(jsonb_build_object('field', 'reader_settings', 'value', settings::text,
            'reason', 'is a JSON ' || json_typeof(settings) || ', not an object'));
        RETURN;
    END IF;
    SELECT
        coalesce(max(judged.content) FILTER (WHERE judged.field = 'theme' AND judged.reason IS NULL), theme),
        coalesce(max(judged.content) FILTER (WHERE judged.field = 'language' AND judged.reason IS NULL), language),
        coalesce(
            max(judged.content) FILTER (WHERE judged.field = 'notifications_enabled' AND judged.reason IS NULL),
            max(judged.content) FILTER (WHERE judged.field = 'notifications' AND judged.reason IS NULL)
        )::boolean,
        jsonb_agg(
            jsonb_build_object('field', judged.field, 'value', judged.raw, 'reason', judged.reason)
            ORDER BY judged.field
        ) FILTER (WHERE judged.reason IS NOT NULL)
    INTO theme, language, notifications_enabled, rejects
    FROM (
        SELECT setting.field, setting.value #>> '{}' AS content, setting.value::text AS raw,
            CASE
                WHEN json_typeof(setting.value) = 'null' THEN NULL
                WHEN setting.field IN ('theme', 'language') THEN CASE
                    WHEN json_typeof(setting.value) <> 'string'
                        THEN 'is a JSON ' || json_typeof(setting.value) || ', not a string'
                    WHEN setting.field = 'theme' AND char_length(setting.value #>> '{}') > 20
                        THEN 'is longer than 20 characters'
                    WHEN setting.field = 'language' AND char_length(setting.value #>> '{}') > 10
                        THEN 'is longer than 10 characters'
                END
                WHEN json_typeof(setting.value) <> 'boolean'
                    THEN 'is a JSON ' || json_typeof(setting.value) || ', neither true nor false'
                WHEN setting.field = 'notifications'
                    AND json_typeof(settings -> 'notifications_enabled') = 'boolean'
                    AND setting.value #>> '{}' <> settings ->> 'notifications_enabled'
                    THEN 'contradicts notifications_enabled'
            END AS reason
        FROM (
            SELECT DISTINCT ON (entry.field) entry.field, entry.value
            FROM json_each(settings) WITH ORDINALITY AS entry (field, value, place)
            WHERE entry.field IN ('theme', 'language', 'notifications', 'notifications_enabled')
            ORDER BY entry.field, entry.place DESC
        ) AS setting
    ) AS judged;
    notifications_enabled := coalesce(notifications_enabled, true);
    rejects := coalesce(rejects, '[]');
EXCEPTION WHEN untranslatable_character OR invalid_text_representation THEN
    theme := 'light';
    language := 'ru';
    notifications_enabled := true;
    rejects := jsonb_build_array(jsonb_build_object('field', 'reader_settings', 'value', settings::text,
        'reason', 'holds an escape that is not text'));
END";

const CARRY_BODY: &str = r"
DECLARE
    was record;
    becomes record;
BEGIN
    SELECT * INTO was FROM {schema}.carried_preferences(old_settings);
    SELECT * INTO becomes FROM {schema}.carried_preferences(new_settings);
    INSERT INTO {schema}.user_preferences (id, user_id, theme, language, notifications_enabled)
    VALUES (gen_random_uuid(), owner, becomes.theme, becomes.language, becomes.notifications_enabled)
    ON CONFLICT (user_id) DO NOTHING;
    UPDATE {schema}.user_preferences AS kept
    SET theme = CASE WHEN becomes.theme <> was.theme THEN becomes.theme ELSE kept.theme END,
        language = CASE WHEN becomes.language <> was.language THEN becomes.language ELSE kept.language END,
        notifications_enabled = CASE WHEN becomes.notifications_enabled <> was.notifications_enabled
            THEN becomes.notifications_enabled ELSE kept.notifications_enabled END,
        updated_at = now()
    WHERE kept.user_id = owner AND (
        becomes.theme <> was.theme AND becomes.theme <> kept.theme
        OR becomes.language <> was.language AND becomes.language <> kept.language
        OR becomes.notifications_enabled <> was.notifications_enabled
            AND becomes.notifications_enabled <> kept.notifications_enabled
    );
    DELETE FROM {schema}.migration_reject_bookreader
    WHERE migration = 'm20250824_154501_backfill_user_preferences' AND table_name = 'users' AND row_key = jsonb_build_object('id', owner);
    INSERT INTO {schema}.migration_reject_bookreader
        (migration, table_name, row_key, field, value, reason, row_data)
    SELECT 'm20250824_154501_backfill_user_preferences', 'users', jsonb_build_object('id', owner), found.field, found.value, found.reason,
        jsonb_build_object('id', owner, 'reader_settings', new_settings::text)
    FROM jsonb_to_recordset(becomes.rejects) AS found (field text, value text, reason text)
    ON CONFLICT DO NOTHING;
END";

const TRIGGER_BODY: &str = r"
    IF TG_OP = 'INSERT' THEN
        PERFORM {schema}.carry_reader_settings(NEW.id, NULL, NEW.reader_settings);
    ELSIF NEW.reader_settings::text IS DISTINCT FROM OLD.reader_settings::text THEN
        PERFORM {schema}.carry_reader_settings(NEW.id, OLD.reader_settings, NEW.reader_settings);
    END IF;
    RETURN NULL;";
