//! `check`: what a folder says as a whole.

use super::with;

const HEAD: &str = "apiVersion: vpn-operator.io/v1alpha1\n";

fn user(id: &str, gateways: &str) -> String {
    let name = id.to_lowercase();
    format!(
        "---\n{HEAD}kind: VpnUser\nmetadata: {{ name: {name} }}\nspec: {{ corporateId: {id}, gateways: [{gateways}] }}\n"
    )
}

fn gateway(name: &str, token: &str) -> String {
    format!(
        "---\n{HEAD}kind: VpnGateway\nmetadata: {{ name: {name} }}\nspec: {{ hysteria: {{ nodes: [{{ name: one, address: a{token} }}] }} }}\n"
    )
}

#[test]
fn it_warns_of_gateways_to_which_nobody_can_be_kept_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let check = |documents: &[String]| {
        std::fs::write(folder.path().join("vpn.yaml"), documents.concat()).unwrap();
        let ran = with(&["check", folder.path().to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{}", ran.stdout);
        ran.stdout
    };
    let (east, west) = (gateway("east", ""), gateway("west", ""));
    let apart = [user("AB123456", "east"), east.clone(), west.clone()];
    let found = check(&apart);
    let warnings: Vec<&str> = found.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 2, "{found}");
    assert!(
        warnings[0].starts_with("warning: vpn.yaml:7") && warnings[0].contains("ab123456 can log in on all"),
        "{found}"
    );
    let own = gateway("west", ", authToken: { env: WEST }");
    for quiet in [
        vec![user("AB123456", "east, west"), east.clone(), west],
        vec![user("AB123456", "east"), east, own],
    ] {
        assert!(!check(&quiet).contains("warning"), "{quiet:?}");
    }
}
