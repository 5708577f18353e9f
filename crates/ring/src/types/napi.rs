//! Busy polling of network cards.

use annulus_abi as abi;
use annulus_abi::{
    IO_URING_NAPI_REGISTER_OP, IO_URING_NAPI_TRACKING_DYNAMIC, IO_URING_NAPI_TRACKING_INACTIVE,
    IO_URING_NAPI_TRACKING_STATIC,
};

/// How the kernel knows which network queues to poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NapiTracking {
    /// It learns them from the sockets that the ring is used with. Linux 6.9.
    Dynamic,
    /// The program names them (`Submitter::register_napi_add_id`). Linux 6.13.
    Static,
    /// None are polled. Linux 6.13.
    Inactive,
}

impl NapiTracking {
    const fn op_param(self) -> u32 {
        match self {
            Self::Dynamic => IO_URING_NAPI_TRACKING_DYNAMIC,
            Self::Static => IO_URING_NAPI_TRACKING_STATIC,
            Self::Inactive => IO_URING_NAPI_TRACKING_INACTIVE,
        }
    }
}

/// How a ring polls network cards while it waits (`struct io_uring_napi`), for
/// `Submitter::register_napi` and `unregister_napi`. Both write the settings that were in force before
/// back into the value. Linux 6.9.
#[doc(alias = "io_uring_napi")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Napi(pub(crate) abi::Napi);

impl Napi {
    /// No busy polling, dynamic tracking.
    #[must_use]
    pub const fn new() -> Self {
        Self(abi::Napi {
            busy_poll_to: 0,
            prefer_busy_poll: 0,
            opcode: IO_URING_NAPI_REGISTER_OP,
            pad: [0; 2],
            op_param: NapiTracking::Dynamic.op_param(),
            resv: 0,
        })
    }

    /// Sets how long to poll before sleeping, in microseconds.
    #[must_use]
    pub const fn set_busy_poll_timeout(mut self, micros: u32) -> Self {
        self.0.busy_poll_to = micros;
        self
    }

    /// Sets whether polling is to be preferred over interrupts.
    #[must_use]
    pub const fn set_prefer_busy_poll(mut self, enabled: bool) -> Self {
        self.0.prefer_busy_poll = enabled as u8;
        self
    }

    /// Sets how the network queues are found.
    #[must_use]
    pub const fn set_tracking(mut self, strategy: NapiTracking) -> Self {
        self.0.op_param = strategy.op_param();
        self
    }

    /// How long to poll before sleeping, in microseconds.
    #[must_use]
    pub const fn busy_poll_timeout(&self) -> u32 {
        self.0.busy_poll_to
    }

    /// Whether polling is preferred over interrupts.
    #[must_use]
    pub const fn prefer_busy_poll(&self) -> bool {
        self.0.prefer_busy_poll != 0
    }
}

impl Default for Napi {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_lie_where_the_kernel_reads_them() {
        let napi = Napi::new()
            .set_busy_poll_timeout(50)
            .set_prefer_busy_poll(true)
            .set_tracking(NapiTracking::Inactive);
        assert_eq!((napi.busy_poll_timeout(), napi.prefer_busy_poll()), (50, true));
        assert_eq!(
            (napi.0.busy_poll_to, napi.0.prefer_busy_poll, napi.0.opcode, napi.0.op_param),
            (50, 1, 0, 255)
        );
    }
}
