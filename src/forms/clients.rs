//! Which client asks, by what it calls itself, and what it reads.

use super::Form;

/// A client of which it is known what it reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Client {
    /// Its name, as people know it.
    pub name: &'static str,
    /// Stands in its `User-Agent`, in small letters.
    word: &'static str,
    /// What it reads best.
    pub form: Form,
    /// It shows traffic only where upload, download, total and expire are all there, and takes 0 for no end.
    pub wants_expire: bool,
}

const fn client(name: &'static str, word: &'static str, form: Form) -> Client {
    Client {
        name,
        word,
        form,
        wants_expire: false,
    }
}

/// The first that fits is taken: several name others, to be served like them.
static CLIENTS: &[Client] = &[
    Client {
        wants_expire: true,
        ..client("Hiddify", "hiddify", Form::Base64)
    },
    client("Happ", "happ/", Form::Base64),
    client("NekoBox", "nekobox", Form::Base64),
    client("NekoRay", "nekoray", Form::Base64),
    client("Throne", "throne/", Form::Base64),
    client("husi", "husi/", Form::Base64),
    client("v2rayNG", "v2rayng/", Form::Base64),
    client("v2rayN", "v2rayn/", Form::Base64),
    client("v2RayTun", "v2raytun", Form::Base64),
    client("V2Box", "v2box", Form::Base64),
    client("FoXray", "foxray", Form::Base64),
    client("Streisand", "streisand", Form::Base64),
    client("Shadowrocket", "shadowrocket", Form::Base64),
    client("Stash", "stash/", Form::Mihomo),
    client("FlClash", "flclash", Form::Mihomo),
    client("Clash Mi", "clashmi/", Form::Mihomo),
    client("Clash Meta for Android", "clashmetaforandroid", Form::Mihomo),
    client("Clash Verge", "clash-verge", Form::Mihomo),
    client("Clash Nyanpasu", "clash-nyanpasu", Form::Mihomo),
    client("Mihomo Party", "mihomo.party", Form::Mihomo),
    client("mihomo", "mihomo", Form::Mihomo),
    client("sing-box for Android", "sfa/", Form::SingBox),
    client("sing-box for iOS", "sfi/", Form::SingBox),
    client("sing-box for macOS", "sfm/", Form::SingBox),
    client("sing-box for tvOS", "sft/", Form::SingBox),
    client("Karing", "karing", Form::SingBox),
    client("sing-box", "sing-box", Form::SingBox),
    client("sing-box", "singbox", Form::SingBox),
    client("another of the Clash family", "clash", Form::Mihomo),
];

/// The client that calls itself so; `None` for one that is not known.
#[must_use]
pub fn of(user_agent: &str) -> Option<&'static Client> {
    // What is longer than any of them is no client that is meant here.
    let user_agent: String = user_agent.chars().take(256).collect();
    let user_agent = user_agent.to_ascii_lowercase();
    CLIENTS.iter().find(|client| user_agent.contains(client.word))
}

/// Every known client with what stands in its `User-Agent`, in the order in which they are looked for.
pub fn table() -> impl Iterator<Item = (&'static str, &'static str, Form)> {
    CLIENTS.iter().map(|client| (client.name, client.word, client.form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_they_read_by_what_they_call_themselves() {
        let (base64, mihomo, sing_box) = (Form::Base64, Form::Mihomo, Form::SingBox);
        // As the sources of the clients make them.
        let agents = [
            (
                "HiddifyNext/4.1.2 (windows) like ClashMeta v2ray sing-box",
                "Hiddify",
                base64,
            ),
            (
                "HiddifyNext/0.13.6 (android) like ClashMeta v2ray sing-box",
                "Hiddify",
                base64,
            ),
            ("Happ/1.63.1", "Happ", base64),
            ("Happ/1.4.2 CFNetwork/1494.0.7 Darwin/23.4.0", "Happ", base64),
            ("NekoBox/Android/1.3.8 (Prefer ClashMeta Format)", "NekoBox", base64),
            ("nekobox/4.0.1 (Prefer ClashMeta Format)", "NekoBox", base64),
            ("Throne/1.1.2", "Throne", base64),
            ("v2rayNG/1.10.16", "v2rayNG", base64),
            ("v2rayN/7.13.8", "v2rayN", base64),
            ("Streisand/1.6.53", "Streisand", base64),
            (
                "Shadowrocket/1997 CFNetwork/1494.0.7 Darwin/23.4.0",
                "Shadowrocket",
                base64,
            ),
            ("Stash/3.1.1 Clash/1.9.0", "Stash", mihomo),
            ("FlClash/v0.8.92 clash-verge Platform/macos", "FlClash", mihomo),
            ("clash-verge/v2.4.2", "Clash Verge", mihomo),
            ("clash-nyanpasu/v1.6.1", "Clash Nyanpasu", mihomo),
            ("mihomo.party/v1.7.7 (clash.meta)", "Mihomo Party", mihomo),
            ("ClashMetaForAndroid/2.11.32.Meta", "Clash Meta for Android", mihomo),
            (
                "ClashX Meta/v1.4.24 (com.metacubex.ClashX.meta; build:622; macOS 26.0.0) Alamofire/5.10.2",
                "another of the Clash family",
                mihomo,
            ),
            ("clash.meta/v1.19.20", "another of the Clash family", mihomo),
            ("mihomo/1.19.12", "mihomo", mihomo),
            (
                "SFA/1.12.0 (580; sing-box 1.12.0; language ru_RU)",
                "sing-box for Android",
                sing_box,
            ),
            (
                "SFI/1.12.0 (Build 12; sing-box 1.12.0; language en_US)",
                "sing-box for iOS",
                sing_box,
            ),
            ("SFM/1.11.4 (Build 7; sing-box 1.11.4)", "sing-box for macOS", sing_box),
            ("sing-box/1.13.0", "sing-box", sing_box),
            ("Karing/1.2.19 platform/tvos sing-box 1.12.0", "Karing", sing_box),
        ];
        for (agent, name, form) in agents {
            let client = of(agent).unwrap_or_else(|| panic!("{agent} is not known"));
            assert_eq!((client.name, client.form), (name, form), "{agent}");
        }
    }

    #[test]
    fn browsers_and_tools_are_not_taken_for_clients() {
        for agent in [
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 \
             Mobile/15E148 Safari/604.1",
            "curl/8.5.0",
            "Go-http-client/2.0",
            "",
        ] {
            assert_eq!(of(agent), None, "{agent}");
        }
    }

    #[test]
    fn no_client_is_hidden_by_one_before_it() {
        for client in CLIENTS {
            assert!(std::ptr::eq(of(client.word).unwrap(), client), "{}", client.name);
        }
    }
}
