//! Colours of the page: the operator's own, or made of a company's so that everything stays readable (WCAG 2.2, level AA).

use crate::config::Color;

/// Contrast that text needs.
const TEXT: f64 = 4.5;
/// Steps from a colour to black or white.
const STEPS: u16 = 32;

const BLACK: Color = Color { channels: [0; 3] };
const WHITE: Color = Color { channels: [255; 3] };

/// Colours in the light or in the dark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    /// Behind everything.
    pub(super) page: Color,
    /// Behind a part of the page.
    pub(super) card: Color,
    /// Links, outlines and pictures on either of them.
    pub(super) accent: Color,
    /// What is filled.
    pub(super) brand: Color,
    /// Text on what is filled.
    pub(super) on_brand: Color,
}

impl Theme {
    /// As variables of a style sheet.
    pub(super) fn variables(&self) -> String {
        let Self {
            page,
            card,
            accent,
            brand,
            on_brand,
        } = self;
        format!("--page: {page}; --card: {card}; --accent: {accent}; --brand: {brand}; --on-brand: {on_brand};")
    }
}

const fn rgb(number: u32) -> Color {
    let [_, red, green, blue] = number.to_be_bytes();
    Color {
        channels: [red, green, blue],
    }
}

const LIGHT: Theme = Theme {
    page: rgb(0x00f4_f5f7),
    card: WHITE,
    accent: rgb(0x001a_5fd0),
    brand: rgb(0x001a_5fd0),
    on_brand: WHITE,
};
const DARK: Theme = Theme {
    page: rgb(0x000f_1216),
    card: rgb(0x001a_1f26),
    accent: rgb(0x006b_a6ff),
    brand: rgb(0x006b_a6ff),
    on_brand: rgb(0x000f_1216),
};

/// Colours in the light and in the dark.
pub(super) fn themes(company: Option<Color>) -> (Theme, Theme) {
    let of = |base: Theme| {
        company.map_or(base, |brand| Theme {
            accent: readable(brand, &[base.page, base.card]),
            brand,
            on_brand: text_on(brand),
            ..base
        })
    };
    (of(LIGHT), of(DARK))
}

/// Black or white, whichever is read better on a colour. The contrast is never below 4.58.
fn text_on(color: Color) -> Color {
    if contrast(BLACK, color) >= contrast(WHITE, color) {
        BLACK
    } else {
        WHITE
    }
}

/// The colour that is nearest to this one on its way to black or white, and is text that can be read on each of these.
fn readable(color: Color, behind: &[Color]) -> Color {
    let is_light = |color: &Color| text_on(*color) == BLACK;
    let end = if behind.iter().all(is_light) { BLACK } else { WHITE };
    let way = (0..=STEPS).map(|step| mixed(color, end, step));
    let reads = |color: &Color| behind.iter().all(|other| contrast(*color, *other) >= TEXT);
    way.into_iter().find(reads).unwrap_or(end)
}

fn mixed(from: Color, to: Color, step: u16) -> Color {
    let mut channels = from.channels;
    for (channel, end) in channels.iter_mut().zip(to.channels) {
        let sum = u16::from(*channel) * (STEPS - step) + u16::from(end) * step;
        *channel = u8::try_from(sum / STEPS).unwrap_or(end);
    }
    Color { channels }
}

/// How far two colours are apart for the eye: from 1 to 21.
fn contrast(one: Color, other: Color) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Relative luminance, from 0 to 1.
fn luminance(color: Color) -> f64 {
    let linear = |channel: u8| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    let [red, green, blue] = color.channels.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn contrasts_are_those_of_the_standard() {
        for (one, other, expected) in [
            (0x00ff_ffff, 0x0000_0000, 21.0),
            (0x0077_7777, 0x00ff_ffff, 4.48),
            (0x0076_7676, 0x00ff_ffff, 4.54),
            (0x00ff_0000, 0x00ff_ffff, 4.0),
        ] {
            assert!((contrast(rgb(one), rgb(other)) - expected).abs() < 0.01);
        }
        assert_eq!((text_on(rgb(0x00ff_de00)), text_on(rgb(0x0000_2b5c))), (BLACK, WHITE));
    }

    fn check(theme: &Theme) {
        assert!(contrast(theme.on_brand, theme.brand) >= TEXT, "{theme:?}");
        for behind in [theme.page, theme.card] {
            assert!(contrast(theme.accent, behind) >= TEXT, "{theme:?}");
        }
    }

    #[test]
    fn the_operators_own_colours_can_be_read() {
        let (light, dark) = themes(None);
        check(&light);
        check(&dark);
    }

    proptest! {
        #[test]
        fn whatever_colour_a_company_has_everything_can_be_read(channels in any::<[u8; 3]>()) {
            let company = Color { channels };
            let (light, dark) = themes(Some(company));
            check(&light);
            check(&dark);
            prop_assert_eq!((light.brand, dark.brand), (company, company));
        }

        #[test]
        fn a_colour_that_can_be_read_is_left_as_it_is(channels in any::<[u8; 3]>()) {
            let company = Color { channels };
            for base in [LIGHT, DARK] {
                let behind = [base.page, base.card];
                let fine = behind.iter().all(|behind| contrast(company, *behind) >= TEXT);
                prop_assert_eq!(readable(company, &behind) == company, fine);
            }
        }
    }
}
