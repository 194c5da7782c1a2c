//! A document with the places of everything in it. Slower than parsing into types, so only for messages and edits.
//!
//! Tolerant: what stands before a syntax error is kept, so that a broken document can still be told apart from another.

use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

/// Deeper documents are refused.
pub(super) const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    /// Place in the text, in bytes. For maps and lists only the start is exact.
    pub span: Range<usize>,
    /// Line from 1.
    pub line: u32,
    /// Column from 1, in characters.
    pub column: u32,
    /// Carries an anchor or a tag.
    pub decorated: bool,
    /// The value.
    pub content: Content,
}

/// A value.
#[derive(Debug)]
pub(super) enum Content {
    /// A scalar; `multiline` when it is written as a block.
    Scalar {
        /// Its text, unescaped.
        text: String,
        /// Written as `|` or `>`.
        block: bool,
    },
    /// Keys and values in their order.
    Map(Vec<(Node, Node)>),
    /// A list.
    List(Vec<Node>),
    /// A reference to an anchor.
    Alias,
}

impl Node {
    /// Text of a scalar.
    pub fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Key and value of a map's entry; the first when a key is repeated.
    pub fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(name, _)| name.as_str() == Some(key)),
            _ => None,
        }
    }

    /// Value of a map's entry.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Every `<<` key in this value.
    pub fn merge_keys(&self) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        let mut rest = vec![self];
        while let Some(node) = rest.pop() {
            match &node.content {
                Content::Map(entries) => {
                    for (key, value) in entries {
                        if key.as_str() == Some("<<") {
                            found.push((key.line, key.column));
                        }
                        rest.push(value);
                    }
                }
                Content::List(items) => rest.extend(items),
                Content::Scalar { .. } | Content::Alias => {}
            }
        }
        found.sort_unstable();
        found
    }
}

/// A document as far as it could be read.
#[derive(Debug)]
pub(super) struct SpannedDocument {
    /// The value; absent in an empty document, or when nothing could be read.
    pub root: Option<Node>,
    /// The document was read to its end.
    pub complete: bool,
}

impl SpannedDocument {
    /// Reads one document.
    pub fn read(text: &str) -> Self {
        let mut reader = Reader::new(text);
        let complete = reader.run(text).is_some();
        let root = reader.finish();
        Self { root, complete }
    }

    /// Line and column of a field like `spec.gateways[1]`: of its key, or of the nearest thing that holds it.
    pub fn place(&self, field: &str) -> Option<(u32, u32)> {
        let mut node = self.root.as_ref()?;
        let mut place = (node.line, node.column);
        for part in field.split(['.', '[']).map(|part| part.trim_end_matches(']')) {
            if part.is_empty() {
                continue;
            }
            let next = match &node.content {
                Content::Map(_) => node.entry(part).map(|(key, value)| ((key.line, key.column), value)),
                Content::List(items) => part
                    .parse::<usize>()
                    .ok()
                    .and_then(|at| items.get(at))
                    .map(|item| ((item.line, item.column), item)),
                Content::Scalar { .. } | Content::Alias => None,
            };
            let Some((at, value)) = next else { break };
            (place, node) = (at, value);
        }
        Some(place)
    }
}

enum Frame {
    Map(Node, Option<Node>),
    List(Node),
}

struct Reader {
    /// Byte offset of each character; empty for ASCII.
    offsets: Vec<u32>,
    length: usize,
    stack: Vec<Frame>,
    root: Option<Node>,
}

impl Reader {
    fn new(text: &str) -> Self {
        let offsets = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices()
                .map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX))
                .collect()
        };
        Self {
            offsets,
            length: text.len(),
            stack: Vec::new(),
            root: None,
        }
    }

    fn byte(&self, mark: &Marker) -> usize {
        if self.offsets.is_empty() {
            return mark.index().min(self.length);
        }
        self.offsets.get(mark.index()).map_or(self.length, |at| *at as usize)
    }

    fn node(&self, span: &Span, decorated: bool, content: Content) -> Node {
        Node {
            span: self.byte(&span.start)..self.byte(&span.end),
            line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
            column: u32::try_from(span.start.col()).unwrap_or(u32::MAX).saturating_add(1),
            decorated,
            content,
        }
    }

    fn run(&mut self, text: &str) -> Option<()> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.ok()?;
            match event {
                Event::Scalar(text, style, anchor, tag) => {
                    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                    let text = text.into_owned();
                    let node = self.node(&span, anchor > 0 || tag.is_some(), Content::Scalar { text, block });
                    self.put(node);
                }
                Event::Alias(_) => {
                    let node = self.node(&span, true, Content::Alias);
                    self.put(node);
                }
                Event::MappingStart(anchor, tag) => {
                    let node = self.node(&span, anchor > 0 || tag.is_some(), Content::Map(Vec::new()));
                    self.stack.push(Frame::Map(node, None));
                }
                Event::SequenceStart(anchor, tag) => {
                    let node = self.node(&span, anchor > 0 || tag.is_some(), Content::List(Vec::new()));
                    self.stack.push(Frame::List(node));
                }
                Event::MappingEnd | Event::SequenceEnd => self.close(),
                Event::DocumentEnd => return Some(()),
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
            }
            if self.stack.len() > MAX_DEPTH {
                return None;
            }
        }
        Some(())
    }

    fn put(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List(list)) => {
                if let Content::List(items) = &mut list.content {
                    items.push(node);
                }
            }
            Some(Frame::Map(map, key)) => match (key.take(), &mut map.content) {
                (Some(name), Content::Map(entries)) => entries.push((name, node)),
                _ => *key = Some(node),
            },
        }
    }

    fn close(&mut self) {
        match self.stack.pop() {
            Some(Frame::Map(node, _) | Frame::List(node)) => self.put(node),
            None => {}
        }
    }

    fn finish(mut self) -> Option<Node> {
        while !self.stack.is_empty() {
            self.close();
        }
        self.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_keys() {
        let text = "---\n# é\nspec:\n  name: Zoë\n  gateways: [a, b]\n";
        let spanned = SpannedDocument::read(text);
        assert!(spanned.complete);
        assert_eq!(spanned.place("spec.name"), Some((4, 3)));
        assert_eq!(spanned.place("spec.gateways[1]"), Some((5, 17)));
        assert_eq!(spanned.place("spec.missing"), Some((3, 1)));
        let name = spanned
            .root
            .as_ref()
            .and_then(|root| root.get("spec")?.get("name"))
            .unwrap();
        assert_eq!(&text[name.span.clone()], "Zoë");
    }

    #[test]
    fn what_stands_before_a_syntax_error_is_kept() {
        let spanned = SpannedDocument::read("kind: VpnUser\nmetadata:\n  name: a\nspec:\n  x: [1\n  y: 2\n");
        assert!(!spanned.complete);
        let root = spanned.root.unwrap();
        assert_eq!(root.get("kind").and_then(Node::as_str), Some("VpnUser"));
        assert_eq!(
            root.get("metadata").and_then(|m| m.get("name")).and_then(Node::as_str),
            Some("a")
        );
    }

    #[test]
    fn deep_nesting_and_merge_keys_are_seen() {
        assert!(!SpannedDocument::read(&"[".repeat(100_000)).complete);
        let spanned = SpannedDocument::read("a: &x {b: 1}\nlabels:\n  <<: *x\n");
        assert_eq!(spanned.root.unwrap().merge_keys(), [(3, 3)]);
    }
}
