//! What can be typed. Help is written for somebody who sees it for the first time.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;

use super::{
    ask::Ask,
    audit_args::Audit,
    complete,
    events_args::Events,
    exit::EXIT_CODES,
    forward::Forward,
    handover_args::{HandOver, HandedOver},
    history_args::HistoryArgs,
    hold_args::Hold,
    id_args::Id,
    import_args::Import,
    output::OutputArgs,
    qr::Qr,
    render_args::RenderArgs,
    values::one_of,
};
use crate::{
    config::{Logging, Settings, duration, optional_path},
    model::corporate_id::CorporateId,
};

/// Corporate VPN access over Hysteria2: declare who may use the VPN, and the VPN agrees
#[derive(Debug, Parser)]
#[command(
    name = "vpn-operator",
    version,
    propagate_version = true,
    max_term_width = 120,
    after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"),
    after_long_help = format!("{EXAMPLES}\n\n{SECRETS}\n\n{EXIT_CODES}")
)]
pub struct Cli {
    /// Logging.
    #[command(flatten)]
    pub logging: Logging,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  vpn-operator run --desired folder:./vpn     start with a folder of YAML
  vpn-operator check ./vpn                    find mistakes before the operator does
  vpn-operator user grant AB123456            let somebody in, print the links
  vpn-operator user deactivate AB123456       put somebody out, wait until that is proved
  vpn-operator doctor                         find out what is wrong, and what to do";

const SECRETS: &str = "\
Secrets are never flags. Each is read from its environment variable, or from the
file that the variable with _FILE behind its name names (see .env.example):
  CORPORATE_SECRET, CORPORATE_SECRET_PREVIOUS, MASTER_KEY, MASTER_KEY_PREVIOUS,
  HYSTERIA_AUTH_TOKEN, HYSTERIA_STATS_SECRET, HYSTERIA_OBFS_PASSWORD, WEBHOOK_SECRET,
  WEBHOOK_SECRETS, API_CLIENTS, SMTP_PASSWORD, TELEGRAM_BOT_TOKEN, API_TOKEN
One that is needed and missing is made on the first run and kept in the data
folder with mode 0600.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator
    #[command(after_help = "\
Examples:
  vpn-operator run
      desired state in ./vpn, data in ./data, the API on 127.0.0.1:8080,
      and Hysteria asks 127.0.0.1:8081
  vpn-operator run --desired folder:/srv/vpn --data /var/lib/vpn-operator
  vpn-operator run --simulate --desired folder:examples/quickstart
      no Hysteria needed: devices of the people declared log in, are cut, come back

SIGTERM and SIGINT drain; a second one ends at once. While the operator is down
nobody new can log in.", after_long_help = format!("{SECRETS}\n\n{EXIT_CODES}"))]
    Run(Box<Run>),
    /// Forward ports of one address of this machine to the same ports of its loopback
    #[command(after_help = "\
Examples:
  vpn-operator forward blitz 28260 28262 25413
      for an operator in another container than a Blitz panel: its API, its auth
      service and the statistics of its server listen on 127.0.0.1 alone

Whoever reaches HOST reaches what listens on loopback behind these ports: choose an
address on a network of which the operator alone is a member.")]
    Forward(Forward),
    /// A command that ends by itself.
    #[command(flatten)]
    Task(Box<Task>),
}

/// A command that ends by itself.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Check a folder of desired state without running anything
    #[command(after_help = "\
Examples:
  vpn-operator check ./vpn
  vpn-operator check ./vpn --output json | jq -r '.problems[].message'

Every problem names file, line and field. Exit code 2 when there is one: use it
in CI, before a merge.")]
    Check(Check),
    /// Print the Kubernetes custom resource definitions
    #[command(after_help = "\
Examples:
  vpn-operator crd | kubectl apply --server-side -f -
  vpn-operator crd VpnUser")]
    Crd(Crd),
    /// Print the OpenAPI description of the HTTP API as JSON
    Openapi,
    /// Work with VPN gateways
    Gateway(Gateway),
    /// Show people, let them in, put them out
    User(User),
    /// Show, create and release holds: what keeps people out whatever is declared
    Hold(Hold),
    /// Corporate IDs: issue, look up, revoke, and files of them
    Id(Id),
    /// Decide about denials that were held back because they were too many at once
    Guard(Guard),
    /// Look at events of the HR system, carry them out, or decide against them
    Events(Events),
    /// Ask the audit who had access when and what happened to one person; check it, and hand it to other systems
    Audit(Audit),
    /// Back up what the operator has recorded, check a backup, put one back
    History(HistoryArgs),
    /// Seal a password that exists already, so that it can be kept with the declarations
    #[command(after_help = "\
Examples:
  vpn-operator seal AB123456 < password.txt > vpn/ab123456.sealed
  ssh panel read-password anna | vpn-operator seal AB123456 --data /var/lib/vpn-operator

The password is read from stdin, without its line end. What is printed can only be
opened with the master key of this operator, and only for this person. Name it in
the VpnUser: `credentialsFrom: { file: vpn/ab123456.sealed }`, as the operator's
process finds the file.")]
    Seal(Seal),
    /// Take over what another system has
    Import(Import),
    /// Find out what is wrong, and what to do about it
    #[command(after_help = "\
Examples:
  vpn-operator doctor
  vpn-operator doctor --cert /etc/hysteria/server.crt
  vpn-operator doctor --output json | jq '.checks[] | select(.result == \"failed\")'

Takes the same settings as `run`; changes nothing. Exit code 1 when a check fails.")]
    Doctor(Box<Doctor>),
    /// Say whether the operator on this machine is ready: exit code 0, or 5
    #[command(after_help = "\
Examples:
  vpn-operator health
  vpn-operator health --listen 127.0.0.1:9000

It asks /readyz, needs no secret, and is what the health check of the container
runs. With TLS it trusts the certificate of TLS_CERT_FILE under any name.")]
    Health(Health),
    /// Print a shell completion script
    #[command(after_help = "\
Examples:
  vpn-operator completions bash > /etc/bash_completion.d/vpn-operator
  vpn-operator completions zsh > \"${fpath[1]}/_vpn-operator\"

The script asks this program, and the program asks the operator that VPN_OPERATOR_URL,
LISTEN_ADDR and DATA_DIR name for corporate IDs and names of holds.")]
    Completions(Completions),
    /// Print the manual page, or write one a command into a folder
    #[command(after_help = "\
Examples:
  vpn-operator man | man -l -
  vpn-operator man --dir /usr/local/share/man/man1")]
    Man(Man),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// For trying out: with a simulated node and simulated devices, in this process, instead of a real node
    #[arg(long)]
    pub simulate: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: Settings,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The folder, or one file
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Read the variables and files that nodes and people name as well: here and now, so in the environment of the operator
    #[arg(long)]
    pub strict: bool,
    /// Data folder of the operator, where no document may read
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Arguments of `crd`.
#[derive(Debug, Args)]
pub struct Crd {
    /// Only this kind
    #[arg(value_name = "KIND", ignore_case = true, value_parser = one_of(["VpnUser", "VpnHold", "VpnGateway"]))]
    pub kind: Option<String>,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Folder to write the pages of all commands into
    #[arg(long, value_name = "PATH")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `gateway`.
#[derive(Debug, Args)]
pub struct Gateway {
    /// What to do.
    #[command(subcommand)]
    pub command: GatewayCommand,
}

/// What to do with gateways.
#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Write a complete, commented Hysteria server configuration for a node
    #[command(after_help = "\
Examples:
  umask 077
  vpn-operator gateway render node-1 \\
      --acme vpn.example.com --acme-email it@example.com > hysteria.yaml
  vpn-operator gateway render fra --gateway europe \\
      --tls-cert /etc/hysteria/tls.crt --tls-key /etc/hysteria/tls.key
  vpn-operator gateway render node-1 --redact --hop 20000-50000 \\
      --acme vpn.example.com --acme-email it@example.com

The node is looked for in the desired folder's VpnGateways; when none is declared,
the environment defines node-1, node-2, … (one an entry of HYSTERIA_STATS_URLS).
The output holds secrets.")]
    Render(Box<RenderArgs>),
    /// Show how the gateways are: nodes, sessions, and what waits to be done
    #[command(after_help = "\
Examples:
  vpn-operator gateway status
  vpn-operator gateway status panel
  vpn-operator gateway status --output json | jq '.gateways[].waiting.total'

An account waits to be blocked (denied, and not cut yet), to be proved gone, deleted,
made or changed, or to be compared with what is there. The time left is an estimate
by what the calls took so far.")]
    Status {
        /// Only this gateway, with its nodes
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
}

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

/// Arguments of `guard`.
#[derive(Debug, Args)]
pub struct Guard {
    /// What to do.
    #[command(subcommand)]
    pub command: GuardCommand,
}

/// What to do with denials that were held back.
#[derive(Debug, Subcommand)]
pub enum GuardCommand {
    /// Show the denials that wait for a person, and what each budget has left. Exit code 6 when any wait
    Show {
        /// Ask.
        #[command(flatten)]
        ask: Ask,
    },
    /// Let the denials happen
    #[command(after_help = "\
Examples:
  vpn-operator guard confirm AB123456 AB123457
  vpn-operator guard confirm --all")]
    Confirm(Decide),
    /// Drop the denials: these people keep access until something changes again
    Cancel(Decide),
}

/// Arguments of `guard confirm` and `guard cancel`.
#[derive(Debug, Args)]
pub struct Decide {
    /// Corporate IDs
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all", add = complete::people())]
    pub ids: Vec<CorporateId>,
    /// Everything that waits now
    #[arg(long)]
    pub all: bool,
    /// Ask.
    #[command(flatten)]
    pub ask: Ask,
}

/// Arguments of `seal`.
#[derive(Debug, Args)]
pub struct Seal {
    /// Corporate ID of the person whose password it is
    pub id: CorporateId,
    /// Data folder of the operator, for its master key
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH", default_value = "./data")]
    pub data_dir: PathBuf,
}

/// Arguments of `health`.
#[derive(Debug, Args)]
pub struct Health {
    /// Address that the operator on this machine listens at
    #[arg(long, env = "LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// PEM certificate of its API; `https` is spoken when it is set
    #[arg(long, env = "TLS_CERT_FILE", value_name = "PATH", value_parser = optional_path())]
    pub tls_cert: Option<PathBuf>,
    /// How long to wait for the answer
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = duration)]
    pub timeout: Duration,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// A server certificate in PEM, to compare with the pins of the nodes
    #[arg(long, value_name = "PATH")]
    pub cert: Option<PathBuf>,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Settings.
    #[command(flatten)]
    pub settings: Settings,
}
