//! Extended attributes, of open files and by path.
//!
//! The names are in the `user` namespace, which the file system of temporary files must have.

use annulus::opcode;
use tempfile::NamedTempFile;

use super::tools::fd;
use crate::harness::{Bench, Buffer, Need, Outcome, Skip, cases, path};

cases! {
    Every an_attribute_of_an_open_file_is_set_and_read => IORING_OP_FSETXATTR, IORING_OP_FGETXATTR;
    Every an_attribute_of_a_path_is_set_and_read => IORING_OP_SETXATTR, IORING_OP_GETXATTR;
    Every the_size_of_an_attribute_is_told_and_a_small_buffer_refused;
    Every an_attribute_is_created_only_once_when_told_so;
}

fn an_attribute_of_an_open_file_is_set_and_read(bench: &Bench<'_>) -> Outcome {
    let file = with_attributes(bench)?;
    let (value, answer, mut rig) = (Buffer::of(b"value"), Buffer::new(16), bench.rig()?);
    let set = opcode::FSetXattr::new(fd(&file), path("user.annulus"), value.ptr().cast(), 5).build();
    assert_eq!(rig.result(set), 0);
    let get = opcode::FGetXattr::new(fd(&file), path("user.annulus"), answer.ptr().cast(), 16).build();
    assert_eq!(rig.result(get), 5);
    assert_eq!(answer.first(5), b"value");
    Ok(())
}

fn an_attribute_of_a_path_is_set_and_read(bench: &Bench<'_>) -> Outcome {
    let file = with_attributes(bench)?;
    let (value, answer, mut rig) = (Buffer::of(b"value"), Buffer::new(16), bench.rig()?);
    let set = opcode::SetXattr::new(path("user.annulus"), value.ptr().cast(), path(&file), 5).build();
    assert_eq!(rig.result(set), 0);
    let get = opcode::GetXattr::new(path("user.annulus"), answer.ptr().cast(), path(&file), 16).build();
    assert_eq!(rig.result(get), 5);
    assert_eq!(answer.first(5), b"value");
    Ok(())
}

fn the_size_of_an_attribute_is_told_and_a_small_buffer_refused(bench: &Bench<'_>) -> Outcome {
    let file = with_attributes(bench)?;
    let (answer, mut rig) = (Buffer::new(16), bench.rig()?);
    rustix::fs::fsetxattr(&file, "user.annulus", b"value", rustix::fs::XattrFlags::empty())
        .expect("an attribute");
    let get = |len| opcode::FGetXattr::new(fd(&file), path("user.annulus"), answer.ptr().cast(), len).build();
    assert_eq!((rig.result(get(0)), rig.result(get(2))), (5, -libc::ERANGE));
    let missing = opcode::FGetXattr::new(fd(&file), path("user.none"), answer.ptr().cast(), 16).build();
    assert_eq!(rig.result(missing), -libc::ENODATA);
    Ok(())
}

fn an_attribute_is_created_only_once_when_told_so(bench: &Bench<'_>) -> Outcome {
    let file = with_attributes(bench)?;
    let (value, mut rig) = (Buffer::of(b"value"), bench.rig()?);
    let create = || {
        opcode::FSetXattr::new(fd(&file), path("user.annulus"), value.ptr().cast(), 5)
            .flags(libc::XATTR_CREATE)
            .build()
    };
    assert_eq!((rig.result(create()), rig.result(create())), (0, -libc::EEXIST));
    Ok(())
}

/// A file on a file system with attributes.
fn with_attributes(bench: &Bench<'_>) -> Result<NamedTempFile, Skip> {
    bench.needs([Need::Opcode(opcode::FSetXattr::CODE)])?;
    let file = NamedTempFile::new().expect("a temporary file");
    match rustix::fs::fsetxattr(&file, "user.probe", b"1", rustix::fs::XattrFlags::empty()) {
        Err(rustix::io::Errno::OPNOTSUPP) => {
            Err(Skip::Hardware("the file system of temporary files has no user attributes".to_owned()))
        }
        outcome => {
            outcome.expect("an attribute");
            Ok(file)
        }
    }
}
