//! Sending mail, to a double of a server that speaks STARTTLS or TLS, and fails.

use std::time::Duration;

use vpn_operator::mail::{Letter, MailError, Post as _, Security, Smtp, SmtpSettings};

use crate::support::smtp::{Begins, Fault, SmtpDouble};

fn letter() -> Letter {
    Letter {
        to: "anna@example.com".to_owned(),
        subject: "Код для Telegram".to_owned(),
        text: "1234 5678\n".to_owned(),
        html: "<p>1234 5678</p>".to_owned(),
    }
}

/// A client that trusts the double's authority.
fn client(
    mail: &SmtpDouble,
    security: Security,
    edit: impl FnOnce(&mut SmtpSettings),
) -> (Smtp, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &mail.authority).unwrap();
    let mut settings = SmtpSettings {
        host: "localhost".to_owned(),
        port: mail.address.port(),
        security,
        login: Some(("vpn".to_owned(), "secret-of-mail".into())),
        from: "VPN <vpn@example.com>".to_owned(),
        trusted: Some(file.path().to_owned()),
    };
    edit(&mut settings);
    (Smtp::new(&settings).unwrap(), file)
}

#[tokio::test]
async fn a_letter_has_two_forms_and_says_that_a_machine_wrote_it() {
    for (begins, security) in [(Begins::StartTls, Security::StartTls), (Begins::Tls, Security::Tls)] {
        let mail = SmtpDouble::start(begins, Some(("vpn", "secret-of-mail"))).await;
        let (smtp, _file) = client(&mail, security, |_| {});
        smtp.check().await.unwrap();
        smtp.send(&letter()).await.unwrap();
        let taken = mail.letters(1).await.remove(0);
        assert_eq!(taken.to, "anna@example.com");
        for part in [
            "multipart/alternative",
            "text/plain",
            "text/html",
            "Auto-Submitted: auto-generated",
            "@example.com>",
        ] {
            assert!(taken.raw.contains(part), "{part} is not in {}", taken.raw);
        }
        assert!(taken.raw.contains("Subject: =?utf-8?"), "{}", taken.raw);
    }
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_does_not_and_no_error_names_the_person() {
    let mail = SmtpDouble::start(Begins::StartTls, Some(("vpn", "secret-of-mail"))).await;
    let (smtp, _file) = client(&mail, Security::StartTls, |_| {});
    for (fault, may_pass) in [
        (Fault::Busy, true),
        (Fault::NotNow, true),
        (Fault::Drop, true),
        (Fault::NoSuchPerson, false),
        (Fault::NoTls, false),
    ] {
        mail.faults([fault]);
        let error = smtp.send(&letter()).await.unwrap_err();
        assert_eq!(error.may_pass(), may_pass, "{fault:?}: {error:?}");
        let said = format!("{error} {error:?}");
        assert!(
            !said.contains("anna@") && !said.contains("1234") && !said.contains("secret-of-mail"),
            "{said}"
        );
    }
    mail.faults([Fault::Slow(Duration::from_millis(200))]);
    smtp.send(&letter()).await.unwrap();
    assert_eq!(mail.taken().len(), 1);
    let nowhere = Letter {
        to: "not an address".to_owned(),
        ..letter()
    };
    assert_eq!(smtp.send(&nowhere).await, Err(MailError::Address));
}

#[tokio::test]
async fn nothing_is_said_to_a_server_whose_certificate_is_not_trusted_or_that_takes_no_login() {
    let mail = SmtpDouble::start(Begins::StartTls, Some(("vpn", "secret-of-mail"))).await;
    let (stranger, _file) = client(&mail, Security::StartTls, |settings| settings.trusted = None);
    assert!(matches!(stranger.send(&letter()).await, Err(MailError::Tls(_))));
    let (other_name, _file) = client(&mail, Security::StartTls, |settings| {
        settings.host = "127.0.0.1".to_owned();
    });
    assert!(matches!(other_name.check().await, Err(MailError::Tls(_))));
    let (wrong, _file) = client(&mail, Security::StartTls, |settings| {
        settings.login = Some(("vpn".to_owned(), "another".into()));
    });
    let error = wrong.check().await.unwrap_err();
    assert!(
        matches!(&error, MailError::Refused(why) if why.contains("535")),
        "{error:?}"
    );
    assert!(mail.taken().is_empty());
    drop(mail);
}
