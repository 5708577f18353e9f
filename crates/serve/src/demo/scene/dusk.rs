//! Compositions of mist, evening and night.

use super::{
    Easel,
    ground::{Alps, Dunes},
    night::{Aurora, Galaxy, Moon, Night},
    silhouette::Ridge,
    sky::{Clouds, Sky, Sun},
    terrain::{self, Light, Range},
    trees::Conifers,
    water::{Lake, Sea},
};
use crate::demo::frame::{Rgb, View};

/// Northern light over a fjord and its snowy walls.
pub(super) fn aurora(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 0.85, 0.66);
    let night = Night {
        zenith: Rgb(0.006, 0.012, 0.030),
        horizon: Rgb(0.020, 0.050, 0.075),
        stars: 1500,
        galaxy: None,
    };
    night.paint(easel.frame, &view, &easel.noise, &mut easel.random);
    let aurora = Aurora { base: 0.16, wave: 0.13, strength: 1.0, cut: 2.5 };
    aurora.paint(easel.frame, &view, &easel.noise);
    let ground = Alps {
        noise: &easel.noise,
        offset: (17.7, 9.6),
        rise: (1.8, 3.6),
        tall: 1.0,
        floor: 0.02,
        towers: 0.2,
        rock: Rgb(0.12, 0.13, 0.15),
        meadow: Rgb(0.4, 0.42, 0.45),
        wood: Rgb(0.05, 0.06, 0.06),
        wood_height: 0.45,
        snow_line: 0.10,
    };
    let light = Light {
        toward: (0.25, 1.0, -0.25),
        sun: Rgb(0.07, 0.24, 0.13),
        ambient: Rgb(0.03, 0.055, 0.085),
        haze: Rgb(0.020, 0.050, 0.065),
        haze_glow: Rgb::default(),
        density: 0.06,
        thinning: 0.7,
    };
    terrain::paint(easel.frame, &view, &ground, Range { eye: 0.02, near: 1.5, far: 8.0 }, &light);
    Lake { shore: 0.668, deep: Rgb(0.002, 0.008, 0.012), ripple: 0.022 }.paint(easel.frame, &easel.noise);
}

/// The sun low over the open sea.
pub(super) fn sea(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 1.4, 0.52);
    let sky = Sky {
        horizon: Rgb(1.25, 0.62, 0.32),
        zenith: Rgb(0.13, 0.20, 0.42),
        falloff: 2.6,
        sun: Some(Sun {
            right: -0.14,
            up: 0.052,
            radius: 0.030,
            light: Rgb(14.0, 8.0, 3.6),
            glow: Rgb(2.0, 0.85, 0.28),
            band: Rgb(0.6, 0.22, 0.06),
        }),
        clouds: Some(Clouds {
            lit: Rgb(1.6, 0.72, 0.42),
            shaded: Rgb(0.36, 0.26, 0.36),
            threshold: -0.06,
            softness: 0.40,
            scale: (0.34, 0.9),
            offset: (8.0, 6.0),
        }),
    };
    sky.paint(easel.frame, &view, &easel.noise);
    Sea { deep: Rgb(0.012, 0.035, 0.055), steepness: 0.24, eye: 5.0 }.paint(
        easel.frame,
        &view,
        &sky,
        &easel.noise,
    );
}

/// The full moon over ridges and woods.
pub(super) fn moon(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 2.2, 0.74);
    let night =
        Night { zenith: Rgb(0.016, 0.034, 0.085), horizon: Rgb(0.13, 0.19, 0.30), stars: 500, galaxy: None };
    night.paint(easel.frame, &view, &easel.noise, &mut easel.random);
    let moon = Moon { right: 0.055, up: 0.215, radius: 0.045, light: Rgb(1.9, 1.75, 1.45) };
    moon.paint(easel.frame, &view, &easel.noise);
    let height = easel.frame.height as f32;
    for layer in 0..5u8 {
        let t = f32::from(layer) / 4.0;
        let crest_light = Rgb(0.085, 0.13, 0.21).mix(Rgb(0.006, 0.010, 0.018), t.sqrt());
        let ridge = Ridge {
            crest: 0.66 + 0.27 * t,
            relief: 0.16 - 0.04 * t,
            frequency: 1.7 - 0.4 * t,
            sharpness: 0.9 - 0.6 * t,
            cut: 13.0 + 4.1 * f32::from(layer),
            crest_light,
            foot_light: Rgb(0.15, 0.21, 0.31) * (1.0 - 0.8 * t),
            mist_depth: 0.17,
            texture: 3.0,
        };
        ridge.paint(easel.frame, &easel.noise);
        if layer >= 3 {
            let (noise, random) = (&easel.noise, &mut easel.random);
            let trees = Conifers {
                count: 190,
                tallest: 0.055 + 0.09 * (t - 0.7),
                tip_light: crest_light * 0.8,
                foot_light: crest_light,
                spread: 0.03,
                lit_left: 0.0,
            };
            trees.paint(easel.frame, random, |x| Some(ridge.row(noise, x, height) + 0.01 * height));
        }
    }
}

/// The galaxy over sand.
pub(super) fn galaxy(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 0.75, 0.80);
    let night = Night {
        zenith: Rgb(0.006, 0.010, 0.024),
        horizon: Rgb(0.050, 0.050, 0.062),
        stars: 17000,
        galaxy: Some(Galaxy {
            centre: (0.12, 0.30),
            angle: 1.08,
            width: 0.135,
            light: Rgb(0.30, 0.28, 0.29),
        }),
    };
    night.paint(easel.frame, &view, &easel.noise, &mut easel.random);
    let ground = Dunes { noise: &easel.noise, offset: (9.4, 1.7), sand: Rgb(0.40, 0.28, 0.19) };
    let light = Light {
        toward: (0.8, 0.45, 0.6),
        sun: Rgb(0.16, 0.15, 0.17),
        ambient: Rgb(0.030, 0.036, 0.055),
        haze: Rgb(0.040, 0.042, 0.055),
        haze_glow: Rgb::default(),
        density: 0.05,
        thinning: 0.8,
    };
    terrain::paint(easel.frame, &view, &ground, Range { eye: 1.0, near: 0.9, far: 12.0 }, &light);
}

/// Conifers in the mist, row behind row.
pub(super) fn mist(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 1.5, 0.55);
    let (warm, cool) = (Rgb(0.80, 0.70, 0.56), Rgb(0.44, 0.58, 0.62));
    let sky = Sky {
        horizon: warm,
        zenith: Rgb(0.42, 0.54, 0.64),
        falloff: 0.8,
        sun: Some(Sun {
            right: 0.28,
            up: 0.26,
            radius: 0.0,
            light: Rgb::default(),
            glow: Rgb(0.95, 0.68, 0.36),
            band: Rgb::default(),
        }),
        clouds: None,
    };
    sky.paint(easel.frame, &view, &easel.noise);
    let height = easel.frame.height as f32;
    for layer in 0..7u8 {
        let t = f32::from(layer) / 6.0;
        let fog = warm.mix(cool, t.sqrt());
        let light = fog.mix(Rgb(0.012, 0.028, 0.032), 0.16 + 0.84 * t.powf(1.3));
        let ridge = Ridge {
            crest: 0.34 + 0.62 * t,
            relief: 0.17,
            frequency: 0.9,
            sharpness: 0.15,
            cut: 23.0 + 3.7 * f32::from(layer),
            crest_light: light,
            foot_light: fog.mix(light, 0.10 + 0.25 * t),
            mist_depth: 0.15 + 0.10 * t,
            texture: 1.0 + 4.0 * t,
        };
        let (noise, random) = (&easel.noise, &mut easel.random);
        let tallest = 0.09 + 0.20 * t * t;
        let trees = Conifers {
            count: 330 - 36 * usize::from(layer),
            tallest,
            tip_light: light,
            foot_light: light.mix(fog, 0.35),
            spread: 0.05,
            lit_left: 0.0,
        };
        trees.paint(easel.frame, random, |x| Some(ridge.row(noise, x, height) + 0.02 * height));
        ridge.paint(easel.frame, noise);
    }
}
