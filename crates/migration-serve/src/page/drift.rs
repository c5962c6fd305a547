//! Drift: how live schemas differ from what their migrations make, where the program compares them.

use maud::{Markup, html};
use migration_report::timestamp;

use super::View;
use super::text::{counted, moment, number, said};
use crate::drift::{Compared, SchemaDrift};

pub(super) fn of(view: &View<'_>) -> Markup {
    html! {
        @if let Some((at, drift)) = &view.drift {
            section aria-labelledby="h-drift" {
                h2 #h-drift { "Drift" }
                div.card.table tabindex="0" role="region" aria-labelledby="h-drift" {
                    table {
                        thead { tr {
                            th scope="col" { "Service" }
                            th scope="col" { "Live schema" }
                            th.number scope="col" { "Objects" }
                        } }
                        tbody { @for of in drift { (row(of)) } }
                    }
                }
                p.faint { "Compared with what the applied migrations make, " (moment(&timestamp(*at))) "." }
            }
        }
    }
}

fn row(of: &SchemaDrift) -> Markup {
    let (class, says, differences) = match &of.compared {
        Compared::NothingApplied => ("", "nothing is applied".to_owned(), &[][..]),
        Compared::Done { differences, .. } if differences.is_empty() => {
            ("healthy", "as migrated".to_owned(), &[][..])
        }
        Compared::Done { differences, .. } => {
            ("error", counted(differences.len(), "difference", "differences"), differences.as_slice())
        }
        Compared::Unknown(why) => ("warning", format!("not known: {why}"), &[][..]),
    };
    html! {
        tr {
            th scope="row" { (of.service) }
            td.how {
                span class={ "state " (class) } { (said(&says)) }
                @if !differences.is_empty() { ul.notes { @for one in differences { li { (said(one)) } } } }
            }
            td.number {
                @if let Compared::Done { n_objects, .. } = of.compared {
                    (number(i64::try_from(n_objects).unwrap_or(i64::MAX)))
                }
            }
        }
    }
}
