//! What `user link` and `user links` take.

use std::time::Duration;

use clap::Args;

use super::{ask::Ask, complete};
use crate::{config::duration, model::corporate_id::CorporateId};

/// Arguments of `user link`.
#[derive(Debug, Args)]
pub struct HandOver {
    /// Corporate ID
    #[arg(add = complete::people())]
    pub id: CorporateId,
    /// How long it is good, from 1m to 720h (30 days); 24h when absent
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub ttl: Option<Duration>,
    /// How many times it opens the page; once when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub uses: Option<u32>,
    /// Why; stands in the audit
    #[arg(long)]
    pub reason: Option<String>,
    /// Your own name of this request, like a UUID: the same one makes one link, however often it is sent
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Ask.
    #[command(flatten)]
    pub ask: Ask,
}

/// Arguments of `user links`.
#[derive(Debug, Args)]
pub struct HandedOver {
    /// Corporate ID
    #[arg(add = complete::people())]
    pub id: CorporateId,
    /// Withdraw the link with this number
    #[arg(long, value_name = "LINK")]
    pub withdraw: Option<i64>,
    /// Why it is withdrawn; stands in the audit
    #[arg(long, requires = "withdraw")]
    pub reason: Option<String>,
    /// Ask.
    #[command(flatten)]
    pub ask: Ask,
}
