//! `import legacy`: from the database of the former service to people who log in with the password that they have.

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp, Unit, tz::TimeZone};
use rusqlite::{Connection, params};
use serde_json::Value;

use super::operator::{EVENTUALLY_TIMEOUT, House, Operator, eventually, run, user, within};
use crate::support::blitz::{Account, BlitzPanel};

const SCHEMA: &str = "
CREATE TABLE users (corporate_id TEXT PRIMARY KEY, blitz_username TEXT, hy2_auth_key TEXT, subscription_url TEXT,
    hy2_url TEXT, telegram_id INTEGER UNIQUE, created_at TEXT, is_active INTEGER, last_access TEXT,
    auth_attempts INTEGER, locked_until TEXT, total_upload INTEGER, total_download INTEGER);
CREATE TABLE auth_logs (id INTEGER PRIMARY KEY, corporate_id TEXT, telegram_id INTEGER, action TEXT, ip_address TEXT,
    user_agent TEXT, success INTEGER, error_message TEXT, created_at TEXT);
CREATE TABLE webhook_events (id INTEGER PRIMARY KEY, event_type TEXT, corporate_id TEXT, event_data TEXT,
    processed INTEGER, created_at TEXT, processed_at TEXT);
CREATE TABLE traffic_stats (id INTEGER PRIMARY KEY, corporate_id TEXT, username TEXT, upload_bytes INTEGER,
    download_bytes INTEGER, timestamp TEXT);
CREATE TABLE monitor_events (id INTEGER PRIMARY KEY, component TEXT, level TEXT, message TEXT, details TEXT,
    created_at TEXT);
CREATE TABLE id_registry (id TEXT PRIMARY KEY, owner TEXT, status TEXT, issued_at TEXT, updated_at TEXT);
CREATE TABLE id_audit (audit_id INTEGER PRIMARY KEY, id TEXT, action TEXT, actor TEXT, details TEXT, created_at TEXT);
";

/// Local time of a machine in UTC, so long from now.
fn local(hours: i64) -> String {
    let at = Timestamp::now() + SignedDuration::from_hours(hours);
    let zoned = at.to_zoned(TimeZone::UTC).round(Unit::Second).unwrap();
    zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

pub fn password(id: &str) -> String {
    format!("old-password-of-{}", id.to_lowercase())
}

fn add_user(conn: &Connection, id: &str, active: i64, locked_until: Option<&str>) {
    let (name, password) = (format!("corp_{}", id.to_lowercase()), password(id));
    conn.execute(
        "INSERT INTO users VALUES (?1, ?2, ?3, 'https://old.example.com/sub/' || ?3, 'hysteria2://' || ?2 || ':' || ?3 || '@old:443', \
         NULL, ?4, ?5, ?4, 0, ?6, 1000, 5000)",
        params![id, name, password, local(-1000), active, locked_until],
    )
    .unwrap();
}

/// Anna is in, Chris is out, Eva is locked for a while.
pub fn database(house: &House) -> (PathBuf, Connection) {
    let folder = house.path("automation_data");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("users.db");
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(SCHEMA).unwrap();
    add_user(&conn, "AB123456", 1, None);
    add_user(&conn, "CD234567", 0, None);
    add_user(&conn, "EF345678", 1, Some(&local(24)));
    conn.execute(
        "UPDATE users SET telegram_id = 4711 WHERE corporate_id = 'AB123456'",
        [],
    )
    .unwrap();
    conn.execute(
        "INSERT INTO auth_logs VALUES (1, 'AB123456', 4711, 'auth', '192.0.2.1', 'bot', 0, 'wrong ' || ?1, ?2), \
         (2, 'AB123456', 4711, 'auth', '192.0.2.1', 'bot', 1, NULL, ?3)",
        params![password("AB123456"), local(-3), local(-24 * 500)],
    )
    .unwrap();
    conn.execute(
        "INSERT INTO webhook_events VALUES (1, 'user_deactivated', 'CD234567', '{\"deactivation_reason\":\"left\"}', 0, ?1, NULL)",
        [local(-2)],
    )
    .unwrap();
    conn.execute(
        "INSERT INTO traffic_stats VALUES (1, 'AB123456', 'corp_ab123456', 400, 2000, ?1), \
         (2, 'AB123456', 'corp_ab123456', 1000, 5000, ?2)",
        [local(-30), local(-4)],
    )
    .unwrap();
    conn.execute(
        "INSERT INTO monitor_events (id, message) VALUES (1, 'panel is slow')",
        [],
    )
    .unwrap();
    conn.execute(
        "INSERT INTO id_registry VALUES ('AB123456', 'Anna Ivanova', 'active', ?1, ?1)",
        [local(-1000)],
    )
    .unwrap();
    conn.execute(
        "INSERT INTO id_audit VALUES (1, 'AB123456', 'issue', 'hr', 'first day', ?1)",
        [local(-1000)],
    )
    .unwrap();
    (path, conn)
}

/// Every file below, with its content and mode.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let mode = path.metadata().unwrap().permissions().mode() & 0o777;
                all.insert(path.clone(), (mode, std::fs::read(path).unwrap()));
            }
        }
    }
    all
}

async fn import(house: &House, more: &[&str]) -> (i32, String, String) {
    let mut args = vec!["import", "legacy", "automation_data/users.db", "--zone", "UTC"];
    args.extend(["--to", "folder:vpn", "--data", "data"]);
    args.extend(more);
    let done = run(house.command(&args)).await;
    for text in [&done.1, &done.2] {
        assert!(!text.contains("old-password"), "{text}");
    }
    done
}

async fn report(house: &House, more: &[&str]) -> (i32, Value) {
    let (code, stdout, stderr) = import(house, &[&["-o", "json"], more].concat()).await;
    (
        code,
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")),
    )
}

fn counts(report: &Value) -> [(i64, i64); 4] {
    ["people", "holds", "history", "registry"].map(|what| {
        let count = |key: &str| report[what][key].as_i64().unwrap();
        (count("made"), count("there"))
    })
}

fn history(house: &House) -> Connection {
    Connection::open(house.data().join("history.db")).unwrap()
}

fn number(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_log_in_with_the_password_of_before_and_who_was_out_stays_out() {
    let (house, [node]) = House::with_nodes().await;
    let (path, conn) = database(&house);
    drop(conn);
    let before = files(path.parent().unwrap());

    let (code, told) = report(&house, &["--dry-run"]).await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(counts(&told), [(3, 0), (2, 0), (6, 0), (3, 0)], "{told}");
    assert!(
        !house.data().exists() && files(&house.folder()).is_empty(),
        "a dry run makes nothing"
    );

    let (code, told) = report(&house, &[]).await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(counts(&told), [(3, 0), (2, 0), (6, 0), (3, 0)], "{told}");
    assert_eq!(told["links_that_stop"].as_array().unwrap().len(), 3);
    assert_eq!(files(path.parent().unwrap()), before, "the source is as it was");

    let made = (files(&house.folder()), files(&house.data()));
    let (code, told) = report(&house, &[]).await;
    assert_eq!((code, counts(&told)), (0, [(0, 3), (0, 0), (0, 6), (0, 3)]), "{told}");
    let mut again = files(&house.data());
    let mut first = made.1;
    // Opening history writes into its files; what stands in it is compared below. A lock names its process.
    let opened = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("history.db") || path.extension().is_some_and(|it| it == "lock")
    };
    for files in [&mut first, &mut again] {
        files.retain(|path, _| !opened(path));
    }
    assert_eq!(
        (files(&house.folder()), again),
        (made.0, first),
        "a second run changes nothing"
    );

    for (path, (mode, content)) in files(&house.folder()).into_iter().chain(files(&house.data())) {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains("old-password"), "{}", path.display());
        if path.extension().is_none_or(|extension| extension != "yaml") || path.starts_with(house.data()) {
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
    let registry = std::fs::read_to_string(house.data().join("imported-registry.jsonl")).unwrap();
    assert!(
        registry.contains("\"telegram_id\":\"4711\"") && registry.contains("Anna Ivanova"),
        "{registry}"
    );
    let history = history(&house);
    assert_eq!(
        number(&history, "SELECT count(*) FROM audit WHERE source = 'import'"),
        3
    );
    assert_eq!(
        number(&history, "SELECT upload FROM accounts WHERE name = 'corp_ab123456'"),
        1000
    );
    assert_eq!(number(&history, "SELECT sum(download) FROM traffic_day"), 5000);
    drop(history);

    let operator = house.start().await;
    let login = async |id: &str, port: u16| {
        let credential = format!("corp_{}:{}", id.to_lowercase(), password(id));
        operator.login(&credential, &format!("192.0.2.1:{port}")).await
    };
    eventually("the password is read", async || {
        login("AB123456", 1).await.then_some(())
    })
    .await;
    assert!(!login("CD234567", 2).await && !login("EF345678", 3).await);
    let capital = format!("corp_AB123456:{}", password("AB123456"));
    operator.connect(&node, &capital, "192.0.2.1:4").await.unwrap();
    let (_, chris) = operator.get("/user/CD234567").await;
    let shown = chris.to_string();
    assert!(
        shown.contains("import-inactive-cd234567") && shown.contains("imported from the former service"),
        "{shown}"
    );
    let (code, stdout, stderr) = operator
        .cli(
            &house,
            &["hold", "release", "import-inactive-cd234567", "--source", "import"],
        )
        .await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    eventually("he is in again", async || login("CD234567", 5).await.then_some(())).await;
    let (_, audit) = operator.get("/audit?corporate_id=AB123456").await;
    assert!(audit.to_string().contains("import.auth"), "{audit}");
    assert!(!operator.log().contains("old-password"));

    let before = files(&house.folder());
    let (code, _, stderr) = import(&house, &[]).await;
    assert_eq!(code, 5, "{stderr}");
    assert!(
        stderr.contains("is in use by process") && stderr.contains("Nothing was imported"),
        "{stderr}"
    );
    assert_eq!(files(&house.folder()), before);
    operator.stop().await;
    // Whom somebody let in since then is not held again.
    let (code, told) = report(&house, &[]).await;
    assert_eq!((code, counts(&told)[1]), (0, (0, 0)), "{told}");
    assert!(!house.data().join("holds/import-inactive-cd234567.yaml").exists());
}

/// The totals came from the panel, and its first list shows them again.
#[tokio::test(flavor = "multi_thread")]
async fn beside_the_panel_what_the_former_service_counted_counts_once() {
    let panel = BlitzPanel::start("token").await;
    let mut house = House::new();
    house.set("BLITZ_API_URL", &panel.url());
    house.set("BLITZ_API_TOKEN", "token");
    house.set("HYSTERIA_POLL_INTERVAL", "100ms");
    drop(database(&house));
    panel.database().accounts.insert(
        "corp_ab123456".to_owned(),
        Account {
            // Of these, 1000 and 5000 when the former service looked for the last time.
            upload_bytes: Some(1100),
            download_bytes: Some(5200),
            ..Account::by_hand(&password("AB123456"))
        },
    );
    let (code, told) = report(&house, &[]).await;
    assert_eq!(code, 0, "{told}");
    let counted = async |operator: &Operator, want: (u64, u64)| {
        eventually(&format!("{want:?} bytes are counted"), async || {
            let (_, body) = operator.get("/user/AB123456/config").await;
            let stats = &body["traffic_stats"];
            let counted = (stats["upload"].as_u64()?, stats["download"].as_u64()?);
            assert!(counted.0 <= want.0 && counted.1 <= want.1, "{counted:?}");
            (counted == want).then_some(())
        })
        .await;
    };
    let operator = house.start().await;
    counted(&operator, (1100, 5200)).await;
    operator.stop().await;
    if let Some(account) = panel.database().accounts.get_mut("corp_ab123456") {
        account.upload_bytes = Some(1101);
    }
    let operator = house.start().await;
    counted(&operator, (1101, 5200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_finished_by_the_next() {
    let house = House::new();
    let (_, conn) = database(&house);
    conn.execute_batch("BEGIN").unwrap();
    for number in 0..400 {
        add_user(&conn, &format!("XY{number:06}"), number % 2, None);
    }
    conn.execute_batch("COMMIT").unwrap();
    drop(conn);
    let args = [
        "import",
        "legacy",
        "automation_data/users.db",
        "--zone",
        "UTC",
        "--to",
        "folder:vpn",
    ];
    let mut child = house.command(&args).spawn().unwrap();
    let imported = house.folder().join("imported");
    within(EVENTUALLY_TIMEOUT, "some are there", async || {
        let some = std::fs::read_dir(&imported).map_or(0, Iterator::count) > 20;
        some.then_some(())
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    // As if it had been killed between the hold, the password and the person, too.
    let _ = std::fs::remove_file(imported.join("ab123456.yaml"));
    let _ = std::fs::remove_file(imported.join("cd234567.yaml"));
    let _ = std::fs::remove_file(imported.join("cd234567.sealed"));
    let (code, told) = report(&house, &[]).await;
    assert_eq!(code, 0, "{told}");
    let [(made, there), _, (past, known), _] = counts(&told);
    assert_eq!((made + there, past + known), (403, 406), "{told}");
    let names = |ending: &str| {
        let all = files(&imported);
        all.keys()
            .filter(|path| path.to_str().unwrap().ends_with(ending))
            .count()
    };
    assert_eq!((names(".yaml"), names(".sealed")), (403, 403));
    // A file that was being written when it was killed may be left over: it is nobody's hold.
    let holds = files(&house.data().join("holds"));
    let holds = holds
        .keys()
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    assert_eq!(holds.count(), 202);
    assert_eq!(number(&history(&house), "SELECT count(*) FROM audit"), 3);
    let (code, stdout, stderr) = run(house.command(&["check", "vpn", "--strict", "--data", "data"])).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_a_write_ahead_log_is_read_whole_and_left_alone() {
    let house = House::new();
    let (path, conn) = database(&house);
    conn.pragma_update(None, "journal_mode", "WAL").unwrap();
    conn.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
    add_user(&conn, "GH456789", 1, None);
    // The service is in the middle of something.
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    add_user(&conn, "JK567890", 1, None);
    let before = files(path.parent().unwrap());
    assert!(before.keys().any(|path| path.to_str().unwrap().ends_with("-wal")));
    let (code, told) = report(&house, &[]).await;
    assert_eq!((code, counts(&told)[0]), (0, (4, 0)), "{told}");
    assert_eq!(files(path.parent().unwrap()), before);
    conn.execute_batch("COMMIT").unwrap();
    let (code, told) = report(&house, &[]).await;
    assert_eq!((code, counts(&told)[0]), (0, (1, 4)), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_which_nothing_can_be_made_are_named_and_the_others_are_made() {
    let house = House::new();
    let (_, conn) = database(&house);
    add_user(&conn, "ab123456", 1, None);
    add_user(&conn, "not an id", 1, None);
    conn.execute("INSERT INTO users (corporate_id) VALUES ('GH456789'), (NULL)", [])
        .unwrap();
    drop(conn);
    house.write("people.yaml", &user("CD234567", ""));
    let (code, stdout, stderr) = import(&house, &[]).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("7 rows"), "{stderr}");
    for said in [
        "users row 1: skipped: AB123456 is also the corporate ID of row 4",
        "users row 4: skipped: ab123456 is also the corporate ID of row 1",
        "users row 5: skipped: corporate_id: ",
        "users row 6: skipped: GH456789: hy2_auth_key is empty",
        "users row 7: skipped: corporate_id is empty",
        "CD234567: declared in people.yaml:1 already: that stays as it is, and no hold is placed",
    ] {
        assert!(stdout.contains(said), "{said}: {stdout}");
    }
    let made = files(&house.folder().join("imported"));
    assert_eq!(made.len(), 2, "{:?}", made.keys());
    assert!(house.folder().join("imported/ef345678.yaml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_of_the_former_service_is_refused_and_an_older_one_is_read() {
    let house = House::new();
    let folder = house.path("automation_data");
    let (code, _, stderr) = import(&house, &[]).await;
    assert_eq!(code, 3, "{stderr}");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("users.db");
    for (content, said) in [
        ("", "is no SQLite database"),
        ("corporate_id,username\n", "is no SQLite database"),
    ] {
        std::fs::write(&path, content).unwrap();
        let (code, _, stderr) = import(&house, &[]).await;
        assert!(code == 2 && stderr.contains(said), "{code} {stderr}");
    }
    std::fs::remove_file(&path).unwrap();
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE things (name TEXT)").unwrap();
    let (code, _, stderr) = import(&house, &[]).await;
    assert!(code == 2 && stderr.contains("no table users"), "{code} {stderr}");
    assert!(!house.data().exists() && files(&house.folder()).is_empty());
    conn.execute_batch(
        "CREATE TABLE users (corporate_id TEXT PRIMARY KEY, blitz_username TEXT, hy2_auth_key TEXT); \
         INSERT INTO users VALUES ('AB123456', NULL, 'old-password-of-ab123456');",
    )
    .unwrap();
    drop(conn);
    let (code, told) = report(&house, &[]).await;
    assert_eq!((code, counts(&told)[0]), (0, (1, 0)), "{told}");
    let absent = told["absent"].to_string();
    assert!(
        absent.contains("table id_registry") && absent.contains("column users.is_active"),
        "{absent}"
    );
    assert!(house.read("imported/ab123456.yaml").contains("username: corp_ab123456"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_a_fault_is_not_imported_into() {
    let house = House::new();
    database(&house);
    house.write("people.yaml", &user("AB123456", "  active: perhaps\n"));
    let (code, _, stderr) = import(&house, &[]).await;
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("people.yaml") && stderr.contains("Nothing was imported"),
        "{stderr}"
    );
    assert!(!house.data().exists() && !house.folder().join("imported").exists());
}
