//! What help ends with: examples for each command, and for the program also its environment and exit codes.
//!
//! Commands are written without the program that carries them, since there are several.

/// What the long help of a program ends with.
pub(crate) const PROGRAM: &str = "\
Examples:
  status                    show the state of every service
  plan                      show what `up` would do
  up                        bring every service up to date; the same as no command
  up billing                bring one service up to date
  down billing@-1           revert its last migration
  redo billing              revert it and apply it again
  up --contract             also remove what old code reads, once its soak time has passed
  psql billing -- -c '\\dt'  open psql in its schema

Environment, also read from `.env`:
  DATABASE_URL               postgres://user:password@host:5432/database; without it, an embedded PostgreSQL
  <SERVICE>_DATABASE_URL     moves one service to a database of its own
  <SERVICE>_DATABASE_SCHEMA  puts it into another schema than that of its name
  MIGRATE_BACKUP_DIR         where `backup` writes, if not into `backups`
  MIGRATE_BACKUP_COMMAND     command of the shell that makes backups in place of `pg_dump`
  MIGRATE_DEPLOY_DIR         where `deploy` keeps its record and its logs, if not in `deployments`
  MIGRATE_POSTGRES_DIR       where the embedded PostgreSQL keeps its data, if not in `.postgres`
  MIGRATE_ALLOWED_OBJECTS    what event triggers of the database write to: `audit.ddl_log,audit.other`
  MIGRATE_SQL_ASCII          `allow`: apply migrations where the encoding is SQL_ASCII, since all text there is UTF-8
  MIGRATE_EMBEDDED           `never`: fail without an address (the default where CI is set); `allow`: use the embedded one
  NO_COLOR                   no colour

Exit codes:
  0    done, or nothing to do
  1    failed and rolled back
  2    wrong usage or configuration
  3    something is pending (`status --check`, `wait`)
  4    integrity: an applied migration was edited or is missing, or a check does not hold
  5    gave up waiting for a lock; nothing was changed
  6    stopped partway; run it again to continue
  7    refused by a guard; nothing was changed
  8    cannot connect, or not permitted
  130  interrupted (Ctrl-C); 143 terminated";

pub(crate) const UP: &str = "\
Examples:
  up                       bring every service up to date
  up billing shop          only these, and what they require of others
  up billing@+1            apply the next migration of one service
  up billing@m20251017     apply up to this migration
  up --contract            also remove what old code reads, once its soak time has passed
  up --wait 5m             wait longer for another run";

pub(crate) const DOWN: &str = "\
Examples:
  down billing@-1          revert its last migration
  down billing@m20251017   revert everything after this migration, which stays
  down billing@base        revert everything";

pub(crate) const REDO: &str = "\
Examples:
  redo billing             revert its last migration and apply it again
  redo billing@-2          its last two";

pub(crate) const STATUS: &str = "\
Examples:
  status                    show every service
  status billing --verbose  with rights, event triggers and settings that can surprise
  status --check            exit with 3 if something is pending: for pipelines
  status --json             for machines";

pub(crate) const HISTORY: &str = "\
Examples:
  history billing          its migrations in order, and when each was applied
  history --verbose        every run: when, by whom, how it ended";

pub(crate) const PLAN: &str = "\
Examples:
  plan                      show what `up` would do
  plan --contract           show what `up --contract` would do
  plan --down billing@base  show what `down billing@base` would do
  plan --out plan.json      write the plan for a review; `apply plan.json` carries it out";

pub(crate) const APPLY: &str = "\
Examples:
  apply plan.json                    carry out exactly what was planned, or nothing
  apply plan.json --allow-data-loss  the same, where the plan says what is lost";

pub(crate) const VERIFY: &str = "\
Examples:
  verify                   check all services
  verify billing           check one";

pub(crate) const DOCTOR: &str = "\
Example:
  doctor                   before the first run on a server, or when something is odd";

pub(crate) const LOCKS: &str = "\
Example:
  locks                    show which session holds each migration lock, and since when";

pub(crate) const REJECTS: &str = "\
Examples:
  rejects billing          list what could not be converted, and why
  rejects billing --count  count it by reason";

pub(crate) const GRAPH: &str = "\
Examples:
  graph                    Mermaid, for Markdown
  graph --notation dot     Graphviz";

pub(crate) const SPACE: &str = "\
Examples:
  space billing                     show the size of its tables
  space billing --reclaim my_table  rewrite one compactly; nobody reads or writes it meanwhile";

pub(crate) const DEPLOY: &str = "\
Examples:
  deploy --dry-run         look at everything, and show what would be done
  deploy --health-url http://127.0.0.1:8080/health --on-failure revert
  deploy --stop-command ./stop.sh --start-command ./start.sh --contract --ignore-soak
  deploy --resume          continue a deployment that was stopped or failed

Steps, each on the screen and in a log file: prerequisites, stop, backup, apply, verify, start, health. The record and the
log are in MIGRATE_DEPLOY_DIR, else `deployments`. What fails before `apply` has changed nothing in the database.";

pub(crate) const BACKUP: &str = "\
Examples:
  backup                            back up every service into `backups`
  backup billing --to /mnt/backups  one service, into another directory
  backup billing --jobs 4           a large one: four tables at a time, into a directory
  backup billing --to-command ./keep  as two streams, the archive and its manifest, to a program of yours
  backup --keep 7 --keep-days 30    then remove what is older than 30 days, but for the newest 7 of each service
  backup billing --archive          with `pg_dump`, also where MIGRATE_BACKUP_COMMAND is set

A large database is better backed up physically: MIGRATE_BACKUP_COMMAND names a command that does so. It finds a name in
MIGRATE_BACKUP_NAME and the services in MIGRATE_BACKUP_SERVICES, and runs once; a manifest is written for each service.";

pub(crate) const BACKUPS: &str = "\
Examples:
  backups                  list all backups, and whether each archive is as it was written
  backups billing --json   those of one service, for machines";

pub(crate) const RESTORE: &str = "\
What is there is renamed to `SERVICE_before_restore_TIME`; what the archive holds is made in its place and checked, in one transaction
under the service's migration lock. In a schema that services share, the service's own tables are locked meanwhile.

Examples:
  restore backups/billing-20251120T184900Z.dump --dry-run          show rows before and after
  restore backups/billing-20251120T184900Z.dump --allow-data-loss  replace what is there
  restore billing-20251120T184900Z.dump --from-command ./give --dry-run  one that a program of yours keeps
  restore --drop-old billing --allow-data-loss                     drop what was set aside";

pub(crate) const MOVE: &str = "\
Without `--yes` it only looks, in both places. With it: writing to the service stops, its dump is restored there in one transaction, rows,
schema, history and checks are compared, and its schema here is renamed to `SERVICE_moved_TIME`. From then on every command that finds the
old address refuses the service and says where it is. Stopped at any point, the same command ends the move or begins it anew.

Examples:
  move billing --to BILLING_NEW_DATABASE_URL        show what would be moved to the address in this variable
  move billing --to BILLING_NEW_DATABASE_URL --yes  move it
  move billing --to postgres://billing@db2/billing --no-owner --yes  the password is in ~/.pgpass or PGPASSWORD";

pub(crate) const REPAIR: &str = "\
Without an option it only reads. Each option mends one thing that was found, under the service's migration lock, with a line in its
journal; what it would change is shown with `--dry-run`.

Examples:
  repair                                          look at every service
  repair billing                                  look at one
  repair --drop-invalid-indexes billing           drop what interrupted index builds left behind
  repair --renamed billing:m20251017_a=m20251017_b  rename a row after a file was renamed
  repair --accept-edit billing:m20251017_a        accept that an applied migration was edited, as by a formatter
  repair --restore-rows billing                   make lost rows of the version table again, from the journal
  repair --rewrite-journal billing                write a lost journal anew, where the schema is as it should be
  repair --forget billing:m20251017_a --dry-run   show what forgetting a migration that no build has would change";

pub(crate) const RESET: &str = "\
Its tables, views, sequences, functions and types are dropped; schema, version table and journal stay, and record it. In a schema
that services share, that is what the service names. Afterwards `up` installs it as for the first time.

Examples:
  reset billing --dry-run          show what would be dropped, and what of others uses it
  reset billing                    drop it, if no table has rows
  reset billing --allow-data-loss  drop rows too; make a backup before";

pub(crate) const CITUS: &str = "\
Citus keeps each schema on one of several nodes; everything here goes to the coordinator. A service that is installed there is on a node
from the start, unless one of its migrations needs its tables on the coordinator: those are applied first, then it is distributed.

Examples:
  citus status                                the nodes, whether they answer, and where each service is
  citus distribute billing                    how large it is, and what stops meanwhile; changes nothing
  citus distribute billing --yes              put it on a node, under its migration lock
  citus distribute billing --by account_id    what keeps its rows from being spread over all nodes, and what clears it
  citus move billing db3.internal:5432 --yes  move it to another node";

pub(crate) const ROLES: &str = "\
`SERVICE_owner` owns everything that the service has, and its migrations run as this role where the one that is connected may become
it: PostgreSQL itself refuses them what is not the service's. `SERVICE_app` reads and writes rows. Roles that owned tables until now
get the application's, so that nothing that runs stops.

Examples:
  roles --dry-run                                      print what is missing, as SQL
  roles billing --application billing_web              make them; `billing_web`, which exists, is the application's login
  roles billing --migrator billing_deploy --prefix staging_";

pub(crate) const TASK: &str = "\
Example:
  task                     list the tasks of all services";

pub(crate) const PSQL: &str = "\
Examples:
  psql billing              open psql in the service's schema
  psql billing -- -c '\\dt'  run one command";

pub(crate) const DB: &str = "\
Examples:
  db start                 start the embedded PostgreSQL and leave it running
  db status                show whether it runs, where it is and how large";

#[cfg(feature = "rehearsal")]
pub(crate) const CHECK: &str = "\
Examples:
  check --directory services                   check all services
  check billing --directory services --update  check one, and write its lock and schema files
  check --directory services --junit out.xml --sarif out.sarif --format github   for CI
  check --directory services --citus           also find what does not work on a node of Citus
  check 0007_add_due.sql --base schema.sql     check SQL files of any tool for hazards, on top of a schema
  check 0007_add_due.sql --base DATABASE_URL   on top of the schema of the database in this variable";

#[cfg(feature = "rehearsal")]
pub(crate) const GENERATE: &str = "\
Examples:
  generate billing create_invoices --directory services        a migration in a transaction
  generate billing index_invoices --directory services --steps  outside of one, in steps
  generate billing add_due --directory services --from-entities  what the entities say and no migration makes
  generate billing drop_drafts --directory services --contract --requires shop:m20251016_000001_create_orders";

#[cfg(feature = "rehearsal")]
pub(crate) const NEW_SERVICE: &str = "\
Examples:
  new-service billing --directory services        its package, and its place in the workspace that `services` is in
  new-service billing --directory services --json  the files that were made and changed, for programs";

#[cfg(feature = "rehearsal")]
pub(crate) const SQL: &str = "\
Examples:
  sql                                          print everything that the database lacks, or an empty one if no address is set
  sql billing@+1                               print the next migration of one service
  sql --out scripts                            write one file per service
  sql billing --down                           print what reverts it
  sql billing --from m20251016 --to m20251017  print a part of its migrations, without looking at a database";

#[cfg(feature = "rehearsal")]
pub(crate) const DRIFT: &str = "\
Examples:
  drift                    compare all services; exit with 4 if something differs
  drift billing --repair   print what would bring it back";

#[cfg(feature = "rehearsal")]
pub(crate) const DIFF: &str = "\
Both are built on a server of its own. What an entity does not mention is no difference: other columns that take null or have a
default, indexes, checks, triggers, comments. Nothing is proposed to be dropped.

Examples:
  diff billing             what its entities say and its migrations do not make; exit with 4 if there is something
  diff billing --json      the same, for programs; `generate --from-entities` writes what closes it";

#[cfg(feature = "rehearsal")]
pub(crate) const ADOPT: &str = "\
Nothing is created, changed or dropped: rows are written to the service's version table and journal, in one transaction, after the
claimed migrations were run on a private server and the schema there was found equal to the live one. With `--into-schema` the
same transaction moves the service's tables, types and functions into a schema of their own, and makes the old names views.

Examples:
  adopt billing --from alembic --dry-run      show what the revisions stand for, and what differs
  adopt billing --from alembic --retire       rename its table too, so that nobody runs it by mistake
  adopt billing --from schema                 find the newest migration whose schema is the live one
  adopt billing --from seaql --version-table public.my_migrations
  adopt billing --from schema --accept my_table.my_own_index
  adopt billing --from alembic --into-schema  move it out of the schema that <SERVICE>_DATABASE_SCHEMA names, into one of its own";

#[cfg(feature = "rehearsal")]
pub(crate) const STAMP: &str = "\
Examples:
  stamp billing@head                    everything is there already
  stamp billing@a1b2c3d4e5f6 --dry-run  up to the migration that replaces this id";

#[cfg(feature = "rehearsal")]
pub(crate) const ARTIFACTS: &str = "\
Examples:
  artifacts --directory services  write the files of all services, `services/billing/migrations.lock` and so on
  artifacts billing --check       check those of one in `./billing`; write nothing";

pub(crate) const WAIT: &str = "\
Examples:
  wait                        wait up to five minutes for every service
  wait billing --timeout 1m   wait for one, and not so long
  wait --for current          the same as without; what is diverged ends it at once";

#[cfg(feature = "serve")]
pub(crate) const SERVE: &str = "\
Answers GET and HEAD: / (a page for people), /health/migrations, /healthz, /readyz, /metrics. One survey per second at most,
however many ask.

Examples:
  serve                          listen on 127.0.0.1:8710
  serve --listen 0.0.0.0:8710    let other machines read it: nobody has to log in
  serve --drift-every 6h         show also how live schemas differ from what their migrations make";

pub(crate) const COMPLETIONS: &str = "\
Examples, for the shell that you use now and for every new one:
  source <(… completions bash)
  … completions bash >> ~/.bash_completion";
