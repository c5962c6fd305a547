//! Which indexes of the services could meet text that they do not take: each is one that a service's tests fill with such rows.

use crate::support::Lab;

/// Indexes whose key may have more than 2600 bytes, of 2704 that PostgreSQL takes. A word of a full text has 2046 at most.
const OVER_ANY_TEXT: &str = "
    SELECT n.nspname || '.' || i.relname FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam
    JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = x.indexrelid
    WHERE n.nspname IN ('assessments', 'bookreader', 'chat', 'profochatbot', 'rag') AND t.relname !~ '^(migration_|seaql_)'
    AND am.amname <> 'gin'
    GROUP BY 1 HAVING sum(CASE WHEN a.attlen > 0 THEN a.attlen
        WHEN a.atttypid = 'varchar'::regtype AND a.atttypmod > 0 THEN 4 * (a.atttypmod - 4) ELSE 1000000 END) > 2600
    ORDER BY 1";

/// Of the others, which have columns of limited length, no row can be too long. A new index belongs here, and its texts into
/// `services/profochatbot/tests/main/long_texts.rs` or a test like it.
#[test]
fn every_index_over_text_of_any_length_is_known() {
    let lab = Lab::empty();
    lab.migrate(&["up", "--quiet"]).exits(0);
    let known = [
        // New tables: bots have names of 2000 bytes at most, deployments courses of 2600; the rest no migration fills.
        "account_slug_key",
        "bot_account_id_bot_name_key",
        "bot_bot_token_key",
        "course_deployment_bot_id_course_id_account_id_environment_key",
        // Courses and participants that only the former keys take leave with the contract steps.
        "course_course_id_account_id_key",
        "course_pkey",
        "courseparticipants_unique",
        "enrollment_token_token_key",
        // Refused before anything is changed.
        "gen_settings_unique",
        // The single-tenant application's own.
        "idx_bannedparticipants_3",
        "idx_bot_name",
        "idx_conversation_course",
        "idx_conversation_element",
        "idx_conversation_role",
        "idx_course_courseid_botname",
        "idx_course_element_course",
        "idx_course_element_order",
        "idx_course_element_type",
        "idx_courseparticipants_2",
        "idx_courseparticipants_course",
        "idx_courseparticipants_username",
        "idx_deployment_course",
        "idx_gen_settings_key",
        "idx_run_course",
    ];
    let found = lab.query(OVER_ANY_TEXT);
    let mut known = known.map(|index| format!("profochatbot.{index}"));
    known.sort_unstable();
    assert_eq!(found.lines().collect::<Vec<_>>(), known);
}
