//! Zero-copy receive: the memory that a network card writes packets into, and the way back.
//!
//! [`Zcrx`] owns the area and the refill ring, registers them with a queue of an interface, and hands out
//! what completions brought. This needs a card and a driver that split headers from data, which few have:
//! the memory logic is tested against a kernel that the tests play, the registration only up to its refusal.
#![allow(unsafe_code, reason = "registers memory that the ring keeps, and makes slices of what it received")]

mod refill;

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use annulus_abi::{IORING_ZCRX_AREA_MASK, RegionDesc, RegionFlags, ZcrxAreaReg, ZcrxIfqReg, ZcrxRqe};
use rustix::io::Errno;

use refill::RefillRing;

use crate::Submitter;
use crate::cqueue::Entry32;
use crate::pages::{Pages, page_size};

/// A queue of a network interface whose packets land in memory of the program's, to be read there
/// (`IORING_OP_RECV_ZC`). Linux 6.15.
///
/// The queue stays registered until its ring is gone, and the ring keeps the memory for as long. From the
/// registration on the card writes into it whatever arrives, so bytes are read by [`take`](Self::take) alone.
///
/// ```no_run
/// use annulus::{IoUring, Zcrx, cqueue, opcode, squeue, types};
/// # fn connected_socket() -> std::net::TcpStream { unimplemented!() }
///
/// # fn main() -> std::io::Result<()> {
/// use std::os::fd::AsRawFd;
///
/// let mut builder = IoUring::<squeue::Entry, cqueue::Entry32>::builder();
/// let mut ring = builder.setup_single_issuer().setup_defer_taskrun().build(64)?;
/// // Interface 2, its queue 1, to which the connection's packets are steered (see ethtool(8)).
/// let queue = Zcrx::builder(2, 1).area_len(64 << 20).register(&ring.submitter())?;
///
/// let socket = connected_socket();
/// let receive = opcode::RecvZc::new(types::Fd(socket.as_raw_fd()), 0).ifq(queue.id()).build();
/// // SAFETY: the ring keeps the area; the socket stays until the last completion.
/// unsafe { ring.submission().push(&receive) }.unwrap();
/// ring.submit_and_wait(1)?;
/// for cqe in ring.completion() {
///     // SAFETY: a completion of that request, which is handed in once.
///     if let Some(data) = unsafe { queue.take(&cqe) } {
///         println!("{} bytes", data.len());
///     } // Here the memory goes back to the card.
/// }
/// # Ok(()) }
/// ```
pub struct Zcrx {
    area: Arc<Pages>,
    refill: RefillRing,
    id: u32,
}

/// Registers a [`Zcrx`]: see [`Zcrx::builder`].
#[derive(Clone, Debug)]
pub struct ZcrxBuilder {
    if_index: u32,
    rx_queue: u32,
    entries: u32,
    area_len: usize,
    rx_buf_len: u32,
}

impl Zcrx {
    /// Starts to describe a queue: the interface's index and the number of its receive queue.
    #[must_use]
    pub const fn builder(if_index: u32, rx_queue: u32) -> ZcrxBuilder {
        ZcrxBuilder { if_index, rx_queue, entries: 4096, area_len: 16 << 20, rx_buf_len: 0 }
    }

    /// The number of the queue, for [`RecvZc::ifq`](crate::opcode::RecvZc::ifq).
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The bytes that a completion brought, or nothing if it brought none: the last of a request, an error.
    ///
    /// # Panics
    ///
    /// If the bytes do not lie in the area: the completion is of another queue.
    ///
    /// # Safety
    ///
    /// It is a completion of a `RecvZc` on this queue, as it came, and was not handed in before: bytes that the
    /// kernel did not give away, or that went back, are written by the card at any time.
    #[must_use]
    pub unsafe fn take(&self, completion: &Entry32) -> Option<ZcrxData<'_>> {
        // SAFETY: the contract of this function.
        unsafe { self.take_at(completion.result(), completion.big_cqe()[0]) }
    }

    /// [`take`](Self::take) for a result and the first word of a completion's second half.
    ///
    /// # Panics
    ///
    /// As `take`.
    ///
    /// # Safety
    ///
    /// That of `take`, for the completion that they are of.
    #[must_use]
    pub unsafe fn take_at(&self, result: i32, offset: u64) -> Option<ZcrxData<'_>> {
        let len = u32::try_from(result).ok().filter(|len| *len > 0)?;
        let place = offset & !IORING_ZCRX_AREA_MASK;
        let end = place + u64::from(len);
        assert!(
            end <= self.area.len() as u64,
            "{len} bytes at {place} of {}: another queue's",
            self.area.len()
        );
        Some(ZcrxData { queue: self, offset, len })
    }

    /// Moves buffers that found the refill ring full into it, as far as there is room now; giving the next
    /// buffer back does so too. Returns how many still wait.
    pub fn flush(&self) -> usize {
        self.refill.flush()
    }
}

impl Debug for Zcrx {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zcrx")
            .field("id", &self.id)
            .field("area_len", &self.area.len())
            .finish_non_exhaustive()
    }
}

impl ZcrxBuilder {
    /// Bytes of memory for packets: 16 MiB unless this says otherwise. Whole pages.
    #[must_use]
    pub const fn area_len(mut self, bytes: usize) -> Self {
        self.area_len = bytes;
        self
    }

    /// Entries of the refill ring, rounded up to a power of two: 4096 unless this says otherwise.
    #[must_use]
    pub const fn entries(mut self, entries: u32) -> Self {
        self.entries = entries;
        self
    }

    /// Size of the card's receive buffers in bytes, a power of two of at least a page. Newer than Linux 6.18:
    /// 7.0.
    #[must_use]
    pub const fn rx_buf_len(mut self, bytes: u32) -> Self {
        self.rx_buf_len = bytes;
        self
    }

    /// Allocates the memory and registers it with the queue.
    ///
    /// # Errors
    ///
    /// Those of [`register_zcrx_ifq`](Submitter::register_zcrx_ifq): `EPERM` without `CAP_NET_ADMIN`, `EINVAL` on a
    /// ring without `DEFER_TASKRUN` and completions of 32 bytes and before 6.15, `ENODEV` without such an interface,
    /// `EOPNOTSUPP` if its driver does not do it; `ENOMEM`.
    pub fn register(&self, submitter: &Submitter<'_>) -> io::Result<Zcrx> {
        let entries = self.entries.max(1).checked_next_power_of_two().ok_or(Errno::INVAL)?;
        let area = Arc::new(Pages::own(self.area_len)?);
        // The indices come first; no kernel so far gives them more than a page.
        let size = entries as usize * size_of::<ZcrxRqe>() + page_size();
        let ring = Arc::new(Pages::own(size)?);
        let mut area_reg =
            ZcrxAreaReg { addr: area.address(), len: area.len() as u64, ..ZcrxAreaReg::default() };
        let mut region = RegionDesc {
            user_addr: ring.address(),
            size: ring.len() as u64,
            flags: RegionFlags::USER.bits(),
            ..RegionDesc::default()
        };
        let mut reg = ZcrxIfqReg {
            if_idx: self.if_index,
            if_rxq: self.rx_queue,
            rq_entries: entries,
            area_ptr: (&raw mut area_reg).expose_provenance() as u64,
            region_ptr: (&raw mut region).expose_provenance() as u64,
            rx_buf_len: self.rx_buf_len,
            ..ZcrxIfqReg::default()
        };
        // SAFETY: both structures are there for the call; the ring keeps both memories as long as itself, and
        // `ZcrxData` reads only what completions brought.
        unsafe { submitter.register_zcrx_ifq(&mut reg) }?;
        submitter.keep(&area);
        submitter.keep(&ring);
        // SAFETY: a live local, which the kernel wrote through the address that it was given.
        let area_token = unsafe { (&raw const area_reg.rq_area_token).read_volatile() };
        let refill = RefillRing::new(ring, reg.offsets, reg.rq_entries, area_token)?;
        Ok(Zcrx { area, refill, id: reg.zcrx_id })
    }
}

/// Bytes that arrived, where the card put them. Dropping this gives the memory back to the card.
pub struct ZcrxData<'a> {
    queue: &'a Zcrx,
    /// As the completion had it.
    offset: u64,
    len: u32,
}

impl Deref for ZcrxData<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let offset = usize::try_from(self.offset & !IORING_ZCRX_AREA_MASK).unwrap_or(usize::MAX);
        // SAFETY: `take_at` found the bytes inside the area.
        let start = unsafe { self.queue.area.start().add(offset) };
        // SAFETY: as above; card and kernel leave the bytes alone until they are given back.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len as usize) }
    }
}

impl Drop for ZcrxData<'_> {
    fn drop(&mut self) {
        self.queue.refill.give_back(self.offset, self.len);
    }
}

impl Debug for ZcrxData<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZcrxData").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use annulus_abi::ZcrxOffsets;

    /// A queue that nobody registered: the tests play the kernel.
    fn queue(area_len: usize) -> Zcrx {
        let offsets = ZcrxOffsets { head: 0, tail: 4, rqes: 64, ..ZcrxOffsets::default() };
        let ring = Arc::new(Pages::own(4096).unwrap());
        let area = Arc::new(Pages::own(area_len).unwrap());
        Zcrx { area, refill: RefillRing::new(ring, offsets, 8, 0).unwrap(), id: 0 }
    }

    #[test]
    fn received_bytes_are_read_where_they_landed() {
        let queue = queue(8192);
        // SAFETY: inside the area.
        let place = unsafe { queue.area.start().add(4100) };
        // SAFETY: inside the area, which nobody else touches.
        unsafe { place.cast::<[u8; 5]>().write(*b"frame") };
        // SAFETY: there is no card that would write.
        let data = unsafe { queue.take_at(5, (2 << 48) | 4100) }.unwrap();
        assert_eq!(&*data, b"frame");
        drop(data);
        assert_eq!(queue.flush(), 0);
    }

    #[test]
    fn an_error_and_the_end_bring_no_bytes() {
        let queue = queue(4096);
        for result in [-libc::ENOMEM, 0] {
            // SAFETY: there is no card that would write.
            assert!(unsafe { queue.take_at(result, 0) }.is_none());
        }
    }

    #[test]
    #[should_panic(expected = "8 bytes at 4092 of 4096: another queue's")]
    fn bytes_beyond_the_area_are_a_mistake() {
        let queue = queue(4096);
        // SAFETY: there is no card that would write.
        let _ = unsafe { queue.take_at(8, 4092) };
    }
}
