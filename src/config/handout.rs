//! Settings of what people are given to connect.

use std::path::PathBuf;

use clap::{Args, ValueEnum, builder::BoolishValueParser};

use super::{ConfigError, values};

/// Most characters of an announcement. Clients show no more.
const MAX_ANNOUNCEMENT: usize = 200;

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
    /// Text that clients show beside the profile, at most 200 characters
    #[arg(long = "announce", env = "SUBSCRIPTION_ANNOUNCE", value_name = "TEXT")]
    pub announce: Option<String>,
    /// Address to which clients link for help, like `https://help.example.com` or `mailto:help@example.com`
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

impl Handout {
    /// Checks what can be checked without a file.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub(super) fn check(mut self) -> Result<Self, ConfigError> {
        self.announce = self.announce.filter(|text| !text.trim().is_empty());
        self.support_url = self.support_url.filter(|text| !text.trim().is_empty());
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
