//! The album of `serve --demo`: a dozen generated photographs in a few folders, written when the server starts.
//!
//! Pictures of imagined landscapes, JPEGs of several megabytes with EXIF, in all four orientations that cameras store,
//! under names that need care in a URL. It serves nothing and chooses no directory; who calls it owns the
//! directory and removes it.
//!
//! What it keeps true:
//! - the bytes follow from the options alone: no clock, no randomness from outside;
//! - a file under its final name is whole: it is written under a temporary name and renamed;
//! - every picture carries its own time of capture as its modification time.
//!
//! ```
//! use annulus_serve::demo::{AlbumOptions, write_album};
//!
//! let directory = tempfile::tempdir()?;
//! // Two pictures at a sixteenth of their width and height; `AlbumOptions::default()` writes the real album.
//! let facts = write_album(directory.path(), &AlbumOptions { pictures: 2, shrink: 16, ..Default::default() })?;
//! assert_eq!(facts.pictures.len(), 2);
//! assert!(facts.pictures.iter().all(|picture| picture.path.is_file()));
//! # Ok::<(), std::io::Error>(())
//! ```

mod catalogue;
mod develop;
mod exif;
mod frame;
mod noise;
mod number;
mod scene;

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    num::NonZeroUsize,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jpeg_encoder::{Encoder, SamplingFactor};

pub use self::exif::Orientation;
use self::{
    catalogue::{README, SHOTS, Shot},
    develop::{Darkroom, Negative},
    exif::Exif,
};

/// How many pictures an album has at most.
pub const PICTURES: usize = SHOTS.len();

/// How the album is made. The default is the whole album in full size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlbumOptions {
    /// Another seed gives other places in the same mood.
    pub seed: u64,
    /// How many of the [`PICTURES`] to write.
    pub pictures: usize,
    /// Widths and heights are divided by this: 1 for the real album, 16 for tests. At least 1.
    pub shrink: usize,
    /// Threads to paint with; `None` for as many as the machine runs at once.
    pub threads: Option<NonZeroUsize>,
}

impl Default for AlbumOptions {
    fn default() -> Self {
        Self { seed: 0x616e_6e75_6c75_7300, pictures: PICTURES, shrink: 1, threads: None }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlbumFacts {
    /// The pictures in the order of the catalogue, which does not depend on who finished first.
    pub pictures: Vec<PictureFacts>,
    /// The text beside them.
    pub readme: PathBuf,
}

impl AlbumFacts {
    /// The sizes of all pictures together, in bytes.
    #[must_use]
    pub fn picture_bytes(&self) -> u64 {
        self.pictures.iter().map(|picture| picture.bytes).sum()
    }
}

/// One picture of the album.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFacts {
    /// Where it lies.
    pub path: PathBuf,
    /// The width as stored, before the orientation is applied.
    pub width: usize,
    /// The height as stored, before the orientation is applied.
    pub height: usize,
    /// How a viewer is to turn it.
    pub orientation: Orientation,
    /// The file's size in bytes.
    pub bytes: u64,
    /// When it was taken, as its EXIF and its modification time say.
    pub taken: SystemTime,
}

/// Writes the album into `directory`, which must exist; folders in it are made as needed, files of the same names
/// replaced.
///
/// Takes a few seconds of all cores in full size. Returns when every file is whole.
///
/// # Errors
///
/// The first failure to make a folder or to write, rename or date a file, with the path in its message: among them
/// `ENOSPC` when the file system is full, `EACCES` and `EROFS` when it may not be written, `ENOENT` when `directory`
/// does not exist. Files that were finished before stay.
///
/// # Panics
///
/// If [`AlbumOptions::shrink`] is nought.
pub fn write_album(directory: &Path, options: &AlbumOptions) -> io::Result<AlbumFacts> {
    assert!(options.shrink >= 1, "AlbumOptions::shrink divides and must be at least 1");
    let shots = &SHOTS[..options.pictures.min(PICTURES)];
    let album = fs::metadata(directory).map_err(|error| at(directory, "find", &error))?;
    if !album.is_dir() {
        return Err(at(directory, "write an album into", &io::ErrorKind::NotADirectory.into()));
    }
    for shot in shots {
        let folder = directory.join(shot.folder);
        fs::create_dir_all(&folder).map_err(|error| at(&folder, "make the folder", &error))?;
    }
    let darkroom = Darkroom::new(options.seed);
    // The largest first, or one thread might begin it when the others have nothing left to do.
    let mut order: Vec<usize> = (0..shots.len()).collect();
    order.sort_by_key(|&number| std::cmp::Reverse(shots[number].size.0 * shots[number].size.1));
    let mut written = in_parallel(shots.len(), threads(options, shots.len()), |turn| {
        let number = order[turn];
        Ok((number, write_picture(directory, &shots[number], &darkroom, options)?))
    })?;
    written.sort_by_key(|(number, _)| *number);
    let pictures: Vec<PictureFacts> = written.into_iter().map(|(_, picture)| picture).collect();
    let readme = directory.join("README.txt");
    let newest = pictures.iter().map(|picture| picture.taken).max().unwrap_or(UNIX_EPOCH);
    write_whole(&readme, README.as_bytes(), newest)?;
    Ok(AlbumFacts { pictures, readme })
}

/// As many threads as were asked for or the machine runs at once, but no more than there are pictures, and no more
/// than eight: each holds a painted frame of some 60 MB.
fn threads(options: &AlbumOptions, pictures: usize) -> usize {
    const MOST: usize = 8;
    let wanted =
        options.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    wanted.min(MOST).min(pictures).max(1)
}

/// Runs `job` for 0 to `count` on some threads that take the next number when they are done with the last. The results
/// come in the order of the numbers; after an error no further number is begun.
///
/// These threads end before this function does, and none of them touches a ring.
fn in_parallel<T: Send>(
    count: usize,
    threads: usize,
    job: impl Fn(usize) -> io::Result<T> + Sync,
) -> io::Result<Vec<T>> {
    // Relaxed: the counter only deals out numbers; the results are handed over by joining.
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return done;
            }
            let result = job(index);
            if result.is_err() {
                next.store(count, Ordering::Relaxed);
            }
            done.push((index, result));
        }
    };
    let mut results = thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for worker in workers {
            match worker.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn write_picture(
    directory: &Path,
    shot: &Shot,
    darkroom: &Darkroom,
    options: &AlbumOptions,
) -> io::Result<PictureFacts> {
    let path = directory.join(shot.folder).join(shot.name);
    let seed = options.seed.wrapping_add(shot.place * 0x51_7cc1);
    // A frame below a dozen points is no picture any more.
    let painted = |size: usize| (size / shot.enlargement / options.shrink).max(12);
    let frame = shot.scene.paint(painted(shot.size.0), painted(shot.size.1), seed);
    let negative = Negative::new(darkroom, &frame, shot.orientation, shot.enlargement, shot.grain, seed);
    drop(frame);
    let (width, height) = negative.size();
    let jpeg = encode(shot, negative, (width, height)).map_err(|error| at(&path, "encode", &error))?;
    let taken = time(shot.taken().unix_s);
    write_whole(&path, &jpeg, taken)?;
    Ok(PictureFacts { path, width, height, orientation: shot.orientation, bytes: jpeg.len() as u64, taken })
}

fn encode(shot: &Shot, negative: Negative<'_>, (width, height): (usize, usize)) -> io::Result<Vec<u8>> {
    let pixels = |size: usize| u32::try_from(size).expect("the catalogue's sizes fit a JPEG");
    let exif = Exif {
        model: shot.camera.model(),
        lens: shot.camera.lens(shot.focal_mm),
        orientation: shot.orientation,
        taken: shot.taken(),
        exposure_s: shot.exposure_s,
        f_number: shot.f_number,
        iso: shot.iso,
        focal_mm: shot.focal_mm,
        focal_35mm: shot.camera.focal_35mm(shot.focal_mm),
        position: shot.position,
        description: shot.description,
        size: (pixels(width), pixels(height)),
    };
    let mut jpeg = Vec::with_capacity(width * height / 2);
    let mut encoder = Encoder::new(&mut jpeg, shot.quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.add_exif_metadata(&exif.to_tiff()).map_err(io::Error::other)?;
    encoder.encode_image(negative).map_err(io::Error::other)?;
    Ok(jpeg)
}

/// Writes a file under a temporary name beside its own, dates it, and renames it: under its own name it is whole.
fn write_whole(path: &Path, bytes: &[u8], modified: SystemTime) -> io::Result<()> {
    let folder = path.parent().expect("a file of the album lies in a folder");
    let mut file = tempfile::Builder::new()
        .prefix(".annulus-")
        .suffix(".part")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(|error| at(path, "write", &error))?;
    file.write_all(bytes).map_err(|error| at(path, "write", &error))?;
    file.as_file().set_modified(modified).map_err(|error| at(path, "date", &error))?;
    file.persist(path).map_err(|failed| at(path, "rename into place", &failed.error))?;
    Ok(())
}

/// The time of a count of seconds since 1970.
fn time(unix_s: i64) -> SystemTime {
    UNIX_EPOCH
        + Duration::from_secs(u64::try_from(unix_s).expect("the catalogue's pictures are younger than 1970"))
}

/// An error that says what could not be done with which path, and keeps its kind.
fn at(path: &Path, verb: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the demo album: cannot {verb} {}: {error}", path.display()))
}
