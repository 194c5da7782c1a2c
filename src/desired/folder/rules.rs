//! The one seam to the rules that both sources share.

use super::object::Spec;
use crate::model::validate::{FieldError, gateway_errors, hold_errors, user_errors};

/// What an object breaks: path of the field within the document, and what is wrong with it.
///
/// `old` is the version in force, for the fields that must not change.
pub(super) fn rules(name: &str, new: &Spec, old: Option<&Spec>) -> Vec<FieldError> {
    let name = Some(name);
    match (new, old) {
        (Spec::User(new), Some(Spec::User(old))) => user_errors(name, new, Some(old)),
        (Spec::User(new), _) => user_errors(name, new, None),
        (Spec::Hold(new), Some(Spec::Hold(old))) => hold_errors(name, new, Some(old)),
        (Spec::Hold(new), _) => hold_errors(name, new, None),
        (Spec::Gateway(new), _) => gateway_errors(name, new),
    }
}
