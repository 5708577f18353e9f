//! Files and directories on the kernel.

mod common;

use std::time::{Duration, SystemTime};

use annulus_rt::buf::IoBuf;
use annulus_rt::fs::{self, Dir, FileType, OpenOptions, Resolve};
use annulus_rt::run;
use common::folder;

#[test]
fn what_is_written_is_read_back_at_its_offset() {
    let folder = folder();
    run(async {
        let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o640);
        let path = folder.path().join("new");
        let file = options.open(&path).await.unwrap();
        let all: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
        let (result, all) = file.write_all_at(all, 10).await;
        result.unwrap();
        file.sync_data().await.unwrap();
        file.sync_all().await.unwrap();

        let metadata = file.metadata().await.unwrap();
        assert_eq!((metadata.len(), metadata.mode(), metadata.is_file()), (1_000_010, 0o640, true));
        let (result, back) = file.read_exact_at(vec![1; 1_000_000], 10).await;
        result.unwrap();
        assert!(back == all);
        let (result, hole) = file.read_exact_at(vec![1; 10], 0).await;
        result.unwrap();
        assert_eq!(hole, [0; 10]);
        file.close().await.unwrap();

        let again = options.open(&path).await.unwrap_err();
        assert_eq!(again.raw_os_error(), Some(libc::EEXIST));
    })
    .unwrap();
}

#[test]
fn a_read_fills_from_the_start_and_says_how_far() {
    let folder = folder();
    run(async {
        let file = fs::open(folder.path().join("file")).await.unwrap();
        let (read, buf) = file.read_at(vec![7; 100], 4).await;
        assert_eq!((read.unwrap(), &buf[..]), (6, &b"456789"[..]));
        let (read, buf) = file.read_at(Box::new([7_u8; 4]), 8).await;
        assert_eq!((read.unwrap(), *buf), (2, [b'8', b'9', 7, 7]));
        let (read, buf) = file.read_at(b"ab".to_vec().slice(2..2), 0).await;
        assert_eq!((read.unwrap(), buf.into_inner()), (0, b"ab".to_vec()));
        let (read, buf) = file.read_at(bytes::BytesMut::with_capacity(5), 0).await;
        assert_eq!((read.unwrap(), &buf[..]), (5, &b"01234"[..]));
        let (read, buf) = file.read_at(vec![7; 10], 10).await;
        assert_eq!((read.unwrap(), buf.len()), (0, 0));
        let (read, _) = file.read_exact_at(vec![0; 11], 0).await;
        assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    })
    .unwrap();
}

#[test]
fn a_file_has_a_position_of_its_own_and_appends_go_to_its_end() {
    let folder = folder();
    run(async {
        let path = folder.path().join("file");
        let file = fs::open(&path).await.unwrap();
        let (_, first) = file.read(vec![0; 4]).await;
        let (_, second) = file.read(vec![0; 4]).await;
        assert_eq!((first, second), (b"0123".to_vec(), b"4567".to_vec()));

        let log = OpenOptions::new().append(true).open(&path).await.unwrap();
        log.write("ab").await.0.unwrap();
        log.write_at("cd", 0).await.0.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789abcd");
    })
    .unwrap();
}

#[test]
fn a_path_that_leads_out_is_refused_with_exdev() {
    let folder = folder();
    run(async {
        let dir = Dir::open(folder.path()).await.unwrap();
        let file = dir.open_beneath("below/../file").await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 10);
        for path in ["../x", "out/hostname", "/etc/hostname", "below/../../x"] {
            let error = dir.open_beneath(path).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EXDEV), "{path}");
        }
        let no_links = OpenOptions::new().read(true).resolve(Resolve::BENEATH | Resolve::NO_SYMLINKS);
        let error = dir.open_with("out", &no_links).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        let in_root = OpenOptions::new().read(true).resolve(Resolve::IN_ROOT);
        assert_eq!(dir.open_with("/file", &in_root).await.unwrap().metadata().await.unwrap().len(), 10);
        let below = dir.open_dir_beneath("below").await.unwrap();
        assert!(below.metadata().await.unwrap().is_dir());
        assert_eq!(below.open_beneath("../file").await.unwrap_err().raw_os_error(), Some(libc::EXDEV));
    })
    .unwrap();
}

#[test]
fn errors_carry_their_errno() {
    let folder = folder();
    run(async {
        let errno = |error: std::io::Error| error.raw_os_error();
        assert_eq!(errno(fs::open(folder.path().join("gone")).await.unwrap_err()), Some(libc::ENOENT));
        assert_eq!(errno(fs::open("a\0b").await.unwrap_err()), Some(libc::EINVAL));
        assert_eq!(errno(Dir::open(folder.path().join("file")).await.unwrap_err()), Some(libc::ENOTDIR));
        assert_eq!(errno(OpenOptions::new().open("/").await.unwrap_err()), Some(libc::EINVAL));
        let dir = fs::open(folder.path()).await.unwrap();
        assert_eq!(errno(dir.read_at(vec![0; 1], 0).await.0.unwrap_err()), Some(libc::EISDIR));
        let file = fs::open(folder.path().join("file")).await.unwrap();
        assert_eq!(errno(file.write_at("x", 0).await.0.unwrap_err()), Some(libc::EBADF));
    })
    .unwrap();
}

#[test]
fn metadata_is_that_of_the_standard_library() {
    let folder = folder();
    run(async {
        let path = folder.path().join("file");
        let ours = fs::metadata(&path).await.unwrap();
        let theirs = std::fs::metadata(&path).unwrap();
        assert_eq!(ours.len(), 10);
        assert_eq!(ours.modified(), theirs.modified().unwrap());
        assert_eq!(ours.created(), theirs.created().ok());
        let since = ours.modified().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(ours.modified_ns(), i128::try_from(since.as_nanos()).unwrap());
        assert!(since > Duration::from_secs(1_600_000_000));
        assert_eq!(ours.links(), 1);

        let link = folder.path().join("out");
        assert!(fs::metadata(&link).await.unwrap().is_dir());
        assert_eq!(fs::symlink_metadata(&link).await.unwrap().file_type(), FileType::Symlink);
        let dir = Dir::open(folder.path()).await.unwrap();
        assert_eq!(dir.statx("file").await.unwrap().inode(), ours.inode());
        let itself = dir.statx_with("out", libc::AT_SYMLINK_NOFOLLOW).await.unwrap();
        assert_eq!(itself.file_type(), FileType::Symlink);
    })
    .unwrap();
}

#[test]
fn a_directory_is_listed_again_and_again() {
    let folder = folder();
    run(async {
        let dir = Dir::open(folder.path()).await.unwrap();
        for _ in 0..2 {
            let mut entries = dir.read_dir().await.unwrap().collect().await.unwrap();
            entries.sort_by(|one, other| one.name().cmp(other.name()));
            let found: Vec<_> = entries
                .iter()
                .map(|entry| (entry.name().to_str().unwrap(), entry.file_type().unwrap()))
                .collect();
            let expected = [("below", FileType::Dir), ("file", FileType::File), ("out", FileType::Symlink)];
            assert_eq!(found, expected);
        }
        let gone = fs::read_dir(folder.path().join("gone")).await.unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ENOENT));
    })
    .unwrap();
}

#[test]
fn a_descriptor_can_be_taken_out_when_nothing_is_in_flight() {
    let folder = folder();
    run(async {
        let file = fs::open(folder.path().join("file")).await.unwrap();
        let fd = file.try_into_owned_fd().unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::fs::File::from(fd), &mut text).unwrap();
        assert_eq!(text, "0123456789");
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}

#[test]
fn an_array_is_written_and_read_into_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("array");
    run(async {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).await.unwrap();
        let (written, array) = file.write_at([1_u8, 2, 3, 4], 0).await;
        assert_eq!((written.unwrap(), array), (4, [1, 2, 3, 4]));
        let (read, array) = file.read_at([0_u8; 6].slice(1..), 0).await;
        assert_eq!((read.unwrap(), array.into_inner()), (4, [0, 1, 2, 3, 4, 0]));
    })
    .unwrap();
}
