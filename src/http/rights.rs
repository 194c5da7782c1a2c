//! Which role may ask what. An admin may ask everything; what is not in this table is for admins alone.

use axum::http::Method;

use crate::api::role::Role;

/// A way to look that shows nobody's password, link or code.
const LOOK: &[Role] = &[Role::Auditor, Role::Helpdesk];
/// What keeps the books is nothing that the help desk needs.
const BOOKS: &[Role] = &[Role::Auditor];
const HELP: &[Role] = &[Role::Helpdesk];
const FEED: &[Role] = &[Role::Feed];
const BOT: &[Role] = &[Role::Bot];

/// Method, path, and the roles beside the admins.
const RIGHTS: &[(&str, &str, &[Role])] = &[
    (
        "GET",
        "/user/{corporate_id}",
        &[Role::Auditor, Role::Helpdesk, Role::Feed],
    ),
    ("GET", "/users", LOOK),
    ("GET", "/holds", LOOK),
    ("GET", "/gateways", LOOK),
    ("GET", "/gateways/{name}", LOOK),
    ("GET", "/guard", LOOK),
    ("GET", "/id/search", LOOK),
    ("GET", "/id/show", LOOK),
    ("GET", "/webhooks/events", BOOKS),
    ("GET", "/webhooks/events/pending", BOOKS),
    ("GET", "/webhooks/events/{id}", BOOKS),
    ("GET", "/id/export.csv", BOOKS),
    ("GET", "/audit", BOOKS),
    ("GET", "/audit/who", BOOKS),
    ("GET", "/audit/user/{corporate_id}", LOOK),
    ("GET", "/user/{corporate_id}/telegram", LOOK),
    ("POST", "/user/{corporate_id}/link-codes", HELP),
    ("GET", "/user/{corporate_id}/links", LOOK),
    ("POST", "/user/{corporate_id}/links", HELP),
    ("DELETE", "/user/{corporate_id}/links/{link}", HELP),
    ("POST", "/holds", HELP),
    ("DELETE", "/holds/{name}", HELP),
    ("POST", "/user/{corporate_id}/deactivate", FEED),
    ("POST", "/user/{corporate_id}/activate", FEED),
];

/// What begins with this is what a person does with their own access: the bot asks it in their name.
const OWN: &str = "/telegram/";

/// Whether a caller of this role may ask this. `route` is the path as it is declared.
pub(super) fn allows(role: Role, method: &Method, route: &str) -> bool {
    // A HEAD is a GET without a body.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    role == Role::Admin || others(method.as_str(), route).contains(&role)
}

fn others(method: &str, route: &str) -> &'static [Role] {
    if route.starts_with(OWN) {
        return BOT;
    }
    let known = RIGHTS.iter().find(|right| right.0 == method && right.1 == route);
    known.map_or(&[], |right| right.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_is_one_to_a_path_that_there_is() {
        let routed: Vec<&str> = super::super::protected().iter().map(|route| route.0).collect();
        for (method, path, _) in RIGHTS {
            assert!(routed.contains(path), "{method} {path}");
        }
    }

    #[test]
    fn nobody_but_an_admin_is_shown_a_password_or_a_link() {
        for (method, path) in [
            (Method::POST, "/access/grant"),
            (Method::GET, "/user/{corporate_id}/config"),
            (Method::POST, "/user/{corporate_id}/rotate"),
        ] {
            for role in Role::ALL {
                assert_eq!(allows(role, &method, path), role == Role::Admin, "{role:?} {path}");
            }
        }
    }

    #[test]
    fn who_only_looks_changes_nothing() {
        for (method, path, roles) in RIGHTS {
            assert!(*method == "GET" || !roles.contains(&Role::Auditor), "{method} {path}");
        }
        assert!(allows(Role::Auditor, &Method::HEAD, "/users"));
        assert!(!allows(Role::Auditor, &Method::DELETE, "/users"));
        assert!(!allows(Role::Bot, &Method::GET, "/users"));
        assert!(allows(Role::Bot, &Method::POST, "/telegram/accounts/{account}/link"));
        assert!(!allows(
            Role::Helpdesk,
            &Method::GET,
            "/telegram/accounts/{account}/config"
        ));
    }

    #[test]
    fn the_documentation_has_the_table() {
        let page = include_str!("../../docs/api.md");
        for (method, path, roles) in RIGHTS {
            let words: Vec<&str> = roles.iter().map(|role| role.word()).collect();
            let line = format!("| `{method} {path}` | {} |", words.join(", "));
            assert!(page.contains(&line), "docs/api.md lacks {line}");
        }
    }
}
