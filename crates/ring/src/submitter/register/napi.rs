//! Busy polling of network cards while the ring waits.

use std::io;

use annulus_abi::{IO_URING_NAPI_STATIC_ADD_ID, IO_URING_NAPI_STATIC_DEL_ID, RegisterOp};

use crate::Submitter;
use crate::types::Napi;

impl Submitter<'_> {
    /// Sets how the ring polls network cards. The settings that were in force are written back. Linux 6.9.
    ///
    /// # Errors
    ///
    /// `EINVAL` before 6.9, on a ring with [`setup_iopoll`](crate::Builder::setup_iopoll), and for another
    /// tracking than the dynamic before 6.13; `EOPNOTSUPP` from a kernel built without busy polling.
    pub fn register_napi(&self, napi: &mut Napi) -> io::Result<()> {
        self.register_asked(RegisterOp::REGISTER_NAPI, &mut napi.0, 1).map(drop)
    }

    /// Ends the polling. The settings that were in force are written into `napi`.
    ///
    /// # Errors
    ///
    /// As [`register_napi`](Self::register_napi).
    pub fn unregister_napi(&self, napi: &mut Napi) -> io::Result<()> {
        self.register_asked(RegisterOp::UNREGISTER_NAPI, &mut napi.0, 1).map(drop)
    }

    /// Adds a network queue to those polled, by its identifier (`SO_INCOMING_NAPI_ID`). For rings with
    /// [static tracking](crate::types::NapiTracking::Static). Linux 6.13.
    ///
    /// # Errors
    ///
    /// `EINVAL` on a ring with another tracking, for an identifier that cannot be one, and before 6.13;
    /// `EEXIST` if it is there already.
    pub fn register_napi_add_id(&self, napi_id: u32) -> io::Result<()> {
        self.napi_id(IO_URING_NAPI_STATIC_ADD_ID, napi_id)
    }

    /// Takes a network queue out of those polled.
    ///
    /// # Errors
    ///
    /// As [`register_napi_add_id`](Self::register_napi_add_id); `ENOENT` if it is not among them.
    pub fn register_napi_del_id(&self, napi_id: u32) -> io::Result<()> {
        self.napi_id(IO_URING_NAPI_STATIC_DEL_ID, napi_id)
    }

    fn napi_id(&self, opcode: u8, napi_id: u32) -> io::Result<()> {
        let mut arg = annulus_abi::Napi { opcode, op_param: napi_id, ..annulus_abi::Napi::default() };
        self.register_asked(RegisterOp::REGISTER_NAPI, &mut arg, 1).map(drop)
    }
}
