//! The three enum types of the schema. Their values are spelled as the old application wrote them.

use sea_orm::entity::prelude::*;

/// What a description describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "descriptiontype")]
pub enum DescriptionType {
    /// A place.
    #[sea_orm(string_value = "LOCATION")]
    Location,
    /// A person.
    #[sea_orm(string_value = "CHARACTER")]
    Character,
    /// A mood.
    #[sea_orm(string_value = "ATMOSPHERE")]
    Atmosphere,
    /// A thing.
    #[sea_orm(string_value = "OBJECT")]
    Object,
    /// Something that happens.
    #[sea_orm(string_value = "ACTION")]
    Action,
}

/// What a user pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "subscriptionplan")]
pub enum SubscriptionPlan {
    /// Nothing.
    #[sea_orm(string_value = "FREE")]
    Free,
    /// More books and pictures.
    #[sea_orm(string_value = "PREMIUM")]
    Premium,
    /// Books and pictures without a limit.
    #[sea_orm(string_value = "ULTIMATE")]
    Ultimate,
}

/// State of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "subscriptionstatus")]
pub enum SubscriptionStatus {
    /// It can be used.
    #[sea_orm(string_value = "ACTIVE")]
    Active,
    /// Its time is over.
    #[sea_orm(string_value = "EXPIRED")]
    Expired,
    /// The user ended it.
    #[sea_orm(string_value = "CANCELLED")]
    Cancelled,
    /// It waits for the payment.
    #[sea_orm(string_value = "PENDING")]
    Pending,
}
