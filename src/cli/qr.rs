//! A link as a QR code in a terminal.

use clap::ValueEnum;
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

use super::{exit::CommandError, output::Output};

/// When a QR code is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Qr {
    /// When a terminal shows the output.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Prints a link as a code that a phone's camera reads.
pub(super) fn print(link: &str, when: Qr, output: &mut Output) -> Result<(), CommandError> {
    let wanted = match when {
        Qr::Auto => output.is_terminal(),
        Qr::Always => true,
        Qr::Never => false,
    };
    if !wanted {
        return Ok(());
    }
    let code = QrCode::with_error_correction_level(link, EcLevel::L)
        .map_err(|error| CommandError::failed(format!("the link cannot be shown as a QR code: {error}")))?;
    // Light on dark, as most terminals are: the quiet zone is what a camera needs to find the code.
    let picture = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Dark)
        .light_color(Dense1x2::Light)
        .quiet_zone(true)
        .build();
    output.line(&format!("\n{picture}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_code_is_printed_when_it_is_wanted() {
        let link = "hysteria2://corp_ab123456:secret@vpn.example.com:443/?sni=vpn.example.com";
        for (when, printed) in [(Qr::Auto, false), (Qr::Always, true), (Qr::Never, false)] {
            let page = Page::default();
            print(link, when, &mut Output::to(Box::new(page.clone()))).unwrap();
            let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.contains('█'), printed, "{when:?}");
            assert!(!text.contains("hysteria2"));
        }
    }
}
