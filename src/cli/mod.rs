//! The command line: parses, wires, asks, prints. It decides nothing about access.
//!
//! `run` wires the rooms together. `user`, `hold`, `id`, `guard`, `events` and `gateway status` are clients of a running operator's HTTP API and
//! touch neither its data nor a gateway; `health` asks it whether it is ready. `audit verify` and `audit export` read its database.
//! `forward` stands beside a panel. `check`, `crd`, `openapi`, `gateway render`, `seal`,
//! `import`, `completions` and `man` need no operator.
//! Everything for stdout goes through [`output::Output`].

mod args;
mod ask;
mod audit;
mod audit_args;
mod check;
mod client;
mod complete;
mod decide;
mod denial;
mod doctor;
mod events;
mod events_args;
mod exit;
mod former;
mod forward;
mod gateway_args;
mod gateway_status;
mod generate;
mod guard;
mod guard_args;
mod handover;
mod handover_args;
mod health;
mod history;
mod history_args;
mod hold;
mod hold_args;
mod human;
mod id;
mod id_args;
mod import;
mod import_args;
mod json;
mod nodes;
pub mod output;
mod person;
mod qr;
mod records;
mod release_many;
mod render;
mod render_args;
mod rooms;
pub mod run;
mod seal;
mod signals;
mod surroundings;
mod telegram;
mod user;
mod user_args;
mod values;
mod wait;
pub mod welcome;

use tokio_util::sync::CancellationToken;

pub use self::{
    args::Cli,
    exit::{CommandError, Exit, report},
    generate::answer as complete,
};
use self::{
    args::{Command, Task},
    gateway_args::GatewayCommand,
    output::Output,
};
use crate::{
    config::{Config, secrets::process_environment},
    telemetry,
};

/// Runs one command to its end and says how it went.
pub async fn main(cli: Cli) -> Exit {
    let shutdown = CancellationToken::new();
    if let Err(error) = signals::cancel_on_signal(shutdown.clone()) {
        return report(&format!("cannot listen for signals: {error}"), Exit::Failed);
    }
    let level = match cli.command {
        Command::Run(_) | Command::Forward(_) => "info",
        Command::Task(_) => "warn",
    };
    if let Err(error) = telemetry::start(&cli.logging, level) {
        return report(&error.to_string(), Exit::Invalid);
    }
    let result = match cli.command {
        Command::Run(args) => Box::pin(run(*args, shutdown)).await,
        Command::Forward(args) => forward::run(&args, shutdown).await,
        Command::Task(task) => {
            let mut output = Output::stdout();
            tokio::select! {
                result = execute(*task, &mut output) => result,
                () = shutdown.cancelled() => Err(CommandError::failed("interrupted")),
            }
        }
    };
    match result {
        Ok(()) => Exit::Success,
        Err(error) => error.report(),
    }
}

async fn run(args: args::Run, shutdown: CancellationToken) -> Result<(), CommandError> {
    telemetry::announce();
    if args.simulate {
        run::refuse_beside(&args.settings)?;
    }
    let config = Config::load(args.settings, &process_environment)?;
    Box::pin(run::run(config, args.simulate, shutdown))
        .await
        .map_err(|error| CommandError::failed(error.to_string()))
}

async fn execute(task: Task, output: &mut Output) -> Result<(), CommandError> {
    match task {
        Task::Check(args) => check::run(&args, output).await,
        Task::Crd(args) => generate::crd(&args, output),
        Task::Openapi => generate::openapi(output),
        Task::Completions(args) => generate::registration(&args, output),
        Task::Man(args) => generate::man(&args, output),
        Task::Gateway(args) => match args.command {
            GatewayCommand::Render(args) => render::run(&args, output).await,
            GatewayCommand::Status { name, ask } => gateway_status::run(name.as_deref(), &ask, output).await,
        },
        Task::User(args) => user::run(args.command, output).await,
        Task::Hold(args) => hold::run(args.command, output).await,
        Task::Id(args) => id::run(args.command, output).await,
        Task::Guard(args) => guard::run(args.command, output).await,
        Task::Events(args) => Box::pin(events::run(args.command, output)).await,
        Task::History(args) => history::run(args.command, output).await,
        Task::Audit(args) => audit::run(args.command, output).await,
        Task::Seal(args) => seal::run(&args, output),
        Task::Import(args) => import::run(args.command, output).await,
        Task::Doctor(args) => doctor::run(*args, output).await,
        Task::Health(args) => health::run(&args, output).await,
    }
}
