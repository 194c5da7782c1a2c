//! The public ports of a node: one port, hopping ranges, or a list of both.

use std::fmt;

/// Why a text does not name ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' does not name ports: write a port (443), a range (20000-50000) or a list (443,20000-50000), from 1 to 65535"
)]
pub struct PortsError(String);

/// One port, hopping ranges, or a list of both. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    first: (u16, u16),
    more: Vec<(u16, u16)>,
}

impl Ports {
    /// Those of a node that names none.
    pub const DEFAULT: Self = Self {
        first: (443, 443),
        more: Vec::new(),
    };

    /// Reads `443`, `20000-50000` or `443,20000-50000`.
    ///
    /// # Errors
    /// Names the text and how to write it.
    pub fn parse(text: &str) -> Result<Self, PortsError> {
        let malformed = || PortsError(text.chars().take(60).collect());
        let mut ranges = text.split(',').map(|part| range(part.trim()).ok_or_else(malformed));
        let first = ranges.next().ok_or_else(malformed)??;
        let more = ranges.collect::<Result<_, _>>()?;
        Ok(Self { first, more })
    }

    /// The first port: the one that the server itself listens on.
    #[must_use]
    pub const fn first(&self) -> u16 {
        self.first.0
    }

    /// Whether clients hop between several ports.
    #[must_use]
    pub fn is_hopping(&self) -> bool {
        self.first.0 != self.first.1 || !self.more.is_empty()
    }

    /// The ranges, both ends included, in the order in which they were declared.
    pub fn ranges(&self) -> impl Iterator<Item = (u16, u16)> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let port = |text: &str| -> Option<u16> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|port| digits && *port > 0)
    };
    let (from, to) = match text.split_once('-') {
        Some((from, to)) => (port(from)?, port(to)?),
        None => (port(text)?, port(text)?),
    };
    (from <= to).then_some((from, to))
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (from, to)) in self.ranges().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            if from == to {
                write!(f, "{from}")?;
            } else {
                write!(f, "{from}-{to}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ranges in proptest::collection::vec((1..=u16::MAX, 0..500u16), 1..5)) {
            let text: Vec<String> = ranges
                .iter()
                .map(|(from, span)| {
                    let to = from.saturating_add(*span);
                    if to == *from { from.to_string() } else { format!("{from}-{to}") }
                })
                .collect();
            let text = text.join(",");
            prop_assert_eq!(Ports::parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            let _ = Ports::parse(&text);
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in ["", "0", "70000", "50000-20000", "443,", "-1", "+443", "a", "1-2-3"] {
            let error = Ports::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }

    #[test]
    fn only_more_than_one_port_is_hopping() {
        assert!(!Ports::parse("443").unwrap().is_hopping());
        assert!(Ports::parse("443,444").unwrap().is_hopping());
        assert!(Ports::parse("20000-50000").unwrap().is_hopping());
    }
}
