//! `crd`, `openapi`, `completions` and `man`: text that is made from the program itself.

use clap::CommandFactory;
use clap_complete::{CompleteEnv, env::Shells};

use super::{
    args::{Cli, Completions, Crd, Man},
    exit::CommandError,
    output::Output,
    rooms,
};

/// The variable by which a shell asks.
const VARIABLE: &str = "COMPLETE";

pub(super) fn crd(args: &Crd, output: &mut Output) -> Result<(), CommandError> {
    output.text(&rooms::crds(args.kind.as_deref()))
}

pub(super) fn openapi(output: &mut Output) -> Result<(), CommandError> {
    output.text(&rooms::openapi()?)
}

pub(super) fn man(args: &Man, output: &mut Output) -> Result<(), CommandError> {
    let command = Cli::command();
    let failed = |error: std::io::Error| CommandError::failed(format!("cannot write the manual: {error}"));
    if let Some(folder) = &args.dir {
        let wrong = |error| CommandError::failed(format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(wrong)?;
        return clap_mangen::generate_to(command, folder).map_err(wrong);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(failed)?;
    output.text(&String::from_utf8_lossy(&page))
}

/// Answers a shell that asks what could be typed. False when no shell asks, and the program is to run as usual.
///
/// # Errors
/// The shell is unknown, or the answer cannot be written.
pub fn answer() -> Result<bool, clap::Error> {
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(Cli::command)
        .var(VARIABLE)
        .try_complete(std::env::args_os(), here.as_deref())
}

/// Prints what a shell has to be told once.
pub(super) fn registration(args: &Completions, output: &mut Output) -> Result<(), CommandError> {
    let shells = Shells::builtins();
    let shell = args.shell.to_string();
    let completer = shells
        .completer(&shell)
        .ok_or_else(|| CommandError::invalid(format!("{shell}: there is no completion for this shell")))?;
    let (name, mut script) = ("vpn-operator", Vec::new());
    completer
        .write_registration(VARIABLE, name, name, name, &mut script)
        .map_err(|error| CommandError::failed(format!("cannot make the script: {error}")))?;
    output.text(&String::from_utf8_lossy(&script))
}
