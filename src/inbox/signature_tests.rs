use proptest::prelude::*;

use super::*;

/// The example in GitHub's documentation of `X-Hub-Signature-256`.
const HUB_SECRET: &str = "It's a Secret to Everybody";
const HUB_BODY: &[u8] = b"Hello, World!";
const HUB_VALUE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

/// The example that the libraries of Standard Webhooks are tested with.
const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STANDARD_BODY: &[u8] = br#"{"test": 2432232314}"#;
const STANDARD_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const STANDARD_AT: &str = "1614265330";
const STANDARD_VALUE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn then() -> Timestamp {
    at(1_614_265_330)
}

fn keys(list: &str) -> Keys {
    Keys::read(Some(&list.into()), None).unwrap()
}

fn both() -> Keys {
    keys(&format!("hub:{HUB_SECRET},standard:{STANDARD_SECRET}"))
}

fn hub(value: &str) -> SignatureHeaders<'_> {
    SignatureHeaders {
        hub: vec![value.as_bytes()],
        ..SignatureHeaders::default()
    }
}

fn standard<'a>(id: &'a str, timestamp: &'a str, signature: &'a str) -> SignatureHeaders<'a> {
    SignatureHeaders {
        id: vec![id.as_bytes()],
        timestamp: vec![timestamp.as_bytes()],
        signature: vec![signature.as_bytes()],
        ..SignatureHeaders::default()
    }
}

fn published() -> SignatureHeaders<'static> {
    standard(STANDARD_ID, STANDARD_AT, STANDARD_VALUE)
}

#[test]
fn the_published_examples_verify() {
    let hub = verify(&both(), &hub(HUB_VALUE), HUB_BODY, then()).unwrap();
    assert_eq!((hub.scheme, hub.webhook_id), (Scheme::Hub, None));
    let standard = verify(&both(), &published(), STANDARD_BODY, then()).unwrap();
    assert_eq!(
        (standard.scheme, standard.webhook_id.as_deref()),
        (Scheme::Standard, Some(STANDARD_ID))
    );
}

#[test]
fn secrets_are_rotated_on_either_side() {
    let two = keys(&format!(
        "standard:whsec_AAAAAAAAAAAAAAAAAAAAAAAA, standard:{STANDARD_SECRET}, hub:old,hub:{HUB_SECRET}"
    ));
    assert!(verify(&two, &hub(HUB_VALUE), HUB_BODY, then()).is_ok());
    assert!(verify(&two, &published(), STANDARD_BODY, then()).is_ok());
    let several = format!("v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= v1a,whatever {STANDARD_VALUE}");
    assert!(
        verify(
            &both(),
            &standard(STANDARD_ID, STANDARD_AT, &several),
            STANDARD_BODY,
            then()
        )
        .is_ok()
    );
}

#[test]
fn the_single_secret_of_former_installations_names_its_scheme_itself() {
    let single = |secret: &str| Keys::read(None, Some(&secret.into())).unwrap();
    assert!(verify(&single(HUB_SECRET), &hub(HUB_VALUE), HUB_BODY, then()).is_ok());
    assert!(verify(&single(STANDARD_SECRET), &published(), STANDARD_BODY, then()).is_ok());
    assert_eq!(single(HUB_SECRET).schemes(), [Scheme::Hub]);
    assert_eq!(both().schemes(), [Scheme::Hub, Scheme::Standard]);
}

#[test]
fn secrets_that_cannot_be_used_are_refused_without_being_shown() {
    for (list, wrong) in [
        ("geheim", SecretError::NoScheme(1)),
        ("hub:a,svix:geheim", SecretError::NoScheme(2)),
        ("unsigned:geheim", SecretError::NoScheme(1)),
        ("hub:", SecretError::Empty(1)),
        ("standard:whsec_geheim", SecretError::NotStandard(1)),
        ("standard:whsec_AAAA", SecretError::NotStandard(1)),
    ] {
        let error = Keys::read(Some(&list.into()), None).unwrap_err();
        assert_eq!(error, wrong, "{list}");
        assert!(!error.to_string().contains("geheim"));
    }
    assert!(keys("").is_empty());
    assert!(!format!("{:?}", both()).contains("Secret to"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let upper = HUB_VALUE.to_uppercase().replace("SHA256", "sha256");
    assert!(
        verify(&both(), &hub(&upper), HUB_BODY, then()).is_ok(),
        "hex has no case"
    );
    let wrong = |headers: &SignatureHeaders<'_>, body: &[u8]| verify(&both(), headers, body, then()).unwrap_err();
    assert_eq!(wrong(&hub(HUB_VALUE), b"Hello, World!\n"), Refusal::Wrong(HUB));
    assert_eq!(wrong(&published(), b"{\"test\":2432232314}"), Refusal::Wrong(SIGNATURE));
    assert_eq!(
        wrong(&standard("msg_other", STANDARD_AT, STANDARD_VALUE), STANDARD_BODY),
        Refusal::Wrong(SIGNATURE)
    );
    assert_eq!(
        wrong(&standard(STANDARD_ID, "1614265331", STANDARD_VALUE), STANDARD_BODY),
        Refusal::Wrong(SIGNATURE)
    );
    assert_eq!(wrong(&SignatureHeaders::default(), HUB_BODY), Refusal::Unsigned);
    for value in [
        "",
        "sha256=",
        &HUB_VALUE[7..],
        &HUB_VALUE[..70],
        &format!("{HUB_VALUE}0"),
        &HUB_VALUE.replace("sha256", "SHA256"),
        "sha1=00",
    ] {
        assert_eq!(wrong(&hub(value), HUB_BODY).cause(), "malformed", "{value}");
    }
    for (id, timestamp, signature) in [
        ("", STANDARD_AT, STANDARD_VALUE),
        ("a b", STANDARD_AT, STANDARD_VALUE),
        ("é", STANDARD_AT, STANDARD_VALUE),
        (STANDARD_ID, "", STANDARD_VALUE),
        (STANDARD_ID, "-1", STANDARD_VALUE),
        (STANDARD_ID, "+1614265330", STANDARD_VALUE),
        (STANDARD_ID, "1614265330.0", STANDARD_VALUE),
        (STANDARD_ID, "1614265330000000", STANDARD_VALUE),
        (STANDARD_ID, STANDARD_AT, ""),
        (STANDARD_ID, STANDARD_AT, "v1"),
        (STANDARD_ID, STANDARD_AT, "v2,AAAA"),
        (STANDARD_ID, STANDARD_AT, "v1,AAAA"),
        (STANDARD_ID, STANDARD_AT, &STANDARD_VALUE[3..]),
    ] {
        let refusal = wrong(&standard(id, timestamp, signature), STANDARD_BODY);
        assert_eq!(refusal.cause(), "malformed", "{id} {timestamp} {signature}");
    }
}

#[test]
fn headers_that_stand_twice_or_are_missing_are_refused() {
    let headers = published();
    let twice = |change: fn(&mut SignatureHeaders<'static>)| {
        let mut headers = headers.clone();
        change(&mut headers);
        verify(&both(), &headers, STANDARD_BODY, then()).unwrap_err()
    };
    // The same value twice is refused as well: which of two a proxy takes is not known.
    assert_eq!(twice(|it| it.id.push(STANDARD_ID.as_bytes())), Refusal::Repeated(ID));
    assert_eq!(twice(|it| it.timestamp.push(b"1")), Refusal::Repeated(TIMESTAMP));
    assert_eq!(twice(|it| it.signature.push(b"v1,x")), Refusal::Repeated(SIGNATURE));
    assert_eq!(twice(|it| it.id.clear()), Refusal::Incomplete(ID));
    assert_eq!(twice(|it| it.timestamp.clear()), Refusal::Incomplete(TIMESTAMP));
    assert_eq!(twice(|it| it.signature.clear()), Refusal::Incomplete(SIGNATURE));
    let mut hubs = hub(HUB_VALUE);
    hubs.hub.push(HUB_VALUE.as_bytes());
    assert_eq!(
        verify(&both(), &hubs, HUB_BODY, then()).unwrap_err(),
        Refusal::Repeated(HUB)
    );
}

#[test]
fn every_signature_that_is_there_must_verify() {
    let mut headers = published();
    headers.hub = vec![HUB_VALUE.as_bytes()];
    assert_eq!(
        verify(&both(), &headers, STANDARD_BODY, then()).unwrap_err(),
        Refusal::Wrong(HUB)
    );
    let only_hub = keys(&format!("hub:{HUB_SECRET}"));
    let refused = verify(&only_hub, &published(), STANDARD_BODY, then()).unwrap_err();
    assert_eq!(refused.cause(), "no_secret");
    let refused = verify(&Keys::default(), &hub(HUB_VALUE), HUB_BODY, then()).unwrap_err();
    assert_eq!(
        refused.cause(),
        "no_secret",
        "a signature that nobody can check is no missing one"
    );
    let unsigned = verify(&Keys::default(), &SignatureHeaders::default(), HUB_BODY, then()).unwrap();
    assert_eq!(unsigned.scheme, Scheme::Unsigned);
}

#[test]
fn a_signature_is_good_for_five_minutes_either_way() {
    let late = |seconds: i64| verify(&both(), &published(), STANDARD_BODY, at(1_614_265_330 + seconds));
    assert!(late(300).is_ok() && late(-300).is_ok());
    assert_eq!(late(301).unwrap_err(), Refusal::TooOld);
    assert_eq!(late(-301).unwrap_err(), Refusal::TooNew);
}

proptest! {
    #[test]
    fn a_changed_bit_is_found(at in 0..HUB_BODY.len() * 8, in_signature in 7..HUB_VALUE.len()) {
        let mut body = HUB_BODY.to_vec();
        body[at / 8] ^= 1 << (at % 8);
        prop_assert!(verify(&both(), &hub(HUB_VALUE), &body, then()).is_err());
        let mut value = HUB_VALUE.as_bytes().to_vec();
        value[in_signature] = if value[in_signature] == b'0' { b'1' } else { b'0' };
        let headers = SignatureHeaders { hub: vec![&value], ..SignatureHeaders::default() };
        prop_assert!(verify(&both(), &headers, HUB_BODY, then()).is_err());
    }

    #[test]
    fn any_headers_are_refused_with_words(
        hub in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..3),
        standard in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..6),
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut headers = SignatureHeaders { hub: hub.iter().map(Vec::as_slice).collect(), ..SignatureHeaders::default() };
        for (at, value) in standard.iter().enumerate() {
            [&mut headers.id, &mut headers.timestamp, &mut headers.signature][at % 3].push(value);
        }
        let refusal = verify(&both(), &headers, &body, then()).unwrap_err();
        prop_assert!(!refusal.to_string().is_empty() && Refusal::CAUSES.contains(&refusal.cause()));
    }
}
