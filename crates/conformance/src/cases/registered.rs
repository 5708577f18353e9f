//! Registered files and buffers in use: slots instead of descriptors, pages that are locked already.
//!
//! How registration itself answers is tested beside the methods, in the ring's own tests.

use std::os::fd::AsRawFd;

use annulus::opcode;
use annulus::types::{DestinationSlot, Fd, Fixed, FixedFdFlags};

use super::tools::{fd, feed, file, pipe};
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, Rig, cases, path};

cases! {
    Every a_registered_buffer_is_read_into_and_written_from => IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED;
    Every a_part_outside_of_a_registered_buffer_fails_with_efault;
    Every pieces_of_a_registered_buffer_are_read_into_and_written_from
        => IORING_OP_READV_FIXED, IORING_OP_WRITEV_FIXED;
    Every a_registered_file_is_read_by_its_slot;
    Every an_empty_slot_fails_with_ebadf;
    Every files_are_replaced_by_a_request => IORING_OP_FILES_UPDATE;
    Every files_are_put_into_free_slots_by_a_request;
    Every a_file_is_opened_into_a_slot_and_closed_there;
    Every a_slot_is_taken_wherever_one_is_free;
    Every a_descriptor_is_made_of_a_registered_file => IORING_OP_FIXED_FD_INSTALL;
    Every a_request_keeps_its_registered_file_when_the_slot_changes;
}

fn a_registered_buffer_is_read_into_and_written_from(bench: &Bench<'_>) -> Outcome {
    let (source, sink, buffer, mut rig) = (file(b"0123456789"), file(b""), Buffer::new(4096), bench.rig()?);
    rig.register_buffers(&[buffer])?;
    let part = buffer.part(100, 4);
    let read = opcode::ReadFixed::new(fd(&source), part.ptr(), 4, 0).offset(3).build();
    assert_eq!(rig.result(read), 4);
    assert_eq!(part.bytes(), b"3456");
    assert_eq!(rig.result(opcode::WriteFixed::new(fd(&sink), part.ptr(), 4, 0).build()), 4);
    assert_eq!(content(&mut rig, fd(&sink)), b"3456");
    Ok(())
}

fn a_part_outside_of_a_registered_buffer_fails_with_efault(bench: &Bench<'_>) -> Outcome {
    let (source, buffer, mut rig) = (file(b"0123456789"), Buffer::new(8192), bench.rig()?);
    rig.register_buffers(&[buffer.part(0, 4096)])?;
    let outside = buffer.part(4090, 8);
    assert_eq!(rig.result(opcode::ReadFixed::new(fd(&source), outside.ptr(), 8, 0).build()), -libc::EFAULT);
    assert_eq!(rig.result(opcode::ReadFixed::new(fd(&source), buffer.ptr(), 8, 1).build()), -libc::EFAULT);
    Ok(())
}

fn pieces_of_a_registered_buffer_are_read_into_and_written_from(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::ReadvFixed::CODE), Need::Opcode(opcode::WritevFixed::CODE)])?;
    let (source, sink, buffer, mut rig) = (file(b"0123456789"), file(b""), Buffer::new(4096), bench.rig()?);
    rig.register_buffers(&[buffer])?;
    let pieces = [buffer.part(1000, 4), buffer.part(10, 3)];
    let iovecs = Kept::slice(&pieces.map(|piece| piece.iovec()));
    assert_eq!(rig.result(opcode::ReadvFixed::new(fd(&source), iovecs.ptr(), 2, 0).build()), 7);
    assert_eq!((pieces[0].bytes(), pieces[1].bytes()), (b"0123".to_vec(), b"456".to_vec()));
    assert_eq!(rig.result(opcode::WritevFixed::new(fd(&sink), iovecs.ptr(), 2, 0).build()), 7);
    assert_eq!(content(&mut rig, fd(&sink)), b"0123456");
    Ok(())
}

fn a_registered_file_is_read_by_its_slot(bench: &Bench<'_>) -> Outcome {
    let (file, buffer, mut rig) = (file(b"abc"), Buffer::new(3), bench.rig()?);
    rig.ring().submitter().register_files(&[-1, file.as_raw_fd()]).expect("two slots");
    drop(file);
    assert_eq!(rig.result(opcode::Read::new(Fixed(1), buffer.ptr(), 3).build()), 3);
    assert_eq!(buffer.bytes(), b"abc");
    Ok(())
}

fn an_empty_slot_fails_with_ebadf(bench: &Bench<'_>) -> Outcome {
    let (buffer, mut rig) = (Buffer::new(3), bench.rig()?);
    rig.ring().submitter().register_files(&[-1]).expect("a slot");
    let read = |slot| opcode::Read::new(Fixed(slot), buffer.ptr(), 3).build();
    assert_eq!(rig.batch([read(0), read(1)]), [-libc::EBADF; 2]);
    Ok(())
}

fn files_are_replaced_by_a_request(bench: &Bench<'_>) -> Outcome {
    let (first, second, mut rig) = (file(b"first"), file(b"second"), bench.rig()?);
    rig.ring().submitter().register_files(&[-1, first.as_raw_fd()]).expect("two slots");
    let fds = Kept::slice(&[second.as_raw_fd(), -1]);
    assert_eq!(rig.result(opcode::FilesUpdate::new(fds.ptr(), 2).offset(0).build()), 2);
    assert_eq!(content(&mut rig, Fixed(0)), b"second");
    assert_eq!(rig.result(opcode::Read::new(Fixed(1), Buffer::new(1).ptr(), 1).build()), -libc::EBADF);
    Ok(())
}

fn files_are_put_into_free_slots_by_a_request(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 19, "IORING_FILE_INDEX_ALLOC")])?;
    let (file, mut rig) = (file(b"found"), bench.rig()?);
    rig.ring().submitter().register_files(&[file.as_raw_fd(), -1]).expect("two slots");
    let fds = Kept::slice(&[file.as_raw_fd()]);
    assert_eq!(rig.result(opcode::FilesUpdate::new(fds.ptr(), 1).offset(-1).build()), 1);
    assert_eq!(fds.get(), 1, "the slot");
    assert_eq!(content(&mut rig, Fixed(1)), b"found");
    Ok(())
}

fn a_file_is_opened_into_a_slot_and_closed_there(bench: &Bench<'_>) -> Outcome {
    let mut rig = bench.rig()?;
    rig.ring().submitter().register_files(&[-1, -1]).expect("two slots");
    let slot = DestinationSlot::try_from_slot_target(1).expect("a slot");
    let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path("/dev/zero")).file_index(Some(slot)).build();
    assert_eq!(rig.result(open), 0);
    let buffer = Buffer::of(b"abc");
    assert_eq!(rig.result(opcode::Read::new(Fixed(1), buffer.ptr(), 3).build()), 3);
    assert_eq!(buffer.bytes(), [0; 3]);
    assert_eq!(rig.result(opcode::Close::new(Fixed(1)).build()), 0);
    assert_eq!(rig.result(opcode::Close::new(Fixed(1)).build()), -libc::EBADF);
    Ok(())
}

fn a_slot_is_taken_wherever_one_is_free(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(5, 19, "IORING_FILE_INDEX_ALLOC")])?;
    let (file, mut rig) = (file(b"abc"), bench.rig()?);
    rig.ring().submitter().register_files(&[file.as_raw_fd(), -1, file.as_raw_fd()]).expect("three slots");
    let auto = Some(DestinationSlot::auto_target());
    let open = || opcode::OpenAt::new(Fd(libc::AT_FDCWD), path("/dev/null")).file_index(auto).build();
    assert_eq!((rig.result(open()), rig.result(open())), (1, -libc::ENFILE));
    Ok(())
}

fn a_descriptor_is_made_of_a_registered_file(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::FixedFdInstall::CODE)])?;
    let (file, mut rig) = (file(b"abc"), bench.rig()?);
    rig.ring().submitter().register_files(&[file.as_raw_fd()]).expect("a slot");
    for (flags, closed_on_exec) in [(0, true), (FixedFdFlags::NO_CLOEXEC.bits(), false)] {
        let descriptor = rig.result(opcode::FixedFdInstall::new(Fixed(0), flags).build());
        assert!(descriptor >= 0, "{descriptor}");
        crate::harness::with_descriptor(Fd(descriptor), |made| {
            let flags = rustix::io::fcntl_getfd(made).expect("its flags");
            assert_eq!(flags.contains(rustix::io::FdFlags::CLOEXEC), closed_on_exec);
        });
        assert_eq!(content(&mut rig, Fd(descriptor)), b"abc");
        assert_eq!(rig.result(opcode::Close::new(Fd(descriptor)).build()), 0);
    }
    Ok(())
}

fn a_request_keeps_its_registered_file_when_the_slot_changes(bench: &Bench<'_>) -> Outcome {
    let ((reader, writer), buffer, mut rig) = (pipe(), Buffer::new(4), bench.rig()?);
    rig.ring().submitter().register_files(&[reader.as_raw_fd()]).expect("a slot");
    drop(reader);
    rig.push(opcode::Read::new(Fixed(0), buffer.ptr(), 4).build().user_data(7));
    rig.push(opcode::Read::new(Fixed(0), buffer.ptr(), 4).build().user_data(8));
    rig.submit();
    rig.nothing_more();
    assert_eq!(rig.ring().submitter().register_files_update(0, &[-1]).expect("an update"), 1);
    feed(&writer, b"data");
    assert_eq!(rig.take_one().result(), 4);
    drop(writer);
    assert_eq!(rig.take_one().result(), 0, "the end, for the other one");
    Ok(())
}

/// What a file holds from its beginning, read by the ring.
fn content(rig: &mut Rig, file: impl annulus::types::UseFixed) -> Vec<u8> {
    let buffer = Buffer::new(64);
    let len = rig.result(opcode::Read::new(file, buffer.ptr(), 64).build());
    buffer.first(usize::try_from(len).expect("bytes"))
}
