//! What the version tables of earlier tools stand for.

use std::collections::BTreeSet;

use migration_coordinator::{EarlierHistory, EarlierTool, Retirement, earlier_histories, stands_for};
use migration_kit::ServiceName;
use migration_report::Class;

use super::{Claims, Retirements};
use crate::arguments::AdoptFrom;
use crate::database::Connected;
use crate::exit::Failure;
use crate::shell::word;

/// What the version tables of an earlier tool stand for.
pub(super) async fn of_table(
    connected: &Connected,
    wanted: &[ServiceName],
    tool: EarlierTool,
    from: &AdoptFrom,
) -> anyhow::Result<(Claims, Retirements)> {
    let table = from.version_table.as_deref();
    let mut unused: BTreeSet<&str> = from.ignore_revision.iter().map(String::as_str).collect();
    let mut claims = Claims::new();
    let (mut seen, mut empty) = (BTreeSet::new(), None);
    let mut retirements = Retirements::new();
    for known in connected.deployment.catalog().services() {
        if !wanted.is_empty() && !wanted.contains(&known.name) {
            continue;
        }
        for mut history in earlier_histories(&connected.deployment, &known.name, tool, table).await? {
            if history.ids.is_empty() {
                empty.get_or_insert(history.table());
                continue;
            }
            history.ids.retain(|id| {
                unused.remove(id.as_str());
                !from.ignore_revision.contains(id)
            });
            if history.ids.is_empty() {
                seen.insert(format!("{} (nothing but what is ignored)", history.table()));
                continue;
            }
            let ids = ids(&history.ids);
            seen.insert(format!("{} ({ids})", history.table()));
            let stands_for = stands_for(known, tool, &history.ids);
            if stands_for.is_empty() {
                continue;
            }
            // What any one of them stands for is guessed where another one is not understood: it may be newer.
            if let Some(id) = unknown_ids(connected, tool, &history).next() {
                return Err(unknown_revision(&history.table(), id).into());
            }
            let source = format!("{}: {ids}", history.table());
            if let Some((_, other)) = claims.insert(known.name.clone(), (stands_for, source.clone())) {
                let message = format!("two tables speak of `{}`: {other}; {source}", known.name);
                return Err(Failure::usage(message, "say which with `--version-table SCHEMA.TABLE`").into());
            }
            if from.retire {
                // Others that it speaks of are recorded first: of each table, the last service's transaction renames it.
                let (schema, name) = (history.schema, history.name);
                retirements.retain(|_, other| (&other.schema, &other.name) != (&schema, &name));
                let becomes = format!("{name}_retired");
                retirements.insert(known.name.clone(), Retirement { schema, name, becomes });
            }
        }
    }
    if let Some(id) = unused.first() {
        let hint = "leave `--ignore-revision` out";
        return Err(Failure::usage(format!("no revision `{id}` is to be ignored"), hint).into());
    }
    let unknown = wanted.iter().find(|name| !claims.contains_key(*name));
    if claims.is_empty() || unknown.is_some() {
        let whose = unknown.map_or_else(|| "any service".to_owned(), |name| format!("`{name}`"));
        let message = if let (Some(empty), true) = (&empty, seen.is_empty()) {
            format!("`{empty}` is empty: nothing was applied by the tool whose table it is")
        } else if seen.is_empty() {
            format!("there is no table `{}`", table.unwrap_or(tool.table()))
        } else {
            let seen: Vec<String> = seen.into_iter().collect();
            format!("no migration of {whose} replaces an id of {}", seen.join(", "))
        };
        let hint = "`history` shows which ids migrations replace; `--from schema` asks the schema instead";
        return Err(Failure::usage(message, hint).into());
    }
    Ok((claims, retirements))
}

/// Ids that no migration of any service replaces, in a table where a tool keeps only the newest: in others each service, and
/// each project, has rows of its own.
fn unknown_ids<'h>(
    connected: &Connected,
    tool: EarlierTool,
    history: &'h EarlierHistory,
) -> impl Iterator<Item = &'h str> {
    let is_known = |id: &str| {
        let mut migrations =
            connected.deployment.catalog().services().flat_map(|service| &service.migrations);
        migrations
            .any(|known| known.name.as_str() == id || known.replaces.iter().any(|replaced| replaced == id))
    };
    let ids = history.ids.iter().filter(move |_| tool == EarlierTool::Alembic).map(String::as_str);
    ids.filter(move |id| !is_known(id))
}

/// A revision of which nobody can say what it has done.
fn unknown_revision(table: &str, id: &str) -> Failure {
    let message = format!("no migration replaces the revision `{id}` in `{table}`");
    let id = word(id);
    Failure {
        class: Class::Refused,
        message,
        hint: Some(format!(
            "if it is newer than what the migrations replace, name it in the details of the one that does the same; if it is \
             another project's, say `--ignore-revision {id}`"
        )),
    }
}

/// Ids as a person reads them: of many, the last ones.
fn ids(ids: &[String]) -> String {
    const MOST: usize = 3;
    let last = ids[ids.len().saturating_sub(MOST)..].join(", ");
    if ids.len() > MOST { format!("{} ids, … {last}", ids.len()) } else { last }
}
