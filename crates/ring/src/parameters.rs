//! The parameters of a ring, as the back end filled them in.

use std::fmt::{self, Debug, Formatter};

use annulus_abi::{Features, Params, SetupFlags};

/// What a ring was set up with and what its back end offers (io_uring_setup(2)).
#[derive(Clone)]
#[repr(transparent)]
pub struct Parameters(pub(crate) Params);

/// Methods that answer whether one bit is set.
macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident => $set:ident $($flag:ident)::+;)*) => {
        $($(#[$doc])* #[must_use] pub const fn $name(&self) -> bool { self.$set().contains($($flag)::+) })*
    };
}

impl Parameters {
    /// Every setup flag that is in force. Flags that were only
    /// [wanted](crate::Builder::optional) and are not to be had are missing here.
    #[must_use]
    pub const fn setup_flags(&self) -> SetupFlags {
        self.0.setup_flags()
    }

    /// Every feature that the back end reports.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.0.feature_flags()
    }

    /// The parameters as the kernel's structure has them.
    #[must_use]
    pub const fn as_raw(&self) -> &Params {
        &self.0
    }

    /// Parameters from the kernel's structure, for [`IoUring::from_fd`](crate::IoUring::from_fd).
    #[must_use]
    pub const fn from_raw(params: Params) -> Self {
        Self(params)
    }

    /// Entries of the submission queue: what was asked for, rounded up to a power of two.
    #[must_use]
    pub const fn sq_entries(&self) -> u32 {
        self.0.sq_entries
    }

    /// Entries of the completion queue: twice the submission queue unless
    /// [`setup_cqsize`](crate::Builder::setup_cqsize) asked otherwise.
    #[must_use]
    pub const fn cq_entries(&self) -> u32 {
        self.0.cq_entries
    }

    /// How long the polling thread looks before it sleeps, in milliseconds.
    #[must_use]
    pub const fn sq_thread_idle(&self) -> u32 {
        self.0.sq_thread_idle
    }

    bits! {
        /// Whether a polling thread submits (`IORING_SETUP_SQPOLL`).
        is_setup_sqpoll => setup_flags SetupFlags::SQPOLL;
        /// Whether completions are found by polling the device (`IORING_SETUP_IOPOLL`).
        is_setup_iopoll => setup_flags SetupFlags::IOPOLL;
        /// Whether only one thread submits (`IORING_SETUP_SINGLE_ISSUER`).
        is_setup_single_issuer => setup_flags SetupFlags::SINGLE_ISSUER;
        /// Both rings lie in one mapping. Linux 5.4.
        is_feature_single_mmap => features Features::SINGLE_MMAP;
        /// Completions are never lost: those that do not fit wait in the kernel. Linux 5.5.
        is_feature_nodrop => features Features::NODROP;
        /// Structures that an entry points to (not buffers) may go once submit has returned. Linux 5.5.
        is_feature_submit_stable => features Features::SUBMIT_STABLE;
        /// Offset -1 means the file's own position. Linux 5.6.
        is_feature_rw_cur_pos => features Features::RW_CUR_POS;
        /// Requests run with the credentials of whoever enters. Linux 5.6.
        is_feature_cur_personality => features Features::CUR_PERSONALITY;
        /// Waiting for readiness needs no worker thread. Linux 5.7.
        is_feature_fast_poll => features Features::FAST_POLL;
        /// Poll masks are 32 bits wide, so `EPOLLEXCLUSIVE` works. Linux 5.9.
        is_feature_poll_32bits => features Features::POLL_32BITS;
        /// A polling thread may use descriptors that are not registered. Linux 5.11.
        is_feature_sqpoll_nonfixed => features Features::SQPOLL_NONFIXED;
        /// Waits take a timeout ([`submit_with_args`](crate::Submitter::submit_with_args)). Linux 5.11.
        is_feature_ext_arg => features Features::EXT_ARG;
        /// Worker threads belong to the process. Linux 5.12.
        is_feature_native_workers => features Features::NATIVE_WORKERS;
        /// Registered files and buffers can be tagged. Linux 5.13.
        is_feature_resource_tagging => features Features::RSRC_TAGS;
        /// Requests may ask for no completion on success. Linux 5.17.
        is_feature_skip_cqe_on_success => features Features::CQE_SKIP;
        /// A linked request looks its file up when it starts, not when it is submitted. Linux 5.17.
        is_feature_linked_file => features Features::LINKED_FILE;
        /// `register` too may go through a registered ring. Linux 6.3.
        is_feature_reg_reg_ring => features Features::REG_REG_RING;
        /// Sends and receives may take several buffers at once. Linux 6.10.
        is_feature_recvsend_bundle => features Features::RECVSEND_BUNDLE;
        /// Waits take a minimum time as well. Linux 6.12.
        is_feature_min_timeout => features Features::MIN_TIMEOUT;
        /// Reads and writes take attributes such as protection information. Linux 6.14.
        is_feature_rw_attr => features Features::RW_ATTR;
        /// Waits can be kept out of the iowait statistics. Linux 6.15.
        is_feature_no_iowait => features Features::NO_IOWAIT;
    }
}

impl Debug for Parameters {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("sq_entries", &self.sq_entries())
            .field("cq_entries", &self.cq_entries())
            .field("setup_flags", &self.setup_flags())
            .field("features", &self.features())
            .finish_non_exhaustive()
    }
}
