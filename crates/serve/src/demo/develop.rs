//! From the painted frame to the rows of a JPEG: tone curve, orientation, enlargement, texture and grain.
//!
//! Painting costs some hundred nanoseconds a point, so it is done at a half or a third of the final resolution; here
//! the frame is enlarged with a Catmull-Rom kernel row by row, while the encoder asks for rows, and gets what
//! makes an enlargement look sharp: fine surface texture and film grain at full resolution. No whole picture of
//! final size ever exists in memory.

use std::cell::RefCell;

use jpeg_encoder::{ImageBuffer, JpegColorType};

use super::{
    exif::Orientation,
    frame::Frame,
    noise::{Noise, Random},
    number::{byte, index},
};

/// Luma, two chromas, and the strength of texture.
const PLANES: usize = 4;
/// Points that the kernel reads: the nearest one and two on either side.
const TAPS: usize = 5;
/// Points beyond each edge that the kernel may ask for.
const MARGIN: usize = TAPS / 2;

/// What all pictures of an album share: the tone curve, the texture and the grain.
#[derive(Debug)]
pub(super) struct Darkroom {
    tones: Vec<f32>,
    texture: Vec<f32>,
    grain: Vec<f32>,
}

const TONES: usize = 4096;
const TEXTURE_SIDE: usize = 512;
const GRAIN: usize = 1 << 18;

impl Darkroom {
    pub(super) fn new(seed: u64) -> Self {
        let noise = Noise::new(seed);
        let mut random = Random::new(seed ^ 0x6772_6169_6e00);
        // The lattice repeats after 128 cells: 512 points at a quarter cell each join without a seam.
        let texture = (0..TEXTURE_SIDE * TEXTURE_SIDE)
            .map(|i| {
                let (x, y) = ((i % TEXTURE_SIDE) as f32, (i / TEXTURE_SIDE) as f32);
                noise.at(x * 0.25, y * 0.25) * 0.8
                    + noise.at(x * 0.5 + 0.3, y * 0.5 + 0.7) * 0.5
                    + random.normal() * 0.25
            })
            .collect();
        let grain = (0..GRAIN).map(|_| random.normal()).collect();
        Self { tones: (0..TONES).map(display_level).collect(), texture, grain }
    }

    fn tone(&self, light: f32) -> f32 {
        let position = light / (light + HALF_SCALE) * (TONES - 1) as f32;
        self.tones[index(position).min(TONES - 1)]
    }
}

/// The tone curve works on each colour alone and pales them: this brings the colour back.
const SATURATION: f32 = 1.16;
/// How long the film is exposed, so to speak: what share of the light the tone curve gets.
const EXPOSURE: f32 = 0.62;
/// The light in the middle of the tone table.
const HALF_SCALE: f32 = 0.35;

/// The 8-bit level for the light that stands at `position` of the tone table: a filmic shoulder that lets highlights
/// roll off, then the curve of sRGB.
fn display_level(position: usize) -> f32 {
    let share = (position as f32 + 0.5) / TONES as f32;
    let light = EXPOSURE * HALF_SCALE * share / (1.0 - share);
    let rolled = (light * (2.51 * light + 0.03)) / (light * (2.43 * light + 0.59) + 0.14);
    let rolled = rolled.clamp(0.0, 1.0);
    let level = if rolled <= 0.003_130_8 { 12.92 * rolled } else { 1.055 * rolled.powf(1.0 / 2.4) - 0.055 };
    level * 255.0
}

/// A picture ready for the encoder, which pulls its rows.
#[derive(Debug)]
pub(super) struct Negative<'a> {
    darkroom: &'a Darkroom,
    planes: [Vec<f32>; PLANES],
    width: usize,
    height: usize,
    enlargement: usize,
    kernels: Vec<[f32; TAPS]>,
    grain_levels: f32,
    seed: u64,
    rows: RefCell<Rows>,
}

/// What is needed while one row is made; kept, so that no row allocates.
#[derive(Debug)]
struct Rows {
    narrow: Vec<f32>,
    luma: Vec<f32>,
    texture: Vec<f32>,
    /// The two chromas of the last even row: the encoder keeps every other sample in both directions, so an odd row
    /// repeats them.
    chroma: [Vec<u8>; 2],
}

impl<'a> Negative<'a> {
    /// Applies the tone curve and turns the upright frame to how the camera's sensor lay.
    pub(super) fn new(
        darkroom: &'a Darkroom,
        frame: &Frame,
        orientation: Orientation,
        enlargement: usize,
        grain_levels: f32,
        seed: u64,
    ) -> Self {
        let (width, height) = orientation.stored(frame.width, frame.height);
        let stride = width + 2 * MARGIN;
        let mut planes = [(); PLANES].map(|()| vec![0.0; stride * height]);
        for y in 0..height {
            for column in 0..stride {
                let x = column.saturating_sub(MARGIN).min(width - 1);
                let (from_x, from_y) = orientation.upright(x, y, frame.width, frame.height);
                let pixel = &frame.pixels[from_y * frame.width + from_x];
                let [r, g, b] =
                    [pixel.light.0, pixel.light.1, pixel.light.2].map(|light| darkroom.tone(light));
                let at = y * stride + column;
                planes[0][at] = 0.299 * r + 0.587 * g + 0.114 * b;
                planes[1][at] = 128.0 + SATURATION * (0.5 * b - 0.168_736 * r - 0.331_264 * g);
                planes[2][at] = 128.0 + SATURATION * (0.5 * r - 0.418_688 * g - 0.081_312 * b);
                planes[3][at] = pixel.texture;
            }
        }
        let wide = width * enlargement;
        let rows = Rows {
            narrow: vec![0.0; stride],
            luma: vec![0.0; wide],
            texture: vec![0.0; wide],
            chroma: [vec![0; wide], vec![0; wide]],
        };
        let kernels =
            (0..enlargement).map(|phase| kernel((phase as f32 + 0.5) / enlargement as f32 - 0.5)).collect();
        Self {
            darkroom,
            planes,
            width,
            height,
            enlargement,
            kernels,
            grain_levels,
            seed,
            rows: RefCell::new(rows),
        }
    }

    /// The final width and height as stored, before the orientation is applied.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.width * self.enlargement, self.height * self.enlargement)
    }

    /// One row of a plane at its own width, between its rows; margins included.
    fn between_rows(&self, plane: &[f32], y: usize, narrow: &mut [f32]) {
        let stride = narrow.len();
        let (base, weights) = (y / self.enlargement, &self.kernels[y % self.enlargement]);
        let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|tap: usize| {
            let row = (base + tap).saturating_sub(MARGIN).min(self.height - 1);
            &plane[row * stride..][..stride]
        });
        for x in 0..stride {
            narrow[x] = a[x] * weights[0]
                + b[x] * weights[1]
                + c[x] * weights[2]
                + d[x] * weights[3]
                + e[x] * weights[4];
        }
    }

    /// A row at its own width to one at final width.
    fn enlarge(&self, narrow: &[f32], wide: &mut [f32]) {
        match self.enlargement {
            2 => widen::<2>(&self.kernels, narrow, wide),
            3 => widen::<3>(&self.kernels, narrow, wide),
            other => panic!("the catalogue enlarges 2 or 3 times, not {other}"),
        }
    }

    /// The chromas of a row, without a kernel: the eye does not see where a colour ends.
    fn colour(&self, y: usize, chroma: &mut [Vec<u8>; 2]) {
        let stride = self.width + 2 * MARGIN;
        let base = y / self.enlargement;
        for (plane, bytes) in self.planes[1..3].iter().zip(chroma) {
            let row = &plane[base * stride + MARGIN..][..self.width];
            for (same, &level) in bytes.chunks_exact_mut(self.enlargement).zip(row) {
                same.fill(byte(level));
            }
        }
    }
}

/// Enlarges a row `N` times by one kernel per position between two points.
fn widen<const N: usize>(kernels: &[[f32; TAPS]], narrow: &[f32], wide: &mut [f32]) {
    let kernels: &[[f32; TAPS]; N] = kernels.try_into().expect("one kernel per phase");
    for (out, near) in wide.chunks_exact_mut(N).zip(narrow.windows(TAPS)) {
        for (out, weights) in out.iter_mut().zip(kernels) {
            *out = near[0] * weights[0]
                + near[1] * weights[1]
                + near[2] * weights[2]
                + near[3] * weights[3]
                + near[4] * weights[4];
        }
    }
}

impl ImageBuffer for Negative<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        u16::try_from(self.size().0).expect("the catalogue's widths fit a JPEG")
    }

    fn height(&self) -> u16 {
        u16::try_from(self.size().1).expect("the catalogue's heights fit a JPEG")
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let y = usize::from(y);
        let Rows { narrow, luma, texture, chroma } = &mut *self.rows.borrow_mut();
        self.between_rows(&self.planes[0], y, narrow);
        self.enlarge(narrow, luma);
        self.between_rows(&self.planes[3], y, narrow);
        self.enlarge(narrow, texture);
        if y % 2 == 0 {
            self.colour(y, chroma);
        }
        let written = buffers[0].len();
        buffers[0].resize(written + luma.len(), 0);
        self.finish(y, luma, texture, &mut buffers[0][written..]);
        buffers[1].extend_from_slice(&chroma[0]);
        buffers[2].extend_from_slice(&chroma[1]);
    }
}

impl Negative<'_> {
    /// Adds texture and grain, and rounds to bytes.
    fn finish(&self, y: usize, luma: &[f32], texture: &[f32], out: &mut [u8]) {
        let surface = &self.darkroom.texture[(y % TEXTURE_SIDE) * TEXTURE_SIDE..][..TEXTURE_SIDE];
        // Every row takes its grain from another place, or a pattern would show.
        let start = Random::new(self.seed ^ ((y as u64) << 32)).bits() % (GRAIN - luma.len()) as u64;
        let grain = &self.darkroom.grain[usize::try_from(start).unwrap_or(0)..][..luma.len()];
        let parts =
            luma.chunks(TEXTURE_SIDE).zip(texture.chunks(TEXTURE_SIDE)).zip(grain.chunks(TEXTURE_SIDE));
        for (((luma, texture), grain), out) in parts.zip(out.chunks_mut(TEXTURE_SIDE)) {
            let (texture, grain) = (&texture[..luma.len()], &grain[..luma.len()]);
            let (surface, out) = (&surface[..luma.len()], &mut out[..luma.len()]);
            for x in 0..luma.len() {
                let level = luma[x];
                let visible = self.grain_levels * (1.0 - level * level * GRAIN_LOST_IN_WHITE);
                out[x] = byte(level + texture[x] * surface[x] + visible * grain[x]);
            }
        }
    }
}

/// Highlights show less grain: this share of it, per squared level, is gone at white.
const GRAIN_LOST_IN_WHITE: f32 = 0.7 / (255.0 * 255.0);

/// The weights of Catmull and Rom's spline for a point `offset` (-0.5 to 0.5) beside the middle tap.
fn kernel(offset: f32) -> [f32; TAPS] {
    let t = if offset < 0.0 { 1.0 + offset } else { offset };
    let weights = [
        ((2.0 - t) * t - 1.0) * t * 0.5,
        ((3.0 * t - 5.0) * t * t + 2.0) * 0.5,
        ((4.0 - 3.0 * t) * t + 1.0) * t * 0.5,
        (t - 1.0) * t * t * 0.5,
    ];
    let first = usize::from(offset >= 0.0);
    let mut taps = [0.0; TAPS];
    taps[first..][..4].copy_from_slice(&weights);
    taps
}

#[cfg(test)]
mod tests {
    use jpeg_encoder::ImageBuffer;

    use super::{Darkroom, Negative, kernel};
    use crate::demo::{
        exif::Orientation,
        frame::{Frame, Rgb},
    };

    #[test]
    fn the_kernel_keeps_levels_and_slopes() {
        for offset in [-0.5, -0.33, -0.25, 0.0, 0.2, 0.4999] {
            let weights = kernel(offset);
            let level: f32 = weights.iter().sum();
            let slope: f32 = weights.iter().zip([-2.0, -1.0, 0.0, 1.0, 2.0]).map(|(w, x)| w * x).sum();
            assert!((level - 1.0).abs() < 1e-5 && (slope - offset).abs() < 1e-5, "{offset}: {weights:?}");
        }
    }

    #[test]
    fn a_mark_in_a_corner_lands_where_the_orientation_says() {
        // A frame of 30 by 20, dark but for its upper left corner.
        let mut frame = Frame::new(30, 20);
        for y in 0..5 {
            for pixel in &mut frame.row_mut(y)[..5] {
                pixel.light = Rgb(2.0, 2.0, 2.0);
            }
        }
        let darkroom = Darkroom::new(1);
        let luma_at = |orientation: Orientation, x: u16, y: u16| {
            let negative = Negative::new(&darkroom, &frame, orientation, 2, 0.0, 1);
            let mut buffers = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
            negative.fill_buffers(y, &mut buffers);
            assert_eq!(buffers[0].len(), usize::from(negative.width()));
            buffers[0][usize::from(x)]
        };
        // Where the corner lies in the stored picture, by the words of the EXIF standard: for 6 row 0 is the right
        // side and column 0 the top, for 8 row 0 is the left side and column 0 the bottom.
        for (orientation, x, y) in [
            (Orientation::Upright, 1, 1),
            (Orientation::HalfTurn, 58, 38),
            (Orientation::QuarterClockwise, 1, 58),
            (Orientation::QuarterCounterclockwise, 38, 1),
        ] {
            assert!(luma_at(orientation, x, y) > 200, "{orientation:?} is dark at {x}, {y}");
            let (width, height) = orientation.stored(60u16, 40u16);
            assert!(luma_at(orientation, width - 1 - x, y) < 20, "{orientation:?}");
            assert!(luma_at(orientation, x, height - 1 - y) < 20, "{orientation:?}");
        }
    }
}
