//! The rules that both sources share, on a document that was read.

use super::object::Spec;
use crate::model::{
    gateway::VpnGateway,
    hold::VpnHold,
    user::VpnUser,
    validate::{FieldError, validate_gateway, validate_hold, validate_user},
};

/// What a spec breaks: path of the field within the document, and what is wrong with it.
///
/// `old` is the version in force, for the fields that must not change.
pub(super) fn rules(name: &str, new: &Spec, old: Option<&Spec>) -> Vec<(String, String)> {
    let errors = match (new, old) {
        (Spec::User(new), Some(Spec::User(old))) => judge(name, &**new, Some(&**old), VpnUser::new, validate_user),
        (Spec::User(new), _) => judge(name, &**new, None, VpnUser::new, validate_user),
        (Spec::Hold(new), Some(Spec::Hold(old))) => judge(name, &**new, Some(&**old), VpnHold::new, validate_hold),
        (Spec::Hold(new), _) => judge(name, &**new, None, VpnHold::new, validate_hold),
        (Spec::Gateway(new), Some(Spec::Gateway(old))) => {
            judge(name, &**new, Some(&**old), VpnGateway::new, validate_gateway)
        }
        (Spec::Gateway(new), _) => judge(name, &**new, None, VpnGateway::new, validate_gateway),
    };
    errors.into_iter().map(|error| (error.path, error.message)).collect()
}

/// A rule looks at objects; here there is only a spec, which becomes one for a moment.
fn judge<S: Clone, K>(
    name: &str,
    new: &S,
    old: Option<&S>,
    object: fn(&str, S) -> K,
    validate: fn(&K, Option<&K>) -> Vec<FieldError>,
) -> Vec<FieldError> {
    let old = old.map(|old| object(name, old.clone()));
    validate(&object(name, new.clone()), old.as_ref())
}
