//! What is done once after the migrations, with values that no migration can know: a bot's token, an account's first
//! owner, public enrollment tokens.
//!
//! Each task is safe to repeat and says what it changed. The connection's `search_path` is the service's schema.
//! Deliberately not here: where the values come from. A token never comes from a command's arguments, which anybody on
//! the machine can read, and never stands in an error or a debug print.

use std::fmt;

use migration_kit::sqlstate;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement,
    TransactionTrait, Value,
};

/// SQLSTATE of a unique violation.
const UNIQUE_VIOLATION: &str = "23505";

/// A bot's secret, as Telegram gave it. It shows itself to the database only.
#[derive(Clone, PartialEq, Eq)]
pub struct BotToken(
    // Invariant: not empty, no blanks; checked in `new`.
    String,
);

/// The token of a bot is to be set.
#[derive(Debug, Clone)]
pub struct SetBotToken {
    /// Slug of the bot's account: `default`.
    pub account: String,
    /// Name of the bot within its account.
    pub bot: String,
    /// The token.
    pub token: BotToken,
}

/// An account is to get its first owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddFirstOwner {
    /// Slug of the account: `default`.
    pub account: String,
    /// The owner's Telegram id.
    pub telegram_user_id: i64,
    /// The owner's Telegram user name, without the `@`; a name that is known stays where none is given.
    pub telegram_username: Option<String>,
}

/// What became of a bot's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenChange {
    /// The bot had none.
    Set,
    /// The bot had another one.
    Replaced,
    /// The bot had this one.
    Unchanged,
}

/// What became of an account's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerChange {
    /// The person is a new member.
    Added,
    /// The person was a member, and not an active owner; whether the name changed too is not told.
    Promoted,
    /// The person was the owner, by another name or without one.
    Renamed,
    /// The person was the owner.
    Unchanged,
}

/// What [`set_bot_token`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BotTokenSet {
    /// The bot.
    pub bot_id: i32,
    /// What became of its token.
    pub change: TokenChange,
}

/// What [`add_first_owner`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstOwnerAdded {
    /// The owner's membership.
    pub account_member_id: i32,
    /// What became of the person.
    pub change: OwnerChange,
}

/// What [`issue_public_tokens`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicTokensIssued {
    /// The new tokens, by deployment.
    pub issued: Vec<IssuedToken>,
    /// How many deployments had a usable public token already.
    pub n_unchanged: u64,
}

/// A public enrollment token that was issued: who has it can start the course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The deployment.
    pub deployment_id: i32,
    /// Its course.
    pub course_id: String,
    /// Name of its bot.
    pub bot: String,
    /// 43 characters that may stand in a Telegram link.
    pub token: String,
}

/// Why a task did nothing.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// What was given as a token cannot be one.
    #[error("the token is empty or has blanks in it")]
    MalformedToken,
    /// There is no such account.
    #[error("there is no account `{account}`")]
    UnknownAccount {
        /// Its slug.
        account: String,
    },
    /// The account has no such bot.
    #[error("account `{account}` has no bot `{bot}`")]
    UnknownBot {
        /// The account's slug.
        account: String,
        /// The bot's name.
        bot: String,
    },
    /// Another bot has this token. The server's own message is left out: it shows the token.
    #[error("the token for bot `{bot}` belongs to another bot")]
    TokenTaken {
        /// The bot that was to get it.
        bot: String,
    },
    /// The account has an owner.
    #[error("account `{account}` has an owner already, Telegram user {telegram_user_id}")]
    HasOwner {
        /// The account's slug.
        account: String,
        /// The owner.
        telegram_user_id: i64,
    },
    /// The database cannot be asked.
    #[error("the task failed in the database")]
    Database(#[from] DbErr),
}

impl TaskError {
    /// What to do next, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::MalformedToken => Some("give the token as Telegram's BotFather wrote it, on one line"),
            Self::UnknownAccount { .. } => {
                Some("accounts are known by their slug: the first one is `default`")
            }
            Self::UnknownBot { .. } => Some("bots are known by the names that runs and courses give"),
            Self::TokenTaken { .. } => Some("each bot has a token of its own: ask BotFather for this one's"),
            Self::HasOwner { .. } => Some("further owners are added by the owner, in the application"),
            Self::Database(_) => None,
        }
    }
}

impl BotToken {
    /// Takes a token, without the line break that ends it.
    ///
    /// # Errors
    /// [`TaskError::MalformedToken`] if nothing is left, or there is a blank in it.
    pub fn new(text: &str) -> Result<Self, TaskError> {
        let text = text.trim();
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(TaskError::MalformedToken);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for BotToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BotToken(…)")
    }
}

/// Sets the token of a bot.
///
/// # Errors
/// [`TaskError::UnknownAccount`], [`TaskError::UnknownBot`]; [`TaskError::TokenTaken`] if another bot has it.
pub async fn set_bot_token(db: &DatabaseConnection, task: &SetBotToken) -> Result<BotTokenSet, TaskError> {
    let tx = db.begin().await?;
    let account_id = account_id(&tx, &task.account).await?;
    let bot = one(
        &tx,
        "SELECT bot_id, bot_token IS NULL AS has_none, bot_token IS NOT DISTINCT FROM $3 AS is_same FROM bot \
         WHERE account_id = $1 AND bot_name = $2 FOR NO KEY UPDATE",
        [account_id.into(), task.bot.as_str().into(), task.token.0.as_str().into()],
    )
    .await?
    .ok_or_else(|| TaskError::UnknownBot { account: task.account.clone(), bot: task.bot.clone() })?;
    let bot_id = bot.try_get("", "bot_id")?;
    if bot.try_get("", "is_same")? {
        return Ok(BotTokenSet { bot_id, change: TokenChange::Unchanged });
    }
    let change = if bot.try_get("", "has_none")? { TokenChange::Set } else { TokenChange::Replaced };
    let set = tx.execute_raw(Statement::from_sql_and_values(
        DbBackend::Postgres,
        "UPDATE bot SET bot_token = $2, updated_at = now() WHERE bot_id = $1",
        [bot_id.into(), task.token.0.as_str().into()],
    ));
    match set.await {
        Err(error) if sqlstate(&error).as_deref() == Some(UNIQUE_VIOLATION) => {
            return Err(TaskError::TokenTaken { bot: task.bot.clone() });
        }
        set => set?,
    };
    tx.commit().await?;
    Ok(BotTokenSet { bot_id, change })
}

/// Makes a person the first owner of an account: as a new member, or as the member that the person is.
///
/// # Errors
/// [`TaskError::UnknownAccount`]; [`TaskError::HasOwner`] if another person is the owner.
pub async fn add_first_owner(
    db: &DatabaseConnection,
    task: &AddFirstOwner,
) -> Result<FirstOwnerAdded, TaskError> {
    let tx = db.begin().await?;
    // It locks the account: two first owners at once take turns, and the second one is told.
    let account_id = account_id(&tx, &task.account).await?;
    let other = one(
        &tx,
        "SELECT telegram_user_id FROM account_member \
         WHERE account_id = $1 AND role = 'owner' AND is_active AND telegram_user_id <> $2 \
         ORDER BY account_member_id LIMIT 1",
        [account_id.into(), task.telegram_user_id.into()],
    );
    if let Some(owner) = other.await? {
        let telegram_user_id = owner.try_get("", "telegram_user_id")?;
        return Err(TaskError::HasOwner { account: task.account.clone(), telegram_user_id });
    }
    let known = one(
        &tx,
        "SELECT account_member_id, role = 'owner' AND is_active AS is_owner, \
         $3::text IS NULL OR telegram_username IS NOT DISTINCT FROM $3 AS has_name \
         FROM account_member WHERE account_id = $1 AND telegram_user_id = $2",
        [account_id.into(), task.telegram_user_id.into(), task.telegram_username.clone().into()],
    );
    let change = match known.await? {
        Some(member) => match (member.try_get("", "is_owner")?, member.try_get("", "has_name")?) {
            (true, true) => {
                let account_member_id = member.try_get("", "account_member_id")?;
                return Ok(FirstOwnerAdded { account_member_id, change: OwnerChange::Unchanged });
            }
            (true, false) => OwnerChange::Renamed,
            (false, _) => OwnerChange::Promoted,
        },
        None => OwnerChange::Added,
    };
    let member = one(
        &tx,
        "INSERT INTO account_member AS member (account_id, telegram_user_id, telegram_username, role) \
         VALUES ($1, $2, $3, 'owner') ON CONFLICT (account_id, telegram_user_id) DO UPDATE \
         SET role = 'owner', is_active = TRUE, \
         telegram_username = COALESCE(excluded.telegram_username, member.telegram_username) \
         RETURNING account_member_id",
        [account_id.into(), task.telegram_user_id.into(), task.telegram_username.clone().into()],
    );
    let member = member.await?.ok_or_else(|| DbErr::RecordNotInserted)?;
    let account_member_id = member.try_get("", "account_member_id")?;
    tx.commit().await?;
    Ok(FirstOwnerAdded { account_member_id, change })
}

/// Issues a public enrollment token for every deployment that has no usable one.
///
/// A token is the SHA-256 of two random UUIDs: 244 bits of the server's cryptographic generator (`gen_random_uuid`), so
/// that nobody can guess one from another, or from the number of its deployment.
///
/// # Errors
/// [`TaskError::Database`].
pub async fn issue_public_tokens(db: &DatabaseConnection) -> Result<PublicTokensIssued, TaskError> {
    let tx = db.begin().await?;
    // Who issues at the same time waits here, and then sees what was issued.
    let lock = "SELECT deployment_id FROM course_deployment ORDER BY deployment_id FOR NO KEY UPDATE";
    let n_deployments = many(&tx, lock).await?.len();
    let rows = many(
        &tx,
        "WITH issued AS (INSERT INTO enrollment_token (deployment_id, token) \
         SELECT deployment.deployment_id, translate(rtrim(encode(sha256(uuid_send(gen_random_uuid()) \
         || uuid_send(gen_random_uuid())), 'base64'), '='), '+/', '-_') FROM course_deployment AS deployment \
         WHERE NOT EXISTS (SELECT FROM enrollment_token AS token \
         WHERE token.deployment_id = deployment.deployment_id AND token.token_type = 'public' AND token.is_active \
         AND (token.expires_at IS NULL OR token.expires_at > now() AT TIME ZONE 'UTC') \
         AND (token.max_uses IS NULL OR token.current_uses < token.max_uses)) RETURNING deployment_id, token) \
         SELECT issued.deployment_id, deployment.course_id, bot.bot_name, issued.token FROM issued \
         JOIN course_deployment AS deployment USING (deployment_id) JOIN bot USING (bot_id) ORDER BY deployment_id",
    );
    let mut issued = Vec::new();
    for row in rows.await? {
        issued.push(IssuedToken {
            deployment_id: row.try_get("", "deployment_id")?,
            course_id: row.try_get("", "course_id")?,
            bot: row.try_get("", "bot_name")?,
            token: row.try_get("", "token")?,
        });
    }
    tx.commit().await?;
    let n_unchanged = n_deployments.saturating_sub(issued.len()).try_into().unwrap_or(u64::MAX);
    Ok(PublicTokensIssued { issued, n_unchanged })
}

/// The account's number; its row is locked until the transaction ends.
async fn account_id(tx: &DatabaseTransaction, slug: &str) -> Result<i32, TaskError> {
    let sql = "SELECT account_id FROM account WHERE slug = $1 FOR NO KEY UPDATE";
    let account = one(tx, sql, [slug.into()]).await?;
    let account = account.ok_or_else(|| TaskError::UnknownAccount { account: slug.to_owned() })?;
    Ok(account.try_get("", "account_id")?)
}

async fn one<const N: usize>(
    tx: &DatabaseTransaction,
    sql: &str,
    values: [Value; N],
) -> Result<Option<QueryResult>, DbErr> {
    tx.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await
}

async fn many(tx: &DatabaseTransaction, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    tx.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await
}
