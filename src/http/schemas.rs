//! What the texts in requests may be, as the OpenAPI document says it, beside those of [`crate::api`]. The rules are those of
//! [`crate::model`].

use serde_json::json;
use utoipa::{
    ToSchema as _,
    openapi::{
        ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, Type,
        schema::{AdditionalProperties, SchemaType},
    },
};

use super::auth::MAX_ACTOR;
use crate::{
    api::schemas::{CorporateIdText, named, one_line, spelled, text},
    inbox::State as EventState,
    model::{
        access::{Access, Reason},
        corporate_id,
        hold::HoldPhase,
        syntax,
    },
    registry::Status,
};

fn one_of(words: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(words))
}

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

named!(
    /// See [`EventState`].
    EventStateWord, "EventState",
    one_of(EventState::ALL.map(EventState::as_str))
);

/// Most characters of an `event_type`.
pub(super) const MAX_EVENT_TYPE: usize = 64;

const PHASES: [HoldPhase; 4] = [
    HoldPhase::Pending,
    HoldPhase::Live,
    HoldPhase::Expired,
    HoldPhase::HeldBack,
];
