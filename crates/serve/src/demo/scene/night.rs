//! What shines at night: stars and the band of the galaxy, the moon, and the aurora.

use crate::demo::{
    frame::{Frame, Pixel, Rgb, View},
    noise::{Noise, Random},
    number::{floor, index, mix, smoothstep},
};

/// A clear night sky.
#[derive(Clone, Copy, Debug)]
pub(super) struct Night {
    pub(super) zenith: Rgb,
    pub(super) horizon: Rgb,
    /// Stars per square of the frame's height.
    pub(super) stars: usize,
    pub(super) galaxy: Option<Galaxy>,
}

/// The band of the galaxy as a straight line across the view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Galaxy {
    /// A point on its middle line and the direction of that line, in radians from the horizon.
    pub(super) centre: (f32, f32),
    pub(super) angle: f32,
    pub(super) width: f32,
    pub(super) light: Rgb,
}

impl Night {
    pub(super) fn paint(&self, frame: &mut Frame, view: &View, noise: &Noise, random: &mut Random) {
        let height = frame.height;
        frame.fill_smooth(height, |x, y| {
            let up = view.up(y);
            let air = self.horizon.mix(self.zenith, 1.0 - 1.0 / (1.0 + up.max(0.0) * 3.0).powi(2));
            self.galaxy.map_or(air, |galaxy| {
                air + galaxy.at(noise, view.right(x), up).light * smoothstep(-0.02, 0.35, up)
            })
        });
        self.scatter(frame, view, noise, random);
    }

    fn scatter(&self, frame: &mut Frame, view: &View, noise: &Noise, random: &mut Random) {
        let (width, height) = (frame.width as f32, frame.height as f32);
        let count = index(self.stars as f32 * width / height);
        for _ in 0..count {
            let (x, y) = (random.unit() * width, random.unit() * height);
            let (magnitude, hue, chance) = (random.unit(), random.unit(), random.unit());
            let crowd =
                self.galaxy.map_or(1.0, |galaxy| 0.25 + galaxy.at(noise, view.right(x), view.up(y)).density);
            // Few bright stars, many faint ones; the faint ones crowd along the galaxy.
            let brightness = 0.03 / (magnitude * 1.4 + 0.012);
            if chance > crowd && brightness < 0.3 {
                continue;
            }
            let colour = Rgb(1.0, 0.82, 0.62).mix(Rgb(0.72, 0.84, 1.0), hue);
            let fade = smoothstep(-0.01, 0.25, view.up(y));
            star(frame, (x, y), height, colour * (brightness * fade));
        }
    }
}

/// Adds one star as a small round spot; the bright ones are larger.
fn star(frame: &mut Frame, (x, y): (f32, f32), height: f32, light: Rgb) {
    let peak = light.1;
    let radius = height / 1500.0 * (0.62 + peak.min(2.5).sqrt() * 0.55);
    let reach = floor(radius * 2.6) + 1;
    for row in floor(y) - reach..=floor(y) + reach {
        for column in floor(x) - reach..=floor(x) + reach {
            let (Ok(row), Ok(column)) = (usize::try_from(row), usize::try_from(column)) else { continue };
            if row >= frame.height || column >= frame.width {
                continue;
            }
            let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
            let spot = (-(dx * dx + dy * dy) / (radius * radius)).exp();
            let pixel = &mut frame.row_mut(row)[column];
            pixel.light = pixel.light + light * spot;
        }
    }
}

struct Glow {
    light: Rgb,
    density: f32,
}

impl Galaxy {
    fn at(&self, noise: &Noise, right: f32, up: f32) -> Glow {
        let (sin, cos) = self.angle.sin_cos();
        let (x, y) = (right - self.centre.0, up - self.centre.1);
        let (along, across) = (x * cos + y * sin, y * cos - x * sin);
        let bend = 0.05 * noise.at(along * 2.0, 4.7);
        let distance = ((across + bend) / self.width).powi(2);
        if distance > 12.0 {
            return Glow { light: Rgb::default(), density: 0.0 };
        }
        // Brighter toward the galaxy's heart, at the given centre.
        let heart = 0.45 + 0.9 / (1.0 + (along * along) * 7.0);
        let (u, v) = (along * 3.2 + 3.0, across * 3.2);
        let clouds = 0.62 + 0.75 * noise.fractal(u * 1.7, v * 1.7, 6);
        let dust = noise.fractal(u * 1.3 + 11.0, v * 2.3 + bend * 9.0, 6) + 0.5 * noise.at(u * 0.6, v + 8.0);
        let lanes = smoothstep(-0.08, 0.34, dust + 0.18 - 0.38 / (1.0 + distance * 6.0));
        let body = (-distance).exp() * heart * clouds.max(0.0);
        let halo = 0.22 * (-distance * 0.3).exp() * heart;
        let warm = Rgb(1.0, 0.78, 0.6);
        let cool = Rgb(0.66, 0.78, 1.0);
        let tint = cool.mix(warm, (-distance * 1.6).exp() * heart.min(1.0));
        let density = body * (0.35 + 0.65 * (1.0 - lanes * 0.6)) + halo;
        Glow {
            light: self.light * tint * (body * (1.0 - 0.88 * lanes * (-distance * 0.5).exp()) + halo),
            density,
        }
    }
}

/// A moon with its dark plains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moon {
    pub(super) right: f32,
    pub(super) up: f32,
    pub(super) radius: f32,
    pub(super) light: Rgb,
}

impl Moon {
    /// Paints the disk and the light around it over the sky.
    pub(super) fn paint(&self, frame: &mut Frame, view: &View, noise: &Noise) {
        for y in 0..frame.height {
            let dy = (view.up(y as f32) - self.up) / self.radius;
            for (x, pixel) in frame.row_mut(y).iter_mut().enumerate() {
                let dx = (view.right(x as f32) - self.right) / self.radius;
                let square = dx * dx + dy * dy;
                let halo = 1.0 / (1.0 + square * 0.16);
                pixel.light = pixel.light + self.light * (0.05 * halo * halo + 0.02 / (1.0 + square * 0.012));
                let edge = 1.0 - smoothstep(0.985, 1.015, square.sqrt());
                if edge > 0.0 {
                    let plains = noise.fractal(dx * 1.15 + 5.3, dy * 1.15 + 2.2, 5);
                    let craters = noise.fractal(dx * 6.0, dy * 6.0, 4);
                    let bright = mix(0.5, 1.0, smoothstep(-0.18, 0.2, plains)) + craters * 0.18;
                    let limb = 0.72 + 0.28 * (1.0 - square).max(0.0).sqrt();
                    pixel.cover(Pixel { light: self.light * (bright * limb), texture: 1.5 }, edge);
                }
            }
        }
    }
}

/// Curtains of the northern light.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aurora {
    /// How high the lower edges hang above the horizon, and how far they wave.
    pub(super) base: f32,
    pub(super) wave: f32,
    pub(super) strength: f32,
    pub(super) cut: f32,
}

impl Aurora {
    /// Adds the curtains to the sky.
    pub(super) fn paint(&self, frame: &mut Frame, view: &View, noise: &Noise) {
        for curtain in 0..3u8 {
            let number = f32::from(curtain);
            let curtain: Vec<(f32, f32, f32)> =
                (0..frame.width).map(|x| self.column(noise, view.right(x as f32), number)).collect();
            for y in 0..frame.height {
                let up = view.up(y as f32);
                for (pixel, &(edge, bright, tall)) in frame.row_mut(y).iter_mut().zip(&curtain) {
                    let above = up - edge;
                    let lower = smoothstep(-0.035, 0.02, above);
                    if lower <= 0.0 {
                        continue;
                    }
                    let fall = (-above.max(0.0) / tall).exp();
                    let violet = smoothstep(0.10, 0.65, above);
                    let colour = Rgb(0.10, 0.95, 0.38).mix(Rgb(0.42, 0.16, 0.75), violet);
                    pixel.light = pixel.light + colour * (bright * lower * fall * self.strength);
                }
            }
        }
    }

    /// Of one curtain at one direction: the lower edge, the brightness of its rays, and how tall they are.
    fn column(&self, noise: &Noise, right: f32, number: f32) -> (f32, f32, f32) {
        let cut = self.cut + number * 7.7;
        let fold = right + 0.16 * noise.fractal(right * 2.2, cut + 3.0, 2);
        let edge =
            self.base + number * 0.10 + self.wave * noise.fractal(fold * 1.5 + number * 4.0, cut, 3) * 2.0;
        let rays = 0.55 + 0.8 * noise.fractal(fold * 26.0, cut + 1.5, 4);
        let patches = smoothstep(-0.28, 0.42, noise.fractal(fold * 1.7, cut + 20.0, 3));
        let tall = 0.16 + 0.13 * noise.at(fold * 9.0, cut + 30.0).abs() + 0.08 * patches;
        (edge, rays.max(0.0) * patches * (1.0 - number * 0.25), tall)
    }
}
