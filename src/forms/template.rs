//! What stands in a profile around the servers: DNS, routes and groups, which a company can replace.

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

/// Stands in a template for the names of all servers.
pub const NODES: &str = "{nodes}";

/// Why a text is no template. Says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It cannot be read.
    #[error("it is no {0}: {1}")]
    Unreadable(&'static str, String),
    /// It is not an object with lists of groups.
    #[error("it has to be {0}")]
    Shape(&'static str),
    /// Nothing stands for the servers.
    #[error("no group names the servers: write \"{NODES}\" where their names belong, in `{0}` of a group")]
    NoNodes(&'static str),
}

/// A template of sing-box: a configuration whose `outbounds` lack the servers.
#[derive(Debug, Clone)]
pub struct SingBoxTemplate(pub(super) serde_json::Map<String, Json>);

/// A template of mihomo: a configuration whose `proxies` lack the servers.
#[derive(Debug, Clone)]
pub struct MihomoTemplate(pub(super) serde_yaml::Mapping);

/// Templates of the profiles.
#[derive(Debug, Clone)]
pub struct Templates {
    /// For sing-box.
    pub sing_box: SingBoxTemplate,
    /// For mihomo.
    pub mihomo: MihomoTemplate,
}

/// The template of sing-box where a company gives none.
pub const DEFAULT_SING_BOX: &str = include_str!("sing-box.json");
/// The template of mihomo where a company gives none.
pub const DEFAULT_MIHOMO: &str = include_str!("mihomo.yaml");

impl Default for Templates {
    /// Everything but private networks goes through the VPN, DNS included.
    fn default() -> Self {
        Self {
            // That both can be read is tested.
            sing_box: SingBoxTemplate::parse(DEFAULT_SING_BOX).unwrap_or(SingBoxTemplate(serde_json::Map::new())),
            mihomo: MihomoTemplate::parse(DEFAULT_MIHOMO).unwrap_or(MihomoTemplate(serde_yaml::Mapping::new())),
        }
    }
}

impl SingBoxTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// It is not JSON, or has no place for the servers.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let read: Json =
            serde_json::from_str(text).map_err(|error| TemplateError::Unreadable("JSON", error.to_string()))?;
        let shape = TemplateError::Shape("an object whose `outbounds` is a list of objects with a `tag` each");
        let Json::Object(top) = read else { return Err(shape) };
        let Some(outbounds) = top.get("outbounds").and_then(Json::as_array) else {
            return Err(shape);
        };
        if !outbounds
            .iter()
            .all(|outbound| outbound.get("tag").is_some_and(Json::is_string))
        {
            return Err(shape);
        }
        let lists = outbounds
            .iter()
            .filter_map(|outbound| outbound.get("outbounds")?.as_array());
        if !lists.flatten().any(|item| item.as_str() == Some(NODES)) {
            return Err(TemplateError::NoNodes("outbounds"));
        }
        Ok(Self(top))
    }

    /// Names that mean something already.
    pub(super) fn reserved(&self) -> Vec<String> {
        let parts = ["outbounds", "endpoints"]
            .iter()
            .filter_map(|key| self.0.get(*key)?.as_array());
        let tags = parts.flatten().filter_map(|part| part.get("tag")?.as_str());
        tags.map(ToOwned::to_owned).collect()
    }
}

impl MihomoTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// It is not YAML, or has no place for the servers.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut read: Yaml =
            serde_yaml::from_str(text).map_err(|error| TemplateError::Unreadable("YAML", error.to_string()))?;
        read.apply_merge()
            .map_err(|error| TemplateError::Unreadable("YAML", error.to_string()))?;
        let shape = TemplateError::Shape("a mapping whose `proxy-groups` is a list of mappings with a `name` each");
        let Yaml::Mapping(top) = read else { return Err(shape) };
        let Some(groups) = top.get("proxy-groups").and_then(Yaml::as_sequence) else {
            return Err(shape);
        };
        if !groups
            .iter()
            .all(|group| group.get("name").is_some_and(Yaml::is_string))
        {
            return Err(shape);
        }
        if top.get("proxies").is_some_and(|own| !own.is_sequence()) {
            return Err(TemplateError::Shape(
                "a mapping whose `proxies`, if there are any, is a list",
            ));
        }
        let lists = groups.iter().filter_map(|group| group.get("proxies")?.as_sequence());
        if !lists.flatten().any(|item| item.as_str() == Some(NODES)) {
            return Err(TemplateError::NoNodes("proxies"));
        }
        Ok(Self(top))
    }

    /// Names that mean something already.
    pub(super) fn reserved(&self) -> Vec<String> {
        const OWN: [&str; 6] = ["DIRECT", "REJECT", "REJECT-DROP", "PASS", "COMPATIBLE", "GLOBAL"];
        let parts = ["proxies", "proxy-groups"]
            .iter()
            .filter_map(|key| self.0.get(*key)?.as_sequence());
        let names = parts.flatten().filter_map(|part| part.get("name")?.as_str());
        names.chain(OWN).map(ToOwned::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_can_be_read() {
        SingBoxTemplate::parse(DEFAULT_SING_BOX).unwrap();
        MihomoTemplate::parse(DEFAULT_MIHOMO).unwrap();
    }

    #[test]
    fn a_template_without_a_place_for_servers_is_refused_in_words() {
        let sing_box = |text: &str| SingBoxTemplate::parse(text).unwrap_err().to_string();
        assert!(sing_box("{").starts_with("it is no JSON"));
        assert!(sing_box("{}").contains("`outbounds` is a list"));
        assert!(sing_box(r#"{"outbounds": [{"type": "direct"}]}"#).contains("a `tag` each"));
        assert!(sing_box(r#"{"outbounds": [{"tag": "direct"}]}"#).contains("\"{nodes}\""));
        let mihomo = |text: &str| MihomoTemplate::parse(text).unwrap_err().to_string();
        assert!(mihomo("a: [").starts_with("it is no YAML"));
        assert!(mihomo("proxy-groups: {}").contains("`proxy-groups` is a list"));
        assert!(mihomo("proxy-groups: [{name: a, proxies: [DIRECT]}]").contains("\"{nodes}\""));
        assert!(mihomo("proxies: 1\nproxy-groups: [{name: a, proxies: ['{nodes}']}]").contains("`proxies`"));
    }
}
