//! What the texts in requests may be, as the OpenAPI document says it. The rules are those of [`crate::model`].

use serde_json::json;
use utoipa::openapi::{ObjectBuilder, Type};

use crate::model::{
    corporate_id,
    syntax::{self, Syntax},
    user::{MAX_DEPARTMENT_LEN, MAX_OWNER_LEN, MAX_ROLE_LEN},
};

/// Longest reason that is taken, in characters.
pub(crate) const MAX_REASON: usize = 500;

/// A schema by a name of its own.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident, $name:literal, $schema:expr) => {
        $(#[$doc])*
        pub(crate) enum $type {}

        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $schema.into()
            }
        }

        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    };
}

pub(crate) use named;

pub(crate) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// Text of this spelling.
pub(crate) fn spelled(syntax: &Syntax) -> ObjectBuilder {
    text()
        .pattern(Some(syntax.pattern))
        .min_length(Some(1))
        .max_length(Some(syntax.max_len))
}

/// One line without control characters, as [`char::is_control`] has them.
pub(crate) fn one_line(max_len: usize) -> ObjectBuilder {
    text()
        .pattern(Some("^[^\\x00-\\x1f\\x7f-\\x9f]*$"))
        .max_length(Some(max_len))
}

named!(
    /// Whose access it is.
    OwnerText, "Owner",
    one_line(MAX_OWNER_LEN)
        .description(Some("Text that is shown to admins, usually the person's name."))
        .examples([json!("Anna Example")])
);

named!(
    /// A job title.
    RoleText, "Role", one_line(MAX_ROLE_LEN).description(Some("Free text, for example a job title."))
);

named!(
    /// Where somebody works.
    DepartmentText, "Department", one_line(MAX_DEPARTMENT_LEN).description(Some("Where the person works."))
);

named!(
    /// Why something is done that denies nobody.
    ReasonText, "ReasonText", one_line(MAX_REASON).description(Some("Why, for people; stands in the audit."))
);

named!(
    /// A corporate ID.
    CorporateIdText, "CorporateId",
    text()
        .pattern(Some(corporate_id::PATTERN))
        .min_length(Some(1))
        .max_length(Some(corporate_id::MAX_LEN))
        .description(Some("A corporate ID. Case does not matter."))
        .examples([json!("AB123456")])
);

named!(
    /// Who acts, and who holds.
    SourceText, "Source",
    spelled(&syntax::SOURCE).description(Some("Who holds. Only the same source lifts a hold.")).examples([json!("helpdesk")])
);

named!(
    /// A mail address.
    EmailText, "Email",
    spelled(&syntax::EMAIL).description(Some("A mail address.")).examples([json!("anna@example.com")])
);
