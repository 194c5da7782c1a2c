//! Conditions, as kstatus and `kubectl wait` read them.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

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
    /// An annotation keeps the operator from writing anything for the object.
    pub const PAUSED: &str = "Paused";
    /// Users are kept to the gateways that they name. There only while it is false.
    pub const SEPARATED: &str = "Separated";
    /// Of a gateway with an auth guard: its servers ask the operator, and the panel's own auth service answers.
    pub const GUARDED: &str = "Guarded";
}

/// Most characters of a message; the limit of Kubernetes.
pub const MAX_MESSAGE_LEN: usize = 32_768;

/// A text of a condition. Nearly all are constants, and a hundred thousand objects have the same: those take no memory.
pub type Text = Cow<'static, str>;

/// What the conditions of an object that is at rest say.
pub mod texts {
    /// Message of [`super::types::GRANTED`] when it is true.
    pub const ACCEPTED: &str = "logins are accepted";
    /// Message of [`super::types::READY`] when it is true.
    pub const AGREED: &str = "the gateways agree with the decision";
    /// Message of [`super::types::GRANTED`] for who is not active.
    pub const INACTIVE: &str = "spec.active is false";
    /// Message of [`super::types::GRANTED`] after the end of the access.
    pub const EXPIRED: &str = "spec.validUntil has passed";
    /// Reason of [`super::types::READY`] when it is true.
    pub const RECONCILED: &str = "Reconciled";
    /// Reason of [`super::types::GRANTED`] when it is true.
    pub const ACTIVE: &str = "Active";

    /// Reason of [`super::types::STALLED`] when the guard holds a denial back until a person confirms it.
    pub const GUARD_HELD_BACK: &str = "GuardHeldBack";

    /// All of them.
    pub(super) const ALL: [&str; 7] = [ACCEPTED, AGREED, INACTIVE, EXPIRED, RECONCILED, ACTIVE, GUARD_HELD_BACK];

    const HELD_BY: &str = "held by ";
    const BETWEEN_HOLDS: &str = ", ";

    /// Message of [`super::types::GRANTED`] for who is held, with the names of the live holds. Auth replicas read them back
    /// with [`holders`].
    #[must_use]
    pub fn held_by(holds: &[String]) -> String {
        format!("{HELD_BY}{}", holds.join(BETWEEN_HOLDS))
    }

    /// The names in a message of [`held_by`].
    pub fn holders(message: &str) -> impl Iterator<Item = &str> {
        message
            .strip_prefix(HELD_BY)
            .into_iter()
            .flat_map(|names| names.split(BETWEEN_HOLDS))
    }
}

/// Takes a text over, without memory of its own if it is one of the constants.
fn shared(text: Cow<'_, str>) -> Text {
    let statuses = [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown];
    let known = [types::READY, types::GRANTED, types::RECONCILING, types::STALLED]
        .into_iter()
        .chain(statuses.map(ConditionStatus::as_str))
        .chain(texts::ALL)
        .find(|known| *known == text);
    known.map_or_else(|| Cow::Owned(text.into_owned()), Cow::Borrowed)
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
    Cow::<str>::deserialize(deserializer).map(shared)
}

/// One condition of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition.
    #[serde(rename = "type", deserialize_with = "text")]
    #[schemars(length(min = 1, max = 316))]
    pub type_: Text,
    /// True, False or Unknown.
    #[serde(deserialize_with = "text")]
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: Text,
    /// Generation of the object that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// When `status` last flipped, UTC.
    pub last_transition_time: Timestamp,
    /// A constant in `CamelCase`.
    #[serde(deserialize_with = "text")]
    #[schemars(length(min = 1, max = 1024))]
    pub reason: Text,
    /// For people: what is so, and what to do.
    #[serde(default, deserialize_with = "text")]
    #[schemars(length(max = MAX_MESSAGE_LEN))]
    pub message: Text,
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
        message: impl Into<Text>,
    ) -> &mut Self {
        let status = status.into().as_str();
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_LEN) {
            message.to_mut().truncate(end);
        }
        let known = self.list.iter_mut().find(|condition| condition.type_ == type_);
        let flipped = known.as_ref().is_none_or(|condition| condition.status != status);
        let condition = Condition {
            type_: shared(type_.into()),
            status: status.into(),
            observed_generation: Some(self.generation),
            last_transition_time: match &known {
                Some(condition) if !flipped => condition.last_transition_time,
                _ => self.now,
            },
            reason: shared(reason.into()),
            message: shared(message),
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
            (list[0].observed_generation, &*list[0].reason),
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

    #[test]
    fn constants_take_no_memory_after_reading_either() {
        let mut list = Vec::new();
        Conditions::new(&mut list, 1, at(0)).set(types::READY, true, texts::RECONCILED, texts::AGREED);
        Conditions::new(&mut list, 1, at(0)).set(types::STALLED, true, "Other", "about ab123456".to_owned());
        let read: Vec<Condition> = serde_json::from_str(&serde_json::to_string(&list).unwrap()).unwrap();
        assert_eq!(read, list);
        let constant = |text: &Text| matches!(text, Cow::Borrowed(_));
        let Condition {
            type_,
            status,
            reason,
            message,
            ..
        } = &read[0];
        assert!([type_, status, reason, message].into_iter().all(constant));
        assert!(!constant(&read[1].message));
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
                let order: Vec<String> = list.iter().map(|c| c.type_.to_string()).collect();
                let before = list.iter().find(|c| c.type_ == names[*name]).map(|c| c.status.clone());
                if before.as_deref() != Some(status.as_str()) {
                    flipped.insert(names[*name], at(step).as_second());
                }
                Conditions::new(&mut list, step, at(step)).set(names[*name], *status, reasons[*reason], "");
                let now: Vec<String> = list.iter().map(|c| c.type_.to_string()).collect();
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
