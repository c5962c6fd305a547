//! A dialogue: what one user and the assistant said to each other in one chat.
//!
//! Its functions return statements and do not run them, so that a caller picks the connection or the transaction, and a
//! test can ask the server how it would run the very same SQL.

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use sea_orm::{Select, UpdateMany, prelude::DateTime};

use super::messages::{ActiveModel, Column, Entity};

/// A dialogue, by its key. It exists once it has a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialogue {
    /// Telegram's id of the user; negative for a session on the web.
    pub user_id: i64,
    /// Telegram's id of the chat.
    pub chat_id: i64,
}

/// Who says something in a dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The user.
    User,
    /// The assistant.
    Assistant,
}

impl Role {
    /// The role as `messages.role` holds it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl Dialogue {
    /// A new message, to be inserted. The server gives its key and its time; the channel is Telegram unless set.
    #[must_use]
    pub fn message(self, role: Role, content: impl Into<String>) -> ActiveModel {
        let content = content.into();
        let n_characters = i32::try_from(content.chars().count()).unwrap_or(i32::MAX);
        ActiveModel {
            user_id: Set(self.user_id),
            chat_id: Set(self.chat_id),
            role: Set(role.as_str().to_owned()),
            content: Set(content),
            message_length: Set(n_characters),
            ..Default::default()
        }
    }

    /// The latest `limit` active messages, newest first.
    ///
    /// Messages of one transaction share their time; among them the higher `id` counts as the newer. The index
    /// `idx_messages_history` has exactly this order, so that nothing is sorted.
    #[must_use]
    pub fn history(self, limit: u64) -> Select<Entity> {
        Entity::find()
            .filter(self.key())
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(limit)
    }

    /// Soft delete: hides the active messages. The server's clock dates it, as it dates `created_at`.
    #[must_use]
    pub fn clear(self) -> UpdateMany<Entity> {
        Entity::update_many()
            .col_expr(Column::DeletedAt, Expr::current_timestamp())
            .filter(self.key())
            .filter(Column::DeletedAt.is_null())
    }

    /// Brings back every deleted message.
    #[must_use]
    pub fn restore(self) -> UpdateMany<Entity> {
        Entity::update_many()
            .col_expr(Column::DeletedAt, Expr::null())
            .filter(self.key())
            .filter(Column::DeletedAt.is_not_null())
    }

    /// Undoes one [`Dialogue::clear`], whose messages all share its time; other deleted messages stay deleted.
    #[must_use]
    pub fn restore_cleared_at(self, deleted_at: DateTime) -> UpdateMany<Entity> {
        self.restore().filter(Column::DeletedAt.eq(deleted_at))
    }

    fn key(self) -> Condition {
        Condition::all().add(Column::UserId.eq(self.user_id)).add(Column::ChatId.eq(self.chat_id))
    }
}
