//! The one seam to the rules that both sources share.

use super::object::Spec;

/// What a spec breaks: path of the field within the document, and what is wrong with it.
///
/// `old` is the version in force, for the fields that must not change.
pub(super) fn rules(name: &str, new: &Spec, old: Option<&Spec>) -> Vec<(String, String)> {
    let mut broken = Vec::new();
    if let Spec::User(user) = new {
        let expected = user.corporate_id.object_name();
        if name != expected {
            broken.push((
                "metadata.name".to_owned(),
                format!("the name of this user must be {expected}, the encoding of spec.corporateId"),
            ));
        }
        if let Some(Spec::User(old)) = old
            && old.corporate_id != user.corporate_id
        {
            broken.push((
                "spec.corporateId".to_owned(),
                "the corporate ID must not change".to_owned(),
            ));
        }
    }
    if let (Spec::Hold(new), Some(Spec::Hold(old))) = (new, old)
        && new != old
    {
        broken.push((
            "spec".to_owned(),
            "a hold must not change: remove it and add another".to_owned(),
        ));
    }
    broken
}
