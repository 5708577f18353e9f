//! What stands before the light: ridges one behind the other, each paler than the one before it, and conifers.

use crate::demo::{
    frame::{Frame, Pixel, Rgb},
    noise::{Noise, Random},
    number::{index, mix, smoothstep},
};

/// One ridge across the whole frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ridge {
    /// The mean height of its crest, as a fraction of the frame's height from the top.
    pub(super) crest: f32,
    /// How far the crest rises and falls, as a fraction of the frame's height.
    pub(super) relief: f32,
    /// Peaks per frame height.
    pub(super) frequency: f32,
    /// 0 for rolling hills, 1 for sharp mountains.
    pub(super) sharpness: f32,
    /// Where along the noise this ridge is cut.
    pub(super) cut: f32,
    pub(super) crest_light: Rgb,
    /// The light farther down, where mist lies; reached `mist_depth` (a fraction of the height) below the crest.
    pub(super) foot_light: Rgb,
    pub(super) mist_depth: f32,
    pub(super) texture: f32,
}

impl Ridge {
    /// The row of the crest at a column.
    pub(super) fn row(&self, noise: &Noise, x: f32, height: f32) -> f32 {
        let along = x / height * self.frequency;
        let soft = noise.fractal(along, self.cut, 7);
        let sharp = noise.ridged(along, self.cut, 7) - 0.45;
        (self.crest - self.relief * mix(soft, sharp, self.sharpness)) * height
    }

    /// Paints the ridge over the frame, mist and all.
    pub(super) fn paint(&self, frame: &mut Frame, noise: &Noise) {
        let height = frame.height as f32;
        let crests: Vec<f32> = (0..frame.width).map(|x| self.row(noise, x as f32, height)).collect();
        let highest = crests.iter().copied().fold(height, f32::min);
        for y in index(highest.max(0.0))..frame.height {
            let row = y as f32;
            for (x, pixel) in frame.row_mut(y).iter_mut().enumerate() {
                let below = row + 1.0 - crests[x];
                if below <= 0.0 {
                    continue;
                }
                let depth = below / (height * self.mist_depth);
                let mist = if depth < 1.3 {
                    let drift = noise.fractal(x as f32 / height * 3.0 + self.cut, row / height * 9.0, 3);
                    smoothstep(0.0, 1.0, depth + drift * 0.55)
                } else {
                    1.0
                };
                let light = self.crest_light.mix(self.foot_light, mist);
                pixel.cover(Pixel { light, texture: self.texture * (1.0 - mist) }, below.min(1.0));
            }
        }
    }
}

/// A stand of conifers along a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conifers {
    pub(super) count: usize,
    /// The tallest, as a fraction of the frame's height; the smallest has a third of that.
    pub(super) tallest: f32,
    /// The light on the trees at their tips, and at their feet where mist lies.
    pub(super) tip_light: Rgb,
    pub(super) foot_light: Rgb,
    /// How much lower than the line a tree may stand, as a fraction of the frame's height.
    pub(super) spread: f32,
}

impl Conifers {
    /// Paints the trees, the lower ones later; `line` tells the row of the ground at a column, or `None` where no
    /// tree grows.
    pub(super) fn paint(&self, frame: &mut Frame, random: &mut Random, line: impl Fn(f32) -> Option<f32>) {
        let (width, height) = (frame.width as f32, frame.height as f32);
        let mut trees: Vec<(f32, f32, f32, u64)> = (0..self.count)
            .filter_map(|_| {
                let x = random.between(-0.02, 1.02) * width;
                let (spread, size, seed) = (random.unit(), random.unit(), random.bits());
                let foot = line(x)? + spread * self.spread * height;
                let tall = self.tallest * height * mix(0.34, 1.0, size * size) * mix(0.85, 1.0, spread);
                Some((foot, x, tall, seed))
            })
            .collect();
        trees.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (foot, x, tall, seed) in trees {
            self.tree(frame, x, foot, tall, &mut Random::new(seed));
        }
    }

    /// One conifer from tip to foot: tiers of boughs that widen downward, each side with its own raggedness.
    fn tree(&self, frame: &mut Frame, x: f32, foot: f32, tall: f32, random: &mut Random) {
        let tip = foot - tall;
        let tiers = random.between(11.0, 17.0);
        let slim = random.between(0.15, 0.22);
        let lean = random.between(-0.012, 0.012);
        let tint = random.between(0.75, 1.2);
        let tier_of = |down: f32| (down * tiers, (down * tiers).fract());
        let mut ragged = [[0.0f32; 2]; 20];
        for pair in &mut ragged {
            *pair = [random.between(0.62, 1.12), random.between(0.62, 1.12)];
        }
        let rows = index(tip.max(0.0))..index((foot + 1.0).max(0.0)).min(frame.height);
        for y in rows {
            let down = ((y as f32 + 0.5 - tip) / tall).clamp(0.0, 1.0);
            let (tier, within) = tier_of(down);
            let sides = ragged[index(tier).min(ragged.len() - 1)];
            // Within a tier the boughs hang outward; the trunk alone is left at the tip and below the last tier.
            let boughs = tall * slim * (down.powf(0.85) * 0.55 + 0.45 * down * within) + tall * 0.004;
            let boughs = if down > 0.965 { tall * 0.012 } else { boughs };
            let fringe = 1.0 + random.between(-0.14, 0.14);
            let middle = x + lean * (foot - y as f32);
            let (left, right) = (middle - boughs * sides[0] * fringe, middle + boughs * sides[1] * fringe);
            let light = self.tip_light.mix(self.foot_light, smoothstep(0.25, 1.0, down)) * tint;
            span(frame, y, left, right, Pixel { light, texture: 5.0 });
        }
    }
}

/// Covers a row from `left` to `right`, the two ends by their share of a pixel.
fn span(frame: &mut Frame, y: usize, left: f32, right: f32, paint: Pixel) {
    let width = frame.width as f32;
    if right <= 0.0 || left >= width {
        return;
    }
    let columns = index(left.max(0.0))..=index(right.min(width - 1.0));
    let row = frame.row_mut(y);
    for x in columns {
        let covered = right.min(x as f32 + 1.0) - left.max(x as f32);
        if covered > 0.0 {
            row[x].cover(paint, covered);
        }
    }
}
