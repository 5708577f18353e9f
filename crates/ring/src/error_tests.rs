//! The causes that can be told without the kernel, and those of this kernel.

use super::*;

fn explain(errno: Errno, entries: u32, params: &Params) -> SetupError {
    SetupError::explain(&SystemCalls::LINUX, errno, entries, params)
}

fn flags(flags: SetupFlags) -> Params {
    Params { flags: flags.bits(), ..Params::default() }
}

#[test]
fn too_many_entries_are_told_with_the_limit() {
    let error = explain(Errno::INVAL, 40_000, &Params::default());
    assert_eq!(error, SetupError::Entries { asked: 40_000, most: 32_768, queue: "submission" });
    assert_eq!(
        error.to_string(),
        "a submission queue has 1 to 32768 entries, 40000 were asked for (EINVAL); setup_clamp takes what there is"
    );
    let small = Params { cq_entries: 2, ..flags(SetupFlags::CQSIZE) };
    assert_eq!(
        explain(Errno::INVAL, 8, &small),
        SetupError::Entries { asked: 2, most: 65_536, queue: "completion" }
    );
}

#[test]
fn a_flag_without_its_companion_is_named_with_it() {
    assert_eq!(
        explain(Errno::INVAL, 8, &flags(SetupFlags::DEFER_TASKRUN)),
        SetupError::FlagNeeds { flag: SetupFlags::DEFER_TASKRUN, needs: SetupFlags::SINGLE_ISSUER }
    );
}

#[test]
fn flags_that_exclude_each_other_are_named() {
    let both = SetupFlags::SQPOLL | SetupFlags::COOP_TASKRUN;
    assert_eq!(explain(Errno::INVAL, 8, &flags(both)), SetupError::FlagsExclude { flags: both });
}

#[test]
fn a_flag_that_no_kernel_knows_is_named() {
    let future = SetupFlags::from_bits_retain(1 << 30);
    assert_eq!(
        explain(Errno::INVAL, 8, &flags(SetupFlags::CLAMP | future)),
        SetupError::FlagsUnknown { flags: future }
    );
}

#[test]
fn memory_is_told_with_what_was_needed_and_the_limit() {
    let error = explain(Errno::NOMEM, 4096, &Params::default());
    let SetupError::OutOfMemory { needed, limit } = error else { panic!("{error:?}") };
    assert!(needed >= 4096 * 64 + 8192 * 16, "{needed}");
    assert_eq!(limit, getrlimit(Resource::Memlock).current);
}

#[test]
fn the_errno_survives_the_way_into_an_io_error() {
    let error: io::Error = explain(Errno::NOSYS, 8, &Params::default()).into();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSYS));
    let error: io::Error = SetupError::DisabledBySysctl { value: 2 }.into();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}
