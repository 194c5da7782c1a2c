//! `crd`, `openapi` and `completions`: text that is made from the program itself.

use clap::CommandFactory;

use super::{
    args::{Cli, Completions, Crd},
    exit::CommandError,
    output::Output,
    rooms,
};

pub(super) fn crd(args: &Crd, output: &mut Output) -> Result<(), CommandError> {
    output.text(&rooms::crds(args.kind.as_deref()))
}

pub(super) fn openapi(output: &mut Output) -> Result<(), CommandError> {
    output.text(&rooms::openapi()?)
}

pub(super) fn completions(args: &Completions, output: &mut Output) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vpn-operator", &mut script);
    output.text(&String::from_utf8_lossy(&script))
}
