//! Daylight skies: a gradient from horizon to zenith, a sun with its glow, and clouds on a plane high above.

use crate::demo::{
    frame::{Frame, Rgb, View},
    noise::Noise,
    number::{index, mix, smoothstep},
};

/// A sky by its colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sky {
    pub(super) horizon: Rgb,
    pub(super) zenith: Rgb,
    /// How quickly the horizon's colour gives way to the zenith's: about 1 (slowly) to 6.
    pub(super) falloff: f32,
    pub(super) sun: Option<Sun>,
    pub(super) clouds: Option<Clouds>,
}

/// A sun, or a moon that shines like one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sun {
    /// Its direction: right and up of the view's centre and horizon.
    pub(super) right: f32,
    pub(super) up: f32,
    pub(super) radius: f32,
    pub(super) light: Rgb,
    /// The light close around the disk.
    pub(super) glow: Rgb,
    /// The wide light that lies along the horizon.
    pub(super) band: Rgb,
}

/// Clouds: how they are cut out of noise, and their two colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clouds {
    pub(super) lit: Rgb,
    pub(super) shaded: Rgb,
    /// The level of noise at which cloud begins: about -0.3 (overcast) to 0.4 (a few).
    pub(super) threshold: f32,
    pub(super) softness: f32,
    /// Features per unit of the cloud plane, across and away.
    pub(super) scale: (f32, f32),
    pub(super) offset: (f32, f32),
}

impl Sky {
    /// The light from a direction without the clouds.
    pub(super) fn clear(&self, right: f32, up: f32) -> Rgb {
        let height = 1.0 - 1.0 / (1.0 + up.max(0.0) * self.falloff).powi(2);
        let air = self.horizon.mix(self.zenith, height);
        self.sun.map_or(air, |sun| air + sun.around(right, up))
    }

    /// The light from a direction, clouds and all, but without the sun's disk; and how much of the disk shows.
    fn at(&self, noise: &Noise, right: f32, up: f32) -> (Rgb, f32) {
        let clear = self.clear(right, up);
        let Some(clouds) = &self.clouds else { return (clear, 1.0) };
        let (cover, light) = clouds.at(noise, right, up, self.sun.as_ref());
        let haze = 1.0 - smoothstep(0.0, 0.16, up);
        (clear.mix(light.mix(clear, haze), cover), 1.0 - cover * (1.0 - haze))
    }

    /// Paints the sky down to a little below the horizon.
    pub(super) fn paint(&self, frame: &mut Frame, view: &View, noise: &Noise) {
        let end = index(view.row(-0.3).max(0.0));
        frame.fill_smooth(end, |x, y| self.at(noise, view.right(x), view.up(y)).0);
        let Some(sun) = self.sun.filter(|sun| sun.radius > 0.0) else { return };
        let reach = sun.radius * 1.2;
        let rows =
            index(view.row(sun.up + reach).max(0.0))..index(view.row(sun.up - reach).max(0.0)).min(end);
        for y in rows {
            let up = view.up(y as f32);
            for (x, pixel) in frame.row_mut(y).iter_mut().enumerate() {
                let right = view.right(x as f32);
                if (right - sun.right).abs() <= reach {
                    pixel.light = pixel.light + sun.disk(right, up) * self.at(noise, right, up).1;
                }
            }
        }
    }
}

impl Sun {
    fn around(&self, right: f32, up: f32) -> Rgb {
        let (x, y) = (right - self.right, up - self.up);
        let near = 1.0 / (1.0 + (x * x + y * y) * 90.0);
        let wide = 1.0 / (1.0 + (x * x + y * y) * 7.0);
        let band = 1.0 / (1.0 + x * x * 1.2 + up * up * 60.0);
        self.glow * (near * near + 0.18 * wide * wide) + self.band * (band * band)
    }

    fn disk(&self, right: f32, up: f32) -> Rgb {
        let distance = (right - self.right).hypot(up - self.up);
        self.light * smoothstep(self.radius * 1.12, self.radius * 0.88, distance)
    }
}

impl Clouds {
    /// How much cloud covers a direction, and its light.
    fn at(&self, noise: &Noise, right: f32, up: f32, sun: Option<&Sun>) -> (f32, Rgb) {
        let away = 1.0 / (up.max(0.0) + 0.13);
        let (x, y) = (right * away * self.scale.0 + self.offset.0, away * self.scale.1 + self.offset.1);
        let bend = noise.at(x * 0.6 + 3.1, y * 0.6);
        let body = noise.fractal(x + bend * 0.35, y + bend * 0.25, 5);
        let cover = smoothstep(self.threshold, self.threshold + self.softness, body);
        if cover <= 0.0 {
            return (0.0, self.lit);
        }
        let (toward_x, toward_y) = sun.map_or((0.0, 0.3), |sun| ((sun.right - right) * 0.35, -0.22));
        let before = noise.fractal(x + bend * 0.35 + toward_x, y + bend * 0.25 + toward_y, 3);
        let brightness = smoothstep(-0.35, 0.3, body - before - (body - self.threshold) * 0.35);
        let light = self.shaded.mix(self.lit, brightness);
        let rim = sun.map_or(0.0, |sun| {
            let (x, y) = (right - sun.right, up - sun.up);
            1.0 / (1.0 + (x * x + y * y) * 14.0) * (1.0 - cover * 0.75)
        });
        (cover * mix(0.93, 1.0, cover), light + sun.map_or_else(Rgb::default, |sun| sun.glow * rim))
    }
}
