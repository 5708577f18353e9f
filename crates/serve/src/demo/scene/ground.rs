//! The grounds of the landscapes: alpine ranges, dunes, and a sea of clouds with peaks standing out of it.

use super::terrain::{Ground, Spot, Surface};
use crate::demo::{
    frame::Rgb,
    noise::Noise,
    number::{mix, smoothstep},
};

/// How many octaves, each half as large as the one before, lead from features of `largest` down to `finest`.
fn octaves(largest: f32, finest: f32) -> u32 {
    // The exponent of a float is its logarithm, rounded down.
    let exponent = (largest / finest).to_bits() >> 23;
    exponent.saturating_sub(127).clamp(2, 9)
}

/// Mountains over a valley: rock where it is steep, snow where it is high and level, meadows and woods below.
#[derive(Debug)]
pub(super) struct Alps<'a> {
    pub(super) noise: &'a Noise,
    pub(super) offset: (f32, f32),
    /// Where the range begins and where it stands in full.
    pub(super) rise: (f32, f32),
    pub(super) tall: f32,
    /// The height of the valley's floor.
    pub(super) floor: f32,
    /// How much the walls are cut into towers: 0 to 1.
    pub(super) towers: f32,
    pub(super) rock: Rgb,
    pub(super) meadow: Rgb,
    pub(super) wood: Rgb,
    /// Woods rather than meadows are below this height over the floor.
    pub(super) wood_height: f32,
    /// The height above which snow stays.
    pub(super) snow_line: f32,
}

impl Ground for Alps<'_> {
    fn height(&self, right: f32, away: f32, finest: f32) -> f32 {
        let (x, z) = (right * 0.42 + self.offset.0, away * 0.42 + self.offset.1);
        let detail = octaves(2.4, finest);
        let range = smoothstep(self.rise.0, self.rise.1, away + 0.5 * self.noise.at(x * 2.0, 3.3));
        let rolling = 0.10 * self.noise.fractal(x * 2.3 + 3.0, z * 2.3, detail.min(5));
        let valley = self.floor + rolling * (0.6 + 0.4 * range);
        if range <= 0.0 {
            return valley;
        }
        let bend = 0.12 * self.noise.at(x * 1.7 + 9.0, z * 1.7);
        let eroded = self.noise.eroded(x + bend, z - bend, detail);
        let massif = 0.5 + 0.5 * self.noise.at(x * 0.9 + 31.0, z * 0.9 + 7.0);
        let crest = self.noise.ridged(x * 1.1 + 5.0 + bend, z * 1.1, detail);
        let body = (0.30 + eroded * 0.85 + 0.75 * massif * crest).max(0.0);
        let body = if self.towers > 0.0 { self.cut_towers(body, x, z, detail) } else { body };
        valley + self.tall * range * body
    }

    fn surface(&self, spot: &Spot) -> Surface {
        let patches = self.patches(spot);
        let grown = smoothstep(0.60, 0.80, spot.level) * self.grown(spot, patches);
        let may_snow = spot.height + 0.25 * patches > self.snow_line - 0.05;
        if grown >= 1.0 && !may_snow {
            return self.green(spot, patches);
        }
        // Beds of rock: their noise is drawn out along the level.
        let beds = self.noise.fractal(spot.right * 2.0 + spot.away, spot.height * 26.0, 3);
        let rock = self.rock * (0.85 + 0.55 * beds + 0.35 * patches);
        let mut ground = Surface { albedo: rock, texture: 17.0 };
        if grown > 0.0 {
            let green = self.green(spot, patches);
            ground = Surface { albedo: rock.mix(green.albedo, grown), texture: 16.0 };
        }
        let snowed = smoothstep(0.50, 0.70, spot.level + 0.25 * beds)
            * smoothstep(self.snow_line - 0.05, self.snow_line + 0.16, spot.height + 0.25 * patches);
        Surface {
            albedo: ground.albedo.mix(Rgb(0.86, 0.89, 0.95), snowed),
            texture: mix(ground.texture, 3.0, snowed),
        }
    }
}

impl Alps<'_> {
    /// How likely trees stand at a spot, as far as neither rock nor height forbid them.
    pub(super) fn trees(&self, spot: &Spot) -> f32 {
        let patches = self.patches(spot);
        self.wooded(spot, patches) * self.grown(spot, patches)
    }

    fn patches(&self, spot: &Spot) -> f32 {
        self.noise.fractal(spot.right * 3.1, spot.away * 3.1 + 40.0, 4)
    }

    /// How much of the green there is wood rather than meadow.
    fn wooded(&self, spot: &Spot, patches: f32) -> f32 {
        smoothstep(-0.12, 0.05, patches + (self.wood_height - (spot.height - self.floor)) * 0.35)
    }

    /// Whether anything grows at that height.
    fn grown(&self, spot: &Spot, patches: f32) -> f32 {
        let tree_line = self.floor + self.tall * (0.34 + 0.22 * patches);
        smoothstep(tree_line + 0.06, tree_line - 0.06, spot.height)
    }

    fn green(&self, spot: &Spot, patches: f32) -> Surface {
        // Grass is never of one green.
        let grass = self.noise.fractal(spot.right * 9.0 + 3.0, spot.away * 9.0, 3);
        let albedo = (self.meadow * (1.0 + 0.7 * grass)).mix(self.wood, self.wooded(spot, patches));
        Surface { albedo, texture: 15.0 }
    }

    /// Whether it is too steep for trees.
    pub(super) fn is_steep(&self, spot: &Spot) -> bool {
        const NEAR: f32 = 0.02;
        let height = |right: f32, away: f32| self.height(spot.right + right, spot.away + away, 0.01);
        let (across, deep) = (height(NEAR, 0.0) - spot.height, height(0.0, NEAR) - spot.height);
        across.hypot(deep) > NEAR * 1.1
    }

    /// Stands walls around what is high: below a level everything slopes, above it rises steeply to near its top.
    fn cut_towers(&self, body: f32, x: f32, z: f32, detail: u32) -> f32 {
        let level = 0.52 + 0.16 * self.noise.at(x * 3.0 + 2.0, z * 3.0);
        let jagged = 0.07 * self.noise.fractal(x * 13.0, z * 13.0, detail.saturating_sub(3));
        let wall = smoothstep(0.0, 0.10, body - level + jagged);
        let raised = body + wall * (0.22 + 0.35 * (body - level).max(0.0));
        mix(body, raised, self.towers)
    }
}

/// Sand under wind: long crests with a steep side, and ripples.
#[derive(Debug)]
pub(super) struct Dunes<'a> {
    pub(super) noise: &'a Noise,
    pub(super) offset: (f32, f32),
    pub(super) sand: Rgb,
}

impl Ground for Dunes<'_> {
    fn height(&self, right: f32, away: f32, finest: f32) -> f32 {
        let (x, z) = (right + self.offset.0, away + self.offset.1);
        let large = self.crests(x * 0.30 + z * 0.10, z * 0.36 - x * 0.06, 0.9);
        let small = self.crests(x * 0.9 - z * 0.35 + 5.0, z * 0.95 + x * 0.2, 0.6);
        let swell = 0.25 * self.noise.fractal(x * 0.17, z * 0.17, 3);
        let grain = if finest < 0.01 { 0.003 * self.noise.fractal(x * 9.0, z * 9.0, 2) } else { 0.0 };
        0.62 * large * (0.7 + swell) + 0.13 * small * large + swell + grain
    }

    fn surface(&self, spot: &Spot) -> Surface {
        let (x, z) = (spot.right, spot.away);
        let bend = self.noise.fractal(x * 1.3, z * 1.3, 3);
        let fade = smoothstep(3.0, 0.6, spot.away);
        let ripples = ((x * 0.45 + z + bend * 0.28) * 95.0).sin() * fade * smoothstep(0.75, 0.95, spot.level);
        let patches = self.noise.fractal(x * 0.8 + 7.0, z * 0.8, 4);
        Surface { albedo: self.sand * (1.0 + 0.16 * patches + 0.13 * ripples), texture: 6.0 }
    }
}

impl Dunes<'_> {
    /// Crests across the wind: a gentle slope up, a steep one down; they wind and end.
    fn crests(&self, x: f32, z: f32, winding: f32) -> f32 {
        let bend = winding * (self.noise.at(x * 0.8, z * 0.5) + 0.35 * self.noise.at(x * 1.9 + 4.0, z * 1.3));
        let phase = x + bend;
        let within = phase - phase.floor();
        let profile = if within < 0.72 {
            smoothstep(0.0, 1.0, within / 0.72 * 0.82) / 0.91
        } else {
            (1.0 - within) / 0.28
        };
        let ends = 0.62 + 0.38 * self.noise.at(x * 0.45 + 11.0, z * 0.7);
        profile.clamp(0.0, 1.0) * ends
    }
}

/// Peaks above a layer of cloud that fills every valley.
#[derive(Debug)]
pub(super) struct CloudSea<'a> {
    pub(super) alps: Alps<'a>,
    /// The mean height of the clouds' upper side.
    pub(super) deck: f32,
}

impl CloudSea<'_> {
    fn billows(&self, right: f32, away: f32, octaves: u32) -> f32 {
        let noise = self.alps.noise;
        let bend = 0.3 * noise.at(right * 0.7, away * 0.7 + 50.0);
        let (mut x, mut z, mut strength, mut sum) = (right * 0.8 + bend, away * 1.1 + bend, 0.5, 0.0);
        for _ in 0..octaves {
            // Folded upward: round heads with creases between them, rounded too, or they would look like seams.
            sum += strength * (noise.at(x, z).powi(2) + 0.012).sqrt();
            strength *= 0.42;
            (x, z) = (1.6 * x - 1.2 * z + 3.7, 1.2 * x + 1.6 * z + 1.9);
        }
        self.deck + 0.17 * (sum - 0.22) + 0.12 * noise.at(right * 0.35 + 20.0, away * 0.35)
    }
}

impl Ground for CloudSea<'_> {
    fn height(&self, right: f32, away: f32, finest: f32) -> f32 {
        let rock = self.alps.height(right, away, finest);
        rock.max(self.billows(right, away, octaves(1.2, finest).min(5)))
    }

    fn surface(&self, spot: &Spot) -> Surface {
        let over = spot.height - self.billows(spot.right, spot.away, 4);
        let cloud = Surface { albedo: Rgb(0.92, 0.92, 0.94), texture: 1.0 };
        if over <= 0.004 {
            return cloud;
        }
        let rock = self.alps.surface(spot);
        let veil = smoothstep(0.10, 0.0, over);
        Surface { albedo: rock.albedo.mix(cloud.albedo, veil * 0.9), texture: mix(rock.texture, 1.0, veil) }
    }
}
