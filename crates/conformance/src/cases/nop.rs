//! NOPs, and what they can be made to do.

use annulus::opcode;
use annulus::types::Fixed;

use super::tools::{fd, file, nop};
use crate::harness::{Bench, Need, Outcome, cases};

cases! {
    Every a_nop_completes_with_0_and_its_user_data => IORING_OP_NOP;
    Every a_nop_is_answered_with_the_result_that_it_carries;
    Every a_nop_looks_up_a_file_when_asked_to;
    Every a_nop_looks_up_a_registered_buffer_when_asked_to;
    Every a_nop_completes_from_task_work_when_asked_to;
    One a_nop_posts_a_wide_completion_when_asked_to;
}

fn a_nop_completes_with_0_and_its_user_data(bench: &Bench<'_>) -> Outcome {
    let cqe = bench.rig()?.run(nop().user_data(u64::MAX));
    assert_eq!((cqe.result(), cqe.user_data(), cqe.flags()), (0, u64::MAX, 0));
    Ok(())
}

fn a_nop_is_answered_with_the_result_that_it_carries(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 10, "IORING_NOP_INJECT_RESULT")])?;
    let injected = [7, 0, -5, i32::MAX].map(|result| opcode::Nop::new().inject_result(result).build());
    assert_eq!(bench.rig()?.batch(injected), [7, 0, -5, i32::MAX]);
    Ok(())
}

fn a_nop_looks_up_a_file_when_asked_to(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 13, "IORING_NOP_FILE")])?;
    let (mut rig, file) = (bench.rig()?, file(b"x"));
    assert_eq!(rig.result(opcode::Nop::new().file(fd(&file)).build()), 0);
    assert_eq!(rig.result(opcode::Nop::new().file(fd(&-1)).build()), -libc::EBADF);
    assert_eq!(rig.result(opcode::Nop::new().file(Fixed(0)).build()), -libc::EBADF);
    rig.ring().submitter().register_files(&[fd(&file).0]).expect("one file");
    assert_eq!(rig.result(opcode::Nop::new().file(Fixed(0)).build()), 0);
    Ok(())
}

fn a_nop_looks_up_a_registered_buffer_when_asked_to(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 13, "IORING_NOP_FIXED_BUFFER")])?;
    let mut rig = bench.rig()?;
    let entry = || opcode::Nop::new().fixed_buffer(0).build();
    assert_eq!(rig.result(entry()), -libc::EFAULT);
    rig.register_buffers(&[crate::Buffer::new(64)])?;
    assert_eq!(rig.result(entry()), 0);
    Ok(())
}

fn a_nop_completes_from_task_work_when_asked_to(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 17, "IORING_NOP_TW")])?;
    assert_eq!(bench.rig()?.result(opcode::Nop::new().task_work(true).inject_result(3).build()), 3);
    Ok(())
}

fn a_nop_posts_a_wide_completion_when_asked_to(bench: &Bench<'_>) -> Outcome {
    bench.needs([Need::Since(6, 18, "IORING_NOP_CQE32")])?;
    let cqe = bench.wide_rig()?.run(opcode::Nop::new().cqe32([11, 22]).build());
    assert_eq!((cqe.result(), *cqe.big_cqe()), (0, [11, 22]));
    Ok(())
}
