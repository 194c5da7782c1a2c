//! What a Blitz panel keeps, and the texts with which it answers. Pure: no network, no clock of its own.

use std::collections::{BTreeMap, HashMap};

use axum::http::StatusCode;
use serde_json::{Value, json};

/// Bytes of what the panel calls a GB.
pub const GB: i64 = 1_073_741_824;

/// Where the panel's scripts are, as its errors print it.
const SCRIPTS: &str = "/etc/hysteria/core/scripts/hysteria2";

/// An answer: a status and a JSON body.
pub type Answer = (StatusCode, Value);

/// One account, as the database has it.
#[expect(clippy::struct_field_names, reason = "the names of the panel's answers")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub password: String,
    /// 0 means no limit.
    pub max_download_bytes: i64,
    /// 0 means for ever.
    pub expiration_days: i64,
    /// `YYYY-MM-DD`; none until traffic is collected for the first time.
    pub account_creation_date: Option<String>,
    pub blocked: bool,
    pub unlimited_user: bool,
    pub note: Option<String>,
    pub upload_bytes: Option<u64>,
    pub download_bytes: Option<u64>,
    /// As of the last collection.
    pub online_count: u32,
}

impl Account {
    /// One that somebody made at the panel, without limits, and that has moved nothing.
    pub fn by_hand(password: &str) -> Self {
        Self {
            password: password.to_owned(),
            max_download_bytes: 0,
            expiration_days: 0,
            account_creation_date: None,
            blocked: false,
            unlimited_user: false,
            note: None,
            upload_bytes: None,
            download_bytes: None,
            online_count: 0,
        }
    }
}

impl Account {
    fn status(&self) -> &'static str {
        match (&self.account_creation_date, self.online_count) {
            (None, _) => "On-hold",
            (Some(_), 0) => "Offline",
            (Some(_), _) => "Online",
        }
    }

    fn used(&self) -> u64 {
        self.upload_bytes.unwrap_or(0) + self.download_bytes.unwrap_or(0)
    }

    fn is_over_quota(&self) -> bool {
        self.max_download_bytes > 0 && i64::try_from(self.used()).is_ok_and(|used| used >= self.max_download_bytes)
    }

    fn is_expired(&self, today: jiff::civil::Date) -> bool {
        let began: Option<jiff::civil::Date> = self.account_creation_date.as_ref().and_then(|it| it.parse().ok());
        let days = jiff::Span::new().days(self.expiration_days.clamp(0, 100_000));
        self.expiration_days > 0 && began.is_some_and(|began| began.saturating_add(days) <= today)
    }

    fn show(&self, name: &str, online: u32) -> Value {
        json!({
            "username": name,
            "password": self.password,
            "max_download_bytes": self.max_download_bytes,
            "expiration_days": self.expiration_days,
            "account_creation_date": self.account_creation_date,
            "blocked": self.blocked,
            "unlimited_user": self.unlimited_user,
            "note": self.note,
            "status": self.status(),
            "upload_bytes": self.upload_bytes,
            "download_bytes": self.download_bytes,
            "online_count": online,
        })
    }
}

/// The panel's database.
#[derive(Debug, Clone, Default)]
pub struct Panel {
    pub accounts: BTreeMap<String, Account>,
    pub generated: u64,
    pub today: jiff::civil::Date,
}

/// What a write does once everything before it (checks, kick) went well.
#[derive(Debug, Clone)]
pub enum Write {
    Add(String, Account),
    Edit(String, Value),
    Remove(Vec<String>),
    Reset(String),
    AddMany {
        prefix: String,
        first: u64,
        count: u64,
        gb: f64,
        days: i64,
    },
}

/// What a call leads to, before anything is written.
pub enum Step {
    /// It is answered as it is.
    Answer(Answer),
    /// Names to kick first (and traffic to collect), then the write, then the answer.
    Write {
        kick: Vec<String>,
        write: Write,
        answer: Answer,
    },
}

pub fn detail(status: StatusCode, text: impl Into<String>) -> Answer {
    (status, json!({ "status": status.as_u16(), "detail": text.into() }))
}

fn done(status: StatusCode, text: &str) -> Answer {
    (status, json!({ "detail": text }))
}

/// As the web framework refuses a body. The password that was sent stands in it.
fn invalid(kind: &str, field: &str, message: &str, input: &Value) -> Step {
    let body = json!({ "detail": [{ "type": kind, "loc": ["body", field], "msg": message, "input": input }] });
    Step::Answer((StatusCode::UNPROCESSABLE_ENTITY, body))
}

/// `^[a-zA-Z0-9_]+$` of Python, whose `$` lets a newline through.
fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('\n').unwrap_or(name);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn failed(script: &str, arguments: &str, code: u8, says: &str) -> String {
    format!("Command 'python3 {SCRIPTS}/{script} {arguments}' failed with exit code {code}: {says}")
}

pub fn kick_failed(name: &str) -> Answer {
    let command = format!("['python3', '{SCRIPTS}/kickuser.py', '{name}']");
    detail(
        StatusCode::BAD_REQUEST,
        format!("Error: Failed to execute kick user script: Command '{command}' returned non-zero exit status 1."),
    )
}

/// What a call is answered while the database cannot be reached. `call` is like `GET users`.
pub fn database_down(call: &str, name: &str, body: &Value) -> Answer {
    let lost = "Could not connect to MongoDB: localhost:27017: [Errno 111] Connection refused\nError: Database connection failed.";
    match call {
        "list" => detail(
            StatusCode::BAD_REQUEST,
            "Error: Expecting value: line 1 column 1 (char 0)",
        ),
        "get" => detail(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!(
                "An unexpected error occurred: {}",
                failed("get_user.py", &format!("-u {name}"), 1, lost)
            ),
        ),
        "add" => {
            let password = body["password"].as_str().unwrap_or("ien2jtfCNQ0ljCA9VmNEzHWcCMLB466Y");
            let arguments = format!(
                "{name} {} {} {password}",
                body["traffic_limit"], body["expiration_days"]
            );
            detail(
                StatusCode::BAD_REQUEST,
                format!(
                    "Failed to add user {name}: {}",
                    failed("add_user.py", &arguments, 1, lost)
                ),
            )
        }
        "patch" => {
            let password = body["new_password"].as_str();
            let password = password.map(|it| format!(" --password {it}")).unwrap_or_default();
            let arguments = format!("{name}{password}");
            let says = "Error: Database connection failed.";
            detail(
                StatusCode::BAD_REQUEST,
                format!("Error: {}", failed("edit_user.py", &arguments, 1, says)),
            )
        }
        "uri" => detail(
            StatusCode::BAD_REQUEST,
            "Error executing script: Failed to execute wrapper URI script\nError: Error: Database connection failed.\n",
        ),
        _ => detail(
            StatusCode::BAD_REQUEST,
            format!("Error: {}", failed("get_user.py", &format!("-u {name}"), 1, lost)),
        ),
    }
}

impl Panel {
    /// Passwords that it makes up itself.
    fn generate(&mut self) -> String {
        self.generated += 1;
        format!("generated{:023}", self.generated)
    }

    pub fn list(&self, online: &BTreeMap<String, u32>) -> Answer {
        if self.accounts.is_empty() {
            return detail(StatusCode::BAD_REQUEST, "Error: 404: No users found.");
        }
        let shown = self
            .accounts
            .iter()
            .map(|(name, it)| it.show(name, online.get(name).copied().unwrap_or(0)));
        (StatusCode::OK, shown.collect())
    }

    pub fn get(&self, name: &str) -> Answer {
        let key = name.to_lowercase();
        if let Some(it) = self.accounts.get(&key) {
            return (StatusCode::OK, it.show(&key, it.online_count));
        }
        let says = format!("User '{name}' not found in the database.");
        let failed = failed("get_user.py", &format!("-u {name}"), 1, &says);
        detail(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("An unexpected error occurred: {failed}"),
        )
    }

    pub fn add(&mut self, body: &Value) -> Step {
        for field in ["username", "traffic_limit", "expiration_days"] {
            if body.get(field).is_none() {
                return invalid("missing", field, "Field required", body);
            }
        }
        let name = body["username"].as_str().unwrap_or_default();
        if !is_name(name) {
            let message = "Value error, Username can only contain letters, numbers, and underscores.";
            return invalid("value_error", "username", message, &body["username"]);
        }
        for field in ["traffic_limit", "expiration_days"] {
            if body[field].as_i64().is_none() {
                let message = "Input should be a valid integer, got a number with a fractional part";
                return invalid("int_from_float", field, message, &body[field]);
            }
        }
        let key = name.to_lowercase();
        if self.accounts.contains_key(&key) {
            return Step::Answer(detail(StatusCode::CONFLICT, format!("User '{name}' already exists.")));
        }
        let password = body["password"]
            .as_str()
            .filter(|it| !it.is_empty())
            .map(ToOwned::to_owned);
        let account = Account {
            password: password.unwrap_or_else(|| self.generate()),
            max_download_bytes: body["traffic_limit"].as_i64().unwrap_or(0) * GB,
            expiration_days: body["expiration_days"].as_i64().unwrap_or(0),
            account_creation_date: body["creation_date"].as_str().map(ToOwned::to_owned),
            blocked: false,
            unlimited_user: body["unlimited"].as_bool().unwrap_or(false),
            note: body["note"].as_str().map(ToOwned::to_owned),
            upload_bytes: None,
            download_bytes: None,
            online_count: 0,
        };
        Step::Write {
            kick: Vec::new(),
            write: Write::Add(key, account),
            answer: done(StatusCode::CREATED, &format!("User {name} has been added.")),
        }
    }

    pub fn patch(&self, name: &str, body: &Value) -> Step {
        for field in ["blocked", "unlimited_ip", "renew_creation_date"] {
            if body.get(field).is_some_and(|it| !it.is_boolean() && !it.is_null()) {
                let message = "Input should be a valid boolean, unable to interpret input";
                return invalid("bool_parsing", field, message, &body[field]);
            }
        }
        let refuse = |says: String| Step::Answer(detail(StatusCode::BAD_REQUEST, says));
        for field in ["new_traffic_limit", "new_expiration_days"] {
            if body[field].as_i64().is_some_and(|it| it < 0) {
                return refuse("Error: Error: traffic limit must be a non-negative number.".to_owned());
            }
        }
        // An option to the script, unless there is a space in it.
        for (field, option) in [("new_password", "--password"), ("note", "--note")] {
            let text = body[field].as_str().unwrap_or_default();
            if text.starts_with('-') && !text.contains(' ') {
                let says = format!("edit_user.py: error: argument {option}: expected one argument");
                let arguments = format!("{name} {option} {text}");
                return refuse(format!("Error: {}", failed("edit_user.py", &arguments, 2, &says)));
            }
        }
        let key = name.to_lowercase();
        let step = |write, answer| Step::Write {
            kick: vec![key.clone()],
            write,
            answer,
        };
        if !self.accounts.contains_key(&key) {
            // The kick comes first, also for a name that is not there.
            let says = format!("Error: User '{name}' not found.");
            let answer = detail(
                StatusCode::BAD_REQUEST,
                format!("Error: {}", failed("edit_user.py", name, 1, &says)),
            );
            return step(Write::Remove(Vec::new()), answer);
        }
        step(
            Write::Edit(key.clone(), body.clone()),
            done(StatusCode::OK, &format!("User {name} has been edited.")),
        )
    }

    pub fn delete(&self, name: &str) -> Step {
        let key = name.to_lowercase();
        if !self.accounts.contains_key(&key) {
            let says = format!("User '{name}' not found in the database.");
            return Step::Answer(detail(
                StatusCode::BAD_REQUEST,
                format!("Error: {}", failed("get_user.py", &format!("-u {name}"), 1, &says)),
            ));
        }
        Step::Write {
            kick: vec![key.clone()],
            write: Write::Remove(vec![key]),
            answer: done(StatusCode::OK, &format!("User {name} has been removed.")),
        }
    }

    pub fn bulk_delete(&self, body: &Value) -> Step {
        let named: Vec<String> = serde_json::from_value(body["usernames"].clone()).unwrap_or_default();
        if named.is_empty() {
            return Step::Answer(detail(StatusCode::BAD_REQUEST, "No usernames provided."));
        }
        let keys: Vec<String> = named.iter().map(|it| it.to_lowercase()).collect();
        let there: Vec<String> = keys
            .iter()
            .filter(|it| self.accounts.contains_key(*it))
            .cloned()
            .collect();
        let answer = if there.is_empty() {
            let says = "Error: No matching users found for removal.";
            let text = failed("remove_user.py", &named.join(" "), 1, says);
            detail(StatusCode::BAD_REQUEST, format!("Error: {text}"))
        } else {
            done(StatusCode::OK, "Users have been removed.")
        };
        Step::Write {
            kick: keys,
            write: Write::Remove(there),
            answer,
        }
    }

    pub fn bulk_add(body: &Value) -> Step {
        let prefix = body["prefix"].as_str().unwrap_or_default();
        if !is_name(prefix) {
            let message = "Value error, Prefix can only contain letters, numbers, and underscores.";
            return invalid("value_error", "prefix", message, &body["prefix"]);
        }
        let count = body["count"].as_u64().unwrap_or(0);
        Step::Write {
            kick: Vec::new(),
            write: Write::AddMany {
                prefix: prefix.to_owned(),
                first: body["start_number"].as_u64().unwrap_or(1),
                count,
                gb: body["traffic_gb"].as_f64().unwrap_or(0.0),
                days: body["expiration_days"].as_i64().unwrap_or(0),
            },
            answer: done(
                StatusCode::CREATED,
                &format!("Successfully started adding {count} users with prefix '{prefix}'."),
            ),
        }
    }

    pub fn reset(&self, name: &str) -> Step {
        let key = name.to_lowercase();
        if !self.accounts.contains_key(&key) {
            let says = format!("User '{name}' not found in the database.");
            return Step::Answer(detail(
                StatusCode::BAD_REQUEST,
                format!("Error: {}", failed("get_user.py", &format!("-u {name}"), 1, &says)),
            ));
        }
        Step::Write {
            kick: Vec::new(),
            write: Write::Reset(key),
            answer: done(StatusCode::OK, &format!("User {name} has been reset.")),
        }
    }

    /// The name in it is as it was asked for, in that case; nothing is percent-encoded.
    fn links(&self, asked: &str) -> Option<Value> {
        let it = self.accounts.get(&asked.to_lowercase())?;
        let of = |host: &str, name: &str| {
            format!(
                "hy2://{asked}:{}@{host}:8443?sni=example.test&obfs=salamander&obfs-password=obfspass&pinSHA256=AA:BB:CC#{name}",
                it.password
            )
        };
        Some(json!({
            "username": asked,
            "ipv4": of("203.0.113.7", "IPv4"),
            "ipv6": null,
            "nodes": [{ "name": "node-a", "uri": of("203.0.113.9", "node-a") }],
            "normal_sub": format!("https://sub.example.test:2096/subsecret/{}#Hysteria2", it.password),
            "error": null,
        }))
    }

    pub fn uri(&self, name: &str) -> Answer {
        match self.links(name) {
            Some(links) => (StatusCode::OK, links),
            None => detail(StatusCode::NOT_FOUND, "User not found or password not set"),
        }
    }

    pub fn uri_bulk(&self, body: &Value) -> Answer {
        let named: Vec<String> = serde_json::from_value(body["usernames"].clone()).unwrap_or_default();
        (StatusCode::OK, named.iter().filter_map(|it| self.links(it)).collect())
    }

    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Add(name, account) => {
                self.accounts.insert(name.clone(), account.clone());
            }
            Write::Edit(name, body) => self.edit(name, body),
            Write::Remove(names) => self.accounts.retain(|name, _| !names.contains(name)),
            Write::Reset(name) => {
                if let Some(it) = self.accounts.get_mut(name) {
                    it.upload_bytes = None;
                    it.download_bytes = None;
                    it.account_creation_date = None;
                    it.blocked = false;
                }
            }
            Write::AddMany {
                prefix,
                first,
                count,
                gb,
                days,
            } => {
                for number in *first..first + count {
                    let name = format!("{prefix}{number}").to_lowercase();
                    let password = self.generate();
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_precision_loss,
                        reason = "as the panel does"
                    )]
                    self.accounts.entry(name).or_insert_with(|| Account {
                        password,
                        max_download_bytes: (gb * GB as f64) as i64,
                        expiration_days: *days,
                        account_creation_date: None,
                        blocked: false,
                        unlimited_user: false,
                        note: None,
                        upload_bytes: None,
                        download_bytes: None,
                        online_count: 0,
                    });
                }
            }
        }
    }

    fn edit(&mut self, name: &str, body: &Value) {
        let today = self.today;
        let Some(it) = self.accounts.get_mut(name) else { return };
        if let Some(password) = body["new_password"].as_str() {
            password.clone_into(&mut it.password);
        }
        if let Some(gb) = body["new_traffic_limit"].as_i64() {
            it.max_download_bytes = gb * GB;
        }
        if let Some(days) = body["new_expiration_days"].as_i64() {
            it.expiration_days = days;
        }
        if let Some(unlimited) = body["unlimited_ip"].as_bool() {
            it.unlimited_user = unlimited;
        }
        if let Some(blocked) = body["blocked"].as_bool() {
            it.blocked = blocked;
        }
        if body["renew_creation_date"].as_bool() == Some(true) {
            it.account_creation_date = Some(today.to_string());
        }
        if let Some(note) = body["note"].as_str() {
            it.note = Some(note.to_owned());
        }
        if let Some(renamed) = body["new_username"].as_str().map(str::to_lowercase)
            && let Some(it) = self.accounts.remove(name)
        {
            self.accounts.insert(renamed, it);
        }
    }

    /// Takes the counters of the server in, and who is online. What an account moved begins its time.
    pub fn collect(&mut self, moved: &HashMap<String, (u64, u64)>, online: &BTreeMap<String, u32>) {
        let today = self.today.to_string();
        for (name, it) in &mut self.accounts {
            it.online_count = online.get(name).copied().unwrap_or(0);
            let Some((up, down)) = moved.get(name).filter(|(up, down)| up + down > 0) else {
                continue;
            };
            it.upload_bytes = Some(it.upload_bytes.unwrap_or(0) + up);
            it.download_bytes = Some(it.download_bytes.unwrap_or(0) + down);
            it.account_creation_date.get_or_insert_with(|| today.clone());
        }
    }

    /// What the panel's scheduler does every minute after collecting: it blocks who is over a limit, unlimited or not.
    pub fn enforce(&mut self) {
        let today = self.today;
        for it in self.accounts.values_mut() {
            it.blocked |= it.is_over_quota() || it.is_expired(today);
        }
    }

    /// What the panel's auth service says to `name:password`: the name matches in lower case only.
    pub fn lets_in(&self, credential: &str) -> bool {
        let Some((name, password)) = credential.split_once(':') else {
            return false;
        };
        let Some(it) = self.accounts.get(name) else {
            return false;
        };
        let limited = !it.unlimited_user && (it.is_over_quota() || it.is_expired(self.today));
        it.password == password && !it.blocked && !limited
    }
}
