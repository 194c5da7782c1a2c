//! Telegram accounts: linking them to people, what a person does with their own access from a chat, and what is to be told.

use std::time::Duration;

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    HttpState,
    access::rotated,
    auth::Who,
    denial::checked_reason,
    extract::{Body, OptionalBody, Params, PathId, RequestKey},
    problem::Problem,
    schemas::RequestKeyText,
    value::number,
};
use crate::{
    access::{LinkedView, OwnHold},
    api::{
        access::{FullConfigBody, RotateBody, RotatedBody},
        problem::ProblemBody,
        schemas::CorporateIdText,
        telegram::{
            CodeAnswer, CodeRequest, LanguageRequest, LinkCode, LinkRequest, Linked, LinkedPerson, NewLinkCode, Notice,
            NoticeDone, NoticeKind, NoticeOutcome, Notices, PersonsHold, TelegramLink,
        },
    },
    linking::{self, Outcome, What},
    model::corporate_id::CorporateId,
};

/// Longest that a request waits for a notice, in seconds.
const LONGEST_WAIT: u32 = 25;

/// The Telegram account in the path.
pub(super) struct Account(i64);

impl<S: Send + Sync> FromRequestParts<S> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = Path::<String>::from_request_parts(parts, state).await;
        let number = found.ok().and_then(|Path(text)| text.parse::<i64>().ok());
        number
            .map(Self)
            .ok_or_else(|| Problem::invalid("account: give the numeric id of a Telegram account, like 123456789"))
    }
}

/// The number of a notice in the path.
pub(super) struct NoticeNumber(i64);

impl<S: Send + Sync> FromRequestParts<S> for NoticeNumber {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = Path::<String>::from_request_parts(parts, state).await;
        let number = found.ok().and_then(|Path(text)| text.parse::<i64>().ok());
        number
            .map(Self)
            .ok_or_else(|| Problem::invalid("id: give the number of a notice"))
    }
}

/// Ask for a code that links an account to a person.
///
/// A code is sent to the address that is known of this ID, if there is one. The answer is the same for every ID, whether or not it
/// exists, and so is the time it takes. Requests are counted by ID and by account.
#[utoipa::path(
    post, path = "/telegram/accounts/{account}/code", operation_id = "ask_for_link_code", tag = "telegram", request_body = CodeRequest,
    params(("account" = i64, Path, description = "Telegram account")),
    responses(
        (status = 202, description = "A code is sent if there is anybody to send it to", body = CodeAnswer),
        (status = 422, description = "That is no corporate ID", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many tries or requests, or too many wrong secrets: see `type`; `Retry-After` says for how long",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn ask(
    State(state): State<HttpState>,
    Who(caller): Who,
    Account(account): Account,
    Body(body): Body<CodeRequest>,
) -> Result<(StatusCode, Json<CodeAnswer>), Problem> {
    let id = CorporateId::parse(body.corporate_id.trim())?;
    let use_cases = &state.use_cases;
    let valid = use_cases
        .ask_for_link_code(caller, account, body.chat, id, &body.language)
        .await?;
    let answer = CodeAnswer {
        valid_seconds: valid.as_secs(),
        by_mail: use_cases.sends_link_codes(),
    };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// Link an account to the person whose ID it said.
///
/// With the code that was sent, or that somebody gave out. Wrong codes are counted by ID and by account. An account that is linked to
/// somebody else is moved; another account that was linked to the person is not any more, and has a notice.
#[utoipa::path(
    post, path = "/telegram/accounts/{account}/link", operation_id = "link_account", tag = "telegram", request_body = LinkRequest,
    params(("account" = i64, Path, description = "Telegram account")),
    responses(
        (status = 200, description = "The account is linked", body = Linked),
        (status = 403, description = "The code is wrong (`wrong-code`), or it is right and the person is denied (`reason` says why)",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many wrong codes, or too many wrong secrets: see `type`; `Retry-After` says for how long",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "History or the links are unavailable: nobody was linked", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn link(
    State(state): State<HttpState>,
    Who(caller): Who,
    Account(account): Account,
    Body(body): Body<LinkRequest>,
) -> Result<Json<Linked>, Problem> {
    let done = state
        .use_cases
        .link_account(caller, account, body.chat, &body.code, body.name)
        .await?;
    Ok(Json(Linked {
        corporate_id: done.corporate_id.into(),
        replaced: done.replaced,
    }))
}

/// Take the link of an account away.
#[utoipa::path(
    delete, path = "/telegram/accounts/{account}/link", operation_id = "unlink_account", tag = "telegram",
    params(("account" = i64, Path, description = "Telegram account")),
    responses(
        (status = 204, description = "The account is not linked any more"),
        (status = 404, description = "It is not linked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn unlink(
    State(state): State<HttpState>,
    Who(caller): Who,
    Account(account): Account,
) -> Result<StatusCode, Problem> {
    state.use_cases.unlink_account(caller, account).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The person of an account, as they may see themselves.
#[utoipa::path(
    get, path = "/telegram/accounts/{account}", operation_id = "show_linked_person", tag = "telegram",
    params(("account" = i64, Path, description = "Telegram account")),
    responses(
        (status = 200, description = "Access, devices, traffic and holds", body = LinkedPerson),
        (status = 404, description = "The account is not linked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(state): State<HttpState>,
    Account(account): Account,
) -> Result<Json<LinkedPerson>, Problem> {
    Ok(Json(person(state.use_cases.linked_person(account).await?)))
}

fn person(view: LinkedView) -> LinkedPerson {
    LinkedPerson {
        corporate_id: view.corporate_id.into(),
        linked_at: view.link.linked_at,
        language: view.link.language,
        granted: view.granted,
        reason: view.reason.to_owned(),
        valid_from: view.valid_from,
        valid_until: view.valid_until,
        devices: view.devices,
        max_devices: view.max_devices,
        used_bytes: view.used,
        limit_bytes: view.limit,
        resets_at: view.resets_at,
        holds: view.holds.into_iter().map(hold).collect(),
    }
}

fn hold(OwnHold { source, until }: OwnHold) -> PersonsHold {
    PersonsHold { source, until }
}

/// Choose the language of an account.
#[utoipa::path(
    put, path = "/telegram/accounts/{account}/language", operation_id = "choose_language", tag = "telegram",
    request_body = LanguageRequest, params(("account" = i64, Path, description = "Telegram account")),
    responses(
        (status = 204, description = "Chosen"),
        (status = 404, description = "The account is not linked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn language(
    State(state): State<HttpState>,
    Account(account): Account,
    Body(body): Body<LanguageRequest>,
) -> Result<StatusCode, Problem> {
    state.use_cases.set_language(account, &body.language).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Configuration of the person of an account.
#[utoipa::path(
    get, path = "/telegram/accounts/{account}/config", operation_id = "show_own_config", tag = "telegram",
    params(("account" = i64, Path, description = "Telegram account")),
    responses(
        (status = 200, description = "Links, QR code and traffic", body = FullConfigBody),
        (status = 403, description = "The person is denied (or the secret is wrong: see `type`)", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 404, description = "The account is not linked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn config(
    State(state): State<HttpState>,
    Who(caller): Who,
    Account(account): Account,
) -> Result<Json<FullConfigBody>, Problem> {
    let configuration = state.use_cases.configuration_of_account(caller, account).await?;
    FullConfigBody::of(&configuration).map(Json)
}

/// Rotate what the person of an account connects with.
#[utoipa::path(
    post, path = "/telegram/accounts/{account}/rotate", operation_id = "rotate_own_credentials", tag = "telegram",
    request_body = RotateBody, params(("account" = i64, Path, description = "Telegram account")),
    responses(
        (status = 200, description = "The new one works, the old one does not", body = RotatedBody),
        (status = 202, description = "Declared, but auth has not taken it in yet", body = RotatedBody),
        (status = 403, description = "The person is denied (or the secret is wrong: see `type`)", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 404, description = "The account is not linked", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The password is declared elsewhere, or the object cannot be edited",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rotate(
    State(state): State<HttpState>,
    Who(caller): Who,
    Account(account): Account,
    Body(body): Body<RotateBody>,
) -> Result<(StatusCode, Json<RotatedBody>), Problem> {
    rotated(state.use_cases.rotate_of_account(caller, account, body.what()).await?)
}

/// How long to wait for a notice.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitQuery {
    /// At most so many seconds, up to 25; 0 does not wait.
    #[serde(default, deserialize_with = "number")]
    #[param(default = 0, minimum = 0, maximum = 25)]
    wait: u32,
}

/// What nobody has told yet.
///
/// Waits for the first one. A notice is in every answer until it is done, or until telling it would mislead.
#[utoipa::path(
    get, path = "/telegram/notices", operation_id = "list_notices", tag = "telegram", params(WaitQuery),
    responses((status = 200, description = "Notices, oldest first", body = Notices))
)]
pub(super) async fn notices(
    State(state): State<HttpState>,
    Params(query): Params<WaitQuery>,
) -> Result<Json<Notices>, Problem> {
    if query.wait > LONGEST_WAIT {
        return Err(Problem::invalid(format!(
            "wait: give a number from 0 to {LONGEST_WAIT}"
        )));
    }
    let found = state.use_cases.notices(Duration::from_secs(query.wait.into())).await?;
    Ok(Json(Notices {
        notices: found.into_iter().map(notice).collect(),
        unknown: 0,
    }))
}

fn notice(notice: linking::Notice) -> Notice {
    Notice {
        id: notice.id,
        account: notice.account,
        chat: notice.chat,
        language: notice.language,
        what: match notice.what {
            What::Granted => NoticeKind::Granted,
            What::Suspended { reason } => NoticeKind::Suspended { reason },
            What::Restored => NoticeKind::Restored,
            What::Expiring { valid_until, days } => NoticeKind::Expiring { valid_until, days },
            What::Quota { percent, resets_at } => NoticeKind::Quota { percent, resets_at },
            What::Replaced => NoticeKind::Replaced,
            What::Unlinked => NoticeKind::Unlinked,
            What::HeldBack { people, some } => NoticeKind::HeldBack { people, some },
        },
        at: notice.at,
        until: notice.until,
    }
}

/// Say what became of a notice.
#[utoipa::path(
    post, path = "/telegram/notices/{id}/done", operation_id = "finish_notice", tag = "telegram", request_body = NoticeDone,
    params(("id" = i64, Path, description = "Number of the notice")),
    responses((status = 204, description = "It is not told again; what was said first stays"))
)]
pub(super) async fn done(
    State(state): State<HttpState>,
    NoticeNumber(id): NoticeNumber,
    Body(body): Body<NoticeDone>,
) -> Result<StatusCode, Problem> {
    let outcome = match body.outcome {
        NoticeOutcome::Told => Outcome::Told,
        NoticeOutcome::Blocked => Outcome::Blocked,
        NoticeOutcome::Late => Outcome::Late,
    };
    state.use_cases.notice_done(id, outcome).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give out a code that links an account to a person.
///
/// In place of one that is sent by mail. It is good once, in the first chat that asks for this ID, and is shown here and nowhere
/// else. A code that was given out before for the person is good no more. The same `Idempotency-Key` gets the same code, however
/// often it is sent, and makes none that was used good again.
#[utoipa::path(
    post, path = "/user/{corporate_id}/link-codes", operation_id = "give_out_link_code", tag = "telegram", request_body = NewLinkCode,
    params(
        ("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter"),
        ("Idempotency-Key" = Option<RequestKeyText>, Header, description = "The caller's own name of this request"),
    ),
    responses(
        (status = 201, description = "The code", body = LinkCode),
        (status = 404, description = "Nothing is known of this ID", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "History or the links are unavailable: no code was made", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn give_out(
    State(state): State<HttpState>,
    Who(caller): Who,
    PathId(id): PathId,
    RequestKey(request): RequestKey,
    OptionalBody(body): OptionalBody<NewLinkCode>,
) -> Result<(StatusCode, Json<LinkCode>), Problem> {
    let reason = checked_reason(body.reason)?;
    let made = state
        .use_cases
        .give_out_link_code(caller, id, body.minutes, reason, request)
        .await?;
    let code = LinkCode {
        code: secrecy::ExposeSecret::expose_secret(&made.code).to_owned(),
        corporate_id: made.corporate_id.into(),
        valid_until: made.valid_until,
    };
    Ok((StatusCode::CREATED, Json(code)))
}

/// Which account a person has linked.
#[utoipa::path(
    get, path = "/user/{corporate_id}/telegram", operation_id = "show_telegram", tag = "telegram",
    params(("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter")),
    responses(
        (status = 200, description = "The link", body = TelegramLink),
        (status = 404, description = "There is none", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn of_person(
    State(state): State<HttpState>,
    PathId(id): PathId,
) -> Result<Json<TelegramLink>, Problem> {
    let link = state.use_cases.link_of_person(&id).await?;
    Ok(Json(TelegramLink {
        corporate_id: link.id.into(),
        account: link.account,
        linked_at: link.linked_at,
    }))
}

/// Take the link of a person away.
///
/// The account has a notice.
#[utoipa::path(
    delete, path = "/user/{corporate_id}/telegram", operation_id = "unlink_person", tag = "telegram",
    params(("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter")),
    responses(
        (status = 204, description = "No account is linked any more"),
        (status = 404, description = "There is no link", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn unlink_person(
    State(state): State<HttpState>,
    Who(caller): Who,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    state.use_cases.unlink_person(caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
