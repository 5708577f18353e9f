//! Water: a lake that mirrors what is painted above its shore, and an open sea that mirrors the sky.

use super::sky::Sky;
use crate::demo::{
    frame::{Frame, Pixel, Rgb, View},
    noise::Noise,
    number::{index, mix, smoothstep},
};

/// The surface of a lake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lake {
    /// The row of the shore, as a fraction of the height from the top.
    pub(super) shore: f32,
    /// The light of the water itself, seen where it mirrors little.
    pub(super) deep: Rgb,
    /// How far ripples bend the mirror picture, as a fraction of the height.
    pub(super) ripple: f32,
}

impl Lake {
    /// Paints the mirror picture below the shore; everything above must be painted already.
    pub(super) fn paint(&self, frame: &mut Frame, noise: &Noise) {
        let (width, height) = (frame.width, frame.height as f32);
        let shore = index(self.shore * height).clamp(1, frame.height - 1);
        let (above, below) = frame.pixels.split_at_mut(shore * width);
        for (row, line) in below.chunks_exact_mut(width).enumerate() {
            let depth = (row as f32 + 0.5) / height;
            // Seen from low above, ripples crowd together toward the far shore.
            let away = 0.06 / (depth + 0.012);
            let mirrors = mix(0.94, 0.5, smoothstep(0.0, 0.55, depth));
            let strength = self.ripple * height * smoothstep(0.0, 0.10, depth);
            // Nearer ripples smear the picture along the line of sight.
            let smear = strength * 0.7;
            for (x, pixel) in line.iter_mut().enumerate() {
                let right = (x as f32 / height - 0.6) * (0.4 + away) * 4.0;
                let wave = noise.fractal(right * 2.0, away * 42.0, 3)
                    + 0.5 * noise.at(right * 0.5, away * 6.0 + 9.0);
                let source = |shift: f32| {
                    let up = row as f32 * 0.985 + 1.0 + shift;
                    let y = (shore - 1).saturating_sub(index(up.max(0.0)));
                    let side = index((x as f32 + wave * strength * 0.35).max(0.0)).min(width - 1);
                    above[y * width + side].light
                };
                let bent = wave * strength;
                let mirrored = (source(bent) * 2.0 + source(bent - smear) + source(bent + smear)) * 0.25;
                let light = self.deep.mix(mirrored, mirrors * (0.97 + 0.05 * wave));
                *pixel = Pixel { light, texture: 2.0 + 5.0 * smoothstep(0.0, 0.4, depth) };
            }
        }
    }
}

/// An open sea under a low sun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sea {
    pub(super) deep: Rgb,
    /// The steepness of the waves: 0.05 (a breeze) to 0.4.
    pub(super) steepness: f32,
    /// The eye's height above the water, in lengths of the waves.
    pub(super) eye: f32,
}

impl Sea {
    /// Paints everything below the horizon.
    pub(super) fn paint(&self, frame: &mut Frame, view: &View, sky: &Sky, noise: &Noise) {
        let first = index(view.horizon.max(0.0));
        for y in first..frame.height {
            let down = -view.up(y as f32);
            if down <= 0.0 {
                continue;
            }
            let away = self.eye / down;
            // Waves smaller than a pixel average out: what is left of them is their blur.
            let footprint = away * away / (self.eye * view.focal);
            let far = smoothstep(0.0, 5.0, footprint);
            for (x, pixel) in frame.row_mut(y).iter_mut().enumerate() {
                let slant = view.right(x as f32);
                *pixel = self.water(sky, noise, slant, down, (slant * away, away), (footprint, far));
            }
        }
    }

    fn water(
        &self,
        sky: &Sky,
        noise: &Noise,
        slant: f32,
        down: f32,
        (right, away): (f32, f32),
        (footprint, far): (f32, f32),
    ) -> Pixel {
        let (mut tilt, mut across, mut scale, mut strength) = (0.0, 0.0, 0.30, 0.85);
        let (mut px, mut pz) = (right, away);
        for _ in 0..8 {
            if footprint * scale > 1.6 {
                break;
            }
            let visible = strength * smoothstep(1.6, 0.0, footprint * scale);
            let [_, side, along] = noise.with_slope(px * scale, pz * scale * 1.5);
            tilt += along * visible;
            across += side * visible;
            (px, pz) = (px * 0.94 - pz * 0.34 + 7.1, px * 0.34 + pz * 0.94 + 3.7);
            scale *= 2.1;
            strength *= 0.66;
        }
        let tilt = tilt * self.steepness * 0.45;
        let up = (down * (1.0 - 0.4 * far) + tilt * 1.2 + self.steepness * 0.25 * (0.35 + far)).abs() + 0.004;
        let right = slant + across * self.steepness * 0.35;
        // Schlick's share of mirrored light for water.
        let grazing = (1.0 - (down + tilt * 0.5).clamp(0.0, 1.0)).powi(5);
        let mirrors = 0.02 + 0.98 * grazing * mix(0.9, 0.75, far);
        let mut mirrored = sky.clear(right, up);
        if let Some(sun) = sky.sun {
            let (x, y) = ((right - sun.right) / 0.055, (up - sun.up) / 0.13);
            let glint = (-(x * x + y * y)).exp();
            mirrored = mirrored + sun.light * (glint * 0.25);
        }
        Pixel { light: self.deep.mix(mirrored, mirrors), texture: 3.0 + 6.0 * (1.0 - far) }
    }
}
