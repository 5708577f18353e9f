//! Conifers: a single tree, stands of them along a line, and woods scattered over a ground in perspective.

use super::{
    ground::Alps,
    terrain::{Ground, Light, Range, Spot},
};
use crate::demo::{
    frame::{Frame, Pixel, Rgb, View},
    noise::Random,
    number::{index, mix, smoothstep},
};

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
    /// How much brighter the left side is than the right: 0 against the light.
    pub(super) lit_left: f32,
}

impl Conifers {
    /// Paints the trees, the lower ones later; `line` tells the row of the ground at a column, or `None` where no
    /// tree grows.
    pub(super) fn paint(&self, frame: &mut Frame, random: &mut Random, line: impl Fn(f32) -> Option<f32>) {
        let (width, height) = (frame.width as f32, frame.height as f32);
        let mut trees: Vec<(Tree, Random)> = (0..self.count)
            .filter_map(|_| {
                let x = random.between(-0.02, 1.02) * width;
                let (spread, size, seed) = (random.unit(), random.unit(), random.bits());
                let foot = line(x)? + spread * self.spread * height;
                let tall = self.tallest * height * mix(0.34, 1.0, size * size) * mix(0.85, 1.0, spread);
                let sides = [1.0 + self.lit_left, 1.0 - self.lit_left];
                Some((
                    Tree { x, foot, tall, tip: self.tip_light, base: self.foot_light, sides },
                    Random::new(seed),
                ))
            })
            .collect();
        trees.sort_by(|(a, _), (b, _)| a.foot.total_cmp(&b.foot));
        for (tree, mut random) in trees {
            tree.paint(frame, &mut random);
        }
    }
}

/// Trees of a wood that covers a ground where the ground says that woods grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Woods {
    /// How many places are tried.
    pub(super) count: usize,
    /// The height of a tall tree in units of the scene.
    pub(super) tall: f32,
    /// The nearest and the farthest tree.
    pub(super) between: (f32, f32),
    /// The two colours between which each tree chooses.
    pub(super) albedo: [Rgb; 2],
}

impl Woods {
    /// Paints the trees from far to near, in the light and the air of the ground they stand on.
    pub(super) fn paint(
        &self,
        frame: &mut Frame,
        view: &View,
        (ground, range, light): (&Alps<'_>, Range, &Light),
        random: &mut Random,
    ) {
        let (near, far) = self.between;
        let reach = 0.55 * frame.width as f32 / view.focal;
        let mut places: Vec<(f32, f32, Random)> = (0..self.count)
            .map(|_| {
                // As many for each step of nearness as for each of distance: the far ones are only dots.
                let away = near * (far / near).powf(random.unit());
                (random.between(-reach, reach) * away, away, Random::new(random.bits()))
            })
            .collect();
        places.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (right, away, mut random) in places {
            if self.tall * view.focal / away < SMALLEST {
                continue;
            }
            let height = ground.height(right, away, 0.002 * away);
            let spot = Spot { right, height, away, level: 1.0 };
            if random.unit() > ground.trees(&spot) || ground.is_steep(&spot) {
                continue;
            }
            let tall = self.tall * random.between(0.5, 1.15);
            if hides(ground, range, &spot, tall) {
                continue;
            }
            let foot = view.row((height - range.eye) / away) + 0.5;
            let x = view.column(right / away) + 0.5;
            let albedo = self.albedo[0].mix(self.albedo[1], random.unit());
            let clear = light.clearness(range.eye, &spot);
            let side = 0.5 * (light.toward.0 / (light.toward.0.abs() + light.toward.1)).clamp(-1.0, 1.0);
            let haze = light.haze;
            let lit = |share: f32| haze.mix(albedo * (light.sun * share + light.ambient), clear);
            let tree = Tree {
                x,
                foot,
                tall: tall * view.focal / away,
                tip: lit(0.75),
                base: lit(0.16),
                sides: [1.0 - side * clear, 1.0 + side * clear],
            };
            tree.paint(frame, &mut random);
        }
    }
}

/// Trees of fewer pixels are left out: the colour of the ground stands for them.
const SMALLEST: f32 = 3.0;

/// Whether the ground between hides more than the lower part of a tree at a spot.
fn hides(ground: &Alps<'_>, range: Range, spot: &Spot, tall: f32) -> bool {
    const LOOKS: u8 = 16;
    (1..LOOKS).any(|look| {
        let share =
            range.near / spot.away + (1.0 - range.near / spot.away) * f32::from(look) / f32::from(LOOKS);
        let sight = mix(range.eye, spot.height + tall * 0.3, share);
        share < 0.97 && ground.height(spot.right * share, spot.away * share, 0.05) > sight
    })
}

/// One tree: where it stands in the frame, how tall it is in pixels, and its light.
struct Tree {
    x: f32,
    foot: f32,
    tall: f32,
    tip: Rgb,
    base: Rgb,
    /// How bright its left and its right side are.
    sides: [f32; 2],
}

impl Tree {
    /// From tip to foot: tiers of boughs that widen downward, each side with its own raggedness.
    fn paint(&self, frame: &mut Frame, random: &mut Random) {
        let top = self.foot - self.tall;
        let tiers = random.between(11.0, 17.0);
        let slim = random.between(0.15, 0.22);
        let lean = random.between(-0.012, 0.012);
        let tint = random.between(0.75, 1.2);
        let ragged = [(); 20].map(|()| [random.between(0.62, 1.12), random.between(0.62, 1.12)]);
        let rows = index(top.max(0.0))..index((self.foot + 1.0).max(0.0)).min(frame.height);
        for y in rows {
            let down = ((y as f32 + 0.5 - top) / self.tall).clamp(0.0, 1.0);
            let (tier, within) = (index(down * tiers), (down * tiers) % 1.0);
            let sides = ragged[tier.min(ragged.len() - 1)];
            // Within a tier the boughs hang outward; the trunk alone is left at the tip and below the last tier.
            let boughs = self.tall * (slim * (down * 0.55 + 0.45 * down * within) + 0.006);
            let boughs = if down > 0.965 { self.tall * 0.012 } else { boughs };
            let fringe = 1.0 + random.between(-0.14, 0.14);
            let middle = self.x + lean * (self.foot - y as f32);
            let (left, right) = (middle - boughs * sides[0] * fringe, middle + boughs * sides[1] * fringe);
            // In side light each tier is darker below, where it lies in its own shade.
            let relief = (self.sides[0] - self.sides[1]).abs().min(1.0);
            let light = self.tip.mix(self.base, smoothstep(0.2, 1.0, down));
            let light = light * (tint * (1.0 + relief * (0.12 - 0.3 * within)));
            let paint = |brightness: f32| Pixel { light: light * brightness, texture: 6.0 };
            span(frame, y, left, middle, paint(self.sides[0]));
            span(frame, y, middle, right, paint(self.sides[1]));
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
