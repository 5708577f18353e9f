//! Landscapes as height fields: a fan of points that follows the perspective, shadows marched toward the sun, haze,
//! and columns filled from near to far.
//!
//! What it keeps true: points of the fan are as dense as pixels at every distance, so no detail is wasted far away or
//! missed nearby; edges against what lies behind are covered by share, without steps.

use crate::demo::{
    frame::{Frame, Pixel, Rgb, View},
    number::{index, mix},
};

/// The form and colour of some ground. Right and away are in units of the scene, the camera stands at (0, 0).
pub(super) trait Ground: Sync {
    /// The height above nought, with detail down to `finest` units.
    fn height(&self, right: f32, away: f32, finest: f32) -> f32;

    /// What the surface is made of there.
    fn surface(&self, spot: &Spot) -> Surface;
}

/// A place on the ground.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) right: f32,
    pub(super) height: f32,
    pub(super) away: f32,
    /// The upward part of the surface's direction: 1 is level ground, 0 a wall.
    pub(super) level: f32,
}

/// The share of light a surface returns by colour, and its fine texture in 8-bit levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surface {
    pub(super) albedo: Rgb,
    pub(super) texture: f32,
}

/// Where the camera stands and how far it sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) eye: f32,
    pub(super) near: f32,
    pub(super) far: f32,
}

/// The light on the ground and the air before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Light {
    /// Toward the sun: right, up, away. Its length does not matter.
    pub(super) toward: (f32, f32, f32),
    pub(super) sun: Rgb,
    pub(super) ambient: Rgb,
    pub(super) haze: Rgb,
    /// Added to the haze in the direction of the sun.
    pub(super) haze_glow: Rgb,
    /// The share of light lost per unit of distance at height nought.
    pub(super) density: f32,
    /// The height over which the air gets thinner by e.
    pub(super) thinning: f32,
}

/// Paints the ground over what the frame holds already.
pub(super) fn paint(frame: &mut Frame, view: &View, ground: &impl Ground, range: Range, light: &Light) {
    let fan = Fan::new((frame.width, frame.height), *view, range, ground);
    let shadows = Shadows::new(&fan, light);
    let (x, y, z) = light.toward;
    let length = (x * x + y * y + z * z).sqrt();
    let toward = (x / length, y / length, z / length);
    let shaded: Vec<Option<Pixel>> = (0..fan.columns * fan.steps)
        .map(|point| {
            let (column, step) = (point / fan.steps, point % fan.steps);
            fan.seen[point].then(|| light.shade(&fan, ground, column, step, toward, shadows.at(column, step)))
        })
        .collect();
    let mut line = Line { heights: vec![0.0; fan.steps], shaded: vec![None; fan.steps] };
    for column in 0..frame.width {
        line.between(&fan, &shaded, column);
        fan.fill_column(frame, column, &line);
    }
}

impl Light {
    /// The light that a point of the fan sends to the eye.
    fn shade(
        &self,
        fan: &Fan,
        ground: &impl Ground,
        column: usize,
        step: usize,
        toward: (f32, f32, f32),
        sunlit: f32,
    ) -> Pixel {
        let (spot, normal) = fan.spot(column, step);
        let facing = (normal.0 * toward.0 + normal.1 * toward.1 + normal.2 * toward.2).max(0.0);
        let surface = ground.surface(&spot);
        // A little light comes back from the ground opposite the sun, or shadows would be flat.
        let bounce = 0.25 * (0.5 - 0.5 * normal.2) + 0.75 * (0.5 + 0.5 * normal.1);
        let returned = surface.albedo * (self.sun * (facing * sunlit) + self.ambient * bounce);
        let clear = self.clearness(fan.range.eye, &spot);
        let side = spot.right / spot.away - toward.0 / toward.2.max(0.05);
        let glow = 1.0 / (1.0 + side * side * 2.0);
        let haze = self.haze + self.haze_glow * (glow * glow);
        Pixel { light: haze.mix(returned, clear), texture: surface.texture * (0.3 + 0.7 * clear) }
    }

    /// The share of a spot's light that reaches the eye through air that thins with height.
    pub(super) fn clearness(&self, eye: f32, spot: &Spot) -> f32 {
        let thin = |height: f32| (-height / self.thinning).exp();
        let rise = spot.height - eye;
        let mean = if rise.abs() < self.thinning * 0.01 {
            thin(eye)
        } else {
            self.thinning * (thin(eye) - thin(spot.height)) / rise
        };
        (-spot.away * self.density * mean).exp()
    }
}

/// Columns of the frame between two lines of sight of the fan.
const SPACING: usize = 2;

/// A fan of heights: lines of sight to every other column of the frame, each with points at distances that grow by a
/// constant factor.
struct Fan {
    columns: usize,
    steps: usize,
    range: Range,
    view: View,
    growth_ln: f32,
    away: Vec<f32>,
    heights: Vec<f32>,
    /// False for points that lie far behind a nearer crest: their heights are rough, they are not shaded.
    seen: Vec<bool>,
}

impl Fan {
    fn new((width, height): (usize, usize), view: View, range: Range, ground: &impl Ground) -> Self {
        let columns = width.div_ceil(SPACING) + 1;
        let steps = index(height as f32 * POINTS_PER_ROW).max(16);
        let growth_ln = (range.far / range.near).ln() / (steps - 1) as f32;
        let away: Vec<f32> = (0..steps).map(|step| range.near * (growth_ln * step as f32).exp()).collect();
        let mut fan =
            Self { columns, steps, range, view, growth_ln, away, heights: Vec::new(), seen: Vec::new() };
        fan.heights.reserve_exact(columns * steps);
        fan.seen.reserve_exact(columns * steps);
        for column in 0..columns {
            let slant = fan.slant(column);
            let mut horizon = f32::NEG_INFINITY;
            for step in 0..steps {
                let away = fan.away[step];
                let finest = 1.5 * SPACING as f32 * away / view.focal;
                let rough = ground.height(slant * away, away, finest * ROUGHER);
                let up = |height: f32| (height - range.eye) / away;
                let seen = up(rough + ROUGHNESS) >= horizon;
                let height = if seen { ground.height(slant * away, away, finest) } else { rough };
                horizon = horizon.max(up(height));
                fan.heights.push(height);
                fan.seen.push(seen);
            }
        }
        fan
    }

    /// How far to the right one of its lines of sight points, per unit away.
    fn slant(&self, column: usize) -> f32 {
        self.view.right((column * SPACING) as f32)
    }

    fn height(&self, column: usize, step: usize) -> f32 {
        self.heights[column * self.steps + step]
    }

    /// A point of the fan and the direction its surface faces.
    fn spot(&self, column: usize, step: usize) -> (Spot, (f32, f32, f32)) {
        let away = self.away[step];
        let slant = self.slant(column);
        let (before, after) = (step.saturating_sub(1), (step + 1).min(self.steps - 1));
        let along = (self.height(column, after) - self.height(column, before))
            / (self.away[after] - self.away[before]);
        let (left, right) = (column.saturating_sub(1), (column + 1).min(self.columns - 1));
        let width = ((right - left) * SPACING) as f32 * away / self.view.focal;
        let across = (self.height(right, step) - self.height(left, step)) / width;
        // `along` is taken on the slanted line of sight: part of it belongs to the way across.
        let deep = along - slant * across;
        let length = (across * across + deep * deep + 1.0).sqrt();
        let normal = (-across / length, 1.0 / length, -deep / length);
        let height = self.height(column, step);
        (Spot { right: slant * away, height, away, level: normal.1 }, normal)
    }

    /// Fills one column of the frame from near to far. Each row between two seen points gets their mixture; the row
    /// that an edge cuts remembers how much of it is still open to what lies farther.
    fn fill_column(&self, frame: &mut Frame, column: usize, line: &Line) {
        let bottom = frame.height as f32;
        let mut top = bottom;
        let mut open: Option<(f32, Rgb)> = None;
        let mut last: Option<(f32, Pixel)> = None;
        for step in 0..self.steps {
            let up = (line.heights[step] - self.range.eye) / self.away[step];
            let row = (self.view.row(up) + 0.5).max(0.0);
            if row >= top {
                last = None;
                continue;
            }
            let Some(here) = line.shaded[step] else { continue };
            let (from_row, from) = last.unwrap_or_else(|| match step {
                0 => (bottom, here),
                _ => (top, line.shaded[step - 1].unwrap_or(here)),
            });
            let span = (from_row - row).max(1e-3);
            for y in (index(row)..=index(top).min(frame.height - 1)).rev() {
                let upper = row.max(y as f32);
                let covered = top.min(y as f32 + 1.0) - upper;
                if covered <= 0.0 {
                    continue;
                }
                let t = ((from_row - upper - covered * 0.5) / span).clamp(0.0, 1.0);
                let paint = Pixel {
                    light: from.light.mix(here.light, t),
                    texture: mix(from.texture, here.texture, t),
                };
                let pixel = &mut frame.pixels[y * frame.width + column];
                open = Some(cover_open(pixel, paint, covered, open, y as f32 + 1.0 > top + 1e-4));
            }
            top = row;
            last = Some((row, here));
            if top <= 0.0 {
                break;
            }
        }
    }
}

/// Points along each line of sight, per row of the frame.
const POINTS_PER_ROW: f32 = 0.7;
/// How much fine detail may add to the rough form of a ground, at most.
const ROUGHNESS: f32 = 0.16;
/// How much coarser than a pixel the ground is looked at first, to find what lies hidden.
const ROUGHER: f32 = 24.0;

/// One line of sight of the frame, between two of the fan.
struct Line {
    heights: Vec<f32>,
    shaded: Vec<Option<Pixel>>,
}

impl Line {
    fn between(&mut self, fan: &Fan, shaded: &[Option<Pixel>], column: usize) {
        let steps = fan.steps;
        let (left, share) = (column / SPACING, (column % SPACING) as f32 / SPACING as f32);
        let (a, b) = (left * steps, (left + 1) * steps);
        for step in 0..steps {
            self.heights[step] = mix(fan.heights[a + step], fan.heights[b + step], share);
            self.shaded[step] = match (shaded[a + step], shaded[b + step]) {
                (Some(mut a), Some(b)) => {
                    a.cover(b, share);
                    Some(a)
                }
                (a, b) => a.or(b),
            };
        }
    }
}

/// Covers a share of a pixel. If an edge left it partly open (`shared`), the new paint takes its share from the
/// background alone. Gives back how much is open now, and the background's light.
fn cover_open(
    pixel: &mut Pixel,
    paint: Pixel,
    covered: f32,
    open: Option<(f32, Rgb)>,
    shared: bool,
) -> (f32, Rgb) {
    let (left, background) = if shared { open.unwrap_or((1.0, pixel.light)) } else { (1.0, pixel.light) };
    let covered = covered.min(left);
    pixel.light = pixel.light + (paint.light + background * -1.0) * covered;
    pixel.texture += (paint.texture - pixel.texture) * covered;
    (left - covered, background)
}

/// How much of the sun each part of the fan sees, known on a coarse grid.
struct Shadows {
    steps: usize,
    seen: Vec<f32>,
}

/// Columns and steps between two known shadows.
const COARSE: usize = 4;

impl Shadows {
    fn new(fan: &Fan, light: &Light) -> Self {
        let columns = fan.columns.div_ceil(COARSE) + 1;
        let steps = fan.steps.div_ceil(COARSE) + 1;
        let mut seen = Vec::with_capacity(columns * steps);
        for column in 0..columns {
            for step in 0..steps {
                let column = (column * COARSE).min(fan.columns - 1);
                let step = (step * COARSE).min(fan.steps - 1);
                seen.push(sunlit(fan, column, step, light));
            }
        }
        Self { steps, seen }
    }

    fn at(&self, column: usize, step: usize) -> f32 {
        let known = |column: usize, step: usize| self.seen[column * self.steps + step];
        let (c, s) = (column / COARSE, step / COARSE);
        let (u, v) = ((column % COARSE) as f32 / COARSE as f32, (step % COARSE) as f32 / COARSE as f32);
        mix(mix(known(c, s), known(c + 1, s), u), mix(known(c, s + 1), known(c + 1, s + 1), u), v)
    }
}

/// Marches from a point of the fan toward the sun: 1 if nothing stands between, 0 in full shadow.
fn sunlit(fan: &Fan, column: usize, step: usize, light: &Light) -> f32 {
    let (spot, _) = fan.spot(column, step);
    let (right, up, away) = light.toward;
    let mut seen: f32 = 1.0;
    let mut distance = spot.away * 0.012;
    for _ in 0..22 {
        let (x, z) = (spot.right + right * distance, spot.away + away * distance);
        if z <= fan.range.near || z >= fan.range.far {
            break;
        }
        let at = fan.view.column(x / z) / SPACING as f32;
        if at < 0.0 || at >= (fan.columns - 1) as f32 {
            break;
        }
        let behind = index((z / fan.range.near).ln() / fan.growth_ln).min(fan.steps - 1);
        let clearance = spot.height + up * distance - fan.height(index(at), behind);
        seen = seen.min(0.5 + clearance / (distance * 0.10));
        if seen <= 0.0 {
            return 0.0;
        }
        distance *= 1.24;
    }
    seen.clamp(0.0, 1.0)
}
