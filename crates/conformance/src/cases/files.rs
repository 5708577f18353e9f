//! Reads, writes and what else is done to open files.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;

use annulus::abi::Features;
use annulus::opcode;
use annulus::types::FsyncFlags;

use super::tools::{fd, file, pipe, read, write};
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, cases};

cases! {
    Every a_read_brings_the_bytes_at_its_offset => IORING_OP_READ;
    Every a_read_at_the_end_brings_0;
    Every a_read_without_offset_moves_the_position;
    Every a_write_changes_the_bytes_at_its_offset => IORING_OP_WRITE;
    Every a_write_with_append_goes_to_the_end;
    Every a_vectored_read_fills_one_buffer_after_the_other => IORING_OP_READV;
    Every a_vectored_write_empties_one_buffer_after_the_other => IORING_OP_WRITEV;
    Every a_read_that_must_not_wait_fails_with_eagain;
    Every a_read_of_memory_that_is_not_there_fails_with_efault;
    Every a_read_of_a_file_open_for_writing_fails_with_ebadf;
    Every fsync_and_fdatasync_succeed => IORING_OP_FSYNC;
    Every a_range_is_written_back => IORING_OP_SYNC_FILE_RANGE;
    Every fallocate_makes_a_file_longer_and_punches_holes => IORING_OP_FALLOCATE;
    Every ftruncate_cuts_and_grows => IORING_OP_FTRUNCATE;
    Every advice_about_a_file_is_taken => IORING_OP_FADVISE;
    Every advice_reaches_beyond_4_gib;
    Every advice_about_memory_is_taken => IORING_OP_MADVISE;
    Every a_read_of_a_device_completes;
}

fn a_read_brings_the_bytes_at_its_offset(bench: &Bench<'_>) -> Outcome {
    let (file, buffer) = (file(b"0123456789"), Buffer::new(4));
    let entry = opcode::Read::new(fd(&file), buffer.ptr(), 4).offset(3).build();
    assert_eq!(bench.rig()?.result(entry), 4);
    assert_eq!(buffer.bytes(), b"3456");
    Ok(())
}

fn a_read_at_the_end_brings_0(bench: &Bench<'_>) -> Outcome {
    let (file, buffer) = (file(b"abc"), Buffer::new(4));
    let entry = opcode::Read::new(fd(&file), buffer.ptr(), 4).offset(3).build();
    assert_eq!(bench.rig()?.result(entry), 0);
    Ok(())
}

fn a_read_without_offset_moves_the_position(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Feature(Features::RW_CUR_POS)])?;
    let (mut file, buffer) = (file(b"0123456789"), Buffer::new(4));
    let mut rig = bench.rig()?;
    let entry = || opcode::Read::new(fd(&file), buffer.ptr(), 4).offset(u64::MAX).build();
    assert_eq!((rig.result(entry()), rig.result(entry())), (4, 4));
    assert_eq!(buffer.bytes(), b"4567");
    assert_eq!(file.stream_position().expect("a position"), 8);
    Ok(())
}

fn a_write_changes_the_bytes_at_its_offset(bench: &Bench<'_>) -> Outcome {
    let (file, buffer) = (file(b"0123456789"), Buffer::of(b"abc"));
    let entry = opcode::Write::new(fd(&file), buffer.ptr(), 3).offset(8).build();
    assert_eq!(bench.rig()?.result(entry), 3);
    assert_eq!(contents(&file), b"01234567abc");
    Ok(())
}

fn a_write_with_append_goes_to_the_end(bench: &Bench<'_>) -> Outcome {
    let (file, buffer) = (file(b"0123"), Buffer::of(b"abc"));
    let entry = opcode::Write::new(fd(&file), buffer.ptr(), 3).rw_flags(libc::RWF_APPEND).build();
    assert_eq!(bench.rig()?.result(entry), 3);
    assert_eq!(contents(&file), b"0123abc");
    Ok(())
}

fn a_vectored_read_fills_one_buffer_after_the_other(bench: &Bench<'_>) -> Outcome {
    let (file, first, second) = (file(b"0123456789"), Buffer::new(4), Buffer::new(4));
    let iovecs = Kept::slice(&[first.iovec(), second.iovec()]);
    let entry = opcode::Readv::new(fd(&file), iovecs.ptr(), 2).offset(1).build();
    assert_eq!(bench.rig()?.result(entry), 8);
    assert_eq!((first.bytes(), second.bytes()), (b"1234".to_vec(), b"5678".to_vec()));
    Ok(())
}

fn a_vectored_write_empties_one_buffer_after_the_other(bench: &Bench<'_>) -> Outcome {
    let (file, first, second) = (file(b""), Buffer::of(b"abc"), Buffer::of(b"defg"));
    let iovecs = Kept::slice(&[first.iovec(), second.iovec()]);
    let entry = opcode::Writev::new(fd(&file), iovecs.ptr(), 2).offset(1).build();
    assert_eq!(bench.rig()?.result(entry), 7);
    assert_eq!(contents(&file), b"\0abcdefg");
    Ok(())
}

fn a_read_that_must_not_wait_fails_with_eagain(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 4, "RWF_NOWAIT for pipes")])?;
    let ((reader, _writer), buffer) = (pipe(), Buffer::new(1));
    let entry = opcode::Read::new(fd(&reader), buffer.ptr(), 1).rw_flags(libc::RWF_NOWAIT).build();
    assert_eq!(bench.rig()?.result(entry), -libc::EAGAIN);
    Ok(())
}

fn a_read_of_memory_that_is_not_there_fails_with_efault(bench: &Bench<'_>) -> Outcome {
    let file = file(b"abc");
    let entry = opcode::Raw::new(opcode::Read::CODE).target(fd(&file)).addr(8).len(3).build();
    assert_eq!(bench.rig()?.result(entry), -libc::EFAULT);
    Ok(())
}

fn a_read_of_a_file_open_for_writing_fails_with_ebadf(bench: &Bench<'_>) -> Outcome {
    let (_reader, writer) = pipe();
    assert_eq!(bench.rig()?.result(read(&writer, &Buffer::new(1))), -libc::EBADF);
    Ok(())
}

fn fsync_and_fdatasync_succeed(bench: &Bench<'_>) -> Outcome {
    let (file, pipe) = (file(b"abc"), pipe());
    let data = opcode::Fsync::new(fd(&file)).flags(FsyncFlags::DATASYNC).build();
    let results = bench.rig()?.batch([
        opcode::Fsync::new(fd(&file)).build(),
        data,
        opcode::Fsync::new(fd(&pipe.1)).build(),
    ]);
    assert_eq!(results, [0, 0, -libc::EINVAL], "a pipe has nothing to be synced");
    Ok(())
}

fn a_range_is_written_back(bench: &Bench<'_>) -> Outcome {
    let file = file(&[1; 8192]);
    let flags = libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let entry = opcode::SyncFileRange::new(fd(&file), 4096).offset(4096).flags(flags).build();
    assert_eq!(bench.rig()?.result(entry), 0);
    Ok(())
}

fn fallocate_makes_a_file_longer_and_punches_holes(bench: &Bench<'_>) -> Outcome {
    let (file, mut rig) = (file(&[7; 8192]), bench.rig()?);
    assert_eq!(rig.result(opcode::Fallocate::new(fd(&file), 4096).offset(8192).build()), 0);
    assert_eq!(file.metadata().expect("metadata").size(), 12288);
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    assert_eq!(rig.result(opcode::Fallocate::new(fd(&file), 4096).offset(0).mode(mode).build()), 0);
    assert_eq!(contents(&file), [[0; 4096], [7; 4096], [0; 4096]].concat());
    Ok(())
}

fn ftruncate_cuts_and_grows(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::Ftruncate::CODE)])?;
    let (file, mut rig) = (file(b"abcdef"), bench.rig()?);
    assert_eq!(rig.result(opcode::Ftruncate::new(fd(&file), 2).build()), 0);
    assert_eq!(rig.result(opcode::Ftruncate::new(fd(&file), 4).build()), 0);
    assert_eq!(contents(&file), b"ab\0\0");
    Ok(())
}

fn advice_about_a_file_is_taken(bench: &Bench<'_>) -> Outcome {
    let (file, mut rig) = (file(b"abc"), bench.rig()?);
    for advice in [libc::POSIX_FADV_NORMAL, libc::POSIX_FADV_WILLNEED, libc::POSIX_FADV_DONTNEED] {
        assert_eq!(rig.result(opcode::Fadvise::new(fd(&file), 4096, advice).build()), 0);
    }
    assert_eq!(rig.result(opcode::Fadvise::new(fd(&file), 1, 99).build()), -libc::EINVAL);
    Ok(())
}

fn advice_reaches_beyond_4_gib(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 11, "advice about 4 GiB and more")])?;
    let file = file(b"abc");
    let entry = opcode::Fadvise::new(fd(&file), 1 << 33, libc::POSIX_FADV_WILLNEED).build();
    assert_eq!(bench.rig()?.result(entry), 0);
    Ok(())
}

fn advice_about_memory_is_taken(bench: &Bench<'_>) -> Outcome {
    let (buffer, mut rig) = (Buffer::of(&[7; 4096]), bench.rig()?);
    let advise = |advice| opcode::Madvise::new(buffer.ptr().cast(), 4096, advice).build();
    assert_eq!(rig.result(advise(libc::MADV_WILLNEED)), 0);
    assert_eq!(buffer.bytes(), [7; 4096]);
    // Only memory of a mapping of its own may lose its bytes: the allocator's pages are its business, but
    // anonymous, so they read as zeroes afterwards.
    assert_eq!(rig.result(advise(libc::MADV_DONTNEED)), 0);
    assert_eq!(buffer.bytes(), [0; 4096]);
    Ok(())
}

fn a_read_of_a_device_completes(bench: &Bench<'_>) -> Outcome {
    let (zero, null) = (File::open("/dev/zero").expect("zeroes"), sink());
    let (buffer, mut rig) = (Buffer::of(&[9; 64]), bench.rig()?);
    assert_eq!(rig.result(read(&zero, &buffer)), 64);
    assert_eq!(buffer.bytes(), [0; 64]);
    assert_eq!(rig.result(write(&null, &buffer)), 64);
    Ok(())
}

fn sink() -> File {
    File::options().write(true).open("/dev/null").expect("a sink")
}

fn contents(file: &File) -> Vec<u8> {
    let mut file = file.try_clone().expect("another descriptor");
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).expect("the beginning");
    file.read_to_end(&mut bytes).expect("the bytes");
    bytes
}
