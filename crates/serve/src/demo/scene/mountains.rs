//! Compositions with mountains by daylight.

use super::{
    Easel,
    ground::Alps,
    silhouette::Ridge,
    sky::{Clouds, Sky, Sun},
    terrain::{self, Light, Range},
    trees::{Conifers, Woods},
    water::Lake,
};
use crate::demo::frame::{Rgb, View};

/// Rock towers in the first sun, the valley still in blue shade.
pub(super) fn towers(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 1.55, 0.66);
    let sky = Sky {
        horizon: Rgb(1.05, 0.62, 0.42),
        zenith: Rgb(0.10, 0.20, 0.45),
        falloff: 2.3,
        sun: Some(Sun {
            right: -1.6,
            up: 0.12,
            radius: 0.0,
            light: Rgb::default(),
            glow: Rgb(1.2, 0.6, 0.3),
            band: Rgb(0.5, 0.22, 0.10),
        }),
        clouds: Some(Clouds {
            lit: Rgb(1.35, 0.78, 0.55),
            shaded: Rgb(0.36, 0.33, 0.45),
            threshold: 0.06,
            softness: 0.42,
            scale: (0.55, 0.8),
            offset: (4.0, 2.0),
        }),
    };
    sky.paint(easel.frame, &view, &easel.noise);
    let ground = Alps {
        noise: &easel.noise,
        offset: (12.6, 3.2),
        rise: (1.7, 3.6),
        tall: 1.15,
        floor: -0.30,
        towers: 1.0,
        rock: Rgb(0.46, 0.38, 0.32),
        meadow: Rgb(0.16, 0.20, 0.06),
        wood: Rgb(0.04, 0.07, 0.035),
        wood_height: 0.45,
        snow_line: 0.80,
    };
    let light = Light {
        toward: (-1.0, 0.30, -0.42),
        sun: Rgb(3.4, 1.75, 0.95),
        ambient: Rgb(0.30, 0.38, 0.58),
        haze: Rgb(0.44, 0.42, 0.52),
        haze_glow: Rgb(0.35, 0.16, 0.05),
        density: 0.09,
        thinning: 0.45,
    };
    let range = Range { eye: 0.12, near: 0.5, far: 9.0 };
    terrain::paint(easel.frame, &view, &ground, range, &light);
    let woods = Woods {
        count: 9000,
        tall: 0.03,
        between: (0.55, 4.0),
        albedo: [Rgb(0.045, 0.075, 0.035), Rgb(0.09, 0.11, 0.04)],
    };
    woods.paint(easel.frame, &view, (&ground, range, &light), &mut easel.random);
}

/// A lake without wind in the morning: a range, woods on the shore, and both again in the water.
pub(super) fn lake(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 1.05, 0.585);
    let sky = Sky {
        horizon: Rgb(0.80, 0.86, 0.95),
        zenith: Rgb(0.09, 0.22, 0.52),
        falloff: 2.0,
        sun: None,
        clouds: Some(Clouds {
            lit: Rgb(1.25, 1.22, 1.18),
            shaded: Rgb(0.52, 0.58, 0.68),
            threshold: 0.02,
            softness: 0.40,
            scale: (0.7, 0.9),
            offset: (1.0, 7.0),
        }),
    };
    sky.paint(easel.frame, &view, &easel.noise);
    let ground = Alps {
        noise: &easel.noise,
        offset: (3.4, 8.1),
        rise: (2.1, 4.6),
        tall: 1.75,
        floor: 0.02,
        towers: 0.55,
        rock: Rgb(0.36, 0.34, 0.32),
        meadow: Rgb(0.13, 0.19, 0.06),
        wood: Rgb(0.030, 0.062, 0.035),
        wood_height: 0.45,
        snow_line: 0.95,
    };
    let light = Light {
        toward: (0.9, 0.62, -0.55),
        sun: Rgb(2.5, 2.2, 1.8),
        ambient: Rgb(0.32, 0.42, 0.60),
        haze: Rgb(0.50, 0.60, 0.74),
        haze_glow: Rgb::default(),
        density: 0.055,
        thinning: 0.7,
    };
    let range = Range { eye: 0.03, near: 1.6, far: 10.0 };
    terrain::paint(easel.frame, &view, &ground, range, &light);
    let woods = Woods {
        count: 7000,
        tall: 0.045,
        between: (1.7, 5.0),
        albedo: [Rgb(0.030, 0.065, 0.035), Rgb(0.07, 0.11, 0.04)],
    };
    woods.paint(easel.frame, &view, (&ground, range, &light), &mut easel.random);
    let shore = 0.60;
    let height = easel.frame.height as f32;
    let bank = Ridge {
        crest: shore - 0.002,
        relief: 0.012,
        frequency: 2.2,
        sharpness: 0.0,
        cut: 3.0,
        crest_light: Rgb(0.045, 0.07, 0.03),
        foot_light: Rgb(0.07, 0.08, 0.04),
        mist_depth: 0.02,
        texture: 9.0,
    };
    bank.paint(easel.frame, &easel.noise);
    let trees = Conifers {
        count: 340,
        tallest: 0.085,
        tip_light: Rgb(0.050, 0.085, 0.040),
        foot_light: Rgb(0.012, 0.024, 0.016),
        spread: 0.012,
        lit_left: 0.0,
    };
    let noise = &easel.noise;
    trees.paint(easel.frame, &mut easel.random, |x| {
        (noise.fractal(x / height * 2.6, 60.0, 3) > -0.16).then_some((shore - 0.006) * height)
    });
    Lake { shore: 0.604, deep: Rgb(0.012, 0.055, 0.065), ripple: 0.010 }.paint(easel.frame, noise);
}

/// A high meadow at noon in June, woods, and a snowy range under fair-weather clouds.
pub(super) fn meadow(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 1.25, 0.44);
    let sky = Sky {
        horizon: Rgb(0.72, 0.84, 0.98),
        zenith: Rgb(0.045, 0.16, 0.50),
        falloff: 2.6,
        sun: None,
        clouds: Some(Clouds {
            lit: Rgb(1.5, 1.5, 1.48),
            shaded: Rgb(0.58, 0.64, 0.74),
            threshold: 0.05,
            softness: 0.24,
            scale: (0.75, 1.0),
            offset: (9.0, 1.0),
        }),
    };
    sky.paint(easel.frame, &view, &easel.noise);
    let ground = Alps {
        noise: &easel.noise,
        offset: (7.7, 15.3),
        rise: (2.4, 6.2),
        tall: 1.5,
        floor: -0.32,
        towers: 0.25,
        rock: Rgb(0.34, 0.33, 0.33),
        meadow: Rgb(0.20, 0.30, 0.055),
        wood: Rgb(0.035, 0.075, 0.03),
        wood_height: 0.45,
        snow_line: 0.55,
    };
    let light = Light {
        toward: (-0.75, 0.80, -0.25),
        sun: Rgb(2.6, 2.4, 2.05),
        ambient: Rgb(0.34, 0.44, 0.60),
        haze: Rgb(0.52, 0.66, 0.84),
        haze_glow: Rgb::default(),
        density: 0.055,
        thinning: 0.9,
    };
    let range = Range { eye: 0.0, near: 0.45, far: 12.0 };
    terrain::paint(easel.frame, &view, &ground, range, &light);
    let woods = Woods {
        count: 14000,
        tall: 0.032,
        between: (0.5, 5.0),
        albedo: [Rgb(0.030, 0.065, 0.028), Rgb(0.075, 0.12, 0.035)],
    };
    woods.paint(easel.frame, &view, (&ground, range, &light), &mut easel.random);
}

/// Larches in autumn under a range with the first snow.
pub(super) fn autumn(easel: &mut Easel<'_>) {
    let view = View::new(easel.frame, 1.35, 0.52);
    let sky = Sky {
        horizon: Rgb(0.92, 0.84, 0.74),
        zenith: Rgb(0.10, 0.22, 0.50),
        falloff: 2.6,
        sun: Some(Sun {
            right: 1.1,
            up: 0.30,
            radius: 0.0,
            light: Rgb::default(),
            glow: Rgb(0.8, 0.6, 0.35),
            band: Rgb(0.2, 0.14, 0.08),
        }),
        clouds: Some(Clouds {
            lit: Rgb(1.2, 1.08, 0.95),
            shaded: Rgb(0.50, 0.50, 0.55),
            threshold: -0.02,
            softness: 0.5,
            scale: (0.45, 0.9),
            offset: (2.0, 12.0),
        }),
    };
    sky.paint(easel.frame, &view, &easel.noise);
    let ground = Alps {
        noise: &easel.noise,
        offset: (21.3, 5.5),
        rise: (1.6, 5.0),
        tall: 1.35,
        floor: -0.22,
        towers: 0.4,
        rock: Rgb(0.32, 0.29, 0.27),
        meadow: Rgb(0.26, 0.17, 0.06),
        wood: Rgb(0.16, 0.075, 0.022),
        wood_height: 0.45,
        snow_line: 0.62,
    };
    let light = Light {
        toward: (0.95, 0.42, 0.12),
        sun: Rgb(3.0, 2.1, 1.25),
        ambient: Rgb(0.30, 0.36, 0.50),
        haze: Rgb(0.60, 0.58, 0.60),
        haze_glow: Rgb(0.30, 0.20, 0.08),
        density: 0.075,
        thinning: 0.6,
    };
    let range = Range { eye: 0.06, near: 0.5, far: 10.0 };
    terrain::paint(easel.frame, &view, &ground, range, &light);
    let woods = Woods {
        count: 11000,
        tall: 0.042,
        between: (0.55, 5.0),
        albedo: [Rgb(0.42, 0.17, 0.022), Rgb(0.07, 0.085, 0.03)],
    };
    woods.paint(easel.frame, &view, (&ground, range, &light), &mut easel.random);
}
