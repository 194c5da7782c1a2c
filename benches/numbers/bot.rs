//! The bot, from what Telegram hands over to what it answers, with a double of the Bot API on loopback.

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    house::{House, is_yes},
    people::{self, Layout},
    proc,
    report::{Report, ms, note, percentile},
    telegram::{Said, TOKEN, TelegramDouble},
    wire::Conn,
};

const PEOPLE: usize = 2_000;
/// Chats that are linked, each to the person of its number.
const CHATS: usize = 200;
/// Those whom admins deactivate.
const DENIED: usize = 100;
/// Admins who take turns: each chat has one message a second.
const ADMINS: usize = 20;
const FLOOD: usize = 1_000;
/// Between two messages to the bot, so that Telegram's limit of thirty a second is not what is measured.
const APART: Duration = Duration::from_millis(45);
const SECOND: Duration = Duration::from_secs(1);

fn chat(number: usize) -> i64 {
    10_000 + i64::try_from(number).unwrap()
}

fn admin(number: usize) -> i64 {
    100 + i64::try_from(number % ADMINS).unwrap()
}

struct Bench {
    house: House,
    telegram: TelegramDouble,
    runtime: Runtime,
}

pub fn measure(report: &mut Report) {
    note("bot: 200 linked chats");
    let runtime = Runtime::new().unwrap();
    let telegram = runtime.block_on(TelegramDouble::start());
    let mut house = House::with(Layout::Each, PEOPLE);
    let admins: Vec<String> = (0..ADMINS).map(|number| admin(number).to_string()).collect();
    house.environment = vec![
        ("TELEGRAM_BOT_TOKEN", TOKEN.to_owned()),
        ("TELEGRAM_API_URL", telegram.url()),
        ("ADMIN_TELEGRAM_IDS", admins.join(",")),
    ];
    let operator = house.start();
    house.wait_usable(PEOPLE - 1);
    let bench = Bench {
        house,
        telegram,
        runtime,
    };
    for number in 0..CHATS {
        bench.link(number);
    }
    proc::wait_idle(operator.pid());

    let status: Vec<Duration> = (0..CHATS).map(|number| bench.answered(number, "/status").0).collect();
    tell(
        report,
        "An update handed to the bot until its answer is sent",
        &status,
        50,
    );
    let config = (0..CHATS).map(|number| {
        let (time, said) = bench.answered(number, "/get_config");
        assert!(said.photo.is_some(), "no picture");
        time
    });
    let config: Vec<Duration> = config.collect();
    tell(report, "… of `/get_config`, with its picture", &config, 100);
    note("bot: an admin deactivates");
    let denied: Vec<Duration> = (0..DENIED).map(|sample| bench.denied(sample, CHATS + sample)).collect();
    tell(report, "An admin presses *deactivate* until auth refuses", &denied, 50);
    note("bot: 200 chats, and one that floods");
    bench.flood(report);
    bench.telegram.sound();
    operator.stop();
}

fn tell(report: &mut Report, what: &str, times: &[Duration], limit: u64) {
    let p99 = percentile(times, 0.99);
    let shown = format!("p50 {}, p99 {}", ms(percentile(times, 0.5)), ms(p99));
    let reach = format!("p99 ≤ {limit} ms");
    report.row(what, &shown, "", &ms(p99), &reach, p99 <= Duration::from_millis(limit));
}

impl Bench {
    /// Links a chat by the API.
    fn link(&self, number: usize) {
        let (id, account) = (people::id(number), chat(number));
        let mut api = Conn::open(self.house.api).unwrap();
        let asked = json!({ "corporate_id": id, "chat": account, "language": "en" });
        let (status, answer) = House::call(&mut api, &format!("/telegram/accounts/{account}/code"), &asked);
        assert_eq!(status, 202, "{answer}");
        let (status, made) = House::call(&mut api, &format!("/user/{id}/link-codes"), &json!({}));
        assert_eq!(status, 201, "no code was made");
        let code = json!({ "chat": account, "code": made["code"] });
        let (status, answer) = House::call(&mut api, &format!("/telegram/accounts/{account}/link"), &code);
        assert_eq!(status, 200, "{answer}");
    }

    /// Writes, and answers how long the bot took, and what it said.
    fn answered(&self, number: usize, text: &str) -> (Duration, Said) {
        thread::sleep(APART);
        let account = chat(number);
        let said = self.runtime.block_on(self.telegram.asks(account, "en", text));
        let handed = self.telegram.handed(self.telegram.last_update());
        (said.at.saturating_duration_since(handed), said)
    }

    /// Has an admin deactivate a person. Answers how long after the button was pressed auth refuses.
    fn denied(&self, sample: usize, number: usize) -> Duration {
        thread::sleep(SECOND / ADMINS as u32 * 2);
        let (account, order) = (admin(sample), format!("/deactivate {} left", people::id(number)));
        let asked = self.runtime.block_on(self.telegram.asks(account, "en", &order));
        let yes = &asked.buttons[0].1;
        let request = self.house.login_request(number, 40_000);
        let mut auth = Conn::open(self.house.auth).unwrap();
        assert!(
            is_yes(&auth.ask(&request).unwrap().body),
            "person {number} has no access"
        );
        let asking = thread::spawn(move || {
            while is_yes(&auth.ask(&request).unwrap().body) {
                thread::sleep(Duration::from_micros(200));
            }
            Instant::now()
        });
        thread::sleep(Duration::from_millis(10));
        let begin = Instant::now();
        self.telegram.presses(account, "en", yes);
        asking.join().unwrap().saturating_duration_since(begin)
    }

    fn flood(&self, report: &mut Report) {
        const FLOODS: i64 = 99;
        thread::sleep(SECOND);
        let before = self.telegram.all_said().len();
        for _ in 0..FLOOD {
            self.telegram.writes(FLOODS, "en", "/help");
        }
        let mut asked = HashMap::new();
        for number in 0..CHATS {
            asked.insert(chat(number), (self.telegram.said(chat(number)).len(), Instant::now()));
            self.telegram.writes(chat(number), "en", "/status");
            thread::sleep(APART);
        }
        let late = asked.iter().map(|(chat, (count, at))| {
            let said = self.runtime.block_on(self.telegram.nth(*chat, count + 1));
            said.at.saturating_duration_since(*at)
        });
        let late: Vec<Duration> = late.collect();
        let worst = percentile(&late, 1.0);
        let shown = format!("p50 {}, worst {}", ms(percentile(&late, 0.5)), ms(worst));
        let what = "200 chats write within 9 s while one floods: the others' answers";
        report.row(what, &shown, "", &ms(worst), "≤ 1 s", worst <= SECOND);

        let said = self.telegram.all_said().split_off(before);
        let times: Vec<Instant> = said.iter().map(|said| said.at).collect();
        let within = |from: &Instant| times.iter().filter(|at| *at >= from && **at < *from + SECOND).count();
        let most = times.iter().map(within).max().unwrap_or_default();
        let flooded: Vec<Instant> = said
            .iter()
            .filter(|said| said.chat == FLOODS)
            .map(|said| said.at)
            .collect();
        let closest = flooded.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(SECOND);
        let shown = format!("{most} in one second, {} apart in the chat that floods", ms(closest));
        // They are sent by a clock and measured where they arrive: a few milliseconds of both are the way.
        let kept = most <= 31 && closest >= Duration::from_millis(950);
        report.row(
            "… and the most that the bot sends meanwhile",
            &shown,
            "",
            "",
            "30 in all, 1 a chat",
            kept,
        );
    }
}
