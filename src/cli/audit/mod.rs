//! `audit`: asks it (`records`), checks it, hands it to other systems, and takes note of what was found broken.

mod acknowledge;
mod cursor;
mod export;
mod forget;
mod forms;
mod sink;
mod syslog;
mod verify;

use super::{audit_args::AuditCommand, exit::CommandError, output::Output, records};

pub(super) use self::verify::{Looked, look};

pub(super) async fn run(command: AuditCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        AuditCommand::Who(args) => records::who(&args, output).await,
        AuditCommand::User(args) => records::story(&args, output).await,
        AuditCommand::Verify(args) => verify::run(args, output).await,
        AuditCommand::Export(args) => export::run(*args, output).await,
        AuditCommand::Forget(args) => forget::run(&args, output).await,
        AuditCommand::Acknowledge { reason, ask } => acknowledge::run(&reason, &ask, output).await,
    }
}
