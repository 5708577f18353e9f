//! Compositions of wide spaces: a sea of clouds, sand, ridge behind ridge.

use super::{
    Easel,
    ground::{Alps, CloudSea, Dunes},
    silhouette::Ridge,
    sky::{Clouds, Sky, Sun},
    terrain::{self, Light, Range},
    trees::Conifers,
};
use crate::demo::frame::{Rgb, View};

/// Peaks above the clouds, the sun just risen.
pub(super) fn cloud_sea(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 1.35, 0.36);
    let sky = Sky {
        horizon: Rgb(0.98, 0.70, 0.52),
        zenith: Rgb(0.14, 0.26, 0.52),
        falloff: 3.2,
        sun: Some(Sun {
            right: 0.72,
            up: 0.075,
            radius: 0.020,
            light: Rgb(9.0, 6.0, 3.2),
            glow: Rgb(2.2, 1.1, 0.45),
            band: Rgb(0.55, 0.26, 0.08),
        }),
        clouds: None,
    };
    sky.paint(easel.frame, &view, &easel.noise);
    let alps = Alps {
        noise: &easel.noise,
        offset: (2.2, 19.4),
        rise: (1.0, 3.6),
        tall: 1.7,
        floor: -0.75,
        towers: 0.5,
        rock: Rgb(0.30, 0.26, 0.25),
        meadow: Rgb(0.12, 0.12, 0.06),
        wood: Rgb(0.05, 0.06, 0.04),
        wood_height: 0.45,
        snow_line: 0.22,
    };
    let light = Light {
        toward: (0.72, 0.22, 0.80),
        sun: Rgb(3.0, 1.6, 0.8),
        ambient: Rgb(0.34, 0.40, 0.60),
        haze: Rgb(0.72, 0.60, 0.58),
        haze_glow: Rgb(0.75, 0.36, 0.10),
        density: 0.06,
        thinning: 0.6,
    };
    let ground = CloudSea { alps, deck: -0.14 };
    terrain::paint(easel.frame, &view, &ground, Range { eye: 0.22, near: 0.5, far: 14.0 }, &light);
}

/// Sand in the morning, each crest between light and shade.
pub(super) fn dunes(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 1.3, 0.34);
    let sky = Sky {
        horizon: Rgb(0.98, 0.78, 0.58),
        zenith: Rgb(0.10, 0.27, 0.62),
        falloff: 3.4,
        sun: Some(Sun {
            right: -1.5,
            up: 0.15,
            radius: 0.0,
            light: Rgb::default(),
            glow: Rgb(0.9, 0.55, 0.25),
            band: Rgb(0.3, 0.16, 0.06),
        }),
        clouds: Some(Clouds {
            lit: Rgb(1.15, 0.92, 0.75),
            shaded: Rgb(0.72, 0.66, 0.66),
            threshold: 0.16,
            softness: 0.6,
            scale: (0.25, 0.9),
            offset: (3.0, 4.0),
        }),
    };
    sky.paint(easel.frame, &view, &easel.noise);
    let ground = Dunes { noise: &easel.noise, offset: (3.1, 6.2), sand: Rgb(0.56, 0.27, 0.10) };
    let light = Light {
        toward: (-1.0, 0.28, 0.10),
        sun: Rgb(3.3, 2.1, 1.2),
        ambient: Rgb(0.24, 0.27, 0.40),
        haze: Rgb(0.80, 0.64, 0.52),
        haze_glow: Rgb(0.2, 0.1, 0.03),
        density: 0.05,
        thinning: 0.8,
    };
    terrain::paint(easel.frame, &view, &ground, Range { eye: 1.05, near: 0.9, far: 14.0 }, &light);
}

/// Ridge behind ridge after sunset, each paler than the one before it.
pub(super) fn ridges(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 1.6, 0.50);
    let sky = Sky {
        horizon: Rgb(1.35, 0.66, 0.28),
        zenith: Rgb(0.15, 0.16, 0.36),
        falloff: 2.7,
        sun: Some(Sun {
            right: 0.34,
            up: 0.055,
            radius: 0.026,
            light: Rgb(8.0, 4.2, 1.6),
            glow: Rgb(1.6, 0.62, 0.16),
            band: Rgb(0.7, 0.24, 0.05),
        }),
        clouds: Some(Clouds {
            lit: Rgb(1.5, 0.58, 0.32),
            shaded: Rgb(0.34, 0.22, 0.34),
            threshold: 0.03,
            softness: 0.45,
            scale: (0.22, 0.95),
            offset: (5.0, 3.0),
        }),
    };
    sky.paint(easel.frame, &view, &easel.noise);
    let far = Rgb(0.86, 0.42, 0.27);
    let near = Rgb(0.020, 0.022, 0.045);
    for layer in 0..8u8 {
        let t = f32::from(layer) / 7.0;
        let crest_light = far.mix(Rgb(0.22, 0.13, 0.22), t.sqrt()).mix(near, t * t);
        let ridge = Ridge {
            crest: 0.50 + 0.40 * t * t.sqrt() + 0.03 * t,
            relief: 0.10 + 0.10 * t,
            frequency: 1.9 - 0.9 * t,
            sharpness: 0.75 - 0.35 * t,
            cut: 3.0 + 5.3 * f32::from(layer),
            crest_light,
            foot_light: crest_light.mix(Rgb(0.95, 0.48, 0.28), 0.30 - 0.22 * t),
            mist_depth: 0.16,
            texture: 2.0 + 4.0 * t,
        };
        ridge.paint(easel.frame, &easel.noise);
        if layer == 7 {
            let height = easel.frame.height as f32;
            let (noise, random) = (&easel.noise, &mut easel.random);
            let trees = Conifers {
                count: 700,
                tallest: 0.075,
                tip_light: near * 0.7,
                foot_light: near * 0.6,
                spread: 0.03,
                lit_left: 0.0,
            };
            trees.paint(easel.frame, random, |x| Some(ridge.row(noise, x, height) + 0.012 * height));
        }
    }
}
