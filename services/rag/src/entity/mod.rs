//! The service's one table as the application sees it. Tables of other teams have no entity here: whoever reads them
//! asks their owners for theirs.

pub mod prelude;
pub mod user_knowledge;
