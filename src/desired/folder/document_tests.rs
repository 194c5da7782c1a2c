use super::*;

fn user(rest: &str) -> String {
    format!(
        "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnUser\nmetadata:\n  name: ab123456\nspec:\n  corporateId: AB123456\n{rest}"
    )
}

fn faults(text: &str) -> Bad {
    match read(text) {
        Reading::Bad(bad) => bad,
        other => panic!("expected faults, got {other:?}"),
    }
}

fn first(text: &str) -> Fault {
    faults(text).faults.remove(0)
}

fn is_good(text: &str) -> bool {
    matches!(read(text), Reading::Object(_))
}

#[test]
fn a_plain_user_and_its_json_and_flow_forms_are_read() {
    assert!(is_good(&user("")));
    assert!(is_good(
        r#"{"apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser",
  "metadata": {"name": "ab123456"}, "spec": {"corporateId": "AB123456", "active": false}}"#
    ));
    assert!(is_good(
        "{\n\t\"apiVersion\": \"vpn-operator.io/v1alpha1\",\n\t\"kind\": \"VpnUser\",\n\t\"metadata\": {\"name\": \"ab123456\"},\n\t\"spec\": {\"corporateId\": \"AB123456\"}\n}"
    ));
    let quoted = user("").replace("kind: VpnUser", "kind: \"VpnUser\" # a person");
    assert!(is_good(&quoted));
}

#[test]
fn what_kubectl_prints_is_accepted_and_its_status_ignored() {
    let text = user("  active: true\nstatus:\n  anything: [1, 2]\n").replace(
        "  name: ab123456\n",
        "  name: ab123456\n  uid: x\n  resourceVersion: \"5\"\n  generation: 3\n  creationTimestamp: null\n",
    );
    assert!(is_good(&text));
}

#[test]
fn an_unknown_field_is_named_with_its_place() {
    let fault = first(&user("  validUntill: 2027-01-01T00:00:00Z\n"));
    assert_eq!((fault.line, fault.column), (7, 3));
    assert_eq!(fault.field.as_deref(), Some("spec.validUntill"));
    let fault = first(&user("").replace("  name:", "  nam: x\n  name:"));
    assert_eq!((fault.line, fault.field.as_deref()), (4, Some("metadata.nam")));
}

#[test]
fn a_wrong_type_names_the_field_once_and_no_document_relative_line() {
    let fault = first(&user("  active: 'yes'\n"));
    assert_eq!((fault.line, fault.field.as_deref()), (7, Some("spec.active")));
    assert!(fault.message.contains("true or false"), "{}", fault.message);
    assert!(!fault.message.contains("line"), "{}", fault.message);
}

#[test]
fn duplicate_keys_are_errors_also_in_labels() {
    assert!(
        first(&user("  active: true\n  active: false\n"))
            .message
            .contains("duplicate")
    );
    let text = user("").replace("  name:", "  labels: {a: x, a: y}\n  name:");
    assert!(first(&text).message.contains("duplicate"));
}

#[test]
fn merge_keys_are_refused_wherever_they_stand() {
    for text in [
        user("  <<: {active: false}\n"),
        user("").replace("  name:", "  labels:\n    <<: {a: b}\n  name:"),
        user("").replace("  name:", "  labels:\n    \"<<\": b\n  name:"),
        format!("<<: {{kind: VpnUser}}\n{}", user("")),
    ] {
        let fault = first(&text);
        assert!(fault.message.contains("merge keys"), "{text}: {fault:?}");
        assert!(text.lines().nth(fault.line as usize - 1).unwrap().contains("<<"));
    }
    assert!(is_good(&user("  owner: \"a << b\"\n")));
}

#[test]
fn foreign_groups_are_ignored_and_ours_misspelt_is_not() {
    assert!(matches!(
        read("apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n"),
        Reading::Ignored
    ));
    assert!(matches!(read("# nothing\n---\n"), Reading::Ignored));
    let fault = first(&user("").replace("vpn-operator.io/", "vpn-operatr.io/"));
    assert_eq!(fault.field.as_deref(), Some("apiVersion"));
    assert_eq!(
        first(&user("").replace("VpnUser", "VpnUsr")).field.as_deref(),
        Some("kind")
    );
    let bad = faults("a: 1\n");
    assert!(!bad.ours && bad.faults[0].field.as_deref() == Some("apiVersion"));
    assert!(faults(&user("").replace("kind: VpnUser\n", "")).ours);
    assert!(faults("metadata: {name: a}\nspec: {}\n").ours);
}

#[test]
fn identity_is_kept_through_a_syntax_error() {
    let bad = faults(&user("  owner: [unclosed\n  active: true\n"));
    assert_eq!(bad.identity, Some((Kind::User, "ab123456".to_owned())));
    assert!(bad.certain);
    assert!(bad.faults[0].line >= 7);
}

#[test]
fn a_name_that_is_not_the_encoding_of_the_id_is_a_fault_that_leaves_doubt() {
    let bad = faults(&user("").replace("name: ab123456", "name: ab123457"));
    assert!(!bad.certain);
    assert_eq!((bad.faults[0].line, bad.faults[0].column), (4, 3));
}

#[test]
fn the_rules_of_the_definitions_hold_and_name_the_place() {
    let text = "  validFrom: 2026-02-01T00:00:00Z\n  maxDevices: 0\n  validUntil: 2026-01-01T00:00:00Z\n  gateways: [default, Default]\n";
    let bad = faults(&user(text));
    assert!(bad.certain);
    let found: Vec<_> = bad
        .faults
        .iter()
        .map(|fault| (fault.line, fault.column, fault.field.as_deref().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (8, 3, "spec.maxDevices"),
            (9, 3, "spec.validUntil"),
            (10, 23, "spec.gateways[1]")
        ]
    );
    let hold = "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnHold\nmetadata: {name: x}\nspec: {corporateId: AB123456, source: help-desk}\n";
    assert_eq!(first(hold).field.as_deref(), Some("spec.source"));
    let gateway = "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnGateway\nmetadata: {name: default}\nspec: {}\n";
    assert_eq!(first(gateway).field.as_deref(), Some("spec"));
}

#[test]
fn what_is_immutable_or_only_rises_is_compared_with_the_version_in_force() {
    let declared = |rest: &str| match read(&user(rest)) {
        Reading::Object(declared) => declared,
        other => panic!("expected an object, got {other:?}"),
    };
    let old = declared("  credentialGeneration: 2\n  subscriptionGeneration: 2\n");
    for (rest, field) in [
        (
            "  credentialGeneration: 1\n  subscriptionGeneration: 2\n",
            "spec.credentialGeneration",
        ),
        ("  credentialGeneration: 2\n", "spec.subscriptionGeneration"),
        (
            "  username: anna\n  credentialGeneration: 2\n  subscriptionGeneration: 2\n",
            "spec.username",
        ),
    ] {
        let new = declared(rest);
        let (faults, refused) = faults_against(&new, Some(&old.spec), &user(rest));
        assert_eq!(refused, [], "nothing about access was edited");
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].field.as_deref(), Some(field));
    }
    assert!(
        faults_against(
            &declared("  credentialGeneration: 3\n  subscriptionGeneration: 2\n"),
            Some(&old.spec),
            ""
        )
        .0
        .is_empty()
    );
}

#[test]
fn values_of_secret_fields_are_not_repeated() {
    let fault = first(&user("  credentialsFrom: hunter2\n"));
    assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
    let fault = first(&user("  credentialsFrom: {file: [hunter2]}\n"));
    assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
}

#[test]
fn laughing_and_deeply_nested_documents_end_soon() {
    let begun = std::time::Instant::now();
    let mut laughs = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (last, next) in ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .zip(["b", "c", "d", "e", "f", "g", "h", "i"])
    {
        let many = vec![format!("*{last}"); 9].join(",");
        laughs = [laughs, format!("{next}: &{next} [{many}]\n")].concat();
    }
    faults(&format!("{}{laughs}", user("")));
    faults(&user(&format!("  owner: *a\nstatus:\n  x: {}\n", "[".repeat(900_000))));
    faults(&user(&"  ? ".repeat(200_000)));
    faults(&"x".repeat(MAX_DOCUMENT + 1));
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn a_deep_nest_of_brackets_is_refused_at_once_and_keeps_its_identity() {
    let begun = std::time::Instant::now();
    for nest in ["[".repeat(900_000), "{a: ".repeat(200_000), "[\"]\",".repeat(150_000)] {
        let bad = faults(&user(&format!("status:\n  x: {nest}\n")));
        assert_eq!(bad.identity, Some((Kind::User, "ab123456".to_owned())));
        assert!(bad.faults[0].message.contains("nested"), "{:?}", bad.faults);
    }
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    let flat = "[], ".repeat(2_000);
    assert!(is_good(&user(&format!("status:\n  x: [{flat}]\n"))));
}

#[test]
fn a_time_without_a_zone_or_beyond_all_time_is_told_how_to_write_it() {
    for value in ["2027-01-01", "2027-01-01T00:00:00", "9999-12-31T23:59:59Z", "soon"] {
        let fault = first(&user(&format!("  validUntil: {value}\n")));
        assert_eq!((fault.line, fault.field.as_deref()), (7, Some("spec.validUntil")));
        assert!(fault.message.contains("like 2027-01-01T00:00:00Z"), "{}", fault.message);
    }
}

#[test]
fn a_bad_corporate_id_is_named_with_its_field_and_line() {
    let fault = first(&user("").replace(": AB123456", ": \u{410}B123456"));
    assert_eq!((fault.line, fault.field.as_deref()), (6, Some("spec.corporateId")));
}

#[test]
fn a_document_that_begins_within_another_is_explained() {
    for text in [
        format!("{0}---\r{0}", user("").replace('\n', "\r")),
        format!("---\n\u{feff}{}", user("")),
    ] {
        let bad = faults(&text);
        assert!(
            bad.faults
                .iter()
                .any(|fault| fault.message.contains("line ends") || fault.message.contains("byte order mark")),
            "{:?}",
            bad.faults
        );
    }
}

#[test]
fn a_byte_order_mark_before_a_document_says_nothing() {
    assert!(is_good(&format!("\u{feff}{}", user("  owner: Zoë\n"))));
    assert!(is_good(&format!("\u{feff}---\n{}", user(""))));
    assert!(matches!(read("\u{feff}# nothing\n"), Reading::Ignored));
}

#[test]
fn every_mistake_is_named_not_the_first_and_in_the_words_of_fields() {
    let text =
        user("  owner: 42\n  active: 1\n  maxDevices: many\n  validUntill: soon\n  email: anna\n  username: A\n")
            .replace("corporateId: AB123456", "corporateId: 123456")
            .replace("  name: ab123456\n", "  name: ab123456\n  labels: {a: 1}\n");
    let bad = faults(&text);
    let found: Vec<_> = bad
        .faults
        .iter()
        .map(|it| (it.line, it.field.as_deref().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            (5, "metadata.labels.a"),
            (11, "spec.validUntill"),
            (9, "spec.active"),
            (7, "spec.corporateId"),
            (10, "spec.maxDevices"),
            (8, "spec.owner"),
        ]
    );
    for fault in &bad.faults {
        assert!(
            !["u32", "struct", "expected a", "i64"]
                .iter()
                .any(|word| fault.message.contains(word)),
            "{fault:?}"
        );
    }
    // Without the ID nothing else can be judged; with it, the rest is said in one go as well.
    let bad = faults(&text.replace("corporateId: 123456", "corporateId: AB123456"));
    let fields: Vec<_> = bad.faults.iter().map(|it| it.field.as_deref().unwrap()).collect();
    assert!(
        fields.contains(&"spec.email") && fields.contains(&"spec.username"),
        "{fields:?}"
    );
}

#[test]
fn a_list_is_read_as_its_items_each_with_its_own_place() {
    let item = |name: &str, rest: &str| {
        format!(
            "- apiVersion: vpn-operator.io/v1alpha1\n  kind: VpnUser\n  metadata:\n    name: {name}\n    uid: u\n    \
             resourceVersion: \"5\"\n    creationTimestamp: \"2026-01-01T00:00:00Z\"\n    managedFields:\n    - manager: kubectl\n  \
             spec:\n    corporateId: {}\n{rest}  status:\n    access: Granted\n",
            name.to_uppercase()
        )
    };
    let foreign = "- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: x\n";
    let text = format!(
        "apiVersion: v1\nitems:\n{}{foreign}{}kind: List\nmetadata:\n  resourceVersion: \"\"\n",
        item("ab123456", ""),
        item("ab123457", "    activ: true\n"),
    );
    let Reading::Items(items) = read(&text) else {
        panic!("no list")
    };
    assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [3, 16, 20]);
    assert!(matches!(&items[0].reading, Reading::Object(it) if it.name == "ab123456" && it.item == Some(0)));
    assert!(matches!(items[1].reading, Reading::Ignored));
    let Reading::Bad(bad) = &items[2].reading else {
        panic!("no fault")
    };
    assert_eq!(bad.identity, Some((Kind::User, "ab123457".to_owned())));
    let fault = &bad.faults[0];
    assert_eq!((fault.line, fault.field.as_deref()), (31, Some("items[2].spec.activ")));
    assert!(text.lines().nth(30).unwrap().contains("activ"));
    // A change elsewhere in the list is none of this item.
    let Reading::Items(moved) = read(&format!("# note\n{text}")) else {
        panic!("no list")
    };
    assert_eq!(moved[0].digest, items[0].digest);
}

#[test]
fn a_nul_byte_and_spaces_that_are_none_are_named_where_they_stand() {
    let bad = faults(&user("  owner: x\0y\n"));
    let nul = bad.faults.iter().find(|fault| fault.message.contains("NUL")).unwrap();
    assert_eq!((nul.line, nul.column), (7, 11));
    assert_eq!(bad.identity, Some((Kind::User, "ab123456".to_owned())));
    for (text, place) in [
        (user("  active:\u{a0}false\n"), (7, 10)),
        (user("\u{a0}\u{a0}active: false\n"), (7, 1)),
        (user("").replace("kind: VpnUser", "kind:\u{a0}VpnUser"), (2, 6)),
        (user("").replace("AB123456", "AB123456\u{a0}"), (6, 24)),
    ] {
        let fault = first(&text);
        assert!(fault.message.contains("non-breaking space"), "{text:?}: {fault:?}");
        assert_eq!((fault.line, fault.column), place, "{text:?}");
    }
    assert!(is_good(&user("  owner: Anna\u{a0}Schmidt\n")));
}

#[test]
fn an_edit_of_access_that_is_refused_with_its_document_is_told_from_other_typos() {
    let in_force = |rest: &str| match read(&user(rest)) {
        Reading::Object(declared) => declared.spec,
        other => panic!("{other:?}"),
    };
    let old = in_force("  validUntil: 2027-01-01T00:00:00Z\n");
    let refused = |rest: &str| -> Vec<(u32, String)> {
        let access = faults(&user(rest)).access.unwrap();
        let found = access.refused(Kind::User, "ab123456", Some(&old));
        found
            .into_iter()
            .map(|fault| (fault.line, fault.field.unwrap()))
            .collect()
    };
    let until = "  validUntil: 2027-01-01T00:00:00Z\n";
    let fields = |fields: &[(u32, &str)]| -> Vec<(u32, String)> {
        fields
            .iter()
            .map(|(line, field)| (*line, (*field).to_owned()))
            .collect()
    };
    for (rest, wanted) in [
        (format!("{until}  ownr: x\n"), fields(&[])),
        (format!("{until}  active: true\n  ownr: x\n"), fields(&[])),
        (
            format!("{until}  active: false\n  ownr: x\n"),
            fields(&[(8, "spec.active")]),
        ),
        (format!("{until}  active: nope\n"), fields(&[(8, "spec.active")])),
        ("  ownr: x\n".to_owned(), fields(&[(5, "spec.validUntil")])),
        ("  validUntil: tomorrow\n".to_owned(), fields(&[(7, "spec.validUntil")])),
        (
            "  validUntil: 2026-06-01T00:00:00Z\n  x: y\n".to_owned(),
            fields(&[(7, "spec.validUntil")]),
        ),
        // What stands behind a place that cannot be read is found by its line.
        (
            format!("  owner: [x\n{until}  active: false # left\n"),
            fields(&[(9, "spec.active")]),
        ),
        (format!("  owner: [x\n{until}  active: true\n"), fields(&[])),
    ] {
        assert_eq!(refused(&rest), wanted, "{rest}");
    }
    let message = &faults(&user("  active: nope\n"))
        .access
        .unwrap()
        .refused(Kind::User, "ab123456", Some(&old))[0]
        .message;
    assert!(
        message.contains("VpnUser ab123456")
            && message.contains("last good version")
            && message.contains("active: true")
    );
    // Of somebody who is not known nothing is in force.
    assert!(
        faults(&user("  activ: x\n"))
            .access
            .unwrap()
            .refused(Kind::User, "ab123456", None)
            .is_empty()
    );
}

#[test]
fn a_hold_in_a_faulty_document_keeps_nobody_out_and_that_is_said() {
    let hold = |rest: &str| {
        format!(
            "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnHold\nmetadata: {{name: x}}\nspec: {{corporateId: AB123456, source: hr{rest}}}\n"
        )
    };
    let Reading::Object(old) = read(&hold("")) else {
        panic!("a hold")
    };
    let refused = |text: &str, old: Option<&Spec>| faults(text).access.unwrap().refused(Kind::Hold, "x", old).len();
    assert_eq!(refused(&hold(", reson: left"), None), 1);
    assert_eq!(refused(&hold(", reson: left"), Some(&old.spec)), 1);
    assert_eq!(
        refused(&hold("").replace("name: x", "name: x, labls: {}"), Some(&old.spec)),
        0
    );
}
