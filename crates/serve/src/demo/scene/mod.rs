//! The places: each one a composition of sky, ground, water and silhouettes, painted from a seed.
//!
//! A scene paints into a frame of any size and proportion; all its measures are fractions of the frame's height, so
//! a tiny frame for a test shows the same place. It knows nothing of files, cameras or JPEG.

mod dusk;
mod ground;
mod mountains;
mod night;
mod silhouette;
mod sky;
mod terrain;
mod trees;
mod water;
mod wide;

use super::{
    frame::Frame,
    noise::{Noise, Random},
};

/// What can be photographed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// Rock towers in the first sun.
    Towers,
    /// A mountain lake without wind.
    Lake,
    /// Meadows, woods and a snowy range.
    Meadow,
    /// Peaks above the clouds.
    CloudSea,
    /// Northern light over a fjord.
    Aurora,
    /// The sun low over the open sea.
    Sea,
    /// The full moon over ridges.
    Moon,
    /// Sand in the morning.
    Dunes,
    /// The galaxy over sand.
    Galaxy,
    /// Conifers in the mist.
    Mist,
    /// Ridge behind ridge after sunset.
    Ridges,
    /// Woods in autumn.
    Autumn,
}

impl Scene {
    /// Paints the place into a frame of this size.
    pub(super) fn paint(self, width: usize, height: usize, seed: u64) -> Frame {
        let mut frame = Frame::new(width, height);
        let easel = &mut Easel { frame: &mut frame, noise: Noise::new(seed), random: Random::new(seed) };
        match self {
            Self::Towers => mountains::towers(easel),
            Self::Lake => mountains::lake(easel),
            Self::Meadow => mountains::meadow(easel),
            Self::CloudSea => wide::cloud_sea(easel),
            Self::Aurora => dusk::aurora(easel),
            Self::Sea => dusk::sea(easel),
            Self::Moon => dusk::moon(easel),
            Self::Dunes => wide::dunes(easel),
            Self::Galaxy => dusk::galaxy(easel),
            Self::Mist => dusk::mist(easel),
            Self::Ridges => wide::ridges(easel),
            Self::Autumn => mountains::autumn(easel),
        }
        frame
    }
}

/// What a composition works with.
struct Easel<'a> {
    frame: &'a mut Frame,
    noise: Noise,
    random: Random,
}
