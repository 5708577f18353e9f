//! The ring, its builder, its two queues, submitting and registering, as the `io-uring` crate has them.
#![allow(unsafe_code, reason = "the program's text uses unsafe functions, as such programs do")]
#![allow(clippy::type_complexity, reason = "the types are the signatures")]
#![allow(clippy::extra_unused_lifetimes, reason = "used in the signatures")]
#![allow(clippy::clone_on_copy, reason = "the entries of the peer are not Copy")]

use std::fmt::Debug;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};

use crate::ring::cqueue::{self, Entry as Cqe, Entry32};
use crate::ring::register::{self, Restriction};
use crate::ring::squeue::{self, Entry as Sqe, Entry128, PushError};
use crate::ring::types::{
    CancelBuilder, CloneBuffersFlags, Napi, SubmitArgs, Timespec, io_uring_zcrx_ifq_reg,
};
use crate::ring::{
    Builder, CompletionQueue, CompletionStatus, EnterFlags, IoUring, Parameters, Probe, SubmissionQueue,
    Submitter, opcode,
};

/// The names that stand in a module beside the root.
#[allow(unused_imports, reason = "that they are there is what is shown")]
mod other_paths {
    use crate::ring::cqueue::{CompletionQueue, CompletionStatus};
    use crate::ring::register::Probe;
    use crate::ring::squeue::SubmissionQueue;
}

/// The methods that a ring has whatever the size of its entries.
fn ring_of<S: squeue::EntryMarker, C: cqueue::EntryMarker>() {
    let _: fn() -> Builder<S, C> = IoUring::<S, C>::builder;
    let _: fn(&IoUring<S, C>) -> Submitter<'_> = IoUring::submitter;
    let _: fn(&IoUring<S, C>) -> &Parameters = IoUring::params;
    let _: fn(&IoUring<S, C>) -> io::Result<usize> = IoUring::submit;
    let _: fn(&IoUring<S, C>, usize) -> io::Result<usize> = IoUring::submit_and_wait;
    type Sides<'a, S, C> = (Submitter<'a>, SubmissionQueue<'a, S>, CompletionQueue<'a, C>);
    let _: fn(&mut IoUring<S, C>) -> Sides<'_, S, C> = IoUring::split;
    let _: fn(&mut IoUring<S, C>) -> SubmissionQueue<'_, S> = IoUring::submission;
    let _: unsafe fn(&IoUring<S, C>) -> SubmissionQueue<'_, S> = IoUring::submission_shared;
    let _: fn(&mut IoUring<S, C>) -> CompletionQueue<'_, C> = IoUring::completion;
    let _: unsafe fn(&IoUring<S, C>) -> CompletionQueue<'_, C> = IoUring::completion_shared;
    let _: fn(&IoUring<S, C>) -> RawFd = AsRawFd::as_raw_fd;
    let _: fn(&Builder<S, C>) -> Builder<S, C> = Clone::clone;
    let _: fn(&Builder<S, C>, u32) -> io::Result<IoUring<S, C>> = Builder::build;
}

fn sent<T: Send + Sync>() {}

fn shown<T: Debug>() {}

#[test]
fn a_ring_has_its_methods() {
    ring_of::<Sqe, Cqe>();
    ring_of::<Entry128, Entry32>();
    ring_of::<Sqe, Entry32>();
    ring_of::<Entry128, Cqe>();
    let _: fn(u32) -> io::Result<IoUring> = IoUring::new;
    let _: unsafe fn(RawFd, Parameters) -> io::Result<IoUring> = IoUring::from_fd;
    sent::<IoUring>();
    sent::<IoUring<Entry128, Entry32>>();
    let ring: IoUring<Sqe, Cqe> = IoUring::new(2).unwrap();
    assert!(ring.as_raw_fd() >= 0);
}

#[test]
fn a_builder_has_its_methods() {
    type Setter = fn(&mut Builder) -> &mut Builder;
    type NumberSetter = fn(&mut Builder, u32) -> &mut Builder;
    let _: [Setter; 10] = [
        Builder::dontfork,
        Builder::setup_iopoll,
        Builder::setup_clamp,
        Builder::setup_r_disabled,
        Builder::setup_submit_all,
        Builder::setup_coop_taskrun,
        Builder::setup_taskrun_flag,
        Builder::setup_defer_taskrun,
        Builder::setup_single_issuer,
        Builder::setup_no_sqarray,
    ];
    let _: [NumberSetter; 3] = [Builder::setup_sqpoll, Builder::setup_sqpoll_cpu, Builder::setup_cqsize];
    let _: fn(&mut Builder, RawFd) -> &mut Builder = Builder::setup_attach_wq;
    let first = IoUring::new(2).unwrap();
    let ring: IoUring = IoUring::builder()
        .dontfork()
        .setup_cqsize(64)
        .setup_clamp()
        .setup_submit_all()
        .setup_attach_wq(first.as_raw_fd())
        .build(8)
        .unwrap();
    assert_eq!((ring.params().sq_entries(), ring.params().cq_entries()), (8, 64));
}

#[test]
fn parameters_have_their_methods() {
    let _: [fn(&Parameters) -> bool; 19] = [
        Parameters::is_setup_sqpoll,
        Parameters::is_setup_iopoll,
        Parameters::is_setup_single_issuer,
        Parameters::is_feature_single_mmap,
        Parameters::is_feature_nodrop,
        Parameters::is_feature_submit_stable,
        Parameters::is_feature_rw_cur_pos,
        Parameters::is_feature_cur_personality,
        Parameters::is_feature_fast_poll,
        Parameters::is_feature_poll_32bits,
        Parameters::is_feature_sqpoll_nonfixed,
        Parameters::is_feature_ext_arg,
        Parameters::is_feature_native_workers,
        Parameters::is_feature_resource_tagging,
        Parameters::is_feature_skip_cqe_on_success,
        Parameters::is_feature_linked_file,
        Parameters::is_feature_recvsend_bundle,
        Parameters::is_feature_min_timeout,
        Parameters::is_feature_no_iowait,
    ];
    let _: [fn(&Parameters) -> u32; 3] =
        [Parameters::sq_entries, Parameters::cq_entries, Parameters::sq_thread_idle];
    let _: fn(&Parameters) -> Parameters = Clone::clone;
    shown::<Parameters>();
}

#[test]
fn enter_flags_have_their_bits() {
    let all: [(EnterFlags, u32); 8] = [
        (EnterFlags::GETEVENTS, 1),
        (EnterFlags::SQ_WAKEUP, 2),
        (EnterFlags::SQ_WAIT, 4),
        (EnterFlags::EXT_ARG, 8),
        (EnterFlags::REGISTERED_RING, 16),
        (EnterFlags::ABS_TIMER, 32),
        (EnterFlags::EXT_ARG_REG, 64),
        (EnterFlags::NO_IOWAIT, 128),
    ];
    assert!(all.iter().all(|(flag, bits)| flag.bits() == *bits));
    const BOTH: EnterFlags = EnterFlags::GETEVENTS.union(EnterFlags::SQ_WAKEUP);
    assert_eq!(BOTH, EnterFlags::from_bits_truncate(3));
}

/// The methods of a submitter, of whatever lifetime.
fn submitting<'a>() {
    let _: unsafe fn(&Submitter<'a>, u32, u32, u32, Option<&libc::sigset_t>) -> io::Result<usize> =
        Submitter::enter;
    let _: [fn(&Submitter<'a>) -> io::Result<usize>; 2] = [Submitter::submit, Submitter::squeue_wait];
    let _: fn(&Submitter<'a>, usize) -> io::Result<usize> = Submitter::submit_and_wait;
    let _: fn(&Submitter<'a>, usize, &SubmitArgs<'_, '_>) -> io::Result<usize> = Submitter::submit_with_args;
}

fn registering<'a>() {
    type Vectors<'v> = &'v [libc::iovec];
    let _: unsafe fn(&Submitter<'a>, Vectors<'_>) -> io::Result<()> = Submitter::register_buffers;
    let _: unsafe fn(&Submitter<'a>, Vectors<'_>, &[u64]) -> io::Result<()> = Submitter::register_buffers2;
    let _: unsafe fn(&Submitter<'a>, u32, Vectors<'_>, Option<&[u64]>) -> io::Result<()> =
        Submitter::register_buffers_update;
    let _: [fn(&Submitter<'a>, u32) -> io::Result<()>; 4] = [
        Submitter::register_buffers_sparse,
        Submitter::register_files_sparse,
        Submitter::register_napi_add_id,
        Submitter::register_napi_del_id,
    ];
    let _: [fn(&Submitter<'a>, RawFd) -> io::Result<()>; 3] =
        [Submitter::register_buffers_clone, Submitter::register_eventfd, Submitter::register_eventfd_async];
    let _: fn(&Submitter<'a>, RawFd, u32, u32, u32, CloneBuffersFlags) -> io::Result<()> =
        Submitter::register_buffers_clone_offset;
    let _: fn(&Submitter<'a>, &[RawFd]) -> io::Result<()> = Submitter::register_files;
    let _: fn(&Submitter<'a>, u32, &[RawFd]) -> io::Result<usize> = Submitter::register_files_update;
    let _: [fn(&Submitter<'a>) -> io::Result<()>; 5] = [
        Submitter::unregister_buffers,
        Submitter::unregister_files,
        Submitter::unregister_eventfd,
        Submitter::register_enable_rings,
        Submitter::unregister_iowq_aff,
    ];
    let _: [fn(&Submitter<'a>, &mut Napi) -> io::Result<()>; 2] =
        [Submitter::register_napi, Submitter::unregister_napi];
    #[allow(deprecated, reason = "programs that use it compile")]
    let _: unsafe fn(&Submitter<'a>, u64, u16, u16) -> io::Result<()> = Submitter::register_buf_ring;
    let _: unsafe fn(&Submitter<'a>, u64, u16, u16, u16) -> io::Result<()> =
        Submitter::register_buf_ring_with_flags;
    let _: fn(&Submitter<'a>, u16) -> io::Result<()> = Submitter::unregister_buf_ring;
    #[allow(deprecated, reason = "programs that use it compile")]
    let _: fn(&Submitter<'a>, &io_uring_zcrx_ifq_reg) -> io::Result<()> = Submitter::register_ifq;
}

fn configuring<'a>() {
    let _: fn(&Submitter<'a>, &mut Probe) -> io::Result<()> = Submitter::register_probe;
    let _: fn(&Submitter<'a>) -> io::Result<u16> = Submitter::register_personality;
    let _: fn(&Submitter<'a>, u16) -> io::Result<()> = Submitter::unregister_personality;
    let _: fn(&Submitter<'a>, &mut [Restriction]) -> io::Result<()> = Submitter::register_restrictions;
    let _: fn(&Submitter<'a>, &libc::cpu_set_t) -> io::Result<()> = Submitter::register_iowq_aff;
    let _: fn(&Submitter<'a>, &mut [u32; 2]) -> io::Result<()> = Submitter::register_iowq_max_workers;
    let _: [fn(&mut Submitter<'a>) -> io::Result<()>; 2] =
        [Submitter::register_ring_fd, Submitter::unregister_ring_fd];
    let _: fn(&Submitter<'a>, Option<Timespec>, CancelBuilder) -> io::Result<()> =
        Submitter::register_sync_cancel;
    let _: [fn(u8) -> Restriction; 4] = [
        Restriction::register_op,
        Restriction::sqe_op,
        Restriction::sqe_flags_allowed,
        Restriction::sqe_flags_required,
    ];
    assert_eq!(register::SKIP_FILE, -2);
}

#[test]
fn a_submitter_has_its_methods() {
    submitting();
    registering();
    configuring();
}

#[test]
fn a_probe_tells_operations_apart() {
    let _: fn(&Probe, u8) -> bool = Probe::is_supported;
    shown::<Probe>();
    let mut probe: Probe = Probe::default();
    assert!(!probe.is_supported(opcode::Nop::CODE), "as long as nobody was asked");
    let ring = IoUring::new(2).unwrap();
    ring.submitter().register_probe(&mut probe).unwrap();
    assert!(probe.is_supported(opcode::Nop::CODE) && !probe.is_supported(u8::MAX));
    assert!(!Probe::new().is_supported(opcode::Read::CODE));
}

/// The methods of the submission queue, for entries of either size.
fn submission_of<'q, E: squeue::EntryMarker + 'q>() {
    let _: fn(&mut SubmissionQueue<'q, E>) = SubmissionQueue::sync;
    let _: [fn(&SubmissionQueue<'q, E>) -> bool; 6] = [
        SubmissionQueue::need_wakeup,
        SubmissionQueue::need_wakeup_after_intermittent_seqcst,
        SubmissionQueue::cq_overflow,
        SubmissionQueue::taskrun,
        SubmissionQueue::is_empty,
        SubmissionQueue::is_full,
    ];
    let _: fn(&SubmissionQueue<'q, E>) -> u32 = SubmissionQueue::dropped;
    let _: [fn(&SubmissionQueue<'q, E>) -> usize; 2] = [SubmissionQueue::capacity, SubmissionQueue::len];
    let _: unsafe fn(&mut SubmissionQueue<'q, E>, &E) -> Result<(), PushError> = SubmissionQueue::push;
    let _: unsafe fn(&mut SubmissionQueue<'q, E>, &[E]) -> Result<(), PushError> =
        SubmissionQueue::push_multiple;
}

/// The methods of the completion queue, for entries of either size.
fn completion_of<'q, E: cqueue::EntryMarker + 'q>() {
    let _: fn(&mut CompletionQueue<'q, E>) = CompletionQueue::sync;
    let _: fn(&CompletionQueue<'q, E>) -> u32 = CompletionQueue::overflow;
    let _: [fn(&CompletionQueue<'q, E>) -> bool; 3] =
        [CompletionQueue::eventfd_disabled, CompletionQueue::is_empty, CompletionQueue::is_full];
    let _: [fn(&CompletionQueue<'q, E>); 2] =
        [CompletionQueue::disable_eventfd, CompletionQueue::enable_eventfd];
    let _: fn(&CompletionQueue<'q, E>) -> usize = CompletionQueue::capacity;
    let _: fn(&CompletionQueue<'q, E>) -> usize = ExactSizeIterator::len;
    let _: fn(&mut CompletionQueue<'q, E>) -> Option<E> = Iterator::next;
    type Fill<'q, E> =
        for<'a, 'b> fn(&'b mut CompletionQueue<'q, E>, &'a mut [MaybeUninit<E>]) -> &'a mut [E];
    let _: Fill<'q, E> = CompletionQueue::fill;
    let _: unsafe fn(&CompletionQueue<'q, E>) -> CompletionStatus = CompletionQueue::status;
    let _: fn(&CompletionStatus) -> bool = CompletionStatus::is_empty;
    shown::<CompletionStatus>();
}

#[test]
fn the_queues_have_their_methods() {
    submission_of::<Sqe>();
    submission_of::<Entry128>();
    completion_of::<Cqe>();
    completion_of::<Entry32>();
    shown::<SubmissionQueue<'_>>();
    let error: Box<dyn std::error::Error + Send + Sync> = Box::new({
        let mut ring = IoUring::new(1).unwrap();
        let nop = opcode::Nop::new().build();
        // SAFETY: a NOP names no memory.
        unsafe { ring.submission().push_multiple(&[nop.clone(), nop]) }.unwrap_err()
    });
    assert!(error.downcast_ref::<PushError>().is_some());
}

#[test]
fn dropping_a_queue_publishes_what_was_pushed_and_taken() {
    let mut ring = IoUring::new(4).unwrap();
    for n in 0..3 {
        let nop = opcode::Nop::new().build().user_data(n);
        // SAFETY: a NOP names no memory.
        unsafe { ring.submission().push(&nop) }.unwrap();
    }
    assert_eq!(ring.submit_and_wait(3).unwrap(), 3);
    assert_eq!(ring.completion().next().map(|cqe| cqe.user_data()), Some(0));
    let mut rest = [const { MaybeUninit::uninit() }; 4];
    let rest = ring.completion().fill(&mut rest).iter().map(Cqe::user_data).collect::<Vec<_>>();
    assert_eq!(rest, [1, 2]);
    assert_eq!(ring.completion().len(), 0);
}
