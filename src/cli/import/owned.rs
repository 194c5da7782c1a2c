//! A data folder on which no operator runs, and none can be started.

use std::path::Path;

use super::super::{
    exit::{CommandError, Exit},
    run::{DataFolderError, own_data_folder},
};
use crate::{config::SIMULATED_FILE, sqlite::OwnerLock};

/// Takes the data folder for as long as the answered lock lives.
pub(super) fn own(data_dir: &Path) -> Result<OwnerLock, CommandError> {
    refuse_simulated(data_dir)?;
    own_data_folder(data_dir).map_err(|error| {
        let exit = match &error {
            DataFolderError::Owned { .. } => Exit::Unavailable,
            DataFolderError::Unusable { .. } => Exit::Failed,
        };
        CommandError::new(exit, error.to_string()).hint("Nothing was imported.")
    })
}

/// Refuses a folder that no real operator accepts.
pub(super) fn refuse_simulated(data_dir: &Path) -> Result<(), CommandError> {
    if data_dir.join(SIMULATED_FILE).exists() {
        return Err(CommandError::invalid(format!(
            "{} is of a simulation: give another folder with --data",
            data_dir.display()
        )));
    }
    Ok(())
}
