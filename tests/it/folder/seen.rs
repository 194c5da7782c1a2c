//! What happens to files, and how soon it is seen: links that are turned, files that are truncated, reads that fail.

use std::{
    io::Write as _,
    os::fd::{AsRawFd as _, OwnedFd},
};

use super::*;

/// Changes are seen by events alone, not by looking through the folder now and then.
async fn open(place: &Place, root: PathBuf) -> House {
    place
        .open_with(|options| {
            options.root = root;
            options.rescan_interval = Duration::from_secs(3600);
        })
        .await
}

/// Lets the name lead to `target`, in one step.
fn turn(link: &Path, target: &Path) {
    let aside = link.with_extension("turning");
    symlink(target, &aside).unwrap();
    fs::rename(aside, link).unwrap();
}

fn is_gone(user: &VpnUser) -> bool {
    user.metadata.deletion_timestamp.is_some()
}

#[tokio::test]
async fn a_folder_behind_a_link_that_is_turned_is_seen_at_once() {
    // As git-sync does it: a tree for each commit, and a link to the present one.
    let place = Place::new();
    let commit = |tree: &str, active: bool| {
        place.put(
            &format!("git/trees/{tree}/a.yaml"),
            &user(1, &format!("  active: {active}\n")),
        );
        place.put(&format!("git/trees/{tree}/h.yaml"), &hold("helpdesk-lost-ab000002", 2));
        PathBuf::from("trees").join(tree)
    };
    let link = place.path("git/current");
    turn(&link, &commit("one", true));
    // The folder itself is reached by another link.
    symlink(place.path("git"), place.path("desired")).unwrap();
    let mut house = open(&place, place.path("desired/current")).await;
    let mut active = true;
    for tree in ["two", "three", "four"] {
        active = !active;
        turn(&link, &commit(tree, active));
        house.users.until(|users| users[&name(1)].spec.active == active).await;
    }
    // An edit in the tree that is in force, and in one that is not any more.
    place.put("git/trees/three/a.yaml", &user(1, "  role: Nobody\n"));
    place.put("git/trees/four/a.yaml", &user(1, "  role: Chief\n"));
    house
        .users
        .until(|users| users[&name(1)].spec.role.as_deref() == Some("Chief"))
        .await;
    // The other link is turned as well, and the holds go with the tree.
    place.put("elsewhere/current/a.yaml", &user(1, "  role: Elsewhere\n"));
    turn(&place.path("desired"), &place.path("elsewhere"));
    house
        .users
        .until(|users| users[&name(1)].spec.role.as_deref() == Some("Elsewhere"))
        .await;
    house
        .holds
        .until(|holds| holds.values().all(|hold| hold.metadata.deletion_timestamp.is_some()))
        .await;
    house.stop().await;
}

#[tokio::test]
async fn a_file_behind_links_that_are_turned_or_written_is_seen_at_once() {
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    for (tree, role) in [("one", "First"), ("two", "Second")] {
        fs::create_dir_all(outside.join(tree)).unwrap();
        fs::write(outside.join(tree).join("a.yaml"), user(1, &format!("  role: {role}\n"))).unwrap();
    }
    turn(&outside.join("now"), Path::new("one"));
    symlink(outside.join("now/a.yaml"), place.path("a.yaml")).unwrap();
    let mut house = open(&place, place.root()).await;
    let role = |house: &House| house.user(&name(1)).spec.role.clone().unwrap();
    assert_eq!(role(&house), "First");
    turn(&outside.join("now"), Path::new("two"));
    house
        .users
        .until(|users| users[&name(1)].spec.role.as_deref() == Some("Second"))
        .await;
    fs::write(outside.join("two/a.yaml"), user(1, "  role: Third\n")).unwrap();
    house
        .users
        .until(|users| users[&name(1)].spec.role.as_deref() == Some("Third"))
        .await;
    house.stop().await;
}

#[tokio::test]
async fn a_file_that_is_truncated_keeps_its_user_while_its_writer_has_it_open() {
    let place = Place::new();
    place.put("a.yaml", &user(1, ""));
    for number in 2..10 {
        place.put(&format!("{number}.yaml"), &user(number, ""));
    }
    let mut house = open(&place, place.root()).await;
    let uid = house.user(&name(1)).uid();
    // Events come from here on: what changed before was found by looking.
    place.swap("2.yaml", &user(2, "  role: Seen\n"));
    house.users.until(|users| users[&name(2)].spec.role.is_some()).await;
    let mut writer = fs::File::create(place.path("a.yaml")).unwrap();
    // For as long as it takes to believe, one after another, that these are gone, which is longer than an empty file is waited for.
    for number in 2..10 {
        place.remove(&format!("{number}.yaml"));
        house.users.until(|users| is_gone(&users[&name(number)])).await;
    }
    assert!(!is_gone(house.user(&name(1))));
    writer.write_all(user(1, "  role: Chief\n").as_bytes()).unwrap();
    drop(writer);
    house
        .users
        .until(|users| users[&name(1)].spec.role.as_deref() == Some("Chief"))
        .await;
    assert_eq!(
        (is_gone(house.user(&name(1))), house.user(&name(1)).uid()),
        (false, uid)
    );
    // Empty and closed, it is believed.
    place.put("a.yaml", "");
    house.users.until(|users| is_gone(&users[&name(1)])).await;
    house.stop().await;
}

#[tokio::test]
async fn what_could_not_be_read_is_read_again_although_nothing_tells_that_it_can_be() {
    let place = Place::new();
    let elsewhere = place.dir.path().join("hold.yaml");
    fs::write(&elsewhere, hold("helpdesk-lost-ab000001", 1)).unwrap();
    let file = fs::File::open(&elsewhere).unwrap();
    let numbered = |at: i32| -> OwnedFd { rustix::io::fcntl_dupfd_cloexec(&file, at).unwrap() };
    // A link that leads somewhere only while a descriptor is open: no file event tells of that.
    let number = numbered(900).as_raw_fd();
    let mut house = open(&place, place.root()).await;
    symlink(format!("/proc/self/fd/{number}"), place.path("h.yaml")).unwrap();
    house.problem("h.yaml: cannot be read").await;
    let opened = numbered(number);
    assert_eq!(opened.as_raw_fd(), number);
    house
        .holds
        .until(|holds| holds.contains_key("helpdesk-lost-ab000001"))
        .await;
    house.no_problems().await;
    drop(opened);
    house.stop().await;
}
