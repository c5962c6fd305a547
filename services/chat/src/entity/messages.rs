//! `messages`: one message of a dialogue, with soft delete.
//!
//! Deleted messages are out of sight by default and nothing is ever deleted physically: the finders of [`Entity`] see
//! active rows, [`Entity::find_with_deleted`] says in its name that it sees all, and the deleting functions that
//! sea-orm gives every entity are closed. That guards against the slip, not against intent: raw SQL can still delete,
//! unless the application's role lacks the privilege.

use std::convert::Infallible;

use sea_orm::UpdateMany;
use sea_orm::entity::prelude::*;

/// A message, deleted or not.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    /// Key; the later of two messages has the higher one.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Telegram's id of the user; negative for a session on the web.
    pub user_id: i64,
    /// Telegram's id of the chat.
    pub chat_id: i64,
    /// `user` or `assistant`. A text and not a [`Role`](super::Role): messages from before the check may hold another,
    /// and must stay readable.
    #[sea_orm(column_type = "String(StringLen::N(20))")]
    pub role: String,
    /// What was said.
    #[sea_orm(column_type = "Text")]
    pub content: String,
    /// Length of `content`, in characters.
    pub message_length: i32,
    /// When it was said, by the server's clock in the session's time zone.
    #[sea_orm(default_expr = "Expr::current_timestamp()")]
    pub created_at: DateTime,
    /// When it was deleted, by the same clock; `None` while it is active.
    pub deleted_at: Option<DateTime>,
    /// The channel that it came through; `telegram` unless said otherwise.
    #[sea_orm(column_type = "String(StringLen::N(20))", default_value = "telegram")]
    pub source: String,
}

/// A message stands alone: its user and its chat are Telegram's.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

#[async_trait::async_trait]
impl ActiveModelBehavior for ActiveModel {
    /// Refuses: a message is cleared, alone or with its dialogue, never deleted.
    async fn before_delete<C>(self, _: &C) -> Result<Self, DbErr>
    where
        C: ConnectionTrait,
    {
        Err(DbErr::Custom("a message is never deleted: clear it, or its dialogue, instead".to_owned()))
    }
}

/// These stand before sea-orm's functions of the same names.
impl Entity {
    /// Finds active messages.
    #[must_use]
    pub fn find() -> Select<Self> {
        Self::find_with_deleted().filter(Column::DeletedAt.is_null())
    }

    /// Finds the active message with this key.
    #[must_use]
    pub fn find_by_id(id: i32) -> Select<Self> {
        Self::find().filter(Column::Id.eq(id))
    }

    /// Finds messages, deleted ones too.
    #[must_use]
    pub fn find_with_deleted() -> Select<Self> {
        <Self as EntityTrait>::find()
    }

    /// Finds deleted messages.
    #[must_use]
    pub fn find_deleted() -> Select<Self> {
        Self::find_with_deleted().filter(Column::DeletedAt.is_not_null())
    }

    /// Soft delete of one message, dated by the server's clock; a deleted one keeps its date.
    #[must_use]
    pub fn clear_by_id(id: i32) -> UpdateMany<Self> {
        Self::update_many()
            .col_expr(Column::DeletedAt, Expr::current_timestamp())
            .filter(Column::Id.eq(id))
            .filter(Column::DeletedAt.is_null())
    }

    /// Brings back one deleted message.
    #[must_use]
    pub fn restore_by_id(id: i32) -> UpdateMany<Self> {
        Self::update_many()
            .col_expr(Column::DeletedAt, Expr::null())
            .filter(Column::Id.eq(id))
            .filter(Column::DeletedAt.is_not_null())
    }

    /// Closed: it takes a value that cannot be made, so that no call compiles.
    ///
    /// ```compile_fail,E0061
    /// use chat_migration::entity::prelude::Messages;
    /// let _ = Messages::delete_many();
    /// ```
    pub fn delete_many(never: Infallible) {
        match never {}
    }

    /// Closed, as [`Entity::delete_many`] is.
    ///
    /// ```compile_fail,E0308
    /// use chat_migration::entity::prelude::Messages;
    /// let _ = Messages::delete_by_id(1);
    /// ```
    pub fn delete_by_id(never: Infallible) {
        match never {}
    }

    /// Closed, as [`Entity::delete_many`] is.
    pub fn delete(never: Infallible) {
        match never {}
    }
}
