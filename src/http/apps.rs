//! VPN apps that people are told to install, and the addresses that put a subscription into them.
//!
//! What confirms each import address stands in `docs/clients.md`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::visitor::Platform;

/// How an app is handed the address of a subscription.
#[derive(Debug, Clone, Copy)]
enum Import {
    /// The address as it is, and the name as fragment.
    Hiddify,
    /// The address as it is.
    Happ,
    /// The address percent-encoded, and the name as fragment.
    Encoded(&'static str),
    /// The name as a parameter, and behind it the address percent-encoded: Clash Verge takes all that follows for the address.
    Clash,
    /// The address in base64.
    Shadowrocket,
}

/// An app for one platform.
#[derive(Debug)]
pub(super) struct App {
    /// Its name.
    pub(super) name: &'static str,
    /// Where its makers publish it.
    pub(super) install: &'static str,
    import: Import,
}

const fn app(name: &'static str, install: &'static str, import: Import) -> App {
    App { name, install, import }
}

/// Not the lookalikes of other owners that a search finds too.
const HIDDIFY_RELEASES: &str = "https://github.com/hiddify/hiddify-app/releases";
const CLASH_VERGE_RELEASES: &str = "https://github.com/clash-verge-rev/clash-verge-rev/releases";
const SING_BOX: Import = Import::Encoded("sing-box://import-remote-profile?url=");
const V2RAYNG: Import = Import::Encoded("v2rayng://install-sub?url=");

static IOS: [App; 3] = [
    app(
        "Hiddify",
        "https://apps.apple.com/app/hiddify-proxy-vpn/id6596777532",
        Import::Hiddify,
    ),
    app(
        "Happ",
        "https://apps.apple.com/app/happ-proxy-utility/id6504287215",
        Import::Happ,
    ),
    app(
        "Shadowrocket",
        "https://apps.apple.com/app/shadowrocket/id932747118",
        Import::Shadowrocket,
    ),
];
static ANDROID: [App; 3] = [
    app(
        "Hiddify",
        "https://play.google.com/store/apps/details?id=app.hiddify.com",
        Import::Hiddify,
    ),
    app("v2rayNG", "https://github.com/2dust/v2rayNG/releases", V2RAYNG),
    app(
        "sing-box",
        "https://play.google.com/store/apps/details?id=io.nekohasekai.sfa",
        SING_BOX,
    ),
];
static COMPUTER: [App; 2] = [
    app("Hiddify", HIDDIFY_RELEASES, Import::Hiddify),
    app("Clash Verge", CLASH_VERGE_RELEASES, Import::Clash),
];

/// The apps for a platform, the first for most people.
pub(super) fn of(platform: Platform) -> &'static [App] {
    match platform {
        Platform::Ios => &IOS,
        Platform::Android => &ANDROID,
        Platform::Windows | Platform::MacOs | Platform::Linux => &COMPUTER,
    }
}

impl App {
    /// The address that opens the app and puts the subscription into it.
    pub(super) fn import(&self, subscription: &str, title: &str) -> String {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let name = encoded(title);
        match self.import {
            Import::Hiddify => format!("hiddify://import/{subscription}#{name}"),
            Import::Happ => format!("happ://add/{subscription}"),
            Import::Encoded(prefix) => format!("{prefix}{}#{name}", encoded(subscription)),
            Import::Clash => format!("clash://install-config?name={name}&url={}", encoded(subscription)),
            Import::Shadowrocket => format!(
                "shadowrocket://add/sub://{}?remark={name}",
                STANDARD.encode(subscription)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_address_is_as_the_app_documents_it() {
        let url = "https://vpn.example.com/sub/ab.x-1";
        let all = |platform| {
            of(platform)
                .iter()
                .map(|app| app.import(url, "A&B"))
                .collect::<Vec<_>>()
        };
        let encoded = "https%3A%2F%2Fvpn%2Eexample%2Ecom%2Fsub%2Fab%2Ex%2D1";
        assert_eq!(
            all(Platform::Ios),
            [
                format!("hiddify://import/{url}#A%26B"),
                format!("happ://add/{url}"),
                "shadowrocket://add/sub://aHR0cHM6Ly92cG4uZXhhbXBsZS5jb20vc3ViL2FiLngtMQ==?remark=A%26B".to_owned(),
            ]
        );
        assert_eq!(
            all(Platform::Android)[1..],
            [
                format!("v2rayng://install-sub?url={encoded}#A%26B"),
                format!("sing-box://import-remote-profile?url={encoded}#A%26B"),
            ]
        );
        assert_eq!(
            all(Platform::Linux)[1],
            format!("clash://install-config?name=A%26B&url={encoded}")
        );
    }

    #[test]
    fn every_platform_has_two_or_three_apps_from_their_makers() {
        for platform in Platform::ALL {
            let apps = of(platform);
            assert!((2..=3).contains(&apps.len()), "{platform:?}");
            assert!(apps.iter().all(|app| app.install.starts_with("https://")));
        }
    }
}
