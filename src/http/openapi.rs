//! The OpenAPI document.

use utoipa::{
    Modify, OpenApi, PartialSchema as _,
    openapi::{
        Content, Ref, RefOr, Required, Response, Schema,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        security::{ApiKey, ApiKeyValue, SecurityScheme},
    },
};

use super::{
    access, activation, audit, backup, docs, events, forget, gateways, guard, handover, health, holds, id_files, ids,
    open, records, release_many, renewal,
    schemas::{self, ActorText},
    subscription, telegram, users, webhooks,
};
use crate::api::{
    problem::ProblemBody,
    schemas::{self as texts, SourceText},
};

/// The OpenAPI document of the API.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "vpn-operator",
        description = "Managed VPN access over Hysteria2: who has it, since when, and why not.\n\nEvery error is a problem \
                       document (RFC 9457) whose `detail` says what is wrong and what to do. Every call is safe to repeat, but issuing an ID without a key. \
                       `X-Request-Id` is taken and given back, and stands in the audit. \
                       `X-Vpn-Operator-Simulated: true` stands in every answer of an operator whose node is simulated: no \
                       session and no proof in it is real.\n\n`X-Vpn-Operator-Actor` names \
                       the person who acts, for the audit. `X-Vpn-Operator-Source` names the source that the caller acts \
                       as (`api` when absent): 1 to 16 of a-z and 0-9, beginning with a letter, which holds carry. A \
                       system that says by itself who should be out names itself `hr` or `scim`: its denials are counted, \
                       and held back when they are unusually many, while everybody else's are orders and in force at once.",
    ),
    paths(
        access::grant, access::config, activation::deactivate, activation::activate, access::rotate,
        users::list, users::show, holds::list, holds::create, holds::release, release_many::release_many,
        gateways::list, gateways::show, guard::show, guard::confirm, guard::cancel, audit::list, audit::acknowledge, forget::forget, backup::take, records::who, records::story, ids::validate, ids::issue, ids::activate,
        ids::revoke, ids::archive, ids::search, ids::show, id_files::export, id_files::import, subscription::show, renewal::renew,
        webhooks::receive, webhooks::health, events::list, events::pending, events::show, events::process, events::discard,
        telegram::ask, telegram::link, telegram::unlink, telegram::show, telegram::language, telegram::config, telegram::rotate,
        telegram::notices, telegram::done, telegram::give_out, handover::make, handover::list, handover::withdraw, open::show, open::open, telegram::of_person, telegram::unlink_person,
        health::health, health::livez, health::readyz, health::metrics, docs::document, docs::page,
    ),
    components(schemas(
        ProblemBody, texts::CorporateIdText, texts::SourceText, schemas::HoldNameText, schemas::GatewayNameText, schemas::AccessWord,
        schemas::ReasonWord, schemas::PhaseWord, schemas::WhyBody, texts::OwnerText, texts::EmailText, texts::RoleText,
        texts::ReasonText, schemas::GuardWord, schemas::EventStateWord, schemas::EventTypeText, texts::DepartmentText,
        schemas::IdPrefixText, schemas::IdStatusWord, schemas::RequestKeyText, subscription::Format, subscription::RenewWhat,
    )),
    security(("corporate_secret" = [])),
    tags(
        (name = "access", description = "Give access and take it away"),
        (name = "people", description = "Who has access, and why not"),
        (name = "holds", description = "Standing denials. Any live hold denies; only the source that placed it lifts it"),
        (name = "ids", description = "Corporate IDs: who got which, and where each stands"),
        (name = "gateways", description = "How the gateways are, and what waits there"),
        (name = "guard", description = "Denials that came in unusual number and wait for a person"),
        (name = "webhooks", description = "Events of the HR system"),
        (name = "audit", description = "Who did what"),
        (name = "telegram", description = "Telegram accounts that belong to people, and what they are told"),
        (name = "subscription", description = "What VPN clients fetch"),
        (name = "health", description = "For machines that watch"),
        (name = "documentation", description = "This document"),
    ),
    modifiers(&Common),
)]
struct Document;

/// What every operation has in common.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = ApiKey::Header(ApiKeyValue::with_description(
            "X-Corporate-Secret",
            "The shared secret of the installation. Two are valid while it is rotated.",
        ));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("corporate_secret", SecurityScheme::ApiKey(scheme));
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.post, &mut item.put, &mut item.delete].into_iter().flatten() {
                let lenient = operation.operation_id.as_deref().is_some_and(|id| DENIES.contains(&id));
                operation
                    .parameters
                    .get_or_insert_default()
                    .extend(caller_headers(lenient).map(RefOr::T));
            }
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                complete(operation);
            }
        }
    }
}

/// Operations whose body may be left out. Null is no such body.
const WITHOUT_BODY: [&str; 6] = [
    "deactivate_user",
    "activate_user",
    "discard_event",
    "give_out_link_code",
    "hand_over",
    "open_handover",
];

/// Operations that deny, for which anything is taken that does not say whom.
const DENIES: [&str; 3] = ["deactivate_user", "create_hold", "revoke_id"];

/// Headers that every change may carry.
fn caller_headers(lenient: bool) -> [Parameter; 2] {
    let header = |name: &str, description: &str, schema: RefOr<Schema>| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schema))
            .build()
    };
    [
        header(
            "X-Vpn-Operator-Source",
            "The source that the caller acts as; `api` when absent.",
            SourceText::schema(),
        ),
        header(
            "X-Vpn-Operator-Actor",
            "The person who acts, for the audit.",
            if lenient { String::schema() } else { ActorText::schema() },
        ),
    ]
}

fn complete(operation: &mut Operation) {
    let problem = |description: &str| {
        let mut response = Response::new(description);
        let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
        response
            .content
            .insert("application/problem+json".to_owned(), content.into());
        RefOr::T(response)
    };
    let is_optional = operation
        .operation_id
        .as_deref()
        .is_some_and(|id| WITHOUT_BODY.contains(&id));
    if is_optional && let Some(RefOr::T(body)) = operation.request_body.as_mut() {
        body.required = Some(Required::False);
    }
    let responses = &mut operation.responses.responses;
    if operation.security.is_none() {
        responses
            .entry("403".to_owned())
            .or_insert_with(|| problem("The secret is wrong or missing"));
        responses
            .entry("429".to_owned())
            .or_insert_with(|| problem("Too many failed attempts from this address"));
    }
    responses
        .entry("default".to_owned())
        .or_insert_with(|| problem("Any other problem"));
}
