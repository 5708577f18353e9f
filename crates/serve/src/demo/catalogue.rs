//! The twelve photographs of the album: where each lies, what it shows, how large it is, how the camera was held, and
//! what the camera noted. Plain data; the places are imagined, whatever their names.

use super::{
    exif::{Moment, Orientation, Position},
    scene::Scene,
};
use crate::calendar::days_since_1970;

/// One photograph of the album.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shot {
    /// The folder, relative to the album; empty for the album itself.
    pub(super) folder: &'static str,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) scene: Scene,
    /// Which of the scene's many places: goes into the seed.
    pub(super) place: u64,
    /// Width and height as seen upright.
    pub(super) size: (usize, usize),
    /// How many times the painted frame is enlarged in each direction; divides both sizes.
    pub(super) enlargement: usize,
    pub(super) orientation: Orientation,
    pub(super) quality: u8,
    /// The strength of the grain in 8-bit levels.
    pub(super) grain: f32,
    pub(super) camera: Camera,
    /// Year, month, day, hour, minute, second of the local clock.
    pub(super) local_time: [i64; 6],
    pub(super) ahead_min: i64,
    pub(super) exposure_s: (u32, u32),
    pub(super) f_number: (u32, u32),
    pub(super) iso: u16,
    pub(super) focal_mm: u32,
    pub(super) position: Option<Position>,
}

/// The two imaginary cameras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Camera {
    /// Full frame, interchangeable lenses.
    Ring24,
    /// A compact; its sensor makes a focal length look 2.7 times as long.
    Pocket,
}

impl Camera {
    pub(super) const fn model(self) -> &'static str {
        match self {
            Self::Ring24 => "Ring 24",
            Self::Pocket => "Ring Pocket II",
        }
    }

    pub(super) const fn lens(self, focal_mm: u32) -> &'static str {
        match (self, focal_mm) {
            (Self::Ring24, ..24) => "Ring 14-24mm F2.8",
            (Self::Ring24, 24..=70) => "Ring 24-70mm F2.8",
            (Self::Ring24, _) => "Ring 70-200mm F4",
            (Self::Pocket, _) => "Ring 8.8-25.7mm F1.8-2.8",
        }
    }

    /// The focal length that shows the same angle on full frame.
    pub(super) fn focal_35mm(self, focal_mm: u32) -> u16 {
        let equivalent = match self {
            Self::Ring24 => focal_mm,
            Self::Pocket => focal_mm * 27 / 10,
        };
        u16::try_from(equivalent).unwrap_or(u16::MAX)
    }
}

impl Shot {
    pub(super) fn taken(&self) -> Moment {
        let [year, month, day, hour, minute, second] = self.local_time;
        let local_s = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Moment { unix_s: local_s - self.ahead_min * 60, ahead_min: self.ahead_min }
    }
}

const DOLOMITES: &str = "2026-06 Dolomites";
const TROMS: &str = "2026-02 Lofoten & Tromsø";
const ERG: &str = "2025-11 Erg, désert";
const FOREST: &str = "2025-10 Forêt/Brume et mélèzes";

const fn located(latitude: f64, longitude: f64, altitude_m: u32) -> Option<Position> {
    Some(Position { latitude, longitude, altitude_m })
}

/// The album, in no order that matters but for the first: a small one, so that a test can make it in full size.
pub(super) const SHOTS: [Shot; 12] = [
    Shot {
        folder: TROMS,
        name: "Måne.jpg",
        description: "The full moon over ridges and woods",
        scene: Scene::Moon,
        place: 7,
        size: (2304, 3456),
        enlargement: 2,
        orientation: Orientation::QuarterCounterclockwise,
        quality: 95,
        grain: 3.4,
        camera: Camera::Ring24,
        local_time: [2026, 2, 1, 17, 12, 8],
        ahead_min: 60,
        exposure_s: (1, 15),
        f_number: (4, 1),
        iso: 1600,
        focal_mm: 135,
        position: None,
    },
    Shot {
        folder: DOLOMITES,
        name: "Torri all’alba.jpg",
        description: "Rock towers in the first sun",
        scene: Scene::Towers,
        place: 1,
        size: (5760, 3840),
        enlargement: 3,
        orientation: Orientation::Upright,
        quality: 95,
        grain: 3.0,
        camera: Camera::Ring24,
        local_time: [2026, 6, 14, 5, 42, 10],
        ahead_min: 120,
        exposure_s: (1, 80),
        f_number: (8, 1),
        iso: 100,
        focal_mm: 51,
        position: located(46.618_7, 12.302_6, 2405),
    },
    Shot {
        folder: DOLOMITES,
        name: "Lago – riflesso.jpg",
        description: "A mountain lake without wind",
        scene: Scene::Lake,
        place: 1,
        size: (3024, 4032),
        enlargement: 3,
        orientation: Orientation::QuarterClockwise,
        quality: 95,
        grain: 3.0,
        camera: Camera::Ring24,
        local_time: [2026, 6, 14, 7, 58, 31],
        ahead_min: 120,
        exposure_s: (1, 200),
        f_number: (9, 1),
        iso: 100,
        focal_mm: 25,
        position: located(46.694_3, 12.085_4, 1496),
    },
    Shot {
        folder: DOLOMITES,
        name: "IMG_0218 Alm.jpg",
        description: "High meadows under a snowy range",
        scene: Scene::Meadow,
        place: 3,
        size: (4032, 3024),
        enlargement: 3,
        orientation: Orientation::HalfTurn,
        quality: 95,
        grain: 2.6,
        camera: Camera::Pocket,
        local_time: [2026, 6, 15, 12, 20, 3],
        ahead_min: 120,
        exposure_s: (1, 640),
        f_number: (4, 1),
        iso: 125,
        focal_mm: 11,
        position: None,
    },
    Shot {
        folder: DOLOMITES,
        name: "Panorama über den Wolken.jpg",
        description: "Peaks above a sea of clouds",
        scene: Scene::CloudSea,
        place: 4,
        size: (8064, 2688),
        enlargement: 3,
        orientation: Orientation::Upright,
        quality: 95,
        grain: 3.0,
        camera: Camera::Ring24,
        local_time: [2026, 6, 16, 5, 51, 47],
        ahead_min: 120,
        exposure_s: (1, 320),
        f_number: (11, 1),
        iso: 100,
        focal_mm: 35,
        position: located(46.513_9, 11.768_2, 3152),
    },
    Shot {
        folder: TROMS,
        name: "Nordlys.jpg",
        description: "Northern light over a fjord",
        scene: Scene::Aurora,
        place: 5,
        size: (3024, 4032),
        enlargement: 3,
        orientation: Orientation::QuarterClockwise,
        quality: 95,
        grain: 3.6,
        camera: Camera::Ring24,
        local_time: [2026, 2, 11, 23, 4, 55],
        ahead_min: 60,
        exposure_s: (6, 1),
        f_number: (28, 10),
        iso: 3200,
        focal_mm: 16,
        position: located(69.649_2, 18.955_3, 4),
    },
    Shot {
        folder: TROMS,
        name: "Åpent hav.jpg",
        description: "The sun low over the open sea",
        scene: Scene::Sea,
        place: 6,
        size: (4032, 3024),
        enlargement: 3,
        orientation: Orientation::Upright,
        quality: 95,
        grain: 2.8,
        camera: Camera::Pocket,
        local_time: [2026, 2, 12, 14, 31, 20],
        ahead_min: 60,
        exposure_s: (1, 500),
        f_number: (56, 10),
        iso: 125,
        focal_mm: 14,
        position: located(68.211_6, 13.562_2, 11),
    },
    Shot {
        folder: ERG,
        name: "Dunes, 7 h 12.jpg",
        description: "Sand in the morning",
        scene: Scene::Dunes,
        place: 7,
        size: (4896, 3264),
        enlargement: 3,
        orientation: Orientation::Upright,
        quality: 95,
        grain: 3.0,
        camera: Camera::Ring24,
        local_time: [2025, 11, 4, 7, 12, 44],
        ahead_min: 60,
        exposure_s: (1, 250),
        f_number: (71, 10),
        iso: 100,
        focal_mm: 44,
        position: located(31.145_8, -3.976_1, 742),
    },
    Shot {
        folder: ERG,
        name: "Voie lactée.jpg",
        description: "The galaxy over sand",
        scene: Scene::Galaxy,
        place: 8,
        size: (2688, 4032),
        enlargement: 3,
        orientation: Orientation::QuarterClockwise,
        quality: 95,
        grain: 3.8,
        camera: Camera::Ring24,
        local_time: [2025, 11, 4, 21, 40, 0],
        ahead_min: 60,
        exposure_s: (20, 1),
        f_number: (28, 10),
        iso: 6400,
        focal_mm: 14,
        position: located(31.139_4, -3.969_9, 751),
    },
    Shot {
        folder: FOREST,
        name: "Brume #1.jpg",
        description: "Conifers in the mist",
        scene: Scene::Mist,
        place: 9,
        size: (3456, 3456),
        enlargement: 2,
        orientation: Orientation::Upright,
        quality: 95,
        grain: 3.2,
        camera: Camera::Ring24,
        local_time: [2025, 10, 19, 8, 26, 17],
        ahead_min: 120,
        exposure_s: (1, 125),
        f_number: (56, 10),
        iso: 200,
        focal_mm: 70,
        position: None,
    },
    Shot {
        folder: FOREST,
        name: "Mélèzes.jpg",
        description: "Larches in autumn",
        scene: Scene::Autumn,
        place: 10,
        size: (3456, 2304),
        enlargement: 3,
        orientation: Orientation::Upright,
        quality: 95,
        grain: 2.8,
        camera: Camera::Pocket,
        local_time: [2025, 10, 19, 15, 47, 39],
        ahead_min: 120,
        exposure_s: (1, 400),
        f_number: (4, 1),
        iso: 125,
        focal_mm: 15,
        position: located(44.905_1, 6.642_8, 1874),
    },
    Shot {
        folder: "",
        name: "Ridges after sunset.jpg",
        description: "Ridge behind ridge",
        scene: Scene::Ridges,
        place: 11,
        size: (6144, 2560),
        enlargement: 2,
        orientation: Orientation::Upright,
        quality: 95,
        grain: 3.0,
        camera: Camera::Ring24,
        local_time: [2026, 6, 17, 21, 14, 2],
        ahead_min: 120,
        exposure_s: (1, 60),
        f_number: (8, 1),
        iso: 200,
        focal_mm: 100,
        position: located(46.354_4, 11.402_0, 2210),
    },
];

/// The text beside the pictures.
pub(super) const README: &str = "\
The photographs in this album are no photographs: annulus painted them when it
started, from numbers alone. The places are imagined, and so are the camera, the
lens and the photographer that their EXIF names.

They are here to be looked at and downloaded: JPEGs of several megabytes, upright,
sideways and upside down as cameras store them, in folders whose names need some
care in a URL.

Use them as you like: CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/
";
