//! The picture while it is painted: linear light, any brightness, upright, at a fraction of the final resolution.

use std::ops::{Add, Mul};

/// Linear light in red, green and blue; 1.0 is a bright white in daylight, a sun is far above.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rgb(pub(super) f32, pub(super) f32, pub(super) f32);

impl Rgb {
    pub(super) fn mix(self, other: Self, t: f32) -> Self {
        self * (1.0 - t) + other * t
    }
}

impl Add for Rgb {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1, self.2 + other.2)
    }
}

impl Mul<f32> for Rgb {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        Self(self.0 * factor, self.1 * factor, self.2 * factor)
    }
}

impl Mul for Rgb {
    type Output = Self;
    fn mul(self, filter: Self) -> Self {
        Self(self.0 * filter.0, self.1 * filter.1, self.2 * filter.2)
    }
}

/// One painted point: its light, and how much fine texture (in 8-bit levels) its surface shows when enlarged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pixel {
    pub(super) light: Rgb,
    pub(super) texture: f32,
}

impl Pixel {
    /// Covers `coverage` (0 to 1) of this point with another.
    pub(super) fn cover(&mut self, over: Self, coverage: f32) {
        self.light = self.light.mix(over.light, coverage);
        self.texture += (over.texture - self.texture) * coverage;
    }
}

/// A rectangle of [`Pixel`]s, row by row from the top.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<Pixel>,
}

impl Frame {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![Pixel::default(); width * height] }
    }

    /// Sets the light of the rows above `end` from a function that changes slowly: known at every third point of every
    /// third row, blended between. Nine times cheaper than asking everywhere.
    pub(super) fn fill_smooth(&mut self, end: usize, light: impl Fn(f32, f32) -> Rgb) {
        const GAP: usize = 3;
        let end = end.min(self.height);
        let known = self.width.div_ceil(GAP) + 1;
        let line = |row: usize| -> Vec<Rgb> {
            (0..known).map(|i| light((i * GAP) as f32, (row * GAP) as f32)).collect()
        };
        let (mut above, mut below) = (line(0), line(1));
        let mut between = above.clone();
        for y in 0..end {
            if y > 0 && y % GAP == 0 {
                above = std::mem::replace(&mut below, line(y / GAP + 1));
            }
            let t = (y % GAP) as f32 / GAP as f32;
            for (out, (a, b)) in between.iter_mut().zip(above.iter().zip(&below)) {
                *out = a.mix(*b, t);
            }
            for (pixels, pair) in self.row_mut(y).chunks_mut(GAP).zip(between.windows(2)) {
                for (i, pixel) in pixels.iter_mut().enumerate() {
                    *pixel = Pixel { light: pair[0].mix(pair[1], i as f32 / GAP as f32), texture: 0.0 };
                }
            }
        }
    }

    pub(super) fn row_mut(&mut self, y: usize) -> &mut [Pixel] {
        &mut self.pixels[y * self.width..][..self.width]
    }
}

/// How the camera looks at the scene: a direction is (right, up, 1), so the horizon is where `up` is nought.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// The focal length in pixels of the frame.
    pub(super) focal: f32,
    centre: f32,
    /// The row of the horizon, which may lie outside of the frame.
    pub(super) horizon: f32,
}

impl View {
    /// `focal` in heights of the frame, `horizon` as a fraction of the height from the top.
    pub(super) fn new(frame: &Frame, focal: f32, horizon: f32) -> Self {
        let height = frame.height as f32;
        Self { focal: focal * height, centre: frame.width as f32 / 2.0, horizon: horizon * height }
    }

    pub(super) fn right(&self, column: f32) -> f32 {
        (column + 0.5 - self.centre) / self.focal
    }

    pub(super) fn up(&self, row: f32) -> f32 {
        (self.horizon - row - 0.5) / self.focal
    }

    pub(super) fn column(&self, right: f32) -> f32 {
        right * self.focal + self.centre - 0.5
    }

    pub(super) fn row(&self, up: f32) -> f32 {
        self.horizon - up * self.focal - 0.5
    }
}
