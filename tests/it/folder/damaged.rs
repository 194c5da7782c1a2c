//! A record that cannot be read: what it remembers of files that exist is read again from them.

use std::{fs, path::PathBuf};

use rusqlite::Connection;
use vpn_operator::model::hold::VpnHoldStatus;

use super::*;

const OWNER: &str = "  owner: 'Anna \"A\" Ivanova'\n";

fn record(place: &Place) -> PathBuf {
    place.dir.path().join("data/desired.db")
}

fn own(place: &Place, file: &str) -> PathBuf {
    place.dir.path().join("data/holds").join(file)
}

/// Two people, a hold of people's and one of the operator's own, recorded with their statuses.
async fn recorded() -> (Place, House) {
    let place = Place::new();
    place.put("a.yaml", &user(1, OWNER));
    place.put("b.yaml", &user(2, OWNER));
    place.put("h.yaml", &hold("helpdesk-lost-ab000002", 2));
    let mut house = place.open().await;
    let hold = house.order("api-deactivated-ab000001", 1).await.unwrap();
    for number in [1, 2] {
        let status = VpnUserStatus {
            observed_generation: 1,
            ..VpnUserStatus::default()
        };
        house
            .source
            .report_user(house.user(&name(number)), status)
            .await
            .unwrap();
    }
    house.source.report_hold(&hold, VpnHoldStatus::default()).await.unwrap();
    house.holds.until(|holds| holds.len() == 2).await;
    (place, house)
}

fn uids(house: &House) -> BTreeMap<String, Option<String>> {
    let users = house.users.now.values().map(|user| (user.name_any(), user.uid()));
    users
        .chain(house.holds.now.values().map(|hold| (hold.name_any(), hold.uid())))
        .collect()
}

fn generation(house: &House, number: usize) -> Option<i64> {
    house.user(&name(number)).metadata.generation
}

/// Nothing is missing, nothing is gone, and it is said. Answers what is said.
async fn all_are_there(house: &House) -> String {
    assert_eq!(house.users.now.keys().collect::<Vec<_>>(), [&name(1), &name(2)]);
    assert_eq!(
        house.holds.now.keys().collect::<Vec<_>>(),
        ["api-deactivated-ab000001", "helpdesk-lost-ab000002"]
    );
    assert!(
        house
            .users
            .now
            .values()
            .all(|user| user.metadata.deletion_timestamp.is_none())
    );
    assert!(
        house
            .holds
            .now
            .values()
            .all(|hold| hold.metadata.deletion_timestamp.is_none())
    );
    for number in [1, 2] {
        assert_eq!(house.user(&name(number)).spec, spec(number));
        assert!(house.source.get_user(&name(number)).await.unwrap().is_some());
    }
    house.problem("desired.db").await
}

#[tokio::test]
async fn whatever_part_of_a_row_cannot_be_read_nobody_who_has_a_file_is_lost() {
    let faults = [
        ("status = '{broken'", true),
        ("status = '{\"observedGeneration\":\"soon\"}'", true),
        ("status = CAST(x'ff' AS TEXT)", true),
        ("spec = '{broken'", true),
        ("spec = '{}'", true),
        ("spec = CAST(x'ff' AS TEXT)", true),
        ("notes = '{broken'", true),
        ("spec = '', notes = '', status = ''", true),
        // These say not even whose row it is: what is read from the file is somebody new.
        ("uid = x'00'", false),
        ("kind = 7", false),
        ("name = CAST(x'ff' AS TEXT)", false),
        ("digest = x''", false),
        ("file = CAST(x'ff' AS TEXT)", false),
        ("id = id + 4000000000", false),
    ];
    for (fault, same) in faults {
        let (place, house) = recorded().await;
        let before = uids(&house);
        house.stop().await;
        let db = Connection::open(record(&place)).unwrap();
        assert_eq!(
            db.execute(&format!("UPDATE objects SET {fault}"), []).unwrap(),
            4,
            "{fault}"
        );
        drop(db);

        let house = place.open().await;
        println!("{fault}: {}", all_are_there(&house).await);
        assert_eq!(uids(&house) == before, same, "{fault}");
        // What is written again is written well.
        house.stop().await;
        let mut house = place.open().await;
        house.no_problems().await;
        // And what changes from then on is seen.
        place.swap("a.yaml", &user(1, "  role: Chief\n"));
        house
            .users
            .until(|users| users[&name(1)].spec.role.as_deref() == Some("Chief"))
            .await;
        house.stop().await;
    }
}

#[tokio::test]
async fn a_status_that_cannot_be_read_is_no_change_of_what_is_declared() {
    let (place, house) = recorded().await;
    house.stop().await;
    let db = Connection::open(record(&place)).unwrap();
    db.execute("UPDATE objects SET status = '{broken' WHERE name = ?1", [name(1)])
        .unwrap();
    drop(db);
    let house = place.open().await;
    let said = house.problem("VpnUser ab000001").await;
    assert!(!said.contains(&name(2)), "{said}");
    assert_eq!((generation(&house, 1), &house.user(&name(1)).status), (Some(1), &None));
    assert!(house.user(&name(2)).status.is_some());
    house.stop().await;
}

#[tokio::test]
async fn a_damaged_record_is_begun_anew_from_the_files_and_kept_beside() {
    for (what, said) in [("cut", "damaged"), ("garbage", "damaged"), ("empty", "it is empty")] {
        let (place, house) = recorded().await;
        house.stop().await;
        let path = record(&place);
        let mut bytes = fs::read(&path).unwrap();
        match what {
            "cut" => bytes.truncate(bytes.len() / 2),
            "garbage" => bytes.fill(0xa5),
            _ => bytes.clear(),
        }
        fs::write(&path, &bytes).unwrap();

        let house = place.open().await;
        let line = all_are_there(&house).await;
        assert!(
            line.contains(said) && line.contains("read from the files again"),
            "{line}"
        );
        let files = fs::read_dir(place.dir.path().join("data")).unwrap();
        let aside = files
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                let path = path.to_string_lossy();
                path.contains("desired.db.damaged-") && !path.ends_with("-wal")
            })
            .unwrap();
        assert!(fs::read(&aside).unwrap() == bytes, "it is kept as it is");
        assert_eq!(fs::metadata(&aside).unwrap().permissions().mode() & 0o077, 0);
        assert!(line.contains(&*aside.to_string_lossy()), "{line}");
        house.stop().await;
        let house = place.open().await;
        house.no_problems().await;
        house.stop().await;
    }
}

#[tokio::test]
async fn what_is_gone_and_cannot_be_read_is_seen_through_by_its_name() {
    let (place, house) = recorded().await;
    house.stop().await;
    place.remove("b.yaml");
    place.remove("h.yaml");
    fs::remove_file(own(&place, "api-deactivated-ab000001.yaml")).unwrap();
    let db = Connection::open(record(&place)).unwrap();
    db.execute("UPDATE objects SET spec = '{broken'", []).unwrap();
    drop(db);

    let house = place.open().await;
    assert_eq!(house.user(&name(1)).spec, spec(1));
    let gone = house.user(&name(2));
    assert!(gone.metadata.deletion_timestamp.is_some() && !gone.spec.active);
    assert_eq!(gone.spec.corporate_id.key(), name(2));
    for (hold, who) in [("api-deactivated-ab000001", 1), ("helpdesk-lost-ab000002", 2)] {
        let hold = &house.holds.now[hold];
        assert!(hold.metadata.deletion_timestamp.is_some());
        assert_eq!(hold.spec.corporate_id.key(), name(who));
        assert_eq!((hold.spec.from, hold.spec.until), (None, None));
    }
    house.stop().await;
}

#[tokio::test]
async fn a_hold_whose_document_and_record_are_both_damaged_denies() {
    let (place, house) = recorded().await;
    house.stop().await;
    place.put(
        "h.yaml",
        &hold("helpdesk-lost-ab000002", 2).replace("corporateId", "corporate_id"),
    );
    place.put("b.yaml", &user(2, "  aktive: true\n"));
    let db = Connection::open(record(&place)).unwrap();
    db.execute("UPDATE objects SET spec = '{broken'", []).unwrap();
    drop(db);
    let mut house = place.open().await;
    assert_eq!(
        house.holds.now["helpdesk-lost-ab000002"].spec.corporate_id.key(),
        name(2)
    );
    // Nobody can tell what was in force of a person.
    assert_eq!(house.users.now.keys().collect::<Vec<_>>(), [&name(1)]);
    let said = house.problem("not in force until its document can be read").await;
    assert!(said.contains("VpnUser ab000002"), "{said}");
    // Mended, both are as they say.
    place.swap("b.yaml", &user(2, ""));
    house.users.until(|users| users.contains_key(&name(2))).await;
    let text = hold("helpdesk-lost-ab000002", 2).replace("helpdesk\n", "helpdesk\n  until: 2030-01-01T00:00:00Z\n");
    place.swap("h.yaml", &text);
    house
        .holds
        .until(|holds| holds["helpdesk-lost-ab000002"].spec.until.is_some())
        .await;
    house.stop().await;
}

#[tokio::test]
async fn a_damaged_own_hold_keeps_out_whom_its_name_names_although_no_record_knows_it() {
    for damage in ["", "\0\0\0\0", "kind: VpnHold\nmetadata: {name: api-dea", "\u{fffd}"] {
        let (place, house) = recorded().await;
        house.stop().await;
        let file = own(&place, "api-deactivated-ab000001.yaml");
        let whole = fs::read_to_string(&file).unwrap();
        let bytes = if damage == "\u{fffd}" {
            &[0xff, 0xfe][..]
        } else {
            damage.as_bytes()
        };
        fs::write(&file, bytes).unwrap();
        fs::write(own(&place, "notes.yaml"), "").unwrap();
        fs::remove_file(record(&place)).unwrap();

        for _ in 0..2 {
            let house = place.open().await;
            let held = &house.holds.now["api-deactivated-ab000001"];
            assert_eq!(held.spec.corporate_id.key(), name(1), "{damage:?}");
            assert_eq!((held.spec.source.as_str(), held.spec.until), ("api", None));
            assert!(held.metadata.deletion_timestamp.is_none());
            house.problem("whom its name tells stays out").await;
            house.stop().await;
        }
        // Put back, it is what it was; released, it is gone with its file.
        let mut house = place.open().await;
        fs::write(&file, &whole).unwrap();
        let spec = hold_spec(1);
        house
            .holds
            .until(|holds| holds["api-deactivated-ab000001"].spec == spec)
            .await;
        fs::write(&file, bytes).unwrap();
        house
            .source
            .lift_hold("api-deactivated-ab000001", FieldManager::Api)
            .await
            .unwrap();
        assert!(!file.exists());
        house
            .holds
            .until(|holds| !holds.contains_key("api-deactivated-ab000001"))
            .await;
        house.stop().await;
    }
}
