//! Who may do what.

use std::collections::HashMap;

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::{recorder::Call, refusal::Refusal, resource::Resource};

/// The rules of each user. A user without any may do everything.
#[derive(Default)]
pub struct Rbac {
    rules: HashMap<String, Vec<PolicyRule>>,
}

impl Rbac {
    pub fn restrict(&mut self, user: &str, rules: Vec<PolicyRule>) {
        self.rules.insert(user.to_owned(), rules);
    }

    /// Refuses what no rule grants.
    pub fn check(&self, resource: &Resource, call: &Call, verb: &str) -> Result<(), Refusal> {
        let Some(rules) = self.rules.get(&call.user) else {
            return Ok(());
        };
        let wanted = call.resource_with_subresource();
        let granted = rules.iter().any(|rule| {
            let has = |list: &[String], word: &str| list.iter().any(|entry| entry == word || entry == "*");
            let names = rule.resource_names.as_deref().unwrap_or_default();
            has(rule.api_groups.as_deref().unwrap_or_default(), &call.group)
                && has(rule.resources.as_deref().unwrap_or_default(), &wanted)
                && has(&rule.verbs, verb)
                && (names.is_empty() || names.contains(&call.name))
        });
        if granted {
            return Ok(());
        }
        let place = if call.namespace.is_empty() {
            " at the cluster scope".to_owned()
        } else {
            format!(" in the namespace {:?}", call.namespace)
        };
        let why = format!(
            "User {:?} cannot {verb} resource {wanted:?} in API group {:?}{place}",
            call.user, call.group
        );
        Err(Refusal::forbidden(resource, &call.name, &why))
    }
}
