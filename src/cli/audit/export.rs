//! `audit export`: in bites, from a number on; and with `--follow` what is added.

use std::time::Duration;

use super::{
    super::{
        audit_args::{Export, ExportForm},
        exit::{CommandError, Exit},
        output::{Output, note},
        rooms,
    },
    cursor::Cursor,
    forms,
    sink::Receiver,
};
use crate::{
    config::HISTORY_FILE,
    history::{AuditFilter, Bite, History, HistoryError},
};

/// Rows that are in memory at a time.
const BITE: u32 = 1000;
/// Pause between two looks at what was added.
const LOOK: Duration = Duration::from_secs(1);
/// First and longest pause before something that failed is tried again.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

pub(super) async fn run(args: Export, output: &mut Output) -> Result<(), CommandError> {
    let receiver = match &args.to {
        Some(_) if args.format != ExportForm::Syslog => {
            return Err(CommandError::invalid(
                "--to: syslog alone is sent over a connection, give --format syslog",
            ));
        }
        Some(to) => Some(Receiver::at(to, args.ca_cert.as_deref())?),
        None => None,
    };
    if !args.follow && !args.data_dir.join(HISTORY_FILE).exists() {
        let message = format!("there is no audit in {}", args.data_dir.display());
        return Err(CommandError::new(Exit::NotFound, message).hint("name the operator's data folder with --data"));
    }
    let path = args.cursor.as_ref().filter(|path| !path.as_os_str().is_empty());
    let cursor = path.map(|path| Cursor::at(path));
    let kept = cursor.as_ref().map(Cursor::read).transpose()?.flatten();
    let from = kept.or(args.after).unwrap_or(0);
    let mut export = Exporting {
        history: rooms::history(&args.data_dir),
        filter: AuditFilter {
            corporate_id: args.user.as_ref().map(ToString::to_string),
            actor: args.actor.clone(),
            action: None,
            since: args.since,
            until: args.until,
        },
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        form: args.format,
        follow: args.follow,
        receiver,
        cursor,
        from,
        output,
    };
    if kept.is_none_or(|kept| kept == 0) {
        export.output.text(&forms::header(args.format)?)?;
    }
    export.run().await
}

struct Exporting<'a> {
    history: History,
    filter: AuditFilter,
    host: String,
    form: ExportForm,
    follow: bool,
    receiver: Option<Receiver>,
    cursor: Option<Cursor>,
    /// Everything up to this number has arrived.
    from: i64,
    output: &'a mut Output,
}

impl Exporting<'_> {
    async fn run(&mut self) -> Result<(), CommandError> {
        loop {
            let bite = self.next().await?;
            self.check(&bite)?;
            let caught_up = bite.through >= bite.last;
            if !bite.rows.is_empty() {
                self.deliver(&bite).await?;
            }
            if bite.through > self.from {
                self.from = bite.through;
                if let Some(cursor) = &self.cursor {
                    cursor.write(self.from)?;
                }
            }
            if caught_up {
                if !self.follow {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// The next rows; who follows waits for a database that cannot be read now.
    async fn next(&self) -> Result<Bite, CommandError> {
        let mut pause = AGAIN[0];
        loop {
            let error = match self.history.audit_after(self.filter.clone(), self.from, BITE).await {
                Ok(bite) => return Ok(bite),
                Err(error) => error,
            };
            if !self.follow || !matches!(error, HistoryError::Unavailable(_)) {
                let exit = match error {
                    HistoryError::Unavailable(_) => Exit::Unavailable,
                    HistoryError::Newer { .. } | HistoryError::Damaged { .. } => Exit::Failed,
                };
                return Err(CommandError::new(exit, error.to_string()));
            }
            wait(&mut pause, &error.to_string()).await;
        }
    }

    /// Whether this is still the audit that was exported up to here.
    fn check(&self, bite: &Bite) -> Result<(), CommandError> {
        if bite.last < self.from {
            return Err(CommandError::failed(format!(
                "the audit ends with row {}, and rows up to {} were exported before: its end was cut off, or another database was put in its place",
                bite.last, self.from
            ))
            .hint("vpn-operator audit verify says more"));
        }
        if self.from > 0 && bite.first > self.from + 1 {
            note(&format!(
                "audit rows {} to {} are past retention and were never exported",
                self.from + 1,
                bite.first - 1
            ));
        }
        Ok(())
    }

    /// Hands rows over; who follows tries until they have arrived.
    async fn deliver(&mut self, bite: &Bite) -> Result<(), CommandError> {
        let text = forms::rows(self.form, &bite.rows, &self.host, self.receiver.is_some())?;
        let Some(receiver) = &self.receiver else {
            return self.output.text(&text);
        };
        let mut pause = AGAIN[0];
        while let Err(why) = receiver.send(text.as_bytes()).await {
            if !self.follow {
                return Err(CommandError::new(Exit::Unavailable, why).hint(format!(
                    "everything up to row {} has arrived: --after {} goes on there",
                    self.from, self.from
                )));
            }
            wait(&mut pause, &why).await;
        }
        Ok(())
    }
}

async fn wait(pause: &mut Duration, why: &str) {
    note(&format!("{why}; trying again in {} s", pause.as_secs()));
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(AGAIN[1]);
}
