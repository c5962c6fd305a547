//! The look at both places before anything is done: whether the service can leave the one and can live in the other.

use std::io::ErrorKind;
use std::path::Path;

use migration_coordinator::{
    Access as Read, Applied, Deployment, Reading, RunError, Scope, ServerFacts, ServiceFacts, Survey,
    SurveyError, verify,
};
use migration_kit::ServiceName;
use rustix::fs::{Access, access};
use sqlx::{PgConnection, Row};

use super::hindrances::{self, Used};
use super::trial::schema;
use super::{MoveOptions, Prospect, TableBytes};
use crate::BackupError;
use crate::connections::Needed;
use crate::error::read;
use crate::manifest::Server;
use crate::needs::{self, Text};
use crate::owned::{Owned, list, rows, surroundings};
use crate::recorded::Recorded;
use crate::reset;
use crate::restore::dependants;

/// What was found in both places.
pub(super) struct Found {
    pub(super) prospect: Prospect,
    /// When the earlier move was begun that has only to be ended.
    pub(super) ends: Option<String>,
    /// Where the service is, as it is recorded there.
    pub(super) facts: ServiceFacts,
    /// How many schemas of the service there are where it goes, which are set aside there.
    pub(super) n_set_aside: usize,
    /// The servers here and there.
    pub(super) majors: (u32, u32),
}

/// The same service here and there.
pub(super) struct Places<'p> {
    pub(super) here: &'p Deployment,
    pub(super) there: &'p Deployment,
    /// Where what it names is its own.
    pub(super) named: &'p Deployment,
    pub(super) service: &'p ServiceName,
    pub(super) options: &'p MoveOptions,
}

/// One of both places, surveyed.
struct Place {
    server: ServerFacts,
    facts: ServiceFacts,
    url: migration_coordinator::DatabaseUrl,
}

impl Places<'_> {
    fn not(&self, why: impl Into<String>, hint: Option<&'static str>) -> BackupError {
        BackupError::NotMovable { service: self.service.clone(), why: why.into(), hint }
    }

    /// Looks at both. Reads only.
    pub(super) async fn look(&self) -> Result<Found, BackupError> {
        let looking = Box::pin(self.look_at_both());
        self.options.cancellation.unless_cancelled(looking).await.ok_or(RunError::Interrupted)?
    }

    async fn survey(&self, deployment: &Deployment) -> Result<Place, BackupError> {
        let survey = Survey::take(deployment).await;
        let placed = deployment.service(self.service).map(|(_, _, database)| database);
        let (Some(database), Some(facts)) = (placed, survey.service(self.service)) else {
            return Err(self.not("it is no service of this program", None));
        };
        let server = survey.databases[database].clone().map_err(RunError::Survey)?;
        Ok(Place { server, facts: facts.clone(), url: deployment.databases()[database].clone() })
    }

    async fn look_at_both(&self) -> Result<Found, BackupError> {
        let (here, there) = (self.survey(self.here).await?, self.survey(self.there).await?);
        if here.server.is_same_database(&there.server) {
            let why = format!("`{}` and `{}` are one database", here.url, there.url);
            return Err(self.not(why, Some("name the database where it should be")));
        }
        let needed = Needed::by_move(&here.url, &there.url);
        needed.may_be_had(&here.url, self.service).await?;
        let mut prospect = Prospect {
            from: here.url.to_string(),
            to: there.url.to_string(),
            ends: false,
            tables: Vec::new(),
            size_bytes: 0,
            notes: Vec::new(),
        };
        let marks = (here.facts.unread.as_deref(), there.facts.unread.as_deref());
        let left_there = match marks {
            // Only what was copied by that same move.
            (Some(SurveyError::Gone { at: gone, .. }), Some(SurveyError::Arriving { at, .. }))
                if gone == at =>
            {
                prospect.ends = true;
                let (ends, facts) = (Some(at.clone()), here.facts.clone());
                return Ok(Found { prospect, ends, facts, n_set_aside: 0, majors: (0, 0) });
            }
            (_, Some(SurveyError::Gone { .. })) => {
                Some("what it left there when it moved away is set aside there")
            }
            (_, Some(SurveyError::Arriving { .. })) => {
                Some("a copy of it is there, of a move that did not end: it is set aside there")
            }
            _ => None,
        };
        prospect.notes.extend(left_there.map(str::to_owned));
        let is_marked = there.facts.unread.as_deref().is_some_and(SurveyError::is_elsewhere);
        let unread = [here.facts.unread.clone(), there.facts.unread.clone().filter(|_| !is_marked)];
        if let Some(error) = unread.into_iter().flatten().next() {
            return Err(RunError::Survey(error).into());
        }
        self.judge_history(&here.facts)?;
        // A service that leaves has its mark left behind, so that both are written to.
        if let Some(place) = [&here, &there].into_iter().find(|place| place.server.read_only) {
            return Err(RunError::ReadOnly { database: place.url.to_string() }.into());
        }
        if !there.server.may_create_schema {
            let missing = format!("create a schema in `{}`", there.url);
            let (service, user) = (self.service.clone(), there.server.user.clone());
            return Err(RunError::Rights { service, user, missing }.into());
        }
        can_be_written(&self.options.directory)?;
        let failed = read(self.service);
        let mut reading = Reading::open(&here.url).await?;
        reading.begin().await.map_err(&failed)?;
        let leaving = reading.ask(|connection| self.leaving(connection)).await?;
        reading.close().await;
        let mut reading = Reading::open(&there.url).await?;
        reading.begin().await.map_err(&failed)?;
        let is_history = there.facts.access == Read::Read
            && there.facts.applied.is_empty()
            && Recorded::of(self.there, &there.facts).unfinished.is_empty();
        let left = match (is_marked, is_history) {
            (true, _) => Left::Mark,
            (false, true) => Left::History,
            (false, false) => Left::Nothing,
        };
        let n_set_aside = reading.ask(|connection| self.coming(connection, &leaving, left)).await?;
        if n_set_aside > 0 && !is_marked {
            prospect
                .notes
                .push("the history of what was reset or reverted there is set aside there".to_owned());
        }
        let asked = reading.ask(async |connection| {
            Ok::<_, sqlx::Error>((Server::read(connection).await?.major(), Text::read(connection).await?))
        });
        let (major, text) = asked.await.map_err(&failed)?;
        reading.close().await;
        if major < leaving.major {
            let why = format!("`{}` is PostgreSQL {major}, older than {} here", there.url, leaving.major);
            return Err(self.not(why, Some("a dump of a newer server may not fit an older one")));
        }
        if text.encoding != leaving.text.encoding {
            let why = format!("text is {} here and {} there", leaving.text.encoding, text.encoding);
            return Err(self.not(why, Some("create that database with the same encoding")));
        }
        if text.locale != leaving.text.locale {
            let note = "text is sorted by `{here}` here and by `{there}` there: what is ordered by text may come in another order";
            let note = note.replace("{here}", &leaving.text.locale).replace("{there}", &text.locale);
            prospect.notes.push(note);
        }
        prospect.notes.extend(leaving.notes);
        self.verify_here().await?;
        prospect.size_bytes = leaving.tables.iter().map(|table| table.bytes).sum();
        prospect.tables = leaving.tables;
        Ok(Found { prospect, ends: None, facts: here.facts, n_set_aside, majors: (leaving.major, major) })
    }

    /// Nothing may be half done, and this build has to know all that was applied.
    fn judge_history(&self, facts: &ServiceFacts) -> Result<(), BackupError> {
        if facts.access != Read::Read || facts.applied.is_empty() {
            return Err(self.not("nothing of it is applied here", Some("install it there instead")));
        }
        let recorded = Recorded::of(self.here, facts);
        if let Some(unfinished) = recorded.unfinished.first() {
            let why = format!("migration `{unfinished}` was begun and not finished");
            return Err(self.not(why, Some("finish it or take it back first")));
        }
        let catalog = self.here.catalog();
        let known = catalog.service(self.service).map_or(&[][..], |known| &known.migrations);
        let is_known = |applied: &&String| known.iter().any(|known| known.name.as_str() == applied.as_str());
        match recorded.migrations.iter().find(|applied| !is_known(applied)) {
            Some(unknown) => {
                let why = format!("its history has `{unknown}`, which this build does not know");
                Err(self.not(why, Some("move it with the build that does")))
            }
            None => Ok(()),
        }
    }

    /// Whether its checks hold where it is.
    async fn verify_here(&self) -> Result<(), BackupError> {
        let services = std::slice::from_ref(self.service);
        for found in verify(self.here, services, Scope::Everything).await {
            let results = found.results.map_err(RunError::Survey)?;
            if let Some(unanswered) = results.iter().find_map(|result| result.unanswered(self.service)) {
                return Err(RunError::Survey(unanswered.into()).into());
            }
            if let Some(broken) = results.iter().find(|result| !result.holds) {
                return Err(BackupError::NotKept { service: self.service.clone(), says: broken.to_string() });
            }
        }
        Ok(())
    }

    async fn leaving(&self, connection: &mut PgConnection) -> Result<Leaving, BackupError> {
        let failed = read(self.service);
        let owned =
            Owned::read(connection, self.here, self.service, Applied::Something).await.map_err(&failed)?;
        if owned.stays {
            let why = format!("others live in its schema `{}`, or may", owned.schemas[0]);
            return Err(
                self.not(why, Some("give it a schema of its own first, or move it by hand: docs/growing.md"))
            );
        }
        let named =
            Owned::read(connection, self.named, self.service, Applied::Something).await.map_err(&failed)?;
        if let Some(name) = named.not_named() {
            let why =
                format!("`{name}` is in its schema `{}`, and is not known to be its own", owned.schemas[0]);
            return Err(
                self.not(why, Some("name it with `Service::with_tables`, or move it to another schema"))
            );
        }
        if let Some(others) = dependants(connection, &owned.oids(), "true").await.map_err(&failed)? {
            let why = format!("{others} would still use what is left here");
            return Err(self.not(why, Some("drop that first, or give it its rows in another way")));
        }
        let mut left_behind = hindrances::left_behind(connection, &owned).await.map_err(&failed)?;
        if let Some((why, hint)) = left_behind.why {
            return Err(self.not(why, Some(hint)));
        }
        let sql = format!(
            "SELECT n.nspname::text, c.relname::text, pg_catalog.pg_total_relation_size(c.oid)::int8 \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND c.oid IN (SELECT o.oid::pg_catalog.oid FROM ({}) AS o(oid)) ORDER BY 3 DESC, 1, 2",
            owned.oids()
        );
        for name in &owned.schemas {
            let (_, left_out) = owned.carried(schema(connection, self.service, name).await?);
            let stays = |what: String| format!("what does not go along: {what}");
            left_behind.notes.extend(left_out.words().into_iter().map(stays));
        }
        let asked = async {
            let mut tables = Vec::new();
            for row in rows(connection, &sql).await? {
                let bytes = u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0);
                tables.push(TableBytes { schema: row.try_get(0)?, name: row.try_get(1)?, bytes });
            }
            let of_policies = surroundings(connection, &owned.schemas).await?.1;
            let mut roles = match self.options.no_owner {
                true => Default::default(),
                false => needs::roles(connection, &owned).await?,
            };
            roles.extend(of_policies);
            Ok::<_, sqlx::Error>(Leaving {
                tables,
                roles,
                extensions: needs::extensions(connection, &owned).await?,
                used: hindrances::used(connection, &owned).await?,
                notes: left_behind.notes,
                text: Text::read(connection).await?,
                major: Server::read(connection).await?.major(),
            })
        };
        asked.await.map_err(failed)
    }

    /// Whether there is room and all that it needs. Gives how many of its schemas are set aside.
    async fn coming(
        &self,
        connection: &mut PgConnection,
        leaving: &Leaving,
        left: Left,
    ) -> Result<usize, BackupError> {
        let failed = read(self.service);
        let roles = needs::absent_roles(connection, &leaving.roles).await.map_err(&failed)?;
        if !roles.is_empty() {
            return Err(BackupError::NoRoles { service: self.service.clone(), done: "moved", roles });
        }
        let there = surroundings(connection, &[]).await.map_err(&failed)?.0;
        let absent = leaving.extensions.iter().find(|extension| !there.contains(extension));
        if let Some(extension) = absent {
            let why = format!(
                "there is no extension `{}` in a schema `{}` there",
                extension.name, extension.schema
            );
            return Err(
                self.not(why, Some("create it there: it belongs to the database, not to the service"))
            );
        }
        let declared = self.there.service(self.service).map_or(&[][..], |(service, ..)| service.extensions());
        if let Some(name) = declared.iter().find(|name| !there.iter().any(|found| found.name == **name)) {
            let why = format!("there is no extension `{name}` there");
            return Err(
                self.not(why, Some("create it there: it belongs to the database, not to the service"))
            );
        }
        if let Some(why) = hindrances::absent(connection, &leaving.used).await.map_err(&failed)? {
            return Err(self.not(why, Some("make it there as it is here: it is not the service's own")));
        }
        let schemas = super::schemas(self.there, self.service);
        // After a reset, the history is all that is there.
        let is_history = left == Left::History
            && reset::beside_history(connection, self.there, self.service).await.map_err(&failed)?.is_empty();
        let sql = format!(
            "SELECT n.nspname::text, (SELECT pg_catalog.pg_describe_object(d.classid, d.objid, 0) FROM pg_catalog.pg_depend d \
               WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = n.oid \
                 AND d.classid <> 'pg_catalog.pg_default_acl'::pg_catalog.regclass ORDER BY 1 LIMIT 1) \
             FROM pg_catalog.pg_namespace n WHERE n.nspname IN ({}) ORDER BY 1",
            list(&schemas)
        );
        let found = rows(connection, &sql).await.map_err(&failed)?;
        for row in &found {
            let (name, what): (String, Option<String>) = (row.get(0), row.get(1));
            if let (Some(what), false) = (what, left == Left::Mark || (is_history && name == schemas[0])) {
                let why = format!("its schema `{name}` is there already, with {what}");
                return Err(self.not(why, Some("move it to an empty place: nothing there is overwritten")));
            }
        }
        Ok(match left {
            Left::Mark => schemas.len(),
            Left::History if is_history => 1,
            Left::History | Left::Nothing => 0,
        })
    }
}

/// What may be where a service goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// What it left there when it moved away, or a copy that is not in use.
    Mark,
    /// A history by which nothing is applied, as after a reset.
    History,
    Nothing,
}

/// What a service is where it is.
struct Leaving {
    tables: Vec<TableBytes>,
    roles: std::collections::BTreeSet<String>,
    extensions: Vec<crate::Extension>,
    used: Vec<Used>,
    notes: Vec<String>,
    text: Text,
    major: u32,
}

/// Whether a backup can be put into a directory, or into one that is made there.
fn can_be_written(directory: &Path) -> Result<(), BackupError> {
    let directory = std::path::absolute(directory).map_err(BackupError::writing(directory))?;
    let there = directory.ancestors().find(|above| above.symlink_metadata().is_ok()).unwrap_or(&directory);
    let is_one = |found: std::fs::Metadata| match found.is_dir() {
        true => Ok(()),
        false => Err(ErrorKind::NotADirectory.into()),
    };
    let found = there.metadata().and_then(is_one);
    let writable = found.and_then(|()| Ok(access(there, Access::WRITE_OK | Access::EXEC_OK)?));
    writable.map_err(BackupError::writing(&directory))
}
