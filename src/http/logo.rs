//! A company's logo, as it stands in the page.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Largest file, in bytes: the page is sent in one answer of at most 40 KB, and a picture is packed already.
const LARGEST: usize = 16 * 1024;

/// A logo, as the address of a picture that is in the address itself.
///
/// A browser shows it as a picture and nothing else: what an SVG has of scripts and references never runs there.
#[derive(Debug, Clone)]
pub struct Logo {
    address: String,
}

/// Why a file is no logo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogoError {
    /// It is too large.
    #[error("it has {0} bytes, and at most {LARGEST} stand in a page: make the picture smaller")]
    TooLarge(usize),
    /// It is no picture that every browser shows.
    #[error("it is no PNG, JPEG, WebP or SVG: save the picture as one of them")]
    Unknown,
}

impl Logo {
    /// Reads the content of a file. Which kind of picture it is, is said by its first bytes.
    ///
    /// # Errors
    /// It is too large, or none of the kinds that every browser shows.
    pub fn read(content: &[u8]) -> Result<Self, LogoError> {
        if content.len() > LARGEST {
            return Err(LogoError::TooLarge(content.len()));
        }
        let kind = kind(content).ok_or(LogoError::Unknown)?;
        let address = format!("data:image/{kind};base64,{}", STANDARD.encode(content));
        Ok(Self { address })
    }

    /// The address of the picture.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

fn kind(content: &[u8]) -> Option<&'static str> {
    if content.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some("png");
    }
    if content.starts_with(b"\xff\xd8\xff") {
        return Some("jpeg");
    }
    if content.starts_with(b"RIFF") && content.get(8..12) == Some(b"WEBP") {
        return Some("webp");
    }
    let text = std::str::from_utf8(content).ok()?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_markup = ["<svg", "<?xml", "<!--", "<!DOCTYPE svg"]
        .iter()
        .any(|begin| text.starts_with(begin));
    (is_markup && text.contains("<svg") && text.contains("http://www.w3.org/2000/svg")).then_some("svg+xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str =
        "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";

    #[test]
    fn four_kinds_of_pictures_are_known_by_what_they_begin_with() {
        let cases: [(&[u8], &str); 4] = [
            (b"\x89PNG\r\n\x1a\nrest", "data:image/png;base64,iVBORw0K"),
            (b"\xff\xd8\xff\xe0rest", "data:image/jpeg;base64,/9j/"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "data:image/webp;base64,UklGR"),
            (SVG.as_bytes(), "data:image/svg+xml;base64,PD94bWwg"),
        ];
        for (content, begin) in cases {
            let logo = Logo::read(content).unwrap();
            assert!(logo.address().starts_with(begin), "{}", logo.address());
            assert!(!logo.address().contains(['"', '<', '&']));
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_to_do() {
        for wrong in [
            "",
            "GIF89a",
            "<html><svg></svg></html>",
            "<?xml version=\"1.0\"?><a/>",
            "<svg></svg>",
        ] {
            assert_eq!(Logo::read(wrong.as_bytes()).unwrap_err(), LogoError::Unknown, "{wrong}");
        }
        let mut large = b"\x89PNG\r\n\x1a\n".to_vec();
        large.resize(LARGEST, 0);
        assert!(Logo::read(&large).is_ok());
        large.push(0);
        let said = Logo::read(&large).unwrap_err().to_string();
        assert!(said.contains("16385") && said.contains("16384"), "{said}");
    }
}
