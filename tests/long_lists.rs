//! What a person is told stays short, however much there is to tell; what a program gets is complete.

use crate::support::Lab;

/// A build without the services' newer migrations, as after a mistaken roll-back, meets thousands of names that it lacks.
#[test]
fn thousands_of_unknown_migrations_are_a_few_lines_for_people_and_complete_for_programs() {
    const N: usize = 3000;
    let lab = Lab::migrated();
    lab.query(&format!(
        "INSERT INTO rag.seaql_migrations_rag \
         SELECT 'm20260101_' || lpad(n::text, 6, '0') || '_of_another_branch', 1 FROM generate_series(1, {N}) AS n"
    ));
    let commands: [(&[&str], i32); 10] = [
        (&["status"], 0),
        (&["status", "--check"], 4),
        (&["verify"], 4),
        (&["verify", "rag"], 4),
        (&["doctor"], 4),
        (&["up"], 4),
        (&["plan"], 4),
        (&["down", "rag@-1"], 4),
        (&["repair", "rag"], 4),
        (&["deploy", "--dry-run", "--no-backup"], 4),
    ];
    for (arguments, code) in commands {
        let ran = lab.migrate(arguments);
        let shown = ran.shown();
        assert!(
            ran.code == code && shown.lines().count() < 80 && shown.len() < 10_000,
            "{arguments:?}\n{shown}"
        );
        // `doctor` shows a good line of the service before them.
        let says_rest =
            ["and 2990 more", "and 2991 more", "and 2995 more"].iter().any(|rest| shown.contains(rest));
        assert!(says_rest, "{arguments:?}\n{shown}");
    }
    let names =
        |arguments: &[&str]| lab.migrate(arguments).json().to_string().matches("_of_another_branch").count();
    assert_eq!(names(&["status", "--json"]), N);
    assert_eq!(names(&["verify", "rag", "--json"]), N);
    assert!(names(&["repair", "rag", "--json"]) >= N);
    assert!(names(&["doctor", "--json"]) >= N);
}
