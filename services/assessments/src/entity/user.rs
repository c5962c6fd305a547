//! People who take assessments.

use sea_orm::entity::prelude::*;

/// One person.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Address, unique.
    #[sea_orm(unique)]
    pub email: String,
    /// Name as shown.
    pub full_name: Option<String>,
    /// Address of the picture.
    #[sea_orm(column_type = "Text", nullable)]
    pub profile_picture_url: Option<String>,
    /// When the account was made.
    pub created_at: Option<DateTime>,
    /// When the person was last here.
    pub last_login: Option<DateTime>,
    /// Roles that the person has.
    #[sea_orm(has_many, via = "user_role")]
    pub roles: HasMany<super::role::Entity>,
    /// Assessments that the person took.
    #[sea_orm(has_many)]
    pub assessments: HasMany<super::assessment::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
