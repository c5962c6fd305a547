//! `course_element`: one element of a course.

use sea_orm::entity::prelude::*;

/// One element of a course.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "course_element")]
pub struct Model {
    /// Key; its order is the order of the elements.
    #[sea_orm(primary_key)]
    pub course_element_id: i64,
    /// The element, by the name that the course gives it.
    #[sea_orm(column_type = "Text", nullable)]
    pub element_id: Option<String>,
    /// Content as JSON text.
    #[sea_orm(column_type = "Text", nullable)]
    pub json: Option<String>,
    /// Kind of the element.
    #[sea_orm(column_type = "Text", nullable)]
    pub element_type: Option<String>,
    /// The course, by the name that its author gave it.
    #[sea_orm(column_type = "Text", nullable)]
    pub course_id: Option<String>,
    /// The bot's name.
    #[sea_orm(column_type = "Text", nullable)]
    pub bot_name: Option<String>,
    /// The account that the row belongs to.
    pub account_id: i32,
}

/// The tables that it refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
