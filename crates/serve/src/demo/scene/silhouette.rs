//! What stands before the light: ridges one behind the other, each paler than the one before it.

use crate::demo::{
    frame::{Frame, Pixel, Rgb},
    noise::Noise,
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
