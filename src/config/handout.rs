//! Settings of what people are given to connect.

use std::path::PathBuf;

use clap::{Args, ValueEnum, builder::BoolishValueParser};

use super::{Color, ConfigError, values};

/// Most characters of an announcement. Clients show no more.
const MAX_ANNOUNCEMENT: usize = 200;
/// Most characters of a title. Lists of profiles show no more.
const MAX_TITLE: usize = 60;

/// What people are given to connect.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Subscriptions")]
pub struct Handout {
    /// Whether links and profiles may tell clients not to verify a certificate, where a node says so and a form knows no better way
    #[arg(
        long = "allow-insecure-links",
        env = "ALLOW_INSECURE_LINKS",
        value_name = "BOOL",
        default_value = "true",
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set
    )]
    pub allow_insecure: bool,
    /// File with what stands around the servers in a profile of sing-box: DNS, routes, groups. The operator's own when absent
    #[arg(long = "sing-box-template", env = "SING_BOX_TEMPLATE_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub sing_box_template: Option<PathBuf>,
    /// File with what stands around the servers in a profile of mihomo: DNS, rules, groups. The operator's own when absent
    #[arg(long = "mihomo-template", env = "MIHOMO_TEMPLATE_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub mihomo_template: Option<PathBuf>,
    /// Name of the profile in clients and heading of the page, usually the company's. `Corporate VPN` when absent
    #[arg(long = "subscription-title", env = "SUBSCRIPTION_TITLE", value_name = "TEXT")]
    pub title: Option<String>,
    /// Picture beside the heading of the page: PNG, JPEG, WebP or SVG, at most 16 KiB
    #[arg(long = "subscription-logo", env = "SUBSCRIPTION_LOGO_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub logo: Option<PathBuf>,
    /// Colour of the page's buttons, like `#1a5fd0`
    #[arg(long = "subscription-color", env = "SUBSCRIPTION_COLOR", value_name = "COLOR")]
    pub color: Option<String>,
    /// What people may renew on their own page, comma-separated: `link`, `password`. Nothing when absent
    #[arg(
        long = "self-service",
        env = "SELF_SERVICE",
        value_name = "NAMES",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = false
    )]
    pub self_service: Vec<SelfService>,
    /// Text that clients show beside the profile, at most 200 characters
    #[arg(long = "announce", env = "SUBSCRIPTION_ANNOUNCE", value_name = "TEXT")]
    pub announce: Option<String>,
    /// Where people find help, as clients and the page link to it, like `https://help.example.com` or `mailto:help@example.com`
    #[arg(long = "support-url", env = "SUPPORT_URL", value_name = "URL")]
    pub support_url: Option<String>,
    /// Whole profiles that stand in the Secret of each user, comma-separated. Kubernetes only
    #[arg(
        long = "handout-formats",
        env = "HANDOUT_FORMATS",
        value_name = "NAMES",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = false
    )]
    pub formats: Vec<HandoutFormat>,
}

/// A whole profile in the Secret of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HandoutFormat {
    /// `sing-box.json`.
    SingBox,
    /// `mihomo.yaml`.
    Mihomo,
}

/// What people may renew on their own page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SelfService {
    /// The address of the subscription.
    Link,
    /// The password.
    Password,
}

impl SelfService {
    /// Everything that can be renewed.
    pub const ALL: [Self; 2] = [Self::Link, Self::Password];

    /// Its word in settings and forms.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Password => "password",
        }
    }
}

impl Handout {
    /// The colour of the page, if one is set.
    ///
    /// # Errors
    /// It is none.
    pub fn color(&self) -> Result<Option<Color>, ConfigError> {
        let parsed = self.color.as_deref().map(str::parse).transpose();
        parsed.map_err(|message| ConfigError::Value {
            name: "SUBSCRIPTION_COLOR",
            message,
        })
    }

    /// Checks what can be checked without a file.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub(super) fn check(mut self) -> Result<Self, ConfigError> {
        let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        self.announce = self.announce.filter(|text| !text.trim().is_empty());
        self.support_url = self.support_url.filter(|text| !text.trim().is_empty());
        self.title = given(self.title);
        self.color = given(self.color);
        self.color()?;
        let title = self.title.as_deref().unwrap_or_default();
        if title.chars().count() > MAX_TITLE || title.chars().any(char::is_control) {
            return Err(ConfigError::Value {
                name: "SUBSCRIPTION_TITLE",
                message: format!("give one line of at most {MAX_TITLE} characters"),
            });
        }
        if self
            .announce
            .as_ref()
            .is_some_and(|text| text.chars().count() > MAX_ANNOUNCEMENT)
        {
            return Err(ConfigError::Value {
                name: "SUBSCRIPTION_ANNOUNCE",
                message: format!("clients show at most {MAX_ANNOUNCEMENT} characters: shorten it"),
            });
        }
        if let Some(url) = &mut self.support_url {
            let parsed = url::Url::parse(url).ok();
            let known = |url: &url::Url| matches!(url.scheme(), "http" | "https" | "mailto" | "tg");
            // As an address is written in a header: ASCII only.
            *url = parsed
                .filter(known)
                .ok_or_else(|| ConfigError::Value {
                    name: "SUPPORT_URL",
                    message: "give an address that begins with https://, http://, mailto: or tg:".to_owned(),
                })?
                .into();
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        handout: Handout,
    }

    fn checked(flags: &[&str]) -> Result<Handout, String> {
        let read = Command::try_parse_from(std::iter::once(&"vpn-operator").chain(flags));
        let read = read.map_err(|error| error.to_string())?;
        read.handout.check().map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_renewed_by_people_themselves_unless_it_is_set() {
        assert_eq!(checked(&[]).unwrap().self_service, []);
        let set = checked(&["--self-service", "password,link"]).unwrap();
        assert_eq!(set.self_service, [SelfService::Password, SelfService::Link]);
        assert!(checked(&["--self-service", "everything"]).is_err());
    }

    #[test]
    fn what_the_page_cannot_show_is_refused_and_named() {
        for (flag, value, name) in [
            ("--subscription-color", "blue", "SUBSCRIPTION_COLOR"),
            ("--subscription-title", &"x".repeat(61), "SUBSCRIPTION_TITLE"),
            ("--subscription-title", "two\nlines", "SUBSCRIPTION_TITLE"),
            ("--support-url", "javascript:alert(1)", "SUPPORT_URL"),
        ] {
            let said = checked(&[flag, value]).unwrap_err();
            assert!(said.contains(name), "{said}");
        }
        let set = checked(&["--subscription-color", "#FFDE00", "--subscription-title", " ACME "]).unwrap();
        assert_eq!(set.color().unwrap().unwrap().to_string(), "#ffde00");
        assert_eq!(set.title.as_deref(), Some("ACME"));
        // As templates write for absent.
        let empty = checked(&["--subscription-color", "", "--subscription-title", ""]).unwrap();
        assert!(empty.title.is_none() && empty.color().unwrap().is_none());
    }
}
