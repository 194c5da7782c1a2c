use std::{
    collections::HashSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use super::*;
use crate::model::secret_source::{SecretKeyRef, SecretSource};

fn key(seed: u8) -> MasterKey {
    MasterKey::from_bytes(SecretBox::new(Box::new([seed; 32])))
}
fn hex(seed: u8) -> SecretString {
    SecretString::from(format!("{seed:02x}").repeat(32))
}
fn id(text: &str) -> CorporateId {
    text.parse().unwrap()
}
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

mod derivation {
    use super::*;

    /// Computed once with Python's `hmac` over the framing that is documented at `Key::derive`: a change here changes
    /// every password of every installation.
    #[test]
    fn derived_secrets_never_change() {
        let key = key(7);
        assert_eq!(key.id(), "3927173e");
        assert_eq!(
            key.password(&id("AB123456"), 1).expose_secret(),
            "scybhtd6o2mch3sg25smvo22evgvcljwxw6hhl6r"
        );
        assert_eq!(
            key.subscription_token(&id("AB123456"), 1).expose_secret(),
            "knxbukb66eb3i4whl3wkqazryjn67522my6zd7bw"
        );
    }

    #[test]
    fn every_input_counts_and_nothing_else() {
        let all: Vec<SecretString> = [key(1), key(2)]
            .iter()
            .flat_map(|key| {
                ["AB123456", "AB12345", "A-B", "A_B"]
                    .into_iter()
                    .flat_map(move |person| {
                        [1, 2, 256].into_iter().flat_map(move |generation| {
                            let id = id(person);
                            [key.password(&id, generation), key.subscription_token(&id, generation)]
                        })
                    })
            })
            .collect();
        let different: HashSet<&str> = all.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(different.len(), 2 * 4 * 3 * 2);
        let (upper, lower) = (key(1).password(&id("AB123456"), 1), key(1).password(&id("ab123456"), 1));
        assert_eq!(upper.expose_secret(), lower.expose_secret());
    }

    #[test]
    fn parts_cannot_slip_into_each_other() {
        let key = Key::new(SecretBox::new(Box::new([1; 32])));
        assert_ne!(*key.derive("ab", &[b"c"]), *key.derive("a", &[b"bc"]));
        assert_ne!(*key.derive("a", &[b"b", b"c"]), *key.derive("a", &[b"bc"]));
        assert_ne!(*key.derive("a", &[b""]), *key.derive("a", &[]));
    }

    #[test]
    fn debug_shows_the_id_and_not_the_key() {
        let shown = format!("{:?}", key(0xab));
        assert!(
            shown.contains(key(0xab).id()) && !shown.contains("abab") && !shown.contains("171"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn passwords_are_long_and_safe_everywhere(seed in any::<u8>(), generation in any::<i64>()) {
            let password = key(seed).password(&id("AB123456"), generation);
            let text = password.expose_secret();
            prop_assert_eq!(text.len(), 40);
            prop_assert!(text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)));
        }
    }
}

mod loading {
    use base64::{Engine, engine::general_purpose};

    use super::*;

    #[test]
    fn a_first_run_makes_a_key_and_the_next_run_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("not/there/yet");
        let (first, origin) = MasterKey::load_or_create(&data, None).unwrap();
        let path = data.join(KEY_FILE);
        assert_eq!(origin, Origin::Created(path.clone()));
        assert_eq!((mode(&path), mode(&data)), (0o600, 0o700));
        let (again, origin) = MasterKey::load_or_create(&data, None).unwrap();
        assert_eq!((again.id(), origin), (first.id(), Origin::File(path)));
        assert_eq!(fs::read_to_string(data.join(KEY_ID_FILE)).unwrap().trim(), first.id());
        assert_eq!(fs::read_dir(&data).unwrap().count(), 2);

        let other = tempfile::tempdir().unwrap();
        assert_ne!(
            MasterKey::load_or_create(other.path(), None).unwrap().0.id(),
            first.id()
        );
    }

    #[test]
    fn a_given_key_wins_and_may_be_spelled_in_hex_or_base64() {
        let mut bytes = [0xfb; 32];
        bytes[31] = 0x0e;
        let want = MasterKey::from_bytes(SecretBox::new(Box::new(bytes)));
        let hex = format!("{}0E", "FB".repeat(31));
        let spellings = [
            hex.clone(),
            format!(" {}\n", hex.to_lowercase()),
            general_purpose::STANDARD.encode(bytes),
            general_purpose::STANDARD_NO_PAD.encode(bytes),
            general_purpose::URL_SAFE.encode(bytes),
        ];
        for text in spellings {
            let data = tempfile::tempdir().unwrap();
            let (key, origin) = MasterKey::load_or_create(data.path(), Some(text.into())).unwrap();
            assert_eq!((key.id(), origin), (want.id(), Origin::Given));
            assert!(!data.path().join(KEY_FILE).exists());
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused_without_repeating_it() {
        let data = tempfile::tempdir().unwrap();
        for text in ["", "hunter2", "00", &"g".repeat(64), &"ab".repeat(33), &"A".repeat(42)] {
            let error = MasterKey::load_or_create(data.path(), Some(text.into())).unwrap_err();
            let message = format!("{error} {error:?}");
            assert!(
                message.contains("MASTER_KEY") && message.contains("openssl rand"),
                "{message}"
            );
            assert!(text.len() < 3 || !message.contains(text), "{message}");
        }
        assert!(
            !data.path().join(KEY_ID_FILE).exists(),
            "a refused key must leave nothing behind"
        );
    }

    #[test]
    fn a_missing_key_for_existing_data_is_never_replaced() {
        let data = tempfile::tempdir().unwrap();
        let (key, _) = MasterKey::load_or_create(data.path(), None).unwrap();
        fs::remove_file(data.path().join(KEY_FILE)).unwrap();
        let error = MasterKey::load_or_create(data.path(), None).unwrap_err();
        assert!(
            matches!(&error, KeyError::Missing { id, .. } if id == key.id()),
            "{error}"
        );
        assert!(error.to_string().contains("backup"));
        assert!(!data.path().join(KEY_FILE).exists());
    }

    #[test]
    fn another_key_for_existing_data_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let (key, _) = MasterKey::load_or_create(data.path(), Some(hex(1))).unwrap();
        for _ in 0..2 {
            let error = MasterKey::load_or_create(data.path(), Some(hex(2))).unwrap_err();
            assert!(
                matches!(&error, KeyError::Wrong { recorded, .. } if recorded == key.id()),
                "{error}"
            );
            assert!(error.to_string().contains(key.id()) && error.to_string().contains("MASTER_KEY_PREVIOUS"));
        }
        assert_eq!(
            MasterKey::load_or_create(data.path(), Some(hex(1))).unwrap().0.id(),
            key.id()
        );
    }

    #[test]
    fn a_crash_between_key_and_record_keeps_the_key() {
        let data = tempfile::tempdir().unwrap();
        let (key, _) = MasterKey::load_or_create(data.path(), None).unwrap();
        fs::remove_file(data.path().join(KEY_ID_FILE)).unwrap();
        fs::write(data.path().join("master.key.new"), "half").unwrap();
        let (again, origin) = MasterKey::load_or_create(data.path(), None).unwrap();
        assert_eq!(
            (again.id(), origin),
            (key.id(), Origin::File(data.path().join(KEY_FILE)))
        );
        assert!(data.path().join(KEY_ID_FILE).exists());
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let data = tempfile::tempdir().unwrap();
        MasterKey::load_or_create(data.path(), None).unwrap();
        let path = data.path().join(KEY_FILE);
        for loose in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(loose)).unwrap();
            let error = MasterKey::load_or_create(data.path(), None).unwrap_err().to_string();
            assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(MasterKey::load_or_create(data.path(), None).is_ok());
    }

    #[test]
    fn a_rotation_names_the_old_key_and_then_stands_without_it() {
        let data = tempfile::tempdir().unwrap();
        let (old, _) = MasterKey::load_or_create(data.path(), Some(hex(1))).unwrap();
        let sealed = old.seal("password/x", &"secret".into()).unwrap();
        let previous = SecretString::from(format!("{}, {}", hex(9).expose_secret(), hex(1).expose_secret()));
        let (new, _) = MasterKey::load_or_rotate(data.path(), Some(hex(2)), Some(previous)).unwrap();
        assert_ne!(new.id(), old.id());
        assert_eq!(new.open("password/x", &sealed).unwrap().expose_secret(), "secret");
        let (later, _) = MasterKey::load_or_create(data.path(), Some(hex(2))).unwrap();
        let error = later.open("password/x", &sealed).unwrap_err();
        assert!(matches!(&error, SealError::UnknownKey(id) if id == old.id()), "{error}");

        let file = data.path().join(PREVIOUS_KEY_FILE);
        fs::write(&file, hex(1).expose_secret()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let (with_file, _) = MasterKey::load_or_create(data.path(), Some(hex(2))).unwrap();
        assert_eq!(with_file.open("password/x", &sealed).unwrap().expose_secret(), "secret");
    }
}

mod looking {
    use super::*;

    #[test]
    fn looking_for_the_key_changes_nothing() {
        let data = tempfile::tempdir().unwrap();
        let error = MasterKey::load(data.path(), None, None).unwrap_err();
        assert!(matches!(error, KeyError::None(_)), "{error}");
        assert!(MasterKey::load(data.path(), Some(hex(1)), None).is_ok());
        assert!(MasterKey::load(&data.path().join("none"), Some(hex(1)), None).is_ok());
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);

        let (old, _) = MasterKey::load_or_create(data.path(), Some(hex(1))).unwrap();
        let error = MasterKey::load(data.path(), Some(hex(2)), None).unwrap_err();
        assert!(matches!(error, KeyError::Wrong { .. }), "{error}");
        let error = MasterKey::load(data.path(), None, None).unwrap_err();
        assert!(matches!(error, KeyError::Missing { .. }), "{error}");
        let new = MasterKey::load(data.path(), Some(hex(2)), Some(hex(1))).unwrap();
        assert_ne!(new.id(), old.id());
        let record = fs::read_to_string(data.path().join(KEY_ID_FILE)).unwrap();
        assert_eq!(record.trim(), old.id(), "the data stays with its key");
    }
}

mod sealing {
    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_is_opened(text in any::<String>(), purpose in "[a-z/]{0,20}") {
            let sealed = key(1).seal(&purpose, &text.clone().into()).unwrap();
            prop_assert!(text.len() < 8 || !sealed.contains(&text));
            let opened = key(1).open(&purpose, &sealed).unwrap();
            prop_assert_eq!(opened.expose_secret(), text);
        }

        #[test]
        fn a_changed_text_is_never_opened(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9._-]") {
            let sealed = key(1).seal("p", &"secret".into()).unwrap();
            let at = at.index(sealed.len());
            let changed = format!("{}{to}{}", &sealed[..at], &sealed[at + 1..]);
            prop_assert!(changed == sealed || key(1).open("p", &changed).is_err());
        }
    }

    #[test]
    fn a_seal_is_bound_to_its_purpose_and_key() {
        let sealed = key(1).seal("password/anna", &"secret".into()).unwrap();
        assert!(matches!(key(1).open("password/bob", &sealed), Err(SealError::Damaged)));
        assert!(matches!(
            key(2).open("password/anna", &sealed),
            Err(SealError::UnknownKey(_))
        ));
        let forged = sealed.replace(key(1).id(), key(2).id());
        assert!(matches!(key(2).open("password/anna", &forged), Err(SealError::Damaged)));
        for other in [
            "",
            "v1",
            "v2.a.b",
            "v1..",
            &format!("v1.{}.AAAA", key(1).id()),
            "secret",
        ] {
            assert!(key(1).open("password/anna", other).is_err(), "{other}");
        }
        assert_ne!(sealed, key(1).seal("password/anna", &"secret".into()).unwrap());
    }
}

mod generated {
    use super::*;

    #[test]
    fn a_missing_secret_is_made_once_and_kept_for_the_operator_alone() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("corporate-secret");
        let (made, origin) = load_or_create_secret(data.path(), "corporate-secret", None).unwrap();
        assert_eq!((origin, mode(&path)), (Origin::Created(path.clone()), 0o600));
        assert_eq!(made.expose_secret().len(), 40);
        let (again, origin) = load_or_create_secret(data.path(), "corporate-secret", None).unwrap();
        assert_eq!(
            (again.expose_secret(), origin),
            (made.expose_secret(), Origin::File(path))
        );
        let (other, _) = load_or_create_secret(data.path(), "stats-secret", None).unwrap();
        assert_ne!(other.expose_secret(), made.expose_secret());
    }

    #[test]
    fn a_given_secret_wins_and_is_not_written_down() {
        let data = tempfile::tempdir().unwrap();
        let (secret, origin) = load_or_create_secret(data.path(), "s", Some("given\n".into())).unwrap();
        assert_eq!((secret.expose_secret(), origin), ("given", Origin::Given));
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
        assert!(load_or_create_secret(data.path(), "s", Some("\n".into())).is_err());
    }

    #[test]
    fn an_empty_or_open_file_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("s");
        fs::write(&path, "\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(
            load_or_create_secret(data.path(), "s", None),
            Err(FileError::Empty(_))
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = load_or_create_secret(data.path(), "s", None).unwrap_err().to_string();
        assert!(error.contains("mode 644") && error.contains("chmod 600"), "{error}");
    }
}

mod sources {
    use super::*;

    fn env(name: &str) -> SecretSource {
        SecretSource {
            env: Some(name.to_owned()),
            ..SecretSource::default()
        }
    }
    fn file(path: &Path) -> SecretSource {
        SecretSource {
            file: Some(path.to_str().unwrap().to_owned()),
            ..SecretSource::default()
        }
    }
    fn secret(key: &str) -> SecretSource {
        SecretSource {
            secret_key_ref: Some(SecretKeyRef {
                name: "panel".to_owned(),
                key: key.to_owned(),
            }),
            ..SecretSource::default()
        }
    }

    #[tokio::test]
    async fn variables_and_files_are_read_without_the_line_ends_behind_them() {
        let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sources = Sources::local(data.path());
        let found = sources.resolve(&env("CARGO_PKG_NAME")).await.unwrap();
        assert_eq!(found.expose_secret(), "vpn-operator");
        for (content, want) in [
            ("s3cret", "s3cret"),
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            (" s\n\n", " s"),
            ("s\r\n", "s"),
        ] {
            let path = elsewhere.path().join("secret");
            fs::write(&path, content).unwrap();
            assert_eq!(sources.resolve(&file(&path)).await.unwrap().expose_secret(), want);
        }
    }

    #[tokio::test]
    async fn errors_name_the_source() {
        let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sources = Sources::local(data.path());
        let empty = elsewhere.path().join("empty");
        fs::write(&empty, "\n").unwrap();
        let long = elsewhere.path().join("long");
        fs::write(&long, vec![b'x'; 70_000]).unwrap();
        for (source, named, error) in [
            (env("NO_SUCH_VARIABLE_HERE"), "NO_SUCH_VARIABLE_HERE", "not set"),
            (file(&empty), "empty", "is empty"),
            (file(&long), "long", "64 KiB"),
            (file(&elsewhere.path().join("none")), "none", "cannot be read"),
            (file(elsewhere.path()), "", "not a regular file"),
            (secret("token"), "secretKeyRef", "use env or file"),
            (SecretSource::default(), "", "exactly one"),
        ] {
            let message = sources.resolve(&source).await.unwrap_err().to_string();
            assert!(message.contains(named) && message.contains(error), "{message}");
        }
    }

    #[tokio::test]
    async fn no_resource_gets_at_the_operators_own_secrets() {
        let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        MasterKey::load_or_create(data.path(), None).unwrap();
        let sources = Sources::local(data.path());
        let link = elsewhere.path().join("innocent");
        symlink(data.path().join(KEY_FILE), &link).unwrap();
        let own = [
            env("MASTER_KEY"),
            env("MASTER_KEY_PREVIOUS"),
            env("CORPORATE_SECRET_FILE"),
            file(&data.path().join(KEY_FILE)),
            file(
                &data
                    .path()
                    .join("../")
                    .join(data.path().file_name().unwrap())
                    .join(KEY_FILE),
            ),
            file(&link),
            file(Path::new("/proc/self/environ")),
        ];
        for source in own {
            let error = sources.resolve(&source).await.unwrap_err();
            assert!(matches!(error, SourceError::Own(_)), "{source:?}: {error}");
        }
        let error = sources.resolve(&env("MASTER_KEYS")).await.unwrap_err();
        assert!(matches!(error, SourceError::NoVariable(_)));
    }

    struct Cluster;
    #[async_trait]
    impl SecretLookup for Cluster {
        async fn lookup(&self, key: &SecretKeyRef) -> Result<SecretString, String> {
            if key.key == "token" {
                Ok("from the cluster\n".into())
            } else {
                Err("no such key".to_owned())
            }
        }
    }

    #[tokio::test]
    async fn secrets_of_a_cluster_are_looked_up() {
        let data = tempfile::tempdir().unwrap();
        let sources = Sources::cluster(data.path(), Arc::new(Cluster));
        assert_eq!(
            sources.resolve(&secret("token")).await.unwrap().expose_secret(),
            "from the cluster"
        );
        let error = sources.resolve(&secret("other")).await.unwrap_err().to_string();
        assert!(
            error.contains("panel") && error.contains("other") && error.contains("no such key"),
            "{error}"
        );
    }
}
