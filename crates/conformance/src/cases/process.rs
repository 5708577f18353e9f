//! Children and futexes.

use std::process::{Command, Stdio};

use annulus::abi::FUTEX_BITSET_MATCH_ANY;
use annulus::opcode;
use annulus::types::FutexWaitV;

use super::tools::CANCELED;
use crate::harness::{Bench, Kept, Need, Outcome, cases};

cases! {
    Every waitid_tells_how_a_child_ended => IORING_OP_WAITID;
    Every waitid_waits_for_the_end_of_a_child;
    Every waitid_for_nobodys_child_fails_with_echild;
    Every a_futex_wait_ends_with_a_wake => IORING_OP_FUTEX_WAIT, IORING_OP_FUTEX_WAKE;
    Every a_futex_wait_on_another_value_fails_with_eagain;
    Every a_futex_wake_tells_how_many_it_woke;
    Every a_futex_wait_can_be_cancelled;
    Every a_cancelled_futex_wait_is_counted;
    Every a_wake_from_outside_finds_a_futex_wait_that_was_submitted;
    Every a_futex_wake_with_another_mask_wakes_nobody;
    Every a_futex_without_meaning_is_refused;
    Every a_waitid_that_is_cancelled_is_counted;
    Every a_wait_on_several_futexes_tells_which_was_woken => IORING_OP_FUTEX_WAITV;
}

fn waitid_tells_how_a_child_ended(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::WaitId::CODE)])?;
    let child = itself(&["--list", "--exact", "no such case"]);
    let info = Kept::new([0_i32; 32]);
    let wait =
        opcode::WaitId::new(libc::P_PID, child, libc::WEXITED).infop(info.ptr().cast::<libc::siginfo_t>());
    assert_eq!(bench.rig()?.result(wait.build()), 0);
    let [signal, _, code, _, pid, _, status, ..] = info.get();
    assert_eq!((signal, code, pid.cast_unsigned(), status), (libc::SIGCHLD, libc::CLD_EXITED, child, 0));
    Ok(())
}

fn waitid_waits_for_the_end_of_a_child(bench: &Bench<'_>) -> Outcome {
    use std::io::Read;
    bench.needs([Need::Opcode(opcode::WaitId::CODE)])?;
    let mut rig = bench.rig()?;
    // The child writes its list of tests into a pipe that nobody empties before the check.
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).expect("a small pipe");
    let child =
        Command::new(std::env::current_exe().expect("this program")).arg("--list").stdout(writer).spawn();
    let child = child.expect("a child").id();
    rig.push(opcode::WaitId::new(libc::P_PID, child, libc::WEXITED).build().user_data(7));
    rig.submit();
    rig.nothing_more();
    let mut list = Vec::new();
    reader.read_to_end(&mut list).expect("the list");
    assert!(list.len() > 4096, "more than the pipe holds, so that the child had to wait");
    assert_eq!(rig.take_one().result(), 0);
    Ok(())
}

fn waitid_for_nobodys_child_fails_with_echild(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::WaitId::CODE)])?;
    let wait = opcode::WaitId::new(libc::P_PID, std::process::id(), libc::WEXITED).build();
    assert_eq!(bench.rig()?.result(wait), -libc::ECHILD);
    Ok(())
}

fn a_futex_wait_ends_with_a_wake(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::FutexWait::CODE)])?;
    let (futex, mut rig) = (Kept::new(5_u32), bench.rig()?);
    rig.push(wait(futex, 5).user_data(7));
    rig.submit();
    rig.nothing_more();
    rig.push(wake(futex, 1).user_data(8));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&7].result(), cqes[&8].result()), (0, 1));
    Ok(())
}

fn a_futex_wait_on_another_value_fails_with_eagain(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::FutexWait::CODE)])?;
    assert_eq!(bench.rig()?.result(wait(Kept::new(6), 5)), -libc::EAGAIN);
    Ok(())
}

fn a_futex_wake_tells_how_many_it_woke(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::FutexWait::CODE)])?;
    let (futex, mut rig) = (Kept::new(0_u32), bench.rig()?);
    assert_eq!(rig.result(wake(futex, 9).user_data(1)), 0);
    rig.push_together(&[2, 3, 4].map(|n| wait(futex, 0).user_data(n)));
    rig.submit();
    rig.nothing_more();
    rig.push(wake(futex, 2).user_data(1));
    assert_eq!(rig.by_user_data(3)[&1].result(), 2);
    assert_eq!(rig.take(0).len(), 0);
    rig.push(wake(futex, 9).user_data(1));
    assert_eq!(rig.by_user_data(2)[&1].result(), 1);
    Ok(())
}

fn a_futex_wait_can_be_cancelled(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::FutexWait::CODE)])?;
    let (futex, mut rig) = (Kept::new(0_u32), bench.rig()?);
    rig.push(wait(futex, 0).user_data(7));
    rig.push(opcode::AsyncCancel::new(7).build().user_data(8));
    let cqes = rig.by_user_data(2);
    // Linux counts here, where it answers 0 for most other operations.
    assert!([0, 1].contains(&cqes[&8].result()), "{cqes:?}");
    assert_eq!(cqes[&7].result(), CANCELED);
    Ok(())
}

fn a_wait_on_several_futexes_tells_which_was_woken(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::FutexWaitV::CODE), Need::Beneath(5, 16, "futex_waitv(2)")])?;
    let (futexes, mut rig) = ([Kept::new(1_u32), Kept::new(2)], bench.rig()?);
    let one = |futex: &Kept<u32>| FutexWaitV::new().val(futex.get().into()).uaddr(futex.addr()).flags(FLAGS);
    let vector = Kept::slice(&[one(&futexes[0]), one(&futexes[1])]);
    rig.push(opcode::FutexWaitV::new(vector.ptr(), 2).build().user_data(7));
    rig.submit();
    rig.nothing_more();
    rig.push(wake(futexes[1], 1).user_data(8));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&7].result(), cqes[&8].result()), (1, 1), "the second of the vector, and one waiter");
    Ok(())
}

fn a_cancelled_futex_wait_is_counted(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::FutexWait::CODE)])?;
    let (futex, mut rig) = (Kept::new(0_u32), bench.rig()?);
    rig.push(wait(futex, 0).user_data(7));
    rig.submit();
    rig.push(opcode::AsyncCancel::new(7).build().user_data(8));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&7].result(), cqes[&8].result()), (CANCELED, 1));
    assert_eq!(rig.result(wake(futex, 9).user_data(9)), 0, "nobody waits any more");
    Ok(())
}

fn a_wake_from_outside_finds_a_futex_wait_that_was_submitted(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::FutexWait::CODE)])?;
    let (mut first, mut second) = (bench.rig()?, bench.rig()?);
    let futex = Kept::new(3_u32);
    for _ in 0..20 {
        first.push(wait(futex, 3).user_data(7));
        first.submit();
        first.until_taken();
        // The other ring's wake is to this ring's wait what futex(2) in another thread is.
        assert_eq!(second.result(wake(futex, 9)), 1);
        assert_eq!(first.take_one().result(), 0);
    }
    Ok(())
}

fn a_futex_wake_with_another_mask_wakes_nobody(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::FutexWait::CODE)])?;
    let (futex, mut rig) = (Kept::new(0_u32), bench.rig()?);
    rig.push(opcode::FutexWait::new(futex.ptr(), 0, 1, FLAGS).build().user_data(7));
    rig.submit();
    let wake = |mask| opcode::FutexWake::new(futex.ptr(), 1, mask, FLAGS).build().user_data(8);
    assert_eq!(rig.result(wake(2)), 0);
    rig.push(wake(3));
    let cqes = rig.by_user_data(2);
    assert_eq!((cqes[&7].result(), cqes[&8].result()), (0, 1));
    Ok(())
}

fn a_futex_without_meaning_is_refused(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::FutexWait::CODE)])?;
    let (futex, mut rig) = (Kept::new(0_u32), bench.rig()?);
    let mut result =
        |value, mask, flags| rig.result(opcode::FutexWait::new(futex.ptr(), value, mask, flags).build());
    assert_eq!(result(1 << 32, 1, FLAGS), -libc::EINVAL, "a value of more than 32 bits");
    assert_eq!(result(0, 1 << 32, FLAGS), -libc::EINVAL, "a mask of more than 32 bits");
    assert_eq!(result(0, 0, FLAGS), -libc::EINVAL, "a mask that nobody has");
    assert_eq!(result(0, 1, annulus::abi::FUTEX2_PRIVATE), -libc::EINVAL, "8 bits");
    assert_eq!(result(0, 1, FLAGS | 1 << 10), -libc::EINVAL, "an unknown flag");
    let none = opcode::FutexWaitV::new(std::ptr::null(), 0).build();
    assert_eq!(rig.result(none), -libc::EINVAL);
    Ok(())
}

fn a_waitid_that_is_cancelled_is_counted(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Opcode(opcode::WaitId::CODE)])?;
    let (mut child, mut rig) = (waiting_child(), bench.rig()?);
    for options in [libc::WEXITED, libc::WEXITED | libc::WSTOPPED] {
        let info = Kept::new([7_i32; 32]);
        let wait = opcode::WaitId::new(libc::P_PID, child.id(), options);
        rig.push(wait.infop(info.ptr().cast::<libc::siginfo_t>()).build().user_data(7));
        rig.submit();
        rig.nothing_more();
        rig.push(opcode::AsyncCancel::new(7).build().user_data(8));
        let cqes = rig.by_user_data(2);
        assert_eq!((cqes[&7].result(), cqes[&8].result()), (CANCELED, 1), "options {options:#x}");
        assert_eq!(info.get()[..3], [0, 0, 0], "nothing has happened");
    }
    drop(child.stdin.take());
    child.wait().expect("it ends with its input");
    Ok(())
}

/// A child that ends when its standard input does.
fn waiting_child() -> std::process::Child {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat(1)")
}

const FLAGS: u32 = annulus::abi::FUTEX2_SIZE_U32 | annulus::abi::FUTEX2_PRIVATE;

fn wait(futex: Kept<u32>, value: u64) -> annulus::squeue::Entry {
    opcode::FutexWait::new(futex.ptr(), value, FUTEX_BITSET_MATCH_ANY, FLAGS).build()
}

fn wake(futex: Kept<u32>, count: u64) -> annulus::squeue::Entry {
    opcode::FutexWake::new(futex.ptr(), count, FUTEX_BITSET_MATCH_ANY, FLAGS).build()
}

/// Starts this program, which is there wherever the case runs, and gives the child's number.
fn itself(arguments: &[&str]) -> u32 {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("a child").id()
}
