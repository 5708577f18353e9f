//! What is done to open files beside reading and writing: room, holes, advice, locks, attributes, positions, ways to open.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test; one that is skipped says so")]

mod common;

use std::ffi::OsStr;
use std::io::{ErrorKind, SeekFrom};
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, UNIX_EPOCH};

use annulus_rt::buf::IoBuf;
use annulus_rt::fs::xattr::{self, SetMode};
use annulus_rt::fs::{self, Advice, AllocateMode, Dir, File, FileTimes, FileType, OpenOptions, RangeLock};
use annulus_rt::io::{AsyncRead, AsyncWrite, BufReader};
use annulus_rt::time::timeout;
use annulus_rt::{run, spawn, yield_now};
use common::on_disk;

fn errno<T: std::fmt::Debug>(outcome: std::io::Result<T>) -> i32 {
    outcome.unwrap_err().raw_os_error().unwrap()
}

/// Whether the file system of the target folder can do something.
fn has(outcome: std::io::Result<()>, what: &str) -> bool {
    match outcome {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP), "{what}: {error}");
            println!("SKIP: the file system of the target folder has no {what}");
            false
        }
    }
}

#[test]
fn a_file_is_cut_extended_and_punched() {
    let folder = on_disk();
    run(async {
        let file = File::create_new(folder.path().join("file")).await.unwrap();
        file.write_all_at(vec![7; 65_536], 0).await.0.unwrap();
        file.set_len(40_000).await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 40_000);
        file.set_len(65_536).await.unwrap();
        let (_, tail) = file.read_exact_at(vec![1; 2], 39_999).await;
        assert_eq!(tail, [7, 0]);

        file.write_all_at(vec![7; 65_536], 0).await.0.unwrap();
        file.sync_all().await.unwrap();
        let before = file.metadata().await.unwrap();
        file.allocate_with(AllocateMode::PUNCH_HOLE, 8192, 32_768).await.unwrap();
        let after = file.metadata().await.unwrap();
        assert_eq!((after.len(), before.allocated() - after.allocated()), (65_536, 32_768));
        let (_, bytes) = file.read_exact_at(vec![1; 3], 8191).await;
        assert_eq!(bytes, [7, 0, 0]);
        if has(file.allocate_with(AllocateMode::ZERO_RANGE, 0, 4096).await, "zeroing of ranges") {
            assert_eq!(file.read_exact_at([1], 0).await.1, [0]);
        }

        file.allocate_with(AllocateMode::KEEP_SIZE, 65_536, 65_536).await.unwrap();
        file.sync_all().await.unwrap();
        let kept = file.metadata().await.unwrap();
        assert!(kept.len() == 65_536 && kept.allocated() > after.allocated(), "{kept:?}");
        file.allocate(100_000, 100).await.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 100_100);
        if has(file.allocate_with(AllocateMode::COLLAPSE_RANGE, 0, 8192).await, "taking out of ranges") {
            assert_eq!(file.metadata().await.unwrap().len(), 100_100 - 8192);
            file.allocate_with(AllocateMode::INSERT_RANGE, 4096, 8192).await.unwrap();
            assert_eq!(file.metadata().await.unwrap().len(), 100_100);
        }

        assert_eq!(errno(file.allocate(0, 0).await), libc::EINVAL);
        assert_eq!(errno(file.set_len(1 << 63).await), libc::EINVAL);
        let reader = fs::open(folder.path().join("file")).await.unwrap();
        assert_eq!(errno(reader.set_len(0).await), libc::EINVAL);
        assert_eq!(errno(reader.allocate(0, 1).await), libc::EBADF);
    })
    .unwrap();
}

#[test]
fn ranges_of_any_length_are_advised_and_written_back() {
    let folder = on_disk();
    run(async {
        let file = File::create_new(folder.path().join("file")).await.unwrap();
        file.write_all_at(vec![7; 65_536], 0).await.0.unwrap();
        for advice in [Advice::Normal, Advice::Sequential, Advice::Random, Advice::NoReuse, Advice::WillNeed]
        {
            file.advise(0, 0, advice).await.unwrap();
        }
        file.advise(4096, 20 << 30, Advice::DontNeed).await.unwrap();
        file.start_sync_range(0, 65_536).await.unwrap();
        file.sync_range(0, 0).await.unwrap();
        file.sync_range(1 << 33, 20 << 30).await.unwrap();
        let (reader, _writer) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(reader));
        assert_eq!(errno(pipe.advise(0, 0, Advice::Random).await), libc::ESPIPE);
        assert_eq!(errno(pipe.sync_range(0, 0).await), libc::ESPIPE);
    })
    .unwrap();
}

#[test]
fn a_lock_keeps_others_out_until_it_is_given_back_or_its_file_is_closed() {
    let folder = on_disk();
    run(async {
        let path = folder.path().join("lock");
        let one = File::create_new(&path).await.unwrap();
        let other = fs::open(&path).await.unwrap();
        one.lock_shared().await.unwrap();
        assert!(other.try_lock_shared().unwrap() && !one.try_lock().unwrap());
        other.unlock().unwrap();
        // One that had a lock and failed to change it may have lost it.
        one.lock().await.unwrap();
        assert!(!other.try_lock().unwrap() && !other.try_lock_shared().unwrap());
        let waits = timeout(Duration::from_millis(10), other.lock()).await;
        assert!(waits.is_err());
        one.unlock().unwrap();
        // Who gave up waiting has not got it.
        assert!(one.try_lock().unwrap());

        let third = fs::open(&path).await.unwrap();
        let waiting = spawn(async move {
            other.lock().await.unwrap();
            other
        });
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(!waiting.is_finished());
        one.close().await.unwrap();
        let other = waiting.await.unwrap();
        assert!(!third.try_lock_shared().unwrap());
        drop(other);
        third.lock_shared().await.unwrap();
    })
    .unwrap();
}

#[test]
fn a_lock_on_a_range_concerns_that_range_alone() {
    let folder = on_disk();
    run(async {
        let path = folder.path().join("lock");
        let one = File::create_new(&path).await.unwrap();
        let other = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
        let exclusive = RangeLock::Exclusive;
        one.lock_range(10..20, exclusive).await.unwrap();
        assert!(
            other.try_lock_range(..10, exclusive).unwrap() && other.try_lock_range(20.., exclusive).unwrap()
        );
        assert!(!one.try_lock_range(9..10, RangeLock::Shared).unwrap());
        assert!(!other.try_lock_range(19..=19, RangeLock::Shared).unwrap());
        // Locks on whole files are others.
        assert!(other.try_lock().unwrap());
        let waits = timeout(Duration::from_millis(10), other.lock_range(15..=15, exclusive)).await;
        assert!(waits.is_err());
        one.lock_range(10..20, RangeLock::Shared).await.unwrap();
        assert!(other.try_lock_range(15..16, RangeLock::Shared).unwrap());
        assert!(!one.try_lock_range(15..16, exclusive).unwrap());
        other.unlock_range(15..16).unwrap();
        other.unlock_range(..).unwrap();
        let waiting = spawn({
            let other = other.clone();
            async move { other.lock_range(.., exclusive).await }
        });
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(!waiting.is_finished());
        drop(one);
        waiting.await.unwrap().unwrap();

        let reader = fs::open(&path).await.unwrap();
        assert_eq!(errno(reader.try_lock_range(0..1, exclusive)), libc::EBADF);
        let empty = (Bound::Included(5), Bound::Excluded(5));
        assert_eq!(errno(reader.try_lock_range(empty, RangeLock::Shared)), libc::EINVAL);
        assert_eq!(errno(reader.try_lock_range(1 << 63.., RangeLock::Shared)), libc::EINVAL);
    })
    .unwrap();
}

#[test]
fn attributes_of_every_kind_of_name_are_set_listed_and_removed() {
    let folder = on_disk();
    run(async {
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        let file = File::create_new(&path).await.unwrap();
        symlink("file", &link).unwrap();
        let odd = OsStr::from_bytes(b"user.\xff\xfe");
        if let Err(error) = file.set_xattr("user.plain", "value", SetMode::Create).await {
            assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP));
            return println!("SKIP: the file system of the target folder has no extended attributes");
        }
        xattr::set(&link, odd, vec![0_u8, 255], SetMode::Any).await.unwrap();
        file.set_xattr("user.empty", "", SetMode::Any).await.unwrap();
        let long = vec![b'x'; 3_000];
        file.set_xattr("user.long", long.clone(), SetMode::Any).await.unwrap();
        assert_eq!(xattr::get(&link, "user.plain").await.unwrap().as_deref(), Some(&b"value"[..]));
        assert_eq!(file.get_xattr(odd).await.unwrap(), Some(vec![0, 255]));
        assert_eq!(file.get_xattr("user.empty").await.unwrap(), Some(vec![]));
        assert_eq!(file.get_xattr("user.long").await.unwrap(), Some(long));
        assert_eq!(file.get_xattr("user.none").await.unwrap(), None);
        assert_eq!(xattr::lget(&link, "user.plain").await.unwrap(), None);
        assert_eq!(xattr::lget(&path, "user.plain").await.unwrap().as_deref(), Some(&b"value"[..]));

        let mut names = file.list_xattrs().await.unwrap();
        names.sort();
        assert_eq!(names, [OsStr::new("user.empty"), "user.long".as_ref(), "user.plain".as_ref(), odd]);
        assert_eq!(xattr::list(&link).await.unwrap().len(), 4);
        assert_eq!(xattr::llist(&link).await.unwrap().len(), 0);

        assert_eq!(errno(file.set_xattr("user.plain", "x", SetMode::Create).await), libc::EEXIST);
        assert_eq!(errno(xattr::set(&path, "user.none", "x", SetMode::Replace).await), libc::ENODATA);
        assert_eq!(errno(xattr::lset(&link, "user.plain", "x", SetMode::Any).await), libc::EPERM);
        assert_eq!(errno(file.get_xattr("nonsense").await), libc::EOPNOTSUPP);
        assert_eq!(errno(file.get_xattr("user.a\0b").await), libc::EINVAL);
        assert_eq!(errno(xattr::get("a\0b", "user.plain").await), libc::EINVAL);

        file.remove_xattr(odd).await.unwrap();
        xattr::remove(&link, "user.plain").await.unwrap();
        assert_eq!(errno(xattr::remove(&path, "user.plain").await), libc::ENODATA);
        assert_eq!(errno(xattr::lremove(&link, "user.long").await), libc::EPERM);
        xattr::lremove(&path, "user.long").await.unwrap();
        assert_eq!(file.list_xattrs().await.unwrap(), ["user.empty"]);
    })
    .unwrap();
}

#[test]
fn permissions_times_and_owners_are_set_by_file_and_by_path() {
    let folder = on_disk();
    run(async {
        let path = folder.path().join("file");
        let file = File::create_new(&path).await.unwrap();
        file.set_permissions(PermissionsExt::from_mode(0o4711)).await.unwrap();
        assert_eq!(fs::metadata(&path).await.unwrap().permissions().mode(), 0o4711);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).await.unwrap();
        assert_eq!(file.metadata().await.unwrap().mode(), 0o600);

        let (early, late) =
            (UNIX_EPOCH - Duration::from_nanos(1_500_000_001), UNIX_EPOCH + Duration::new(1 << 33, 7));
        file.set_times(FileTimes::new().set_accessed(early).set_modified(late)).await.unwrap();
        let metadata = file.metadata().await.unwrap();
        assert_eq!((metadata.accessed(), metadata.modified()), (early, late));
        fs::set_times(&path, FileTimes::new().set_modified(early)).await.unwrap();
        let metadata = file.metadata().await.unwrap();
        assert_eq!((metadata.accessed(), metadata.modified()), (early, early));
        assert_eq!(std::fs::metadata(&path).unwrap().mtime(), -2);

        let (user, group) = metadata.owner();
        file.chown(None, Some(group)).await.unwrap();
        fs::chown(&path, Some(user), None).await.unwrap();
        fs::lchown(&path, None, None).await.unwrap();
        assert_eq!(errno(fs::chown(&path, Some(u32::MAX), None).await), libc::EINVAL);
        assert_eq!(
            errno(fs::set_times(folder.path().join("gone"), FileTimes::new().set_modified(early)).await),
            libc::ENOENT
        );
    })
    .unwrap();
}

#[test]
fn cursors_have_positions_of_their_own_and_are_streams() {
    let folder = on_disk();
    run(async {
        let file = File::create_new(folder.path().join("file")).await.unwrap();
        let writer = file.cursor();
        writer.write_all("first line\nsecond ").await.0.unwrap();
        writer.write_all("line\nthird").await.0.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(writer.position(), 28);

        let reader = file.cursor();
        let (read, start) = reader.read([0; 5]).await;
        assert_eq!((read.unwrap(), &start, reader.position()), (5, b"first", 5));
        let mut lines = BufReader::new(file.cursor()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("first line"));
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("second line"));
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("third"));
        assert_eq!(lines.next_line().await.unwrap(), None);

        assert_eq!(reader.seek(SeekFrom::End(-5)).await.unwrap(), 23);
        let (read, end) = reader.read_to_end(b">".to_vec()).await;
        assert_eq!((read.unwrap(), end), (5, b">third".to_vec()));
        assert_eq!(reader.seek(SeekFrom::Current(-28)).await.unwrap(), 0);
        assert_eq!(errno(reader.seek(SeekFrom::Current(-1)).await), libc::EINVAL);
        let (short, part) = reader.read_exact(vec![0; 40].slice(..30)).await;
        assert_eq!(short.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(part.get_ref()[..5], *b"first");
        reader.set_position(11);
        reader.write("SECOND").await.0.unwrap();
        let (_, all) = file.read_to_end_at(vec![], 0).await;
        assert_eq!(all, b"first line\nSECOND line\nthird");
        // Behind its end there is nothing to read; a write makes a hole.
        reader.set_position(1000);
        assert_eq!(reader.into_inner().cursor().position(), 0);
    })
    .unwrap();
}

#[test]
fn files_are_opened_in_every_way_that_there_is() {
    let folder = on_disk();
    run(async {
        let path = folder.path().join("file");
        let plain = OpenOptions::new().write(true).create(true).mode(0o604);
        let file = plain.open(&path).await.unwrap();
        file.write_all_at("0123456789", 0).await.0.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o604);
        assert_eq!(plain.truncate(true).open(&path).await.unwrap().metadata().await.unwrap().len(), 0);
        assert_eq!(errno(plain.create_new(true).open(&path).await), libc::EEXIST);
        // Taking `create_new` back leaves `create`.
        plain.create_new(true).create_new(false).open(folder.path().join("other")).await.unwrap();

        let synced = OpenOptions::new().write(true).dsync(true).open(&path).await.unwrap();
        synced.write_all_at("x", 0).await.0.unwrap();
        OpenOptions::new().write(true).sync(true).noatime(true).open(&path).await.unwrap();

        let unnamed =
            OpenOptions::new().read(true).write(true).tmpfile(true).open(folder.path()).await.unwrap();
        unnamed.write_all_at("nowhere", 0).await.0.unwrap();
        assert_eq!(unnamed.metadata().await.unwrap().links(), 0);

        symlink("file", folder.path().join("link")).unwrap();
        symlink("loop", folder.path().join("loop")).unwrap();
        let link = folder.path().join("link");
        let nofollow = OpenOptions::new().read(true).nofollow(true);
        assert_eq!(errno(nofollow.open(&link).await), libc::ELOOP);
        assert_eq!(errno(fs::open(folder.path().join("loop")).await), libc::ELOOP);
        assert_eq!(errno(fs::metadata(folder.path().join("loop")).await), libc::ELOOP);
        let itself = OpenOptions::new().path_only(true).nofollow(true).open(&link).await.unwrap();
        assert_eq!(itself.metadata().await.unwrap().file_type(), FileType::Symlink);
        assert_eq!(errno(itself.read_at(vec![0; 1], 0).await.0), libc::EBADF);
        assert_eq!(errno(OpenOptions::new().read(true).directory(true).open(&path).await), libc::ENOTDIR);
        assert_eq!(errno(File::create(folder.path()).await), libc::EISDIR);

        let clone = file.clone();
        let file = file.try_into_owned_fd().unwrap_err();
        drop(clone);
        file.try_into_owned_fd().unwrap();
        let alignment = fs::open(&path).await.unwrap().direct_alignment().await.unwrap();
        assert!(alignment.offset() >= 512 && alignment.offset() <= 65_536, "{alignment:?}");
        let offset = u64::from(alignment.offset());
        assert_eq!((alignment.floor(offset + 1), alignment.ceil(offset + 1)), (offset, 2 * offset));
        assert!(alignment.ceil(u64::MAX) >= u64::MAX - offset);
        let (reader, _writer) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(reader));
        assert_eq!(pipe.metadata().await.unwrap().file_type(), FileType::Fifo);
        let tty = fs::metadata("/dev/null").await.unwrap();
        assert_eq!(tty.file_type(), FileType::CharDevice);
    })
    .unwrap();
}

#[test]
fn a_file_without_a_name_gets_one_that_nothing_has() {
    let folder = on_disk();
    run(async {
        let options = OpenOptions::new().read(true).write(true).tmpfile(true).mode(0o640);
        let file = options.open(folder.path()).await.unwrap();
        file.write_all_at("named later", 0).await.0.unwrap();
        let dir = Dir::open(folder.path()).await.unwrap();
        file.link_in(&dir, "name").await.unwrap();
        file.link(folder.path().join("another")).await.unwrap();
        assert_eq!(errno(file.link_in(&dir, "name").await), libc::EEXIST);
        assert_eq!(dir.read("name").await.unwrap(), b"named later");
        let facts = dir.statx("another").await.unwrap();
        assert_eq!((facts.links(), facts.mode()), (2, 0o640));
    })
    .unwrap();
}

#[test]
fn what_is_asked_for_is_told_and_what_was_told_can_be_seen() {
    let folder = on_disk();
    run(async {
        let path = folder.path().join("file");
        fs::write(&path, "0123456789").await.0.unwrap();
        symlink("file", folder.path().join("link")).unwrap();
        let size = fs::statx(&path, libc::AT_STATX_DONT_SYNC, libc::STATX_SIZE).await.unwrap();
        assert!(size.has(libc::STATX_SIZE) && size.len() == 10);
        let file = fs::open(&path).await.unwrap();
        let kind = file.statx(0, libc::STATX_TYPE | libc::STATX_INO).await.unwrap();
        assert!(kind.is_file() && kind.inode() == file.metadata().await.unwrap().inode());
        let dir = Dir::open(folder.path()).await.unwrap();
        let link = dir.statx_masked("link", libc::AT_SYMLINK_NOFOLLOW, libc::STATX_TYPE).await.unwrap();
        assert!(link.is_symlink());
        assert_eq!(errno(fs::statx(&path, 1 << 30, libc::STATX_SIZE).await), libc::EINVAL);
        assert!(fs::exists(&path).await.unwrap() && !fs::exists(folder.path().join("gone")).await.unwrap());

        let std = std::fs::File::try_from(file).unwrap();
        assert_eq!(std.metadata().unwrap().len(), 10);
        assert_eq!(File::from(std).metadata().await.unwrap().len(), 10);
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
