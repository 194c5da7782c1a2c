//! JSON patch (RFC 6902) and merge patch (RFC 7396).

use serde_json::Value;

/// Why a JSON patch was not applied.
pub enum Failed {
    /// It is no patch.
    Malformed(String),
    /// A `test` failed, or a path is not there.
    NotApplicable(String),
}

/// Applies the operations in their order.
pub fn json_patch(object: &mut Value, operations: &Value) -> Result<(), Failed> {
    let Some(operations) = operations.as_array() else {
        return Err(Failed::Malformed("a JSON patch is a list".to_owned()));
    };
    for operation in operations {
        let text = |name: &str| operation[name].as_str().unwrap_or_default();
        let (path, from) = (text("path"), text("from"));
        match text("op") {
            "test" => {
                if object.pointer(path) != Some(&operation["value"]) {
                    let why = format!("testing value {path} failed: test failed");
                    return Err(Failed::NotApplicable(why));
                }
            }
            "add" => add(object, path, operation["value"].clone())?,
            "remove" => drop(remove(object, path)?),
            "replace" => match object.pointer_mut(path) {
                Some(there) => *there = operation["value"].clone(),
                None => return Err(missing(path)),
            },
            "move" => {
                let value = remove(object, from)?;
                add(object, path, value)?;
            }
            "copy" => {
                let value = object.pointer(from).cloned().ok_or_else(|| missing(from))?;
                add(object, path, value)?;
            }
            other => return Err(Failed::Malformed(format!("unknown operation {other:?}"))),
        }
    }
    Ok(())
}

fn missing(path: &str) -> Failed {
    Failed::NotApplicable(format!("the path {path} is missing"))
}

fn parent<'a>(object: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), Failed> {
    let (parent, last) = path.rsplit_once('/').ok_or_else(|| missing(path))?;
    let there = object.pointer_mut(parent).ok_or_else(|| missing(path))?;
    Ok((there, last.replace("~1", "/").replace("~0", "~")))
}

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), Failed> {
    match parent(object, path)? {
        (Value::Object(fields), name) => {
            fields.insert(name, value);
        }
        (Value::Array(items), at) => {
            let at = if at == "-" { Some(items.len()) } else { at.parse().ok() };
            let at = at.filter(|at| *at <= items.len()).ok_or_else(|| missing(path))?;
            items.insert(at, value);
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

fn remove(object: &mut Value, path: &str) -> Result<Value, Failed> {
    match parent(object, path)? {
        (Value::Object(fields), name) => fields.remove(&name).ok_or_else(|| missing(path)),
        (Value::Array(items), at) => {
            let at: Option<usize> = at.parse().ok().filter(|at| *at < items.len());
            at.map(|at| items.remove(at)).ok_or_else(|| missing(path))
        }
        _ => Err(missing(path)),
    }
}

/// Applies a merge patch.
pub fn merge_patch(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(serde_json::Map::new());
    }
    for (name, value) in fields {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            merge_patch(&mut object[name], value);
        }
    }
}
