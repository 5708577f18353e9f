//! Memory that the arguments of io_uring_register(2) point to, placed where the table's host reaches it.
//!
//! For each operation whose argument holds addresses of lists or structures, this knows where the
//! addresses are and how much lies there; it places copies, changes the addresses in the staged
//! argument, and after the call copies back what the host wrote. Memory that becomes registered (buffers,
//! rings, areas) is not copied: that the program places itself. Of a chain of queries only the first is
//! followed, as this crate makes no longer ones.
#![allow(unsafe_code, reason = "follows the addresses in arguments that the caller vouches for")]

use std::ffi::c_void;
use std::mem::{offset_of, size_of};

use annulus_abi::{
    Bpf, BpfFilter, MemRegionReg, QueryHdr, RegionDesc, RegisterOp, RsrcRegister, RsrcUpdate, RsrcUpdate2,
    ZcrxAreaReg, ZcrxIfqReg,
};
use rustix::io::Errno;

use super::calls::SystemCalls;
use super::staging::Staged;

/// Size of a descriptor in a list.
const FD: usize = size_of::<i32>();
/// Size of a tag in a list.
const TAG: usize = size_of::<u64>();
/// Size of one instruction of a filter (`struct sock_filter`).
const INSTRUCTION: usize = 8;

/// One address inside an argument.
struct Pointer {
    /// Where in the argument it stands.
    offset: usize,
    /// How many bytes lie there.
    len: usize,
    /// Whether the host writes them.
    back: bool,
}

/// A copy of what an argument pointed to.
struct Copy {
    pointer: Pointer,
    /// The address that the program gave.
    original: u64,
    staged: Staged,
}

/// The copies of one call. They go when this is dropped.
pub(super) struct Nested {
    copies: Vec<Copy>,
}

impl Nested {
    /// Places what the staged argument `arg` of `op` points to, and changes the addresses in it.
    ///
    /// # Errors
    ///
    /// Whatever the table's allocator says.
    ///
    /// # Safety
    ///
    /// `arg` is an argument of `op` with `nr`, writable, and what it points to is as `op` asks.
    pub(super) unsafe fn new(
        calls: &SystemCalls,
        op: RegisterOp,
        arg: *mut c_void,
        nr: u32,
    ) -> Result<Self, Errno> {
        let mut copies = Vec::new();
        if calls.shared.is_none() || arg.is_null() {
            return Ok(Self { copies });
        }
        // SAFETY: the contract of this function.
        for pointer in unsafe { pointers(op, arg, nr) } {
            // SAFETY: the pointer stands inside the argument.
            let original: u64 = unsafe { read(arg, pointer.offset) };
            let target = std::ptr::with_exposed_provenance(usize::try_from(original).unwrap_or(0));
            // SAFETY: that many bytes are there, as `op` asks.
            let staged = unsafe { Staged::new(calls, target, pointer.len) }?;
            let address = if original == 0 { 0 } else { staged.arg().expose_provenance() as u64 };
            // SAFETY: the pointer stands inside the argument, which is writable.
            unsafe { write(arg, pointer.offset, address) };
            copies.push(Copy { pointer, original, staged });
        }
        Ok(Self { copies })
    }

    /// Copies back what the host wrote, and restores the addresses in `arg`.
    ///
    /// # Safety
    ///
    /// `arg` is the argument that this was made from, and what the host writes was writable for it.
    pub(super) unsafe fn copy_back(&self, arg: *mut c_void) {
        for Copy { pointer, original, staged } in &self.copies {
            // SAFETY: the pointer stands inside the argument, which is writable.
            unsafe { write(arg, pointer.offset, *original) };
            if pointer.back && *original != 0 {
                let target = std::ptr::with_exposed_provenance_mut(usize::try_from(*original).unwrap_or(0));
                // SAFETY: as many bytes as were copied from there, writable by contract.
                unsafe { staged.copy_back(target) };
            }
        }
    }
}

/// Where an operation's argument points to.
///
/// # Safety
///
/// `arg` is an argument of `op`.
unsafe fn pointers(op: RegisterOp, arg: *const c_void, nr: u32) -> Vec<Pointer> {
    // SAFETY: a `u32` of the argument of the operation that the caller of this closure is about.
    let word = |offset: usize| unsafe { read::<u32>(arg, offset) } as usize;
    let reads = |offset, len| Pointer { offset, len, back: false };
    let writes = |offset, len| Pointer { offset, len, back: true };
    let iovec = size_of::<libc::iovec>();
    match RegisterOp::from_raw(op.number()) {
        RegisterOp::REGISTER_FILES_UPDATE => {
            vec![reads(offset_of!(RsrcUpdate, data), nr as usize * FD)]
        }
        RegisterOp::REGISTER_FILES2 => registered(word(offset_of!(RsrcRegister, nr)), FD),
        RegisterOp::REGISTER_BUFFERS2 => registered(word(offset_of!(RsrcRegister, nr)), iovec),
        RegisterOp::REGISTER_FILES_UPDATE2 => updated(word(offset_of!(RsrcUpdate2, nr)), FD),
        RegisterOp::REGISTER_BUFFERS_UPDATE => updated(word(offset_of!(RsrcUpdate2, nr)), iovec),
        RegisterOp::REGISTER_MEM_REGION => {
            vec![writes(offset_of!(MemRegionReg, region_uptr), size_of::<RegionDesc>())]
        }
        RegisterOp::REGISTER_ZCRX_IFQ => vec![
            writes(offset_of!(ZcrxIfqReg, area_ptr), size_of::<ZcrxAreaReg>()),
            writes(offset_of!(ZcrxIfqReg, region_ptr), size_of::<RegionDesc>()),
        ],
        RegisterOp::REGISTER_QUERY => {
            vec![writes(offset_of!(QueryHdr, query_data), word(offset_of!(QueryHdr, size)))]
        }
        RegisterOp::REGISTER_BPF_FILTER => {
            let filter = offset_of!(Bpf, filter);
            let instructions = word(filter + offset_of!(BpfFilter, filter_len));
            vec![reads(filter + offset_of!(BpfFilter, filter_ptr), instructions * INSTRUCTION)]
        }
        _ => Vec::new(),
    }
}

/// The lists of a [`RsrcRegister`].
fn registered(nr: usize, element: usize) -> Vec<Pointer> {
    lists(offset_of!(RsrcRegister, data), offset_of!(RsrcRegister, tags), nr, element)
}

/// The lists of a [`RsrcUpdate2`].
fn updated(nr: usize, element: usize) -> Vec<Pointer> {
    lists(offset_of!(RsrcUpdate2, data), offset_of!(RsrcUpdate2, tags), nr, element)
}

fn lists(data: usize, tags: usize, nr: usize, element: usize) -> Vec<Pointer> {
    vec![
        Pointer { offset: data, len: nr * element, back: false },
        Pointer { offset: tags, len: nr * TAG, back: false },
    ]
}

/// # Safety
///
/// A `T` of an integer type stands at `offset` of `arg`.
unsafe fn read<T>(arg: *const c_void, offset: usize) -> T {
    // SAFETY: the contract of this function.
    let place = unsafe { arg.byte_add(offset) };
    // SAFETY: the contract of this function.
    unsafe { place.cast::<T>().read_unaligned() }
}

/// # Safety
///
/// Eight bytes stand at `offset` of `arg`, and are writable.
unsafe fn write(arg: *mut c_void, offset: usize, value: u64) {
    // SAFETY: the contract of this function.
    let place = unsafe { arg.byte_add(offset) };
    // SAFETY: the contract of this function.
    unsafe { place.cast::<u64>().write_unaligned(value) };
}
