//! The triggers that link rows which old application code writes between expand and contract.
//!
//! A link that the writer gives is kept; one that it does not give is found, or made, from the old columns. Their
//! `UPDATE OF` lists name old columns only, so that neither new application code nor the backfills fire them.

use migration_kit::{Check, Trigger, literal};

/// A new course is deployed by its bot, and so by the bots of runs that came before it.
pub(crate) const COURSE: Trigger = Trigger::new("course_link", "course", "AFTER INSERT OR UPDATE OF course_id, bot_name", "PERFORM {schema}.ensure_deployment(NEW.course_id, NEW.account_id, {schema}.ensure_bot(NEW.account_id, NEW.bot_name));
        PERFORM {schema}.ensure_deployment(NEW.course_id, NEW.account_id, early.bot_id)
        FROM (SELECT DISTINCT run.bot_id FROM {schema}.run WHERE run.course_id = NEW.course_id
              AND run.account_id = NEW.account_id AND run.deployment_id IS NULL AND run.bot_id IS NOT NULL) AS early;
        UPDATE {schema}.run SET deployment_id = {schema}.deployment_of(run.course_id, run.account_id, run.bot_id)
        WHERE run.course_id = NEW.course_id AND run.account_id = NEW.account_id
        AND run.deployment_id IS NULL AND run.bot_id IS NOT NULL;
        RETURN NULL;");

/// A run gets its bot and its deployment, and is active until it is ended.
pub(crate) const RUN: Trigger = Trigger::new(
    "run_link",
    "run",
    "BEFORE INSERT OR UPDATE OF botname, course_id, is_ended",
    "IF TG_OP = 'UPDATE' THEN
            IF NEW.botname IS DISTINCT FROM OLD.botname AND NEW.bot_id IS NOT DISTINCT FROM OLD.bot_id THEN
                NEW.bot_id := NULL;
            END IF;
            IF (NEW.botname, NEW.course_id) IS DISTINCT FROM (OLD.botname, OLD.course_id)
                AND NEW.deployment_id IS NOT DISTINCT FROM OLD.deployment_id THEN
                NEW.deployment_id := NULL;
            END IF;
            IF NEW.is_ended IS DISTINCT FROM OLD.is_ended THEN
                NEW.is_active := {schema}.run_is_active(NEW.is_ended);
                NEW.ended_at := CASE WHEN NEW.is_ended THEN COALESCE(NEW.ended_at, pg_catalog.now()) END;
            END IF;
        END IF;
        NEW.bot_id := COALESCE(NEW.bot_id, {schema}.ensure_bot(NEW.account_id, NEW.botname));
        NEW.deployment_id := COALESCE(
            NEW.deployment_id, {schema}.ensure_deployment(NEW.course_id, NEW.account_id, NEW.bot_id));
        NEW.is_active := NEW.is_active AND {schema}.run_is_active(NEW.is_ended);
        RETURN NEW;",
);

/// Of the active runs of a chat with a bot only the newest stays active, so that old code, which knows no such rule, can
/// go on starting runs.
///
/// Two runs that start at once would each miss the other and one would fail at the unique index; so writers of one chat
/// take turns, with a lock that lasts until the end of their transaction. It has two keys, unlike the migration lock. It
/// is taken only where a run becomes active: who ends a run, or starts one in another chat, waits for nobody.
///
/// It fires after `run_link`, which finds the bot: triggers of one kind fire in the order of their names.
pub(crate) const ONE_ACTIVE_RUN: Trigger = Trigger::new("run_one_active", "run", "BEFORE INSERT OR UPDATE OF botname, chat_id, is_ended", "IF NEW.is_active AND NEW.bot_id IS NOT NULL AND NEW.chat_id IS NOT NULL THEN
            IF TG_OP = 'UPDATE' THEN
                IF OLD.is_active AND (NEW.bot_id, NEW.chat_id) IS NOT DISTINCT FROM (OLD.bot_id, OLD.chat_id) THEN
                    RETURN NEW;
                END IF;
            END IF;
            PERFORM pg_catalog.pg_advisory_xact_lock(NEW.bot_id, pg_catalog.hashint8(NEW.chat_id));
            IF EXISTS (SELECT FROM {schema}.run WHERE run.bot_id = NEW.bot_id AND run.chat_id = NEW.chat_id
                       AND run.is_active AND run.run_id > NEW.run_id) THEN
                NEW.is_active := FALSE;
            ELSE
                UPDATE {schema}.run SET is_active = FALSE WHERE run.bot_id = NEW.bot_id AND run.chat_id = NEW.chat_id
                AND run.is_active AND run.run_id < NEW.run_id;
            END IF;
        END IF;
        RETURN NEW;");

/// A wait gets its bot, and the run that waits.
pub(crate) const WAITING_ELEMENT: Trigger = Trigger::new("waiting_element_link", "waiting_element", "BEFORE INSERT OR UPDATE OF botname, course_id, chat_id", "IF TG_OP = 'UPDATE' THEN
            IF NEW.botname IS DISTINCT FROM OLD.botname AND NEW.bot_id IS NOT DISTINCT FROM OLD.bot_id THEN
                NEW.bot_id := NULL;
            END IF;
            IF (NEW.botname, NEW.course_id, NEW.chat_id) IS DISTINCT FROM (OLD.botname, OLD.course_id, OLD.chat_id)
                AND NEW.run_id IS NOT DISTINCT FROM OLD.run_id THEN
                NEW.run_id := NULL;
            END IF;
        END IF;
        NEW.bot_id := COALESCE(NEW.bot_id, {schema}.ensure_bot(NEW.account_id, NEW.botname));
        NEW.run_id := COALESCE(NEW.run_id, {schema}.waited_run_of(NEW.chat_id, NEW.course_id, NEW.bot_id));
        RETURN NEW;");

/// A ban gets its bot.
pub(crate) const BAN: Trigger = Trigger::new(
    "bannedparticipants_link",
    "bannedparticipants",
    "BEFORE INSERT OR UPDATE OF botname",
    "IF TG_OP = 'UPDATE' THEN
            IF NEW.botname IS DISTINCT FROM OLD.botname AND NEW.bot_id IS NOT DISTINCT FROM OLD.bot_id THEN
                NEW.bot_id := NULL;
            END IF;
        END IF;
        NEW.bot_id := COALESCE(NEW.bot_id, {schema}.ensure_bot(NEW.account_id, NEW.botname));
        RETURN NEW;",
);

/// A setting gets its bot.
pub(crate) const SETTING: Trigger = Trigger::new(
    "gen_settings_link",
    "gen_settings",
    "BEFORE INSERT OR UPDATE OF bot_name",
    "IF TG_OP = 'UPDATE' THEN
            IF NEW.bot_name IS DISTINCT FROM OLD.bot_name AND NEW.bot_id IS NOT DISTINCT FROM OLD.bot_id THEN
                NEW.bot_id := NULL;
            END IF;
        END IF;
        NEW.bot_id := COALESCE(NEW.bot_id, {schema}.ensure_bot(NEW.account_id, NEW.bot_name));
        RETURN NEW;",
);

/// All of them, for the step that ends the time of old application code.
pub(crate) const ALL: [Trigger; 6] = [COURSE, RUN, ONE_ACTIVE_RUN, WAITING_ELEMENT, BAN, SETTING];

/// None of these triggers is left; triggers of others are not asked for.
pub(crate) fn are_gone<'a>(triggers: impl IntoIterator<Item = &'a Trigger>) -> Check {
    let ours: Vec<String> = triggers
        .into_iter()
        .map(|trigger| format!("({}, {})", literal(trigger.table()), literal(trigger.name())))
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
