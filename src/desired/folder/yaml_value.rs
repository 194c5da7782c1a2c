//! What a document means: the JSON that `kubectl` makes of the same YAML, so that a file says the same in a folder and in a
//! cluster. Pure.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use super::{
    problem::Fault,
    spanned_document::{Content, Node},
};

/// Most values that all aliases of a document may stand for together.
const MAX_ALIASED: usize = 100_000;

/// A document's value, and what in it has no meaning. What has none is left out.
pub(super) fn meaning(root: &Node) -> (Value, Vec<Fault>) {
    let mut reader = Reader::default();
    let value = reader.value(root);
    (value, reader.faults)
}

#[derive(Default)]
struct Reader {
    anchors: HashMap<usize, Value>,
    aliased: usize,
    path: String,
    faults: Vec<Fault>,
}

impl Reader {
    fn value(&mut self, node: &Node) -> Value {
        let value = match &node.content {
            Content::Scalar { text, plain, .. } => self.scalar(node, text, *plain),
            Content::Map(entries) => self.map(node, entries),
            Content::List(items) => self.list(node, items),
            Content::Alias(anchor) => self.alias(node, *anchor),
        };
        if node.anchor > 0 {
            self.anchors.insert(node.anchor, value.clone());
        }
        value
    }

    fn fault(&mut self, node: &Node, message: impl Into<String>) {
        self.faults.push(Fault {
            line: node.line,
            column: node.column,
            field: (!self.path.is_empty()).then(|| self.path.clone()),
            message: message.into(),
        });
    }

    /// Does something one level below.
    fn below<T>(&mut self, step: &str, what: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(step);
        let done = what(self);
        self.path.truncate(length);
        done
    }

    fn map(&mut self, node: &Node, entries: &[(Node, Node)]) -> Value {
        self.collection_tag(node, "!!map");
        let mut map = Map::new();
        for (key, value) in entries {
            let Some(name) = self.key(key) else { continue };
            let step = match (self.path.is_empty(), name.contains(['.', '[', ']'])) {
                (true, false) => name.clone(),
                (false, false) => format!(".{name}"),
                (_, true) => format!("[{name}]"),
            };
            self.below(&step, |reader| {
                if name == "<<" {
                    reader.fault(key, "merge keys are not supported: write the fields out");
                } else if map.contains_key(&name) {
                    reader.fault(key, "duplicate field: it is given above already");
                } else {
                    let value = reader.value(value);
                    map.insert(name, value);
                }
            });
        }
        Value::Object(map)
    }

    fn list(&mut self, node: &Node, items: &[Node]) -> Value {
        self.collection_tag(node, "!!seq");
        let read = |(at, item)| self.below(&format!("[{at}]"), |reader| reader.value(item));
        Value::Array(items.iter().enumerate().map(read).collect())
    }

    fn collection_tag(&mut self, node: &Node, expected: &str) {
        if node.tag.as_deref().is_some_and(|tag| tag != expected) {
            self.fault(node, "tags are not supported: take it out");
        }
    }

    /// The name of a field; numbers and flags become their text.
    fn key(&mut self, node: &Node) -> Option<String> {
        let Content::Scalar { text, plain, .. } = &node.content else {
            self.fault(node, "a field must have a name, not a list, a map or an alias");
            return None;
        };
        match self.scalar(node, text, *plain) {
            Value::String(text) => Some(text),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Number(number) if !number.is_f64() => Some(number.to_string()),
            _ => {
                self.fault(node, "is not the name of a field: put it in quotes");
                None
            }
        }
    }

    fn alias(&mut self, node: &Node, anchor: usize) -> Value {
        let Some(value) = self.anchors.get(&anchor) else {
            self.fault(node, "an alias stands within what it refers to");
            return Value::Null;
        };
        self.aliased = self.aliased.saturating_add(size(value));
        if self.aliased > MAX_ALIASED {
            self.fault(node, format!("its aliases stand for more than {MAX_ALIASED} values"));
            return Value::Null;
        }
        value.clone()
    }

    fn scalar(&mut self, node: &Node, text: &str, plain: bool) -> Value {
        let verbatim = || Value::String(text.to_owned());
        let value = match node.tag.as_deref() {
            None if plain => resolve(text),
            None | Some("!!str") => Some(verbatim()),
            Some("!!int") => resolve(text).filter(|value| value.is_i64() || value.is_u64()),
            Some("!!float") => resolve(text).filter(Value::is_number),
            Some("!!bool") => resolve(text).filter(Value::is_boolean),
            Some("!!null") => resolve(text).filter(Value::is_null),
            Some(_) => {
                self.fault(node, "tags are not supported: take it out");
                return verbatim();
            }
        };
        value.unwrap_or_else(|| {
            self.fault(node, "is not a number that JSON knows, or not what its tag says");
            Value::Null
        })
    }
}

/// How many values a value is made of, itself included.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0usize,
    }
}

/// What a scalar without quotes means: YAML 1.1 as Go reads it. `None` for numbers that JSON does not have.
pub(super) fn resolve(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            return Some(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return None,
        _ => {}
    }
    let numeric = match text.as_bytes() {
        [b'.', second, ..] => second.is_ascii_digit(),
        [first, ..] => first.is_ascii_digit() || matches!(first, b'+' | b'-'),
        [] => false,
    };
    let number = || {
        let digits = text.replace('_', "");
        integer(&digits).or_else(|| decimal(&digits))
    };
    let number = if numeric { number() } else { None };
    Some(number.map_or_else(|| Value::String(text.to_owned()), Value::Number))
}

/// A whole number: decimal, or with the prefix `0x`, `0b`, `0o` or `0`.
fn integer(text: &str) -> Option<Number> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' | b'-' => text.split_at(1),
        _ => ("", text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let signed = || {
        i64::from_str_radix(&format!("{sign}{digits}"), radix)
            .ok()
            .map(Number::from)
    };
    let unsigned = || u64::from_str_radix(digits, radix).ok().map(Number::from);
    signed().or_else(|| if sign.is_empty() { unsigned() } else { None })
}

/// A number with a point or an exponent. A whole one is written as such in JSON.
fn decimal(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let some = |text: &str| !text.is_empty() && digits(text);
    let good = digits(whole) && digits(fraction) && (some(whole) || some(fraction)) && exponent.is_none_or(some);
    let number: f64 = text.parse().ok().filter(|number: &f64| good && number.is_finite())?;
    if number.fract() == 0.0 && number.abs() < 9.0e18 {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and in the range")]
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::folder::spanned_document::SpannedDocument;

    fn read(text: &str) -> (Value, Vec<Fault>) {
        let spanned = SpannedDocument::read(text);
        assert!(spanned.broken.is_none(), "{text}");
        meaning(spanned.root.as_ref().unwrap())
    }

    /// The table was made with `sigs.k8s.io/yaml` 1.4, which is what `kubectl` reads YAML with.
    #[test]
    fn every_spelling_means_what_kubectl_makes_of_it() {
        let table: Vec<Vec<Value>> = serde_json::from_str(include_str!("testdata/kubectl_spellings.json")).unwrap();
        assert!(table.len() > 150);
        for row in table {
            let (text, wanted) = (row[0].as_str().unwrap(), &row[1]);
            if text == "-" {
                continue; // A list, and no scalar.
            }
            let (found, faults) = read(&format!("v: {text}"));
            let found = &found["v"];
            // Tags of one's own are refused, although kubectl takes them for nothing.
            if row.len() == 3 || text.starts_with("!foo") {
                assert!(!faults.is_empty(), "{text}: {found}");
                continue;
            }
            assert_eq!(faults, [], "{text}");
            let same = match (found.as_f64(), wanted.as_f64()) {
                (Some(found), Some(wanted)) => found.to_string() == wanted.abs().copysign(found).to_string(),
                _ => found == wanted,
            };
            assert!(same, "{text} is {found}, for kubectl {wanted}");
        }
    }

    #[test]
    fn aliases_stand_for_what_they_refer_to_and_keys_are_texts() {
        let (value, faults) = read("a: &x {b: [1, yes]}\nc: *x\n7: z\non: w\n");
        assert_eq!(faults, []);
        assert_eq!(
            value,
            serde_json::json!({ "a": { "b": [1, true] }, "c": { "b": [1, true] }, "7": "z", "true": "w" })
        );
    }

    #[test]
    fn what_is_given_twice_or_merged_is_named_with_its_place() {
        let (_, faults) = read("a: 1\nb:\n  <<: {c: 1}\n  d.e: 1\n  d.e: 2\na: 2\n");
        let places: Vec<_> = faults
            .iter()
            .map(|it| (it.line, it.field.as_deref().unwrap()))
            .collect();
        assert_eq!(places, [(3, "b.<<"), (5, "b[d.e]"), (6, "a")]);
    }
}
