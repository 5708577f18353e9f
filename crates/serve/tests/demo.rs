//! The demo album: what other programs read in its pictures, that it is the same every time, and how it fails.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufReader, ErrorKind},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use annulus_serve::demo::{AlbumFacts, AlbumOptions, Orientation, PICTURES, PictureFacts, write_album};
use exif::{Exif, In, Tag, Value};
use tempfile::TempDir;
use zune_jpeg::{JpegDecoder, zune_core::bytestream::ZCursor};

/// The album at a sixteenth of its width and height: quick even without optimisation.
fn tiny() -> AlbumOptions {
    AlbumOptions { shrink: 16, ..AlbumOptions::default() }
}

fn album(options: &AlbumOptions) -> (TempDir, AlbumFacts) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let facts = write_album(directory.path(), options).expect("the album");
    (directory, facts)
}

fn read_exif(path: &Path) -> Exif {
    let file = fs::File::open(path).expect("the picture");
    exif::Reader::new().read_from_container(&mut BufReader::new(file)).expect("EXIF in the picture")
}

fn text(exif: &Exif, tag: Tag) -> String {
    match &exif.get_field(tag, In::PRIMARY).unwrap_or_else(|| panic!("no {tag}")).value {
        Value::Ascii(parts) => String::from_utf8(parts.concat()).expect("ASCII"),
        other => panic!("{tag} is {other:?}"),
    }
}

fn number(exif: &Exif, tag: Tag) -> u32 {
    exif.get_field(tag, In::PRIMARY)
        .and_then(|field| field.value.get_uint(0))
        .unwrap_or_else(|| panic!("no {tag}"))
}

fn ratio(exif: &Exif, tag: Tag) -> (u32, u32) {
    match &exif.get_field(tag, In::PRIMARY).unwrap_or_else(|| panic!("no {tag}")).value {
        Value::Rational(ratios) => (ratios[0].num, ratios[0].denom),
        other => panic!("{tag} is {other:?}"),
    }
}

/// Width, height and RGB bytes as stored.
fn decode(path: &Path) -> (usize, usize, Vec<u8>) {
    let mut decoder = JpegDecoder::new(ZCursor::new(fs::read(path).expect("the picture")));
    let pixels = decoder.decode().expect("a whole JPEG");
    let (width, height) = decoder.dimensions().expect("dimensions");
    (width, height, pixels)
}

fn named<'a>(facts: &'a AlbumFacts, name: &str) -> &'a PictureFacts {
    let found = facts.pictures.iter().find(|picture| picture.path.ends_with(name));
    found.unwrap_or_else(|| panic!("{name} is not among {:?}", facts.pictures))
}

fn files_below(directory: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.insert(path);
        }
    }
    files
}

#[test]
fn every_picture_carries_what_a_camera_notes() {
    let (_directory, facts) = album(&tiny());
    assert_eq!(facts.pictures.len(), PICTURES);
    for picture in &facts.pictures {
        let exif = read_exif(&picture.path);
        assert_eq!(
            number(&exif, Tag::Orientation),
            u32::from(picture.orientation.tag()),
            "{:?}",
            picture.path
        );
        assert_eq!(text(&exif, Tag::Make), "Annulus Optical");
        assert!(text(&exif, Tag::Model).starts_with("Ring"));
        assert!(text(&exif, Tag::LensModel).contains("mm F"));
        assert_eq!(text(&exif, Tag::Artist), "The annulus demo");
        assert!(text(&exif, Tag::Copyright).contains("CC0"));
        assert!(ratio(&exif, Tag::ExposureTime).0 > 0 && ratio(&exif, Tag::ExposureTime).1 > 0);
        assert!(ratio(&exif, Tag::FNumber).0 > 0);
        assert!((100..=6400).contains(&number(&exif, Tag::PhotographicSensitivity)));
        assert!((8..=200).contains(&ratio(&exif, Tag::FocalLength).0));
        assert_eq!(number(&exif, Tag::PixelXDimension) as usize, picture.width);
        assert_eq!(number(&exif, Tag::PixelYDimension) as usize, picture.height);
        assert_eq!(text(&exif, Tag::DateTimeOriginal).len(), "2026:06:14 05:42:10".len());
    }
    let with_position = facts
        .pictures
        .iter()
        .filter(|picture| read_exif(&picture.path).get_field(Tag::GPSLatitude, In::PRIMARY).is_some());
    assert_eq!(with_position.count(), 9, "some cameras know where they are, some do not");
}

#[test]
fn the_values_of_one_picture_are_those_of_the_catalogue() {
    let (_directory, facts) = album(&tiny());
    let exif = read_exif(&named(&facts, "Dunes, 7 h 12.jpg").path);
    assert_eq!(text(&exif, Tag::DateTimeOriginal), "2025:11:04 07:12:44");
    assert_eq!(text(&exif, Tag::OffsetTimeOriginal), "+01:00");
    assert_eq!(text(&exif, Tag::Model), "Ring 24");
    assert_eq!(text(&exif, Tag::LensModel), "Ring 24-70mm F2.8");
    assert_eq!(ratio(&exif, Tag::ExposureTime), (1, 250));
    assert_eq!(ratio(&exif, Tag::FNumber), (71, 10));
    assert_eq!(number(&exif, Tag::PhotographicSensitivity), 100);
    assert_eq!(ratio(&exif, Tag::FocalLength), (44, 1));
    let shown = |tag: Tag| exif.get_field(tag, In::PRIMARY).expect("a GPS field").display_value().to_string();
    assert_eq!(shown(Tag::GPSLatitude), "31 deg 8 min 44.88 sec");
    assert_eq!(text(&exif, Tag::GPSLatitudeRef), "N");
    assert_eq!(shown(Tag::GPSLongitude), "3 deg 58 min 33.96 sec");
    assert_eq!(text(&exif, Tag::GPSLongitudeRef), "W");
    assert_eq!(ratio(&exif, Tag::GPSAltitude), (742, 1));
}

#[test]
fn pictures_decode_to_the_size_that_was_told_in_every_orientation() {
    let (_directory, facts) = album(&tiny());
    for picture in &facts.pictures {
        let (width, height, pixels) = decode(&picture.path);
        assert_eq!((width, height), (picture.width, picture.height), "{:?}", picture.path);
        assert_eq!(pixels.len(), width * height * 3);
    }
    let orientations: BTreeSet<u16> =
        facts.pictures.iter().map(|picture| picture.orientation.tag()).collect();
    assert_eq!(orientations, BTreeSet::from([1, 3, 6, 8]));
}

#[test]
fn turned_by_its_orientation_every_picture_has_the_sky_above() {
    let (_directory, facts) = album(&tiny());
    // By day the sky is brighter than the ground.
    for (name, orientation) in [
        ("Torri all’alba.jpg", Orientation::Upright),
        ("IMG_0218 Alm.jpg", Orientation::HalfTurn),
        ("Lago – riflesso.jpg", Orientation::QuarterClockwise),
        ("Måne.jpg", Orientation::QuarterCounterclockwise),
    ] {
        let picture = named(&facts, name);
        assert_eq!(picture.orientation, orientation, "{name}");
        let (width, height, pixels) = decode(&picture.path);
        // The mean brightness of the band along each edge of the stored picture.
        let band = |xs: std::ops::Range<usize>, ys: std::ops::Range<usize>| -> f64 {
            let points = xs.len() * ys.len();
            let sum: u64 = ys
                .flat_map(|y| xs.clone().map(move |x| (y * width + x) * 3))
                .map(|at| pixels[at..at + 3].iter().map(|&channel| u64::from(channel)).sum::<u64>())
                .sum();
            sum as f64 / points as f64
        };
        let upper = band(0..width, 0..height / 6);
        let lower = band(0..width, height - height / 6..height);
        let left = band(0..width / 6, 0..height);
        let right = band(width - width / 6..width, 0..height);
        let (sky, ground) = match orientation {
            Orientation::Upright => (upper, lower),
            Orientation::HalfTurn => (lower, upper),
            Orientation::QuarterClockwise => (left, right),
            Orientation::QuarterCounterclockwise => (right, left),
        };
        assert!(sky > ground * 1.06, "{name}: sky {sky:.1}, ground {ground:.1}");
    }
}

#[test]
fn portraits_lie_on_their_side_in_the_file() {
    let (_directory, facts) = album(&tiny());
    let moon = named(&facts, "Måne.jpg");
    assert!(moon.width > moon.height, "stored as the sensor lay");
    assert_eq!(moon.orientation.stored(moon.width, moon.height), (moon.height, moon.width));
    let square = named(&facts, "Brume #1.jpg");
    assert_eq!(square.width, square.height);
    let panorama = named(&facts, "Panorama über den Wolken.jpg");
    assert_eq!(panorama.width / panorama.height, 3);
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let some = || AlbumOptions { pictures: 4, shrink: 24, ..AlbumOptions::default() };
    let (_a, one) = album(&AlbumOptions { threads: NonZeroUsize::new(1), ..some() });
    let (_b, three) = album(&AlbumOptions { threads: NonZeroUsize::new(3), ..some() });
    let (_c, other) = album(&AlbumOptions { seed: 7, ..some() });
    for ((one, three), other) in one.pictures.iter().zip(&three.pictures).zip(&other.pictures) {
        let bytes = fs::read(&one.path).expect("the picture");
        assert_eq!(bytes.len() as u64, one.bytes);
        assert!(bytes == fs::read(&three.path).expect("the picture"), "{:?}", one.path);
        assert!(bytes != fs::read(&other.path).expect("the picture"), "{:?}", one.path);
    }
}

#[test]
fn a_picture_in_full_size_has_several_megabytes_and_megapixels() {
    let (_directory, facts) = album(&AlbumOptions { pictures: 1, ..AlbumOptions::default() });
    let picture = &facts.pictures[0];
    assert!((7_900_000..24_000_000).contains(&(picture.width * picture.height)), "{picture:?}");
    assert!((2_000_000..10_000_000).contains(&picture.bytes), "{picture:?}");
    assert_eq!(fs::metadata(&picture.path).expect("the picture").len(), picture.bytes);
    assert_eq!(facts.picture_bytes(), picture.bytes);
}

#[test]
fn nothing_but_pictures_and_the_readme_is_left_and_old_files_are_replaced() {
    let options = AlbumOptions { shrink: 24, ..AlbumOptions::default() };
    let (directory, facts) = album(&options);
    fs::write(&facts.pictures[0].path, "old").expect("writing over a picture");
    assert_eq!(write_album(directory.path(), &options).expect("the album again"), facts);
    let mut expected: BTreeSet<PathBuf> = facts.pictures.iter().map(|picture| picture.path.clone()).collect();
    expected.insert(facts.readme.clone());
    assert_eq!(files_below(directory.path()), expected);
    assert!(fs::read_to_string(&facts.readme).expect("the readme").contains("CC0"));
    for picture in &facts.pictures {
        let modified = fs::metadata(&picture.path).and_then(|metadata| metadata.modified()).expect("a time");
        assert_eq!(modified, picture.taken, "{:?}", picture.path);
    }
}

#[test]
fn names_exercise_percent_encoding_and_pictures_lie_in_folders() {
    let (directory, facts) = album(&AlbumOptions { shrink: 24, ..AlbumOptions::default() });
    let names: String = facts
        .pictures
        .iter()
        .map(|picture| {
            picture.path.strip_prefix(directory.path()).expect("below the album").to_string_lossy()
        })
        .collect();
    for character in [' ', '#', '&', ',', '–', 'Å', 'ü'] {
        assert!(names.contains(character), "{character:?} is missing");
    }
    let folders: BTreeSet<&Path> =
        facts.pictures.iter().filter_map(|picture| picture.path.parent()).collect();
    assert!(folders.len() >= 4, "{folders:?}");
}

#[test]
fn a_missing_directory_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let missing = directory.path().join("not there");
    let error = write_album(&missing, &tiny()).expect_err("no directory");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("not there"), "{error}");
}

#[test]
fn a_file_where_a_folder_should_be_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("2026-06 Dolomites"), "").expect("a file");
    let error = write_album(directory.path(), &tiny()).expect_err("a file in the way");
    assert!(error.to_string().contains("2026-06 Dolomites"), "{error}");
}

#[test]
fn a_directory_under_a_pictures_name_is_an_error_and_leaves_no_partial_file() {
    let (directory, facts) = album(&AlbumOptions { pictures: 1, shrink: 24, ..AlbumOptions::default() });
    fs::remove_file(&facts.pictures[0].path).expect("removing the picture");
    fs::create_dir(&facts.pictures[0].path).expect("a directory of its name");
    let options = AlbumOptions { pictures: 1, shrink: 24, ..AlbumOptions::default() };
    let error = write_album(directory.path(), &options).expect_err("a directory in the way");
    let name = facts.pictures[0].path.file_name().expect("a name").to_string_lossy();
    assert!(error.to_string().contains(&*name), "{error}");
    assert_eq!(
        files_below(directory.path()),
        BTreeSet::from([facts.readme]),
        "the readme of before, no .part"
    );
}
