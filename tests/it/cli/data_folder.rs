//! A data folder that the operator may not write: who it is, whose the folder is, and what to do.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};

/// The user of the image.
const USER: u32 = 65532;

/// Whether this process may become another user.
fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The last line that `run` says, as the user of the image where that is possible.
fn said(folder: &Path) -> String {
    use std::os::unix::process::CommandExt;
    // Others have to reach the binary and the folders, wherever this is built. Another process copies it: a test beside this one may
    // start a process at any moment, which would hold the copy open for writing, and what is open so cannot be run.
    let binary = folder.join("vpn-operator");
    let mut copy = Command::new("cp");
    assert!(
        copy.arg(env!("CARGO_BIN_EXE_vpn-operator"))
            .arg(&binary)
            .status()
            .unwrap()
            .success()
    );
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let vpn = folder.join("vpn");
    fs::create_dir_all(&vpn).unwrap();
    let mut command = Command::new(binary);
    if is_root() {
        command.uid(USER).gid(USER);
    }
    let output = command
        .env_clear()
        .args(["run", "--listen", "127.0.0.1:0", "--auth-listen", "127.0.0.1:0"])
        .env("DATA_DIR", folder.join("data"))
        .env("DESIRED", format!("folder:{}", vpn.display()))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    stderr.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_volume_of_another_owner_is_refused_with_both_users_and_the_command() {
    if !is_root() {
        println!("skipped: only root can make a folder of somebody else");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let last = said(folder.path());
    for part in [
        "error: the data folder ",
        "Permission denied",
        "runs as user 65532, group 65532",
        "belongs to user 0, group 0, mode 0755",
    ] {
        assert!(last.contains(part), "{part}: {last}");
    }
    assert!(
        last.ends_with(&format!("chown -R 65532:65532 {}", data.display())),
        "{last}"
    );
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
}

#[test]
fn a_lock_that_somebody_else_restored_is_named() {
    if !is_root() {
        println!("skipped: only root can make a file of somebody else");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    chown(&data, Some(USER), Some(USER)).unwrap();
    let lock = data.join("operator.lock");
    fs::write(&lock, "").unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o600)).unwrap();
    let last = said(folder.path());
    assert!(last.contains("operator.lock belongs to user 0"), "{last}");
}

#[test]
fn a_folder_of_ones_own_that_is_closed_is_to_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    if is_root() {
        chown(&data, Some(USER), Some(USER)).unwrap();
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o500)).unwrap();
    let last = said(folder.path());
    assert!(last.contains("which owns the folder: chmod -R u+rwX"), "{last}");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
}
