//! Randomness that can be had again: a small generator and smooth gradient noise, both made of a seed alone.

use super::number::{floor, mix};

/// A generator of the SplitMix family: one 64-bit state, every seed as good as the next.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly distributed in 0.0..1.0.
    pub(super) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Evenly distributed in `low..high`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// About normally distributed: mean 0, deviation 1, never beyond 3.5.
    pub(super) fn normal(&mut self) -> f32 {
        (0..4).map(|_| self.unit()).sum::<f32>().mul_add(1.0, -2.0) * 3f32.sqrt()
    }
}

const SIDE: usize = 128;
const LOW_BITS: i32 = 127;

/// Gradient noise on a lattice of random directions, repeating after 128 cells.
#[derive(Debug)]
pub(super) struct Noise {
    gradients: Box<[[f32; 2]; SIDE * SIDE]>,
}

/// Turns and doubles between octaves, so that their lattices do not line up.
fn next_octave((x, y): (f32, f32)) -> (f32, f32) {
    (1.6 * x - 1.2 * y + 17.3, 1.2 * x + 1.6 * y - 5.9)
}

impl Noise {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x6e6f_6973_6500);
        let mut gradients = Box::new([[0.0; 2]; SIDE * SIDE]);
        for gradient in gradients.iter_mut() {
            let angle = random.unit() * std::f32::consts::TAU;
            *gradient = [angle.cos() * 1.5, angle.sin() * 1.5];
        }
        Self { gradients }
    }

    #[inline]
    fn gradient(&self, x: i32, y: i32) -> [f32; 2] {
        // The side is a power of two: the low bits repeat the lattice, below zero as well.
        let wrap = |i: i32| (i & LOW_BITS).unsigned_abs() as usize;
        self.gradients[wrap(y) * SIDE + wrap(x)]
    }

    /// One octave at a point: about -1 to 1, features of about one unit.
    #[inline]
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let (xi, yi) = (floor(x), floor(y));
        let (fx, fy) = (x - xi as f32, y - yi as f32);
        let (g00, g10) = (self.gradient(xi, yi), self.gradient(xi + 1, yi));
        let (g01, g11) = (self.gradient(xi, yi + 1), self.gradient(xi + 1, yi + 1));
        let v00 = g00[0] * fx + g00[1] * fy;
        let v10 = g10[0] * (fx - 1.0) + g10[1] * fy;
        let v01 = g01[0] * fx + g01[1] * (fy - 1.0);
        let v11 = g11[0] * (fx - 1.0) + g11[1] * (fy - 1.0);
        let (ux, uy) = (fade(fx).0, fade(fy).0);
        mix(mix(v00, v10, ux), mix(v01, v11, ux), uy)
    }

    /// One octave with its slopes along x and y.
    #[inline]
    pub(super) fn with_slope(&self, x: f32, y: f32) -> [f32; 3] {
        let (xi, yi) = (floor(x), floor(y));
        let (fx, fy) = (x - xi as f32, y - yi as f32);
        let (g00, g10) = (self.gradient(xi, yi), self.gradient(xi + 1, yi));
        let (g01, g11) = (self.gradient(xi, yi + 1), self.gradient(xi + 1, yi + 1));
        let v00 = g00[0] * fx + g00[1] * fy;
        let v10 = g10[0] * (fx - 1.0) + g10[1] * fy;
        let v01 = g01[0] * fx + g01[1] * (fy - 1.0);
        let v11 = g11[0] * (fx - 1.0) + g11[1] * (fy - 1.0);
        let (ux, dux) = fade(fx);
        let (uy, duy) = fade(fy);
        let twist = v00 - v10 - v01 + v11;
        let value = v00 + ux * (v10 - v00) + uy * (v01 - v00) + ux * uy * twist;
        let blend = |axis: usize| {
            let (a, b, c, d) = (g00[axis], g10[axis], g01[axis], g11[axis]);
            a + ux * (b - a) + uy * (c - a) + ux * uy * (a - b - c + d)
        };
        let slope_x = blend(0) + dux * (v10 - v00 + uy * twist);
        let slope_y = blend(1) + duy * (v01 - v00 + ux * twist);
        [value, slope_x, slope_y]
    }

    /// Octaves of half the size and half the strength each: clouds, haze, patches.
    pub(super) fn fractal(&self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut point, mut strength, mut sum) = ((x, y), 0.5, 0.0);
        for _ in 0..octaves {
            sum += strength * self.at(point.0, point.1);
            strength *= 0.5;
            point = next_octave(point);
        }
        sum
    }

    /// Octaves folded at zero: sharp crests, about 0 to 1.
    pub(super) fn ridged(&self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut point, mut strength, mut sum, mut weight) = ((x, y), 0.5, 0.0, 1.0);
        for _ in 0..octaves {
            let crest = 1.0 - self.at(point.0, point.1).abs();
            let crest = crest * crest * weight;
            sum += strength * crest;
            weight = (crest * 1.6).min(1.0);
            strength *= 0.5;
            point = next_octave(point);
        }
        sum
    }

    /// Octaves that fade where the ground is steep already, as erosion leaves it: smooth valleys, rough ridges.
    pub(super) fn eroded(&self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut point, mut strength, mut sum) = ((x, y), 0.5, 0.0);
        let (mut steep_x, mut steep_y) = (0.0, 0.0);
        for _ in 0..octaves {
            let [value, slope_x, slope_y] = self.with_slope(point.0, point.1);
            steep_x += slope_x;
            steep_y += slope_y;
            sum += strength * value / (1.0 + 0.6 * (steep_x * steep_x + steep_y * steep_y));
            strength *= 0.5;
            point = next_octave(point);
        }
        sum
    }
}

/// The quintic fade of gradient noise and its derivative.
#[inline]
fn fade(t: f32) -> (f32, f32) {
    (t * t * t * (t * (t * 6.0 - 15.0) + 10.0), 30.0 * t * t * (t * (t - 2.0) + 1.0))
}
