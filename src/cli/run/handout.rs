//! What people are given to connect, as it is set.

use std::path::Path;

use super::RunError;
use crate::{
    config::{ConfigError, Handout, HandoutFormat},
    desired::connection_secrets::Profile,
    forms::{
        Forms, Templates,
        template::{MihomoTemplate, SingBoxTemplate, TemplateError},
    },
    http::Logo,
};

/// Documents with the templates that are set.
///
/// # Errors
/// A template cannot be read or used.
pub(super) fn forms(handout: &Handout) -> Result<Forms, RunError> {
    let mut templates = Templates::default();
    if let Some(path) = given(handout.sing_box_template.as_deref()) {
        templates.sing_box = read("SING_BOX_TEMPLATE_FILE", path, SingBoxTemplate::parse)?;
    }
    if let Some(path) = given(handout.mihomo_template.as_deref()) {
        templates.mihomo = read("MIHOMO_TEMPLATE_FILE", path, MihomoTemplate::parse)?;
    }
    Ok(Forms::new(templates, handout.allow_insecure))
}

/// The company's logo for the page.
///
/// # Errors
/// It cannot be read, or is no picture that the page can have.
pub(super) fn logo(handout: &Handout) -> Result<Option<Logo>, RunError> {
    let Some(path) = given(handout.logo.as_deref()) else {
        return Ok(None);
    };
    let fault = |message: String| ConfigError::File {
        origin: format!("SUBSCRIPTION_LOGO_FILE ({})", path.display()),
        message,
    };
    let content = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    Ok(Some(Logo::read(&content).map_err(|error| fault(error.to_string()))?))
}

/// Profiles that are kept for each person where others read them.
pub(super) fn profiles(handout: &Handout) -> Vec<Profile> {
    let wants = |profile: &Profile| {
        let format = match profile {
            Profile::SingBox => HandoutFormat::SingBox,
            Profile::Mihomo => HandoutFormat::Mihomo,
        };
        handout.formats.contains(&format)
    };
    Profile::ALL.into_iter().filter(wants).collect()
}

fn given(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !path.as_os_str().is_empty())
}

fn read<T>(name: &str, path: &Path, parse: fn(&str) -> Result<T, TemplateError>) -> Result<T, RunError> {
    let fault = |message: String| ConfigError::File {
        origin: format!("{name} ({})", path.display()),
        message,
    };
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    Ok(parse(&text).map_err(|error| fault(error.to_string()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handout(template: &Path) -> Handout {
        Handout {
            allow_insecure: true,
            sing_box_template: Some(template.to_owned()),
            mihomo_template: None,
            title: None,
            logo: Some(template.to_owned()),
            color: None,
            self_service: Vec::new(),
            announce: None,
            support_url: None,
            formats: vec![HandoutFormat::Mihomo, HandoutFormat::Mihomo],
        }
    }

    #[test]
    fn a_template_that_cannot_be_used_stops_the_start_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("template.json");
        let fault = || forms(&handout(&path)).err().unwrap().to_string();
        assert!(fault().contains("SING_BOX_TEMPLATE_FILE"));
        std::fs::write(&path, "{}").unwrap();
        let said = fault();
        assert!(said.contains("template.json") && said.contains("`outbounds`"), "{said}");
        std::fs::write(&path, crate::forms::template::DEFAULT_SING_BOX).unwrap();
        assert!(forms(&handout(&path)).is_ok());
    }

    #[test]
    fn a_logo_that_cannot_be_shown_stops_the_start_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logo.png");
        let fault = || logo(&handout(&path)).err().unwrap().to_string();
        assert!(fault().contains("SUBSCRIPTION_LOGO_FILE"));
        std::fs::write(&path, "a picture").unwrap();
        let said = fault();
        assert!(said.contains("logo.png") && said.contains("PNG, JPEG"), "{said}");
        std::fs::write(&path, b"\x89PNG\r\n\x1a\n").unwrap();
        assert!(logo(&handout(&path)).unwrap().is_some());
        assert!(logo(&handout(Path::new(""))).unwrap().is_none());
    }

    #[test]
    fn a_profile_that_is_named_twice_is_kept_once() {
        assert_eq!(profiles(&handout(Path::new(""))), [Profile::Mihomo]);
    }
}
