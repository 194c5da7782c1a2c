//! `kill -9` between any two steps of a conversation: nothing twice, nothing half.

use serde_json::{Value, json};

use super::{API_TOKEN, DESK, house, with_bot, yes};
use crate::{
    end_to_end::operator::{House, Operator, eventually, user},
    support::{
        gate::Gate,
        telegram::{Said, TelegramDouble},
    },
};

/// More than any of the conversations has steps.
const MANY: usize = 60;

/// People whose bot is killed, each at another step.
struct World {
    house: House,
    telegram: TelegramDouble,
    gate: Gate,
    operator: Option<Operator>,
    /// A bot of its own, where it is one. It is killed then, and not the operator.
    bot: Option<Operator>,
    /// At what it was killed.
    killed: Vec<String>,
}

fn id(number: usize) -> String {
    format!("AB{number:06}")
}

fn account(number: usize) -> i64 {
    10_000 + i64::try_from(number).unwrap()
}

impl World {
    async fn new(split: bool) -> Self {
        let (mut house, telegram) = house().await;
        let gate = Gate::default();
        telegram.guarded_by(&gate);
        for number in 1..=MANY {
            house.write(&format!("{number}.yaml"), &user(&id(number), ""));
        }
        let operator = if split {
            house.unset("TELEGRAM_BOT_TOKEN");
            house.set("API_CLIENTS", &format!("telegram:bot:{API_TOKEN}"));
            let operator = house.start().await;
            with_bot(&mut house, &telegram);
            house.set("API_URL", &gate.before(operator.url("")).await);
            house.set("API_TOKEN", API_TOKEN);
            operator
        } else {
            house.start().await
        };
        operator.becomes(&id(MANY), "Granted").await;
        let mut world = Self {
            house,
            telegram,
            gate,
            operator: Some(operator),
            bot: None,
            killed: Vec::new(),
        };
        if split {
            world.bot = Some(world.launch_bot());
        }
        world
    }

    fn launch_bot(&self) -> Operator {
        let data = self.house.path("bot-data");
        let command = self
            .house
            .command(&["run", "--components", "bot", "--data", data.to_str().unwrap()]);
        Operator::launch(command)
    }

    fn operator(&self) -> &Operator {
        self.operator.as_ref().unwrap()
    }

    /// Kills what was stopped, if anything was, and starts it again. Answers at what it was killed.
    async fn kill_if_stopped(&mut self) -> Option<String> {
        let at = self.gate.stopped()?;
        self.gate.stop_at(0);
        self.killed.push(at.clone());
        if let Some(bot) = self.bot.take() {
            bot.kill();
            self.bot = Some(self.launch_bot());
        } else {
            self.operator.take().unwrap().kill();
            self.operator = Some(self.house.start().await);
        }
        Some(at)
    }

    /// Waits for an answer in a chat behind the first `before`, over a kill that comes meanwhile.
    async fn answer(&mut self, chat: i64, before: usize, is: impl Fn(&Said) -> bool) -> Said {
        loop {
            let telegram = self.telegram.clone();
            let gate = self.gate.clone();
            let what = format!(
                "an answer, or a kill after {:?} and {:?}",
                self.killed,
                telegram.said(chat).last()
            );
            let found = eventually(&what, async || {
                let said = telegram.said(chat).into_iter().skip(before).find(|said| is(said));
                (said.is_some() || gate.stopped().is_some()).then_some(said)
            })
            .await;
            self.kill_if_stopped().await;
            if let Some(said) = found {
                return said;
            }
        }
    }

    async fn asks(&mut self, chat: i64, text: &str, is: impl Fn(&Said) -> bool) -> Said {
        let before = self.telegram.said(chat).len();
        self.telegram.writes(chat, "en", text);
        self.answer(chat, before, is).await
    }

    async fn presses(&mut self, chat: i64, data: &str, is: impl Fn(&Said) -> bool) -> Said {
        let before = self.telegram.said(chat).len();
        self.telegram.presses(chat, "en", data);
        self.answer(chat, before, is).await
    }

    /// How often the audit has this of a person, done or failed.
    async fn rows(&self, id: &str, action: &str) -> usize {
        let (status, audit) = self.operator().get(&format!("/audit?corporate_id={id}")).await;
        assert_eq!(status, 200, "{audit}");
        let rows = audit["rows"].as_array().unwrap().iter();
        rows.filter(|row| row["action"].as_str().unwrap().starts_with(action))
            .count()
    }

    /// Is linked already.
    async fn is_linked(&self, number: usize) {
        let (id, account, operator) = (id(number), account(number), self.operator());
        let request = json!({ "corporate_id": id, "chat": account, "language": "en" });
        let path = format!("/telegram/accounts/{account}/code");
        assert_eq!(operator.post(&path, request).await.0, 202);
        let (_, made) = operator.post(&format!("/user/{id}/link-codes"), json!({})).await;
        let code = json!({ "chat": account, "code": made["code"] });
        let path = format!("/telegram/accounts/{account}/link");
        assert_eq!(operator.post(&path, code).await.0, 200);
    }

    /// Says an ID, is given a code by the help desk, and links with it.
    async fn links(&mut self, number: usize) {
        let (id, account) = (id(number), account(number));
        self.asks(account, "/start", |said| said.text.contains("AB123456"))
            .await;
        self.asks(account, &id, |said| said.text.contains(&id)).await;
        let before = self.telegram.said(DESK).len();
        let given = self
            .asks(DESK, &format!("/code {id}"), |said| code_in(said).is_some())
            .await;
        let code = code_in(&given).unwrap();
        self.asks(account, &code, |said| said.text.contains('✅')).await;
        self.kill_if_stopped().await;
        let (_, linked) = self.operator().get(&format!("/user/{id}/telegram")).await;
        assert_eq!(linked["account"], json!(account), "{linked}");
        assert_eq!(self.rows(&id, "telegram.link").await, 1);
        // However often it was answered, it is one code.
        for said in &self.telegram.said(DESK)[before..] {
            assert!(code_in(said).is_none_or(|other| other == code));
        }
    }

    /// Rotates, unless the kill came between the button and what it stands for.
    async fn rotates(&mut self, number: usize) {
        let (id, account) = (id(number), account(number));
        let old = self.operator().credential(&id).await;
        let asked = self.asks(account, "/rotate", |said| !said.buttons.is_empty()).await;
        let done = |said: &Said| said.buttons.is_empty() && said.text.contains("/get_config");
        let said = self
            .presses(account, &yes(&asked), |said| {
                done(said) || said.text.contains("interrupted")
            })
            .await;
        self.kill_if_stopped().await;
        // Pressed again, it counts no second time.
        self.presses(account, &yes(&asked), |said| said.text.contains("not good any more"))
            .await;
        let (rotated, new) = (self.rows(&id, "rotate").await, self.operator().credential(&id).await);
        // What was answered is done and in the audit. A kill between the change and its row leaves the change alone.
        assert!(rotated <= 1 && (rotated == 0 || new != old), "{rotated}");
        assert!(rotated == 1 || !done(&said), "it was said and not done: {said:?}");
        assert_eq!(self.operator().login(&old, "192.0.2.1:1").await, new == old);
        assert!(self.operator().login(&new, "192.0.2.1:1").await);
    }

    /// Is held, and told so at most once; not at all only if the kill came while Telegram was asked.
    async fn is_told(&mut self, number: usize) {
        let (id, account) = (id(number), account(number));
        let before = self.telegram.said(account).len();
        let hold = json!({ "corporate_id": id, "reason": "left" });
        assert_eq!(self.operator().post("/holds", hold).await.0, 201);
        let open = async |operator: &Operator| {
            let (_, body) = operator.get("/telegram/notices?wait=0").await;
            let open: Vec<Value> = serde_json::from_value(body["notices"].clone()).unwrap();
            open.iter().any(|notice| notice["account"] == account)
        };
        let told = |telegram: &TelegramDouble| {
            let said = telegram.said(account).into_iter().skip(before);
            said.filter(|said| said.text.starts_with('⛔')).count()
        };
        let gate = self.gate.clone();
        let mut killed = None;
        loop {
            let operator = self.operator();
            let telegram = self.telegram.clone();
            let revoked = format!("/user/{id}");
            eventually("it is told, or killed", async || {
                if gate.stopped().is_some() {
                    return Some(());
                }
                let denied = operator.get(&revoked).await.1["access"] == "Denied";
                let done =
                    (told(&telegram) > 0 || killed_at(killed.as_deref(), "sendMessage")) && !open(operator).await;
                (denied && done).then_some(())
            })
            .await;
            match self.kill_if_stopped().await {
                Some(at) => killed = Some(at),
                None => break,
            }
        }
        let told = told(&self.telegram);
        assert!(
            told == 1 || (told == 0 && killed_at(killed.as_deref(), "sendMessage")),
            "{told} {killed:?}"
        );
    }
}

fn killed_at(killed: Option<&str>, what: &str) -> bool {
    killed == Some(what)
}

fn code_in(said: &Said) -> Option<String> {
    let code = said.text.split("<code>").nth(1)?.split('<').next()?;
    (code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit())).then(|| code.to_owned())
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Linking,
    Rotating,
    Telling,
}

impl World {
    /// One person's conversation, with a kill where the gate stops it. Answers whether there was one.
    async fn round(&mut self, number: usize, what: What, stop: impl FnOnce(&Gate)) -> bool {
        assert!(number < MANY, "there is no end of steps: {:?}", self.killed);
        if what != What::Linking {
            self.is_linked(number).await;
        }
        let before = self.killed.len();
        stop(&self.gate);
        match what {
            What::Linking => self.links(number).await,
            What::Rotating => self.rotates(number).await,
            What::Telling => self.is_told(number).await,
        }
        if self.killed.len() == before {
            // The last steps may come when the last answer was seen: what these chats ask now is answered behind them.
            for chat in [account(number), DESK] {
                self.asks(chat, "/help", |said| said.text.contains("/get_config")).await;
            }
            self.kill_if_stopped().await;
        }
        self.killed.len() > before
    }

    /// How often it was killed at this: before it is done, and after.
    fn times(&self, what: &str) -> usize {
        self.killed.iter().filter(|one| one.ends_with(what)).count()
    }
}

/// Kills at one step after the other, until the conversation is over before; at each of `expected` before it is done, and after.
async fn at_every_step(split: bool, what: What, expected: &[&str]) {
    let mut world = World::new(split).await;
    let mut round = 1;
    while world.round(round, what, |gate| gate.stop_at(round)).await {
        round += 1;
    }
    // Steps that are done at once come in another order each time: one of them may have been stepped over.
    for step in expected {
        for passing in [1, 2] {
            if world.times(step) < 2 {
                round += 1;
                world.round(round, what, |gate| gate.stop_at_this(step, passing)).await;
            }
        }
        assert!(world.times(step) >= 2, "{step}: {:?}", world.killed);
    }
    world.telegram.sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn linking_outlives_a_kill_of_the_bot_at_every_step() {
    at_every_step(true, What::Linking, &["/code", "/link", "/link-codes", "sendMessage"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linking_outlives_a_kill_of_the_operator_at_every_message() {
    at_every_step(false, What::Linking, &["sendMessage"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_outlives_a_kill_of_the_bot_at_every_step_and_is_done_once_or_not_at_all() {
    at_every_step(true, What::Rotating, &["/rotate", "sendMessage", "answerCallbackQuery"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_outlives_a_kill_of_the_operator_at_every_message() {
    at_every_step(false, What::Rotating, &["sendMessage", "answerCallbackQuery"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_told_once_over_a_kill_of_the_bot_at_every_step() {
    at_every_step(true, What::Telling, &["sendMessage", "/done"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_told_once_over_a_kill_of_the_operator() {
    at_every_step(false, What::Telling, &["sendMessage"]).await;
}
