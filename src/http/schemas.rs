//! What the texts in requests may be, as the OpenAPI document says it. The rules are those of [`crate::model`].

use std::borrow::Cow;

use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type,
        schema::{AdditionalProperties, SchemaType},
    },
};

use super::{auth::MAX_ACTOR, denial::MAX_REASON};
use crate::inbox::State as EventState;
use crate::model::{
    access::{Access, Reason},
    corporate_id,
    hold::HoldPhase,
    syntax::{self, Syntax},
    user::{MAX_OWNER_LEN, MAX_ROLE_LEN},
};
use crate::registry::{Status, entry::MAX_DEPARTMENT_LEN};

/// A schema by a name of its own.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident, $name:literal, $schema:expr) => {
        $(#[$doc])*
        pub(super) enum $type {}

        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    };
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn spelled(syntax: &Syntax) -> ObjectBuilder {
    text()
        .pattern(Some(syntax.pattern))
        .min_length(Some(1))
        .max_length(Some(syntax.max_len))
}

fn one_of(words: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(words))
}

/// One line without control characters, as [`char::is_control`] has them.
fn one_line(max_len: usize) -> ObjectBuilder {
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
    /// The beginning of a corporate ID.
    IdPrefixText, "IdPrefix",
    text()
        .pattern(Some("^[A-Za-z0-9._-]*$"))
        .max_length(Some(corporate_id::MAX_LEN))
        .description(Some("The beginning of a corporate ID. Case does not matter."))
        .examples([json!("AB12")])
);
named!(
    /// See [`Status`].
    IdStatusWord, "IdStatus", one_of(Status::ALL.map(Status::as_str))
);
named!(
    /// What a caller calls a request.
    RequestKeyText, "RequestKey",
    text()
        .pattern(Some("^[!-~]+$"))
        .min_length(Some(1))
        .max_length(Some(128))
        .description(Some("The caller's own name of a request, like a UUID. The same request gets the same answer."))
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
    /// The name of a hold.
    HoldNameText, "HoldName",
    spelled(&syntax::OBJECT_NAME)
        .description(Some("Name of a hold: `<source>-<cause>-<id>`."))
        .examples([json!("api-held-ab123456")])
);
named!(
    /// The name of a gateway.
    GatewayNameText, "GatewayName",
    spelled(&syntax::OBJECT_NAME).description(Some("Name of a gateway.")).examples([json!("default")])
);
named!(
    /// The person who acts.
    ActorText, "Actor",
    text()
        .pattern(Some("^[!-~]([ -~]*[!-~])?$"))
        .min_length(Some(1))
        .max_length(Some(MAX_ACTOR))
        .description(Some("A person's name, for the audit."))
        .examples([json!("anna")])
);
named!(
    /// Why a person is denied. Without a type: whatever is sent is taken as far as it can be read.
    WhyBody, "Why",
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .property(
            "reason",
            ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(
                "Why, for people; stands in the hold and the audit. What is longer than 500 characters is cut, control \
                 characters are escaped, and what cannot be read is replaced by a note."
            ))
        )
        .description(Some(
            "Why a person is denied: a JSON object with a `reason`. Nothing that is sent here keeps the denial from being done."
        ))
        .examples([json!({ "reason": "left the company" })])
);
named!(
    /// People by name, or expressly everybody.
    GuardWord, "GuardWord",
    OneOfBuilder::new()
        .item(word(false).property("ids", ArrayBuilder::new().items(id_reference()).min_items(Some(1))).required("ids"))
        .item(word(true).property("ids", ObjectBuilder::new().schema_type(Type::Null)).required("all"))
        .description(Some("About whom: `ids` names people, `all: true` is everybody about whom something waits."))
        .examples([json!({ "ids": ["AB123456"] })])
);

fn id_reference() -> Ref {
    Ref::from_schema_name(CorporateIdText::name())
}

/// A word to the guard in which `all` is this.
fn word(all: bool) -> ObjectBuilder {
    ObjectBuilder::new()
        .property(
            "all",
            ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([all])),
        )
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

named!(
    /// A mail address.
    EmailText, "Email",
    spelled(&syntax::EMAIL).description(Some("A mail address.")).examples([json!("anna@example.com")])
);
named!(
    /// See [`Access`].
    AccessWord, "Access", one_of([Access::Granted, Access::Denied].map(Access::as_str))
);
named!(
    /// See [`Reason`].
    ReasonWord, "Reason", one_of(Reason::ALL.map(Reason::as_str))
);
named!(
    /// See [`HoldPhase`].
    PhaseWord, "Phase",
    one_of(PHASES.map(|phase| match phase {
        HoldPhase::Pending => "Pending",
        HoldPhase::Live => "Live",
        HoldPhase::Expired => "Expired",
        HoldPhase::HeldBack => "HeldBack",
    }))
);

named!(
    /// The type of an event.
    EventTypeText, "EventType", one_line(MAX_EVENT_TYPE)
);

/// Most characters of an `event_type`.
pub(super) const MAX_EVENT_TYPE: usize = 64;

named!(
    /// See [`EventState`].
    EventStateWord, "EventState",
    one_of(EventState::ALL.map(EventState::as_str))
);

const PHASES: [HoldPhase; 4] = [
    HoldPhase::Pending,
    HoldPhase::Live,
    HoldPhase::Expired,
    HoldPhase::HeldBack,
];
