//! Grant, configuration, rotate.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;

use super::{
    HttpState,
    auth::Who,
    extract::{Body, PathId},
    problem::Problem,
    qr,
};
use crate::{
    access::{Configuration, Grant, NewUser, Rotate, Rotation},
    api::{
        access::{
            AcceptedBody, ConfigBody, FullConfigBody, GrantBody, LinkBody, RotateBody, RotateWhat, RotatedBody,
            TrafficStats,
        },
        problem::ProblemBody,
        schemas::CorporateIdText,
    },
    model::corporate_id::CorporateId,
};

impl ConfigBody {
    fn of(configuration: &Configuration) -> Result<Self, Problem> {
        let link = configuration.first_link();
        let link = link.expose_secret();
        Ok(Self {
            corporate_id: configuration.corporate_id.as_str().to_owned(),
            username: configuration.credentials.username.clone(),
            subscription_url: configuration.subscription_url.expose_secret().to_owned(),
            hy2_url: link.to_owned(),
            qr_code: qr::png_base64(link).ok_or_else(Problem::internal)?,
        })
    }
}

impl FullConfigBody {
    /// Of a person who has access.
    pub(super) fn of(configuration: &Configuration) -> Result<Self, Problem> {
        Ok(Self {
            config: ConfigBody::of(configuration)?,
            links: configuration
                .links
                .iter()
                .map(|link| LinkBody {
                    name: link.name().to_owned(),
                    url: link.url(&configuration.credentials).expose_secret().to_owned(),
                })
                .collect(),
            traffic_stats: configuration.traffic.map(|totals| TrafficStats {
                upload: totals.upload,
                download: totals.download,
            }),
        })
    }
}

/// Grant access.
///
/// Declares the person if nobody did, and answers when a client can really connect. Asking again gives the same answer.
/// Granting never lifts a denial: for a person who is held, inactive, expired or over quota it changes nothing. Nor does it
/// change what is declared: with another owner, email, role or end than the person has, it is refused.
#[utoipa::path(
    post, path = "/access/grant", operation_id = "grant_access", tag = "access", request_body = GrantBody,
    responses(
        (status = 200, description = "A client can connect now", body = ConfigBody),
        (status = 202, description = "Declared, but not usable yet: look at `see`", body = AcceptedBody),
        (status = 409, description = "The person is denied (`reason` and `holds` say why), or declared with something else \
         (see `type`)", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "History or desired state is unavailable; nothing was changed", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn grant(
    State(state): State<HttpState>,
    Who(caller): Who,
    Body(body): Body<GrantBody>,
) -> Result<Response, Problem> {
    let new = NewUser {
        corporate_id: CorporateId::parse(&body.corporate_id)?,
        owner: body.owner,
        email: body.email,
        role: body.role,
        valid_until: body.valid_until,
    };
    match state.use_cases.grant(caller, new).await? {
        Grant::Usable(configuration) => Ok(Json(ConfigBody::of(&configuration)?).into_response()),
        Grant::Accepted {
            corporate_id,
            username,
            detail,
        } => {
            let see = state.use_cases.public_url().path(&format!("/user/{corporate_id}"));
            let location = HeaderValue::from_str(&see).map_err(|_| Problem::internal())?;
            let body = AcceptedBody {
                status: "accepted".to_owned(),
                corporate_id: corporate_id.into(),
                username,
                detail,
                see,
            };
            Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(body)).into_response())
        }
    }
}

/// Configuration of a person who has access.
#[utoipa::path(
    get, path = "/user/{corporate_id}/config", operation_id = "show_config", tag = "access",
    params(("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter")),
    responses(
        (status = 200, description = "Links, QR code and traffic", body = FullConfigBody),
        (status = 403, description = "The person is denied (or the secret is wrong: see `type`)", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 404, description = "Nobody is declared with this ID", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn config(
    State(state): State<HttpState>,
    Who(caller): Who,
    PathId(id): PathId,
) -> Result<Json<FullConfigBody>, Problem> {
    let configuration = state.use_cases.hand_out(&caller, &id).await?;
    FullConfigBody::of(&configuration).map(Json)
}

/// Rotate the password, the subscription link, or both.
#[utoipa::path(
    post, path = "/user/{corporate_id}/rotate", operation_id = "rotate_credentials", tag = "access", request_body = RotateBody,
    params(("corporate_id" = CorporateIdText, Path, description = "Corporate ID; case does not matter")),
    responses(
        (status = 200, description = "The new one works, the old one does not", body = RotatedBody),
        (status = 202, description = "Declared, but auth has not taken it in yet", body = RotatedBody),
        (status = 404, description = "Nobody is declared with this ID", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 409, description = "The password is declared elsewhere, or the object cannot be edited",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rotate(
    State(state): State<HttpState>,
    Who(caller): Who,
    PathId(id): PathId,
    Body(body): Body<RotateBody>,
) -> Result<(StatusCode, Json<RotatedBody>), Problem> {
    rotated(state.use_cases.rotate(caller, id, body.what()).await?)
}

impl RotateBody {
    pub(super) fn what(&self) -> Rotate {
        match self.what {
            RotateWhat::Password => Rotate::Password,
            RotateWhat::Subscription => Rotate::Subscription,
            RotateWhat::Both => Rotate::Both,
        }
    }
}

/// The answer to a rotation.
pub(super) fn rotated(done: Rotation) -> Result<(StatusCode, Json<RotatedBody>), Problem> {
    let (code, status) = if done.in_force {
        (StatusCode::OK, "rotated")
    } else {
        (StatusCode::ACCEPTED, "accepted")
    };
    let body = RotatedBody {
        status: status.to_owned(),
        corporate_id: done.corporate_id.into(),
        credential_generation: done.credential_generation,
        subscription_generation: done.subscription_generation,
        config: done.configuration.as_ref().map(FullConfigBody::of).transpose()?,
    };
    Ok((code, Json(body)))
}
