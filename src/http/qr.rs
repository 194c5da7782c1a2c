//! QR codes, as a PNG and as an SVG path.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, as the standard asks for.
const QUIET: usize = 4;
/// Pixels a module of the PNG.
const SCALE: usize = 6;

/// Modules of a code, quiet zone included; `true` is dark.
struct Modules {
    width: usize,
    dark: Vec<bool>,
}

/// `None` for more text than a code can hold.
fn modules(text: &str) -> Option<Modules> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .or_else(|_| QrCode::with_error_correction_level(text, EcLevel::L))
        .ok()?;
    let inner = code.width();
    let width = inner + 2 * QUIET;
    let mut dark = vec![false; width * width];
    for (row, colors) in code.to_colors().chunks(inner).enumerate() {
        let start = (row + QUIET) * width + QUIET;
        for (cell, color) in dark.iter_mut().skip(start).zip(colors) {
            *cell = *color == Color::Dark;
        }
    }
    Some(Modules { width, dark })
}

/// A PNG in base64.
pub(super) fn png_base64(text: &str) -> Option<String> {
    let Modules { width, dark } = modules(text)?;
    let side = width * SCALE;
    let stride = side.div_ceil(8);
    let mut pixels = Vec::with_capacity(stride * side);
    for row in dark.chunks(width) {
        // One bit a pixel, one for light.
        let mut line = vec![0u8; stride];
        let bits = row.iter().flat_map(|dark| std::iter::repeat_n(*dark, SCALE));
        for (at, dark) in bits.enumerate() {
            if let Some(byte) = line.get_mut(at / 8).filter(|_| !dark) {
                *byte |= 0x80 >> (at % 8);
            }
        }
        for _ in 0..SCALE {
            pixels.extend_from_slice(&line);
        }
    }
    let side = u32::try_from(side).ok()?;
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(STANDARD.encode(out))
}

/// Width of the view box and the `d` of a path that draws the dark modules.
pub(super) fn svg_path(text: &str) -> Option<(usize, String)> {
    let Modules { width, dark } = modules(text)?;
    let mut path = String::new();
    for (y, row) in dark.chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run.first() == Some(&true) {
                write!(path, "M{x} {y}h{}v1h-{}z", run.len(), run.len()).ok()?;
            }
            x += run.len();
        }
    }
    Some((width, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_png_shows_the_modules_of_the_code_with_a_quiet_zone() {
        let text = "hysteria2://corp_ab123456:secret@vpn.example.com:443/?sni=vpn.example.com#main";
        let bytes = STANDARD.decode(png_base64(text).unwrap()).unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let side = (code.width() + 2 * QUIET) * SCALE;
        assert_eq!((info.width as usize, info.height as usize), (side, side));
        for y in 0..side {
            for x in 0..side {
                let inside = |at: usize| (at / SCALE).checked_sub(QUIET).filter(|at| *at < code.width());
                let dark = matches!((inside(x), inside(y)), (Some(x), Some(y)) if code[(x, y)] == Color::Dark);
                assert_eq!(pixels[y * side + x] == 0, dark, "at {x}, {y}");
            }
        }
    }

    #[test]
    fn the_svg_draws_as_many_modules_as_are_dark() {
        let (width, path) = svg_path("hello").unwrap();
        let runs = path.split('M').skip(1).map(|run| {
            let (_, rest) = run.split_once('h').unwrap();
            rest.split_once('v').unwrap().0.parse::<usize>().unwrap()
        });
        let dark = modules("hello").unwrap();
        assert_eq!(width, dark.width);
        assert_eq!(runs.sum::<usize>(), dark.dark.iter().filter(|dark| **dark).count());
    }

    #[test]
    fn more_than_a_code_can_hold_is_none() {
        assert!(png_base64(&"x".repeat(4000)).is_none());
    }
}
