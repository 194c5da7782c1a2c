//! What is counted of Telegram accounts that are linked, and of what people are told.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Debug, Default)]
pub(super) struct LinkingMetrics {
    attempts: Family<ResultLabels, Counter>,
    mails: Family<ResultLabels, Counter>,
    notices: Family<ResultLabels, Counter>,
    links: Gauge,
    waiting: Gauge,
}

impl LinkingMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "telegram_link_attempts",
            "What became of attempts to link a Telegram account: asked, linked, wrong, locked, refused; and of links: unlinked",
            metrics.attempts.clone(),
        );
        registry.register(
            "telegram_link_mails",
            "Codes that were to be sent by mail: sent, failed, or no-address",
            metrics.mails.clone(),
        );
        registry.register(
            "telegram_notices_done",
            "Notices by what became of them: told, blocked, late",
            metrics.notices.clone(),
        );
        registry.register(
            "telegram_links",
            "Telegram accounts that are linked",
            metrics.links.clone(),
        );
        registry.register(
            "telegram_notices_waiting",
            "Notices that nobody has told yet",
            metrics.waiting.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Counts what became of an attempt to link an account.
    pub fn link_attempt(&self, result: &'static str) {
        self.linking.attempts.get_or_create(&ResultLabels { result }).inc();
    }

    /// Counts what became of a code that was to be sent.
    pub fn link_mail(&self, result: &'static str) {
        self.linking.mails.get_or_create(&ResultLabels { result }).inc();
    }

    /// Counts what became of a notice.
    pub fn notice_done(&self, result: &'static str) {
        self.linking.notices.get_or_create(&ResultLabels { result }).inc();
    }

    /// How many accounts are linked, and how many notices wait.
    pub fn links(&self, links: i64, waiting: i64) {
        self.linking.links.set(links);
        self.linking.waiting.set(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_mails_and_notices_are_counted_by_what_became_of_them() {
        let metrics = Metrics::new();
        metrics.link_attempt("wrong");
        metrics.link_mail("sent");
        metrics.notice_done("told");
        metrics.links(3, 2);
        let text = metrics.encode();
        for line in [
            "vpn_operator_telegram_link_attempts_total{result=\"wrong\"} 1\n",
            "vpn_operator_telegram_link_mails_total{result=\"sent\"} 1\n",
            "vpn_operator_telegram_notices_done_total{result=\"told\"} 1\n",
            "vpn_operator_telegram_links 3\n",
            "vpn_operator_telegram_notices_waiting 2\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
