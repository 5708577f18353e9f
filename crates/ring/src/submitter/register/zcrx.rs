//! Zero-copy receive: the interface queue and what controls it.
//!
//! [`Zcrx`](crate::Zcrx) owns the memory and is safe; what stands here takes the program's own structures.
#![allow(unsafe_code, reason = "arguments hold addresses that the kernel writes to, now and later")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use annulus_abi::{RegisterOp, ZcrxCtrl, ZcrxIfqReg};
use rustix::io::Errno;

use crate::Submitter;

impl Submitter<'_> {
    /// Refuses, without a call: kept so that programs written for the `io-uring` crate compile.
    ///
    /// A safe method of this signature cannot be sound. The kernel writes its answer into `reg`, which is borrowed
    /// as shared, and into memory at addresses that `reg` holds, which nobody vouched for; later it
    /// writes received data into the area. [`Zcrx`](crate::Zcrx) does all of it safely, and
    /// [`register_zcrx_ifq`](Self::register_zcrx_ifq) takes the same structure.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`, always.
    #[deprecated(note = "cannot be sound: use `Zcrx`, or `register_zcrx_ifq` with `unsafe` and `&mut`")]
    pub fn register_ifq(&self, reg: &ZcrxIfqReg) -> io::Result<()> {
        let _ = reg;
        Err(Errno::OPNOTSUPP.into())
    }

    /// Registers an interface queue for zero-copy receive; the kernel fills in `reg`, and the area and the
    /// region that it points to. The queue stays registered until the ring is gone. For rings with
    /// [`setup_defer_taskrun`](crate::Builder::setup_defer_taskrun) and completions of 32 bytes. Linux 6.15.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_ADMIN`; `EINVAL` on other rings, for fields that do not fit each other, and
    /// before 6.15; `ENODEV` without such an interface; `EOPNOTSUPP` if its driver or the kernel does not
    /// do it; `EFAULT` for memory that is not there; `EEXIST` or `EBUSY` if the queue is taken.
    ///
    /// # Safety
    ///
    /// `area_ptr` and `region_ptr` are null or point to structures that can be written; the area that the
    /// first describes (and the memory of the second, if it is the program's) stays until the ring is gone,
    /// and the program reads only those parts of the area that completions gave it and that it has not
    /// given back.
    pub unsafe fn register_zcrx_ifq(&self, reg: &mut ZcrxIfqReg) -> io::Result<()> {
        let arg = std::ptr::from_mut(reg).cast();
        // SAFETY: the contract of this function.
        unsafe { self.register_raw(RegisterOp::REGISTER_ZCRX_IFQ, arg, 1) }.map(drop)
    }

    /// Has the kernel take back every buffer that waits in the refill ring of a queue, by the number that
    /// its registration returned. Newer than Linux 6.18: 6.19.
    ///
    /// # Errors
    ///
    /// `ENXIO` without such a queue, `EINVAL` before 6.19.
    pub fn zcrx_flush_rq(&self, zcrx_id: u32) -> io::Result<()> {
        self.zcrx_ctrl(&mut ZcrxCtrl::flush_rq(zcrx_id))
    }

    /// Makes a descriptor of a queue, with which another ring can import it. Newer than Linux 6.18: 6.19.
    ///
    /// # Errors
    ///
    /// `ENXIO` without such a queue, `EMFILE`, `EINVAL` before 6.19.
    pub fn zcrx_export(&self, zcrx_id: u32) -> io::Result<OwnedFd> {
        let mut ctrl = ZcrxCtrl::export(zcrx_id);
        self.zcrx_ctrl(&mut ctrl)?;
        let fd = ctrl.zcrx_fd().cast_signed();
        // SAFETY: the kernel opened the descriptor just now, for this call.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Lets an event of a queue (`abi::ZCRX_EVENT_*`) post its next completion. Newer than Linux 6.18: 7.2 has
    /// it.
    ///
    /// # Errors
    ///
    /// `ENXIO` without such a queue, `EINVAL` for an unknown event and before 7.2.
    pub fn zcrx_arm_event(&self, zcrx_id: u32, event: u32) -> io::Result<()> {
        self.zcrx_ctrl(&mut ZcrxCtrl::arm_event(zcrx_id, event))
    }

    /// Controls a queue as the structure says.
    ///
    /// # Errors
    ///
    /// Those of the operation; `EINVAL` before 6.19.
    ///
    /// # Safety
    ///
    /// Addresses in the argument are good, and memory that becomes registered stays until the ring is gone.
    pub unsafe fn register_zcrx_ctrl(&self, ctrl: &mut ZcrxCtrl) -> io::Result<()> {
        let arg = std::ptr::from_mut(ctrl).cast();
        // SAFETY: the contract of this function.
        unsafe { self.register_raw(RegisterOp::REGISTER_ZCRX_CTRL, arg, 0) }.map(drop)
    }

    /// An operation without addresses.
    fn zcrx_ctrl(&self, ctrl: &mut ZcrxCtrl) -> io::Result<()> {
        // SAFETY: the operations of this file's callers hold no addresses.
        unsafe { self.register_zcrx_ctrl(ctrl) }
    }
}
