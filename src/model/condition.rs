//! Conditions, as kstatus and `kubectl wait` read them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Types of conditions.
pub mod types {
    /// The gateways agree with the decision, also when the decision is Denied.
    pub const READY: &str = "Ready";
    /// Work is under way.
    pub const RECONCILING: &str = "Reconciling";
    /// Work cannot go on until a person acts.
    pub const STALLED: &str = "Stalled";
    /// Access is granted.
    pub const GRANTED: &str = "Granted";
}

/// Most characters of a message; the limit of Kubernetes.
pub const MAX_MESSAGE_LEN: usize = 32_768;

/// One condition of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub type_: String,
    /// True, False or Unknown.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// Generation of the object that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// When `status` last flipped, UTC.
    pub last_transition_time: Timestamp,
    /// A constant in `CamelCase`.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// For people: what is so, and what to do.
    #[serde(default)]
    #[schemars(length(max = MAX_MESSAGE_LEN))]
    pub message: String,
}

/// What a condition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// Nobody knows yet.
    Unknown,
}

impl ConditionStatus {
    /// The constant that stands in the condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(so: bool) -> Self {
        if so { Self::True } else { Self::False }
    }
}

/// The one way to write conditions.
///
/// The order of a list stays as it is, new types join at its end, and `lastTransitionTime` moves only when the status
/// flips: writing the same conditions again therefore gives an equal list.
pub struct Conditions<'a> {
    list: &'a mut Vec<Condition>,
    generation: i64,
    now: Timestamp,
}

impl<'a> Conditions<'a> {
    /// Writes into `list` what was observed at `now` of an object at this `generation`.
    ///
    /// Times are kept in whole seconds, as Kubernetes keeps those of conditions.
    pub fn new(list: &'a mut Vec<Condition>, generation: i64, now: Timestamp) -> Self {
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Self { list, generation, now }
    }

    /// Sets one condition. A message that is longer than [`MAX_MESSAGE_LEN`] is cut off at its end.
    pub fn set(
        &mut self,
        type_: &str,
        status: impl Into<ConditionStatus>,
        reason: &str,
        message: impl Into<String>,
    ) -> &mut Self {
        let status = status.into().as_str();
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_LEN) {
            message.truncate(end);
        }
        let known = self.list.iter_mut().find(|condition| condition.type_ == type_);
        let flipped = known.as_ref().is_none_or(|condition| condition.status != status);
        let condition = Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            observed_generation: Some(self.generation),
            last_transition_time: match &known {
                Some(condition) if !flipped => condition.last_transition_time,
                _ => self.now,
            },
            reason: reason.to_owned(),
            message,
        };
        match known {
            Some(known) => *known = condition,
            None => self.list.push(condition),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::new(1_767_225_600 + second, 123_456_789).unwrap()
    }

    #[test]
    fn the_time_moves_only_when_the_status_flips() {
        let mut list = Vec::new();
        Conditions::new(&mut list, 1, at(0)).set(types::READY, false, "Waiting", "for a node");
        Conditions::new(&mut list, 2, at(5)).set(types::READY, false, "Unreachable", "fra1 does not answer");
        assert_eq!(list[0].last_transition_time.as_second(), at(0).as_second());
        assert_eq!(
            (list[0].observed_generation, list[0].reason.as_str()),
            (Some(2), "Unreachable")
        );
        Conditions::new(&mut list, 2, at(9)).set(types::READY, true, "Agreed", "");
        assert_eq!(list[0].last_transition_time.to_string(), "2026-01-01T00:00:09Z");
        assert_eq!(list.len(), 1);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let mut list = Vec::new();
        Conditions::new(&mut list, 1, at(0)).set(types::READY, true, "Long", "\u{e9}".repeat(MAX_MESSAGE_LEN + 1));
        assert_eq!(list[0].message.chars().count(), MAX_MESSAGE_LEN);
    }

    fn status() -> impl Strategy<Value = ConditionStatus> {
        prop_oneof![
            Just(ConditionStatus::True),
            Just(ConditionStatus::False),
            Just(ConditionStatus::Unknown)
        ]
    }

    proptest! {
        #[test]
        fn order_is_stable_types_are_unique_and_the_same_again_changes_nothing(
            steps in prop::collection::vec((0..4usize, status(), 0..3usize), 1..20),
        ) {
            let names = [types::READY, types::RECONCILING, types::STALLED, types::GRANTED];
            let reasons = ["One", "Two", "Three"];
            let mut list: Vec<Condition> = Vec::new();
            let mut flipped = std::collections::HashMap::new();
            for (step, (name, status, reason)) in (0i64..).zip(&steps) {
                let order: Vec<String> = list.iter().map(|c| c.type_.clone()).collect();
                let before = list.iter().find(|c| c.type_ == names[*name]).map(|c| c.status.clone());
                if before.as_deref() != Some(status.as_str()) {
                    flipped.insert(names[*name], at(step).as_second());
                }
                Conditions::new(&mut list, step, at(step)).set(names[*name], *status, reasons[*reason], "");
                let now: Vec<String> = list.iter().map(|c| c.type_.clone()).collect();
                prop_assert_eq!(&now[..order.len()], &order[..]);
                prop_assert!(now.len() <= order.len() + 1);
                let set = list.iter().find(|c| c.type_ == names[*name]).unwrap();
                prop_assert_eq!(set.last_transition_time.as_second(), flipped[names[*name]]);
                prop_assert_eq!(set.observed_generation, Some(step));
                let again = list.clone();
                Conditions::new(&mut list, step, at(step + 1)).set(names[*name], *status, reasons[*reason], "");
                prop_assert_eq!(&list, &again);
            }
            let unique: std::collections::HashSet<_> = list.iter().map(|c| &c.type_).collect();
            prop_assert_eq!(unique.len(), list.len());
        }
    }
}
