//! What can be typed about people.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{
    ask::Ask,
    complete,
    handover_args::{HandOver, HandedOver},
    qr::Qr,
    values::one_of,
};
use crate::{config::duration, model::corporate_id::CorporateId};

/// Arguments of `user`.
#[derive(Debug, Args)]
pub struct User {
    /// What to do.
    #[command(subcommand)]
    pub command: UserCommand,
}

/// What to do with people.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List people
    #[command(after_help = "\
Examples:
  vpn-operator user list
  vpn-operator user list --access denied --reason Held
  vpn-operator user list -q ivanova --output json")]
    List {
        /// Only people with this access
        #[arg(long, ignore_case = true, value_parser = one_of(["Granted", "Denied"]))]
        access: Option<String>,
        /// Only this reason: `Active`, `Inactive`, `Held`, `NotYetValid`, `Expired`, `OverQuota`, …
        #[arg(long)]
        reason: Option<String>,
        /// Only people whose ID, owner or mail address has this text in it
        #[arg(short, long, value_name = "TEXT")]
        query: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// The page after this one; the end of a page says what to give
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Show one person: access and why, sessions, usage, history
    #[command(after_help = "\
Examples:
  vpn-operator user show AB123456
  vpn-operator user show AB123456 --config      also the links. They are secrets")]
    Show {
        /// Corporate ID
        #[arg(add = complete::people())]
        id: CorporateId,
        /// Also show the links, which are secrets
        #[arg(long)]
        config: bool,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Let a person in and print the links
    #[command(after_help = "\
Examples:
  vpn-operator user grant AB123456
  vpn-operator user grant AB123456 --owner \"Anna Ivanova\" --email anna@example.com \\
      --until 2027-01-01T00:00:00Z

Granting never lifts a hold and never reactivates: exit code 4 says what is in
the way. Exit code 6 means that the account is accepted and not usable yet.
The links and the QR code are secrets.")]
    Grant(Box<Grant>),
    /// Put a person out, and wait until it is proved that no session can pass another byte
    #[command(after_help = "\
Examples:
  vpn-operator user deactivate AB123456 --reason \"laptop stolen\"
  vpn-operator user deactivate AB123456 --wait 0s      do not wait

Three times are shown: denied (logins are refused), contained (no session can pass
another byte), sessions zero (every session is gone; a silent phone may stay listed
for half a minute). Exit code 6 when it was not contained in time; the denial is in
force then, and the operator goes on.")]
    Deactivate {
        /// Corporate ID
        #[arg(add = complete::people())]
        id: CorporateId,
        /// Why; stands in the hold and in the audit
        #[arg(long)]
        reason: Option<String>,
        /// How long to wait for containment
        #[arg(long, default_value = "30s", value_name = "TIME", value_parser = duration)]
        wait: Duration,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Lift what the command line has put in a person's way, and list what remains
    #[command(after_help = "\
Examples:
  vpn-operator user activate AB123456

Exit code 4 when the person stays denied by something else: it is named then.")]
    Activate {
        /// Corporate ID
        #[arg(add = complete::people())]
        id: CorporateId,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Give a person a new password, a new subscription link, or both
    #[command(after_help = "\
Examples:
  vpn-operator user rotate AB123456                          new password; the old one's sessions are cut
  vpn-operator user rotate AB123456 --what subscription      new subscription link only")]
    Rotate {
        /// Corporate ID
        #[arg(add = complete::people())]
        id: CorporateId,
        /// What becomes new
        #[arg(long, default_value = "password", value_parser = ["password", "subscription", "both"])]
        what: String,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Make a code with which a person links a Telegram account
    #[command(after_help = "\
Examples:
  vpn-operator user link-code AB123456
  vpn-operator user link-code AB123456 --minutes 60 --reason \"no mailbox\"

Give it only to somebody of whom you know that it is they: whoever types it into
the bot's chat gets the VPN of this person. It is good once, in the first chat that
asks for this ID, and one that was made before is good no more.")]
    LinkCode {
        /// Corporate ID
        #[arg(add = complete::people())]
        id: CorporateId,
        /// How long it is good; 10 minutes when absent
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1440))]
        minutes: Option<u32>,
        /// Why; stands in the audit
        #[arg(long)]
        reason: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Make a link that opens a person's page, to hand it over
    #[command(after_help = "\
Examples:
  vpn-operator user link AB123456
  vpn-operator user link AB123456 --ttl 4h --uses 2 --reason \"new phone\"

Whoever opens it sees the page with which this person connects, so give it to that
person only. The audit says who opened it and when. Looking at it uses nothing up: a
button on its first page does. It may be made while the person is denied; they see
that then, and it stays good.")]
    Link(Box<HandOver>),
    /// List the links that open a person's page at present, or withdraw one
    #[command(after_help = "\
Examples:
  vpn-operator user links AB123456
  vpn-operator user links AB123456 --withdraw 7 --reason \"sent to the wrong address\"")]
    Links(HandedOver),
    /// Show which Telegram account a person has linked, or take the link away
    #[command(after_help = "\
Examples:
  vpn-operator user telegram AB123456
  vpn-operator user telegram AB123456 --unlink      the account is told")]
    Telegram {
        /// Corporate ID
        #[arg(add = complete::people())]
        id: CorporateId,
        /// Take the link away
        #[arg(long)]
        unlink: bool,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
}

/// Arguments of `user grant`.
#[derive(Debug, Args)]
pub struct Grant {
    /// Corporate ID
    #[arg(add = complete::people())]
    pub id: CorporateId,
    /// Whose access it is, for admins
    #[arg(long, value_name = "TEXT")]
    pub owner: Option<String>,
    /// Mail address
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// What the person does, for admins
    #[arg(long, value_name = "TEXT")]
    pub role: Option<String>,
    /// Access ends at this moment, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub until: Option<Timestamp>,
    /// When the link is shown as a QR code; `auto` is in a terminal
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub qr: Qr,
    /// Ask.
    #[command(flatten)]
    pub ask: Ask,
}
