//! The tables of the former service.

/// A table of the former service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// People with their accounts.
    Users,
    /// What people did.
    AuthLogs,
    /// What HR systems reported.
    WebhookEvents,
    /// Traffic over time.
    TrafficStats,
    /// How the former service itself felt.
    MonitorEvents,
    /// Corporate IDs that were issued.
    IdRegistry,
    /// What was done to them.
    IdAudit,
}

impl Table {
    /// Every table, in the order in which they are told of.
    pub const ALL: [Self; 7] = [
        Self::Users,
        Self::AuthLogs,
        Self::WebhookEvents,
        Self::TrafficStats,
        Self::MonitorEvents,
        Self::IdRegistry,
        Self::IdAudit,
    ];

    /// Its name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::AuthLogs => "auth_logs",
            Self::WebhookEvents => "webhook_events",
            Self::TrafficStats => "traffic_stats",
            Self::MonitorEvents => "monitor_events",
            Self::IdRegistry => "id_registry",
            Self::IdAudit => "id_audit",
        }
    }

    /// Those of its columns that are read.
    pub(super) const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Users => &[
                "corporate_id",
                "blitz_username",
                "hy2_auth_key",
                "subscription_url",
                "telegram_id",
                "created_at",
                "is_active",
                "last_access",
                "locked_until",
                "total_upload",
                "total_download",
            ],
            Self::AuthLogs => &[
                "id",
                "corporate_id",
                "telegram_id",
                "action",
                "ip_address",
                "user_agent",
                "success",
                "error_message",
                "created_at",
            ],
            Self::WebhookEvents => &[
                "id",
                "event_type",
                "corporate_id",
                "event_data",
                "processed",
                "created_at",
                "processed_at",
            ],
            Self::TrafficStats => &["id", "username", "upload_bytes", "download_bytes", "timestamp"],
            // Counted, and not kept.
            Self::MonitorEvents => &["id"],
            Self::IdRegistry => &["id", "owner", "status", "issued_at", "updated_at"],
            Self::IdAudit => &["audit_id", "id", "action", "actor", "details", "created_at"],
        }
    }
}

/// What became of the rows of a table, besides those that are taken over and those that a [`Remark`](super::Remark) skips.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there are.
    pub read: usize,
    /// Older than the audit is kept.
    pub too_old: usize,
    /// Nobody can tell what they mean; the remark on their person says so.
    pub unclear: usize,
    /// Not kept here at all.
    pub unwanted: usize,
}
