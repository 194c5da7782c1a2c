//! `crd`, `openapi` and `man`: text that is made from the program itself.

use clap::CommandFactory;

use super::{
    args::{Cli, Crd, Man},
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
