//! A document with the places of everything in it.
//!
//! Tolerant: what stands before a syntax error is kept, so that a broken document can still be told apart from another.

use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

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
    /// Number of its anchor; 0 without one.
    pub anchor: usize,
    /// Its tag, like `!!str`.
    pub tag: Option<Box<str>>,
    /// The value.
    pub content: Content,
}

/// A value.
#[derive(Debug)]
pub(super) enum Content {
    /// A scalar.
    Scalar {
        /// Its text, unescaped.
        text: String,
        /// Written as `|` or `>`.
        block: bool,
        /// Written without quotes, so that what it means depends on its spelling.
        plain: bool,
    },
    /// Keys and values in their order.
    Map(Vec<(Node, Node)>),
    /// A list.
    List(Vec<Node>),
    /// A reference to the anchor of this number.
    Alias(usize),
}

impl Node {
    /// Carries an anchor or a tag.
    pub fn is_decorated(&self) -> bool {
        self.anchor > 0 || self.tag.is_some() || matches!(self.content, Content::Alias(_))
    }

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
}

/// A document as far as it could be read.
#[derive(Debug)]
pub(super) struct SpannedDocument {
    /// The value; absent in an empty document, or when nothing could be read.
    pub root: Option<Node>,
    /// Why the document could not be read to its end.
    pub broken: Option<Broken>,
}

/// Where a document cannot be read any further.
#[derive(Debug)]
pub(super) struct Broken {
    /// Line from 1.
    pub line: u32,
    /// Column from 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl SpannedDocument {
    /// Reads one document.
    pub fn read(text: &str) -> Self {
        let mut reader = Reader::new(text);
        let broken = reader.run(text).err();
        let root = reader.finish();
        Self { root, broken }
    }

    /// Line and column of a field like `spec.gateways[1]`: of its key, or of the nearest thing that holds it.
    pub fn place(&self, field: &str) -> Option<(u32, u32)> {
        let mut node = self.root.as_ref()?;
        let mut place = (node.line, node.column);
        for part in steps(field) {
            let next = match &node.content {
                Content::Map(_) => node.entry(part).map(|(key, value)| ((key.line, key.column), value)),
                Content::List(items) => part
                    .parse::<usize>()
                    .ok()
                    .and_then(|at| items.get(at))
                    .map(|item| ((item.line, item.column), item)),
                Content::Scalar { .. } | Content::Alias(_) => None,
            };
            let Some((at, value)) = next else { break };
            (place, node) = (at, value);
        }
        Some(place)
    }
}

/// The steps of a path like `spec.gateways[1]` or `metadata.annotations[a.b/c]`.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('.');
        let (step, tail) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        rest = tail;
        (!step.is_empty()).then_some(step)
    })
}

fn place(mark: &Marker) -> (u32, u32) {
    let line = u32::try_from(mark.line()).unwrap_or(u32::MAX);
    (line, u32::try_from(mark.col()).unwrap_or(u32::MAX).saturating_add(1))
}

fn too_deep(mark: &Marker) -> Broken {
    broken(
        mark,
        &format!("brackets or fields are nested more than {MAX_DEPTH} levels deep here"),
    )
}

fn broken(mark: &Marker, message: &str) -> Broken {
    let (line, column) = place(mark);
    Broken {
        line,
        column,
        message: message.to_owned(),
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

    fn node(&self, span: &Span, anchor: usize, tag: Option<&Tag>, content: Content) -> Node {
        let (line, column) = place(&span.start);
        let short = |tag: &Tag| {
            let handle = if tag.is_yaml_core_schema() { "!!" } else { &tag.handle };
            format!("{handle}{}", tag.suffix).into()
        };
        Node {
            span: self.byte(&span.start)..self.byte(&span.end),
            line,
            column,
            anchor,
            tag: tag.map(short),
            content,
        }
    }

    fn run(&mut self, text: &str) -> Result<(), Broken> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| match error.info() {
                "recursion limit exceeded" => too_deep(error.marker()),
                info => broken(error.marker(), info),
            })?;
            match event {
                Event::Scalar(text, style, anchor, tag) => {
                    let content = Content::Scalar {
                        text: text.into_owned(),
                        block: matches!(style, ScalarStyle::Literal | ScalarStyle::Folded),
                        plain: style == ScalarStyle::Plain,
                    };
                    let node = self.node(&span, anchor, tag.as_deref(), content);
                    self.put(node);
                }
                Event::Alias(anchor) => {
                    let node = self.node(&span, 0, None, Content::Alias(anchor));
                    self.put(node);
                }
                Event::MappingStart(anchor, tag) => {
                    let node = self.node(&span, anchor, tag.as_deref(), Content::Map(Vec::new()));
                    self.stack.push(Frame::Map(node, None));
                }
                Event::SequenceStart(anchor, tag) => {
                    let node = self.node(&span, anchor, tag.as_deref(), Content::List(Vec::new()));
                    self.stack.push(Frame::List(node));
                }
                Event::MappingEnd | Event::SequenceEnd => self.close(),
                Event::DocumentEnd => return Ok(()),
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
            }
            if self.stack.len() > MAX_DEPTH {
                return Err(too_deep(&span.start));
            }
        }
        Ok(())
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
        assert!(spanned.broken.is_none());
        assert_eq!(spanned.place("spec.name"), Some((4, 3)));
        assert_eq!(spanned.place("spec.gateways[1]"), Some((5, 17)));
        assert_eq!(spanned.place("spec.missing"), Some((3, 1)));
        let dotted = SpannedDocument::read("a:\n  x.y/z: 1\n  l:\n  - k: 1\n  - k: 2\n");
        assert_eq!(dotted.place("a[x.y/z]"), Some((2, 3)));
        assert_eq!(dotted.place("a.l[1].k"), Some((5, 5)));
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
        assert!(spanned.broken.is_some());
        let root = spanned.root.unwrap();
        assert_eq!(root.get("kind").and_then(Node::as_str), Some("VpnUser"));
        assert_eq!(
            root.get("metadata").and_then(|m| m.get("name")).and_then(Node::as_str),
            Some("a")
        );
    }

    #[test]
    fn deep_nesting_is_seen() {
        assert!(SpannedDocument::read(&"[".repeat(100_000)).broken.is_some());
    }
}
