//! What Flux, Argo CD and Helm make of an object: the rules of kstatus for resources that it does not know.

use serde_json::Value;

/// State of an object in the eyes of a deployment tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kstatus {
    Current,
    InProgress,
    Failed,
    Terminating,
}

/// Computes the state of an object.
pub fn kstatus(object: &Value) -> Kstatus {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Kstatus::Terminating;
    }
    let (generation, observed) = (
        object["metadata"]["generation"].as_i64(),
        object["status"]["observedGeneration"].as_i64(),
    );
    if generation.is_some() && observed.is_some() && generation != observed {
        return Kstatus::InProgress;
    }
    let conditions = object["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    for condition in conditions {
        match (condition["type"].as_str(), condition["status"].as_str()) {
            (Some("Reconciling"), Some("True")) => return Kstatus::InProgress,
            (Some("Stalled"), Some("True")) => return Kstatus::Failed,
            _ => {}
        }
    }
    match conditions.iter().find(|condition| condition["type"] == "Ready") {
        Some(ready) if ready["status"] != "True" => Kstatus::InProgress,
        _ => Kstatus::Current,
    }
}
