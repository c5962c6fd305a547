//! `enrollment_token`: a token that lets its holder start a deployed course.

use sea_orm::entity::prelude::*;

/// A token that lets its holder start a deployed course.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "enrollment_token")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub token_id: i32,
    /// The deployment.
    pub deployment_id: i32,
    /// What the person presents.
    #[sea_orm(unique, column_type = "Text")]
    pub token: String,
    /// `public`: for everybody who has it.
    #[sea_orm(column_type = "Text")]
    pub token_type: String,
    /// How often it may be used; `None` is without end.
    pub max_uses: Option<i32>,
    /// How often it was used.
    pub current_uses: i32,
    /// When it ends, UTC; `None` is never.
    pub expires_at: Option<DateTime>,
    /// When it was made, UTC.
    pub created_at: DateTime,
    /// Telegram user who made it.
    pub created_by: Option<i64>,
    /// Whether it is in use.
    pub is_active: bool,
    /// What has no column of its own.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<Json>,
}

/// The tables that it refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The deployment.
    #[sea_orm(
        belongs_to = "super::course_deployment::Entity",
        from = "Column::DeploymentId",
        to = "super::course_deployment::Column::DeploymentId"
    )]
    CourseDeployment,
}

impl Related<super::course_deployment::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::CourseDeployment.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
