//! Pipes: making them, and moving bytes through them without copies.

use annulus::opcode;
use annulus::types::{DestinationSlot, Fd, Fixed};

use super::tools::{fd, feed, file, pipe, read};
use crate::harness::{Bench, Buffer, Kept, Need, Outcome, cases};

cases! {
    Every splice_moves_bytes_from_a_file_into_a_pipe => IORING_OP_SPLICE;
    Every splice_takes_its_source_from_a_registered_file;
    Every splice_between_two_files_is_refused;
    Every tee_copies_and_leaves_the_bytes => IORING_OP_TEE;
    Every pipe_makes_two_connected_descriptors => IORING_OP_PIPE;
    Every pipe_makes_two_registered_files;
}

fn splice_moves_bytes_from_a_file_into_a_pipe(bench: &Bench<'_>) -> Outcome {
    let (file, (reader, writer), buffer) = (file(b"0123456789"), pipe(), Buffer::new(4));
    let mut rig = bench.rig()?;
    assert_eq!(rig.result(opcode::Splice::new(fd(&file), 2, fd(&writer), -1, 4).build()), 4);
    assert_eq!(rig.result(read(&reader, &buffer)), 4);
    assert_eq!(buffer.bytes(), b"2345");
    Ok(())
}

fn splice_takes_its_source_from_a_registered_file(bench: &Bench<'_>) -> Outcome {
    let (file, (reader, writer), buffer) = (file(b"abc"), pipe(), Buffer::new(3));
    let mut rig = bench.rig()?;
    rig.ring().submitter().register_files(&[fd(&file).0]).expect("one file");
    assert_eq!(rig.result(opcode::Splice::new(Fixed(0), 0, fd(&writer), -1, 3).build()), 3);
    assert_eq!(rig.result(read(&reader, &buffer)), 3);
    assert_eq!(buffer.bytes(), b"abc");
    Ok(())
}

fn splice_between_two_files_is_refused(bench: &Bench<'_>) -> Outcome {
    let (from, to) = (file(b"abc"), file(b""));
    assert_eq!(bench.rig()?.result(opcode::Splice::new(fd(&from), 0, fd(&to), 0, 3).build()), -libc::EINVAL);
    Ok(())
}

fn tee_copies_and_leaves_the_bytes(bench: &Bench<'_>) -> Outcome {
    let ((source, feeder), (copy, sink), mut rig) = (pipe(), pipe(), bench.rig()?);
    feed(&feeder, b"abc");
    assert_eq!(rig.result(opcode::Tee::new(fd(&source), fd(&sink), 64).build()), 3);
    for reader in [&source, &copy] {
        let buffer = Buffer::new(3);
        assert_eq!(rig.result(read(reader, &buffer)), 3);
        assert_eq!(buffer.bytes(), b"abc");
    }
    Ok(())
}

fn pipe_makes_two_connected_descriptors(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::Pipe::CODE)])?;
    let (ends, mut rig) = (Kept::new([-1; 2]), bench.rig()?);
    let entry = opcode::Pipe::new(ends.ptr().cast()).flags(libc::O_CLOEXEC.cast_unsigned()).build();
    assert_eq!(rig.result(entry), 0);
    let [reader, writer] = ends.get();
    let (text, buffer) = (Buffer::of(b"abc"), Buffer::new(3));
    assert_eq!(rig.result(opcode::Write::new(Fd(writer), text.ptr(), 3).build()), 3);
    assert_eq!(rig.result(opcode::Read::new(Fd(reader), buffer.ptr(), 3).build()), 3);
    assert_eq!(buffer.bytes(), b"abc");
    let closed = rig.batch([reader, writer].map(|end| opcode::Close::new(Fd(end)).build()));
    assert_eq!(closed, [0, 0]);
    Ok(())
}

fn pipe_makes_two_registered_files(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::Pipe::CODE)])?;
    let (ends, mut rig) = (Kept::new([-1; 2]), bench.rig()?);
    rig.ring().submitter().register_files_sparse(2).expect("a table");
    let slot = Some(DestinationSlot::try_from_slot_target(0).expect("a slot"));
    assert_eq!(rig.result(opcode::Pipe::new(ends.ptr().cast()).file_index(slot).build()), 0);
    let (text, buffer) = (Buffer::of(b"abc"), Buffer::new(3));
    assert_eq!(rig.result(opcode::Write::new(Fixed(1), text.ptr(), 3).build()), 3);
    assert_eq!(rig.result(opcode::Read::new(Fixed(0), buffer.ptr(), 3).build()), 3);
    assert_eq!(buffer.bytes(), b"abc");
    Ok(())
}
