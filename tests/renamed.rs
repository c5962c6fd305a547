//! Services in schemas of other names than their own, up and down: every name that PostgreSQL takes.

use crate::support::{Lab, run};

#[test]
fn every_service_goes_to_head_and_back_in_a_schema_of_any_name() {
    for (service, schema) in [
        ("chat", "My-chat"),
        ("rag", "r a.g"),
        ("assessments", "as\"sessments"),
        ("profochatbot", "Profo'chatbot"),
        ("bookreader", "bookreader2"),
        ("bookreader", "My-bookreader"),
    ] {
        let lab = Lab::empty();
        let variable = format!("{}_DATABASE_SCHEMA", service.to_uppercase());
        let base = format!("{service}@base");
        for arguments in [
            &["up", service][..],
            &["verify", service],
            &["down", &base, "--allow-data-loss"],
            &["up", service],
        ] {
            run(lab.command(arguments).env(&variable, schema)).exits(0);
        }
    }
}
