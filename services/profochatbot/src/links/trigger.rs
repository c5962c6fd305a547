//! The triggers that link rows which old application code writes between expand and contract.
//!
//! A link that the writer gives is kept; one that it does not give is found, or made, from the old columns. Their
//! `UPDATE OF` lists name old columns only, so that neither new application code nor the backfills fire them.

use migration_kit::{Check, Online, literal};
use sea_orm_migration::prelude::DbErr;

use super::qualified;

/// One trigger: its table, its name, when it fires, and its body with `{s}` for the schema.
pub(crate) struct Trigger {
    /// The table.
    pub(crate) table: &'static str,
    /// The name of the trigger, and of its function.
    pub(crate) name: &'static str,
    when: &'static str,
    body: &'static str,
}

/// A new course is deployed by its bot, and so by the bots of runs that came before it.
pub(crate) const COURSE: Trigger = Trigger {
    table: "course",
    name: "course_link",
    when: "AFTER INSERT OR UPDATE OF course_id, bot_name",
    body: "PERFORM {s}.ensure_deployment(NEW.course_id, NEW.account_id, {s}.ensure_bot(NEW.account_id, NEW.bot_name));
        PERFORM {s}.ensure_deployment(NEW.course_id, NEW.account_id, early.bot_id)
        FROM (SELECT DISTINCT run.bot_id FROM {s}.run WHERE run.course_id = NEW.course_id
              AND run.account_id = NEW.account_id AND run.deployment_id IS NULL AND run.bot_id IS NOT NULL) AS early;
        UPDATE {s}.run SET deployment_id = {s}.deployment_of(run.course_id, run.account_id, run.bot_id)
        WHERE run.course_id = NEW.course_id AND run.account_id = NEW.account_id
        AND run.deployment_id IS NULL AND run.bot_id IS NOT NULL;
        RETURN NULL;",
};

/// A run gets its bot and its deployment, and is active until it is ended.
pub(crate) const RUN: Trigger = Trigger {
    table: "run",
    name: "run_link",
    when: "BEFORE INSERT OR UPDATE OF botname, course_id, is_ended",
    body: "IF TG_OP = 'UPDATE' THEN
            IF NEW.botname IS DISTINCT FROM OLD.botname AND NEW.bot_id IS NOT DISTINCT FROM OLD.bot_id THEN
                NEW.bot_id := NULL;
            END IF;
            IF (NEW.botname, NEW.course_id) IS DISTINCT FROM (OLD.botname, OLD.course_id)
                AND NEW.deployment_id IS NOT DISTINCT FROM OLD.deployment_id THEN
                NEW.deployment_id := NULL;
            END IF;
            IF NEW.is_ended IS DISTINCT FROM OLD.is_ended THEN
                NEW.is_active := {s}.run_is_active(NEW.is_ended);
                NEW.ended_at := CASE WHEN NEW.is_ended THEN COALESCE(NEW.ended_at, pg_catalog.now()) END;
            END IF;
        END IF;
        NEW.bot_id := COALESCE(NEW.bot_id, {s}.ensure_bot(NEW.account_id, NEW.botname));
        NEW.deployment_id := COALESCE(
            NEW.deployment_id, {s}.ensure_deployment(NEW.course_id, NEW.account_id, NEW.bot_id));
        NEW.is_active := NEW.is_active AND {s}.run_is_active(NEW.is_ended);
        RETURN NEW;",
};

/// Of the active runs of a chat with a bot only the newest stays active, so that old code, which knows no such rule, can
/// go on starting runs.
///
/// Two runs that start at once would each miss the other and one would fail at the unique index; so writers of one chat
/// take turns, with a lock that lasts until the end of their transaction. It has two keys, unlike the migration lock. It
/// is taken only where a run becomes active: who ends a run, or starts one in another chat, waits for nobody.
pub(crate) const ONE_ACTIVE_RUN: Trigger = Trigger {
    table: "run",
    // After `run_link`, which finds the bot: triggers of one kind fire in the order of their names.
    name: "run_one_active",
    when: "BEFORE INSERT OR UPDATE OF botname, chat_id, is_ended",
    body: "IF NEW.is_active AND NEW.bot_id IS NOT NULL AND NEW.chat_id IS NOT NULL THEN
            IF TG_OP = 'UPDATE' THEN
                IF OLD.is_active AND (NEW.bot_id, NEW.chat_id) IS NOT DISTINCT FROM (OLD.bot_id, OLD.chat_id) THEN
                    RETURN NEW;
                END IF;
            END IF;
            PERFORM pg_catalog.pg_advisory_xact_lock(NEW.bot_id, pg_catalog.hashint8(NEW.chat_id));
            IF EXISTS (SELECT FROM {s}.run WHERE run.bot_id = NEW.bot_id AND run.chat_id = NEW.chat_id
                       AND run.is_active AND run.run_id > NEW.run_id) THEN
                NEW.is_active := FALSE;
            ELSE
                UPDATE {s}.run SET is_active = FALSE WHERE run.bot_id = NEW.bot_id AND run.chat_id = NEW.chat_id
                AND run.is_active AND run.run_id < NEW.run_id;
            END IF;
        END IF;
        RETURN NEW;",
};

/// A wait gets its bot, and the run that waits.
pub(crate) const WAITING_ELEMENT: Trigger = Trigger {
    table: "waiting_element",
    name: "waiting_element_link",
    when: "BEFORE INSERT OR UPDATE OF botname, course_id, chat_id",
    body: "IF TG_OP = 'UPDATE' THEN
            IF NEW.botname IS DISTINCT FROM OLD.botname AND NEW.bot_id IS NOT DISTINCT FROM OLD.bot_id THEN
                NEW.bot_id := NULL;
            END IF;
            IF (NEW.botname, NEW.course_id, NEW.chat_id) IS DISTINCT FROM (OLD.botname, OLD.course_id, OLD.chat_id)
                AND NEW.run_id IS NOT DISTINCT FROM OLD.run_id THEN
                NEW.run_id := NULL;
            END IF;
        END IF;
        NEW.bot_id := COALESCE(NEW.bot_id, {s}.ensure_bot(NEW.account_id, NEW.botname));
        NEW.run_id := COALESCE(NEW.run_id, {s}.waited_run_of(NEW.chat_id, NEW.course_id, NEW.bot_id));
        RETURN NEW;",
};

/// A ban gets its bot.
pub(crate) const BAN: Trigger = Trigger {
    table: "bannedparticipants",
    name: "bannedparticipants_link",
    when: "BEFORE INSERT OR UPDATE OF botname",
    body: "IF TG_OP = 'UPDATE' THEN
            IF NEW.botname IS DISTINCT FROM OLD.botname AND NEW.bot_id IS NOT DISTINCT FROM OLD.bot_id THEN
                NEW.bot_id := NULL;
            END IF;
        END IF;
        NEW.bot_id := COALESCE(NEW.bot_id, {s}.ensure_bot(NEW.account_id, NEW.botname));
        RETURN NEW;",
};

/// A setting gets its bot.
pub(crate) const SETTING: Trigger = Trigger {
    table: "gen_settings",
    name: "gen_settings_link",
    when: "BEFORE INSERT OR UPDATE OF bot_name",
    body: "IF TG_OP = 'UPDATE' THEN
            IF NEW.bot_name IS DISTINCT FROM OLD.bot_name AND NEW.bot_id IS NOT DISTINCT FROM OLD.bot_id THEN
                NEW.bot_id := NULL;
            END IF;
        END IF;
        NEW.bot_id := COALESCE(NEW.bot_id, {s}.ensure_bot(NEW.account_id, NEW.bot_name));
        RETURN NEW;",
};

/// All of them, for the step that ends the time of old application code.
pub(crate) const ALL: [&Trigger; 6] = [&COURSE, &RUN, &ONE_ACTIVE_RUN, &WAITING_ELEMENT, &BAN, &SETTING];

/// None of them is left; triggers of others are not asked for.
pub(crate) fn all_are_gone() -> Check {
    let ours: Vec<String> = ALL
        .iter()
        .map(|trigger| format!("({}, {})", literal(trigger.table), literal(trigger.name)))
        .collect();
    Check::none(
        "no trigger of the transition is left",
        format!(
            "SELECT ours.trigger_name FROM (VALUES {}) AS ours (table_name, trigger_name) JOIN pg_trigger \
             ON tgrelid = to_regclass(ours.table_name) AND tgname = ours.trigger_name",
            ours.join(", "),
        ),
    )
}

/// Creates the trigger, or replaces it.
pub(crate) async fn create(online: &Online, trigger: &Trigger) -> Result<(), DbErr> {
    let body = qualified(online, trigger.body);
    online.create_trigger(trigger.name, trigger.table, trigger.when, &body).run().await
}

/// Drops the trigger and its function.
pub(crate) async fn drop(online: &Online, trigger: &Trigger) -> Result<(), DbErr> {
    online.drop_trigger(trigger.table, trigger.name).await
}
