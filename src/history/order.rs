//! Which actions are orders about access.

/// What an action orders about access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It lets somebody in, or takes away one cause of a denial.
    Grants,
    /// It keeps somebody out.
    Denies,
}

impl Order {
    /// What the action of an audit row orders; `None` if it is about something else, or if it says that an order failed.
    pub(super) fn of(action: &str) -> Option<Self> {
        match action {
            "grant" | "activate" | "hold.release" | "guard.cancel" | "id.reinstate" => Some(Self::Grants),
            "deactivate" | "suspend" | "hold.create" | "guard.confirm" | "id.revoke" => Some(Self::Denies),
            _ => None,
        }
    }

    /// Whether it lets somebody in.
    pub(super) const fn grants(self) -> bool {
        matches!(self, Self::Grants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_a_step_of_the_registry_and_a_rotation_order_nothing_about_access() {
        for action in [
            "grant.failed",
            "deactivate.failed",
            "id.activate",
            "id.archive",
            "rotate",
            "role.change",
            "",
        ] {
            assert_eq!(Order::of(action), None, "{action}");
        }
        assert_eq!(Order::of("id.reinstate"), Some(Order::Grants));
        assert_eq!(Order::of("id.revoke"), Some(Order::Denies));
    }
}
