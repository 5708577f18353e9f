//! What the engine has: probes and queries.

use annulus_abi::{
    EnterFlags, IO_URING_OP_SUPPORTED, IO_URING_QUERY_OPCODES, QueryHdr, QueryOpcode, SqeFlags,
};
use rustix::io::Errno;

use super::call::{Call, Fields};
use super::{REGISTER_OPS, REQUEST_OPS};
use crate::op::is_supported;
use crate::setup::{FEATURES, KNOWN};

/// Most operations that a probe may ask for.
const MOST_PROBED: u32 = 256;
/// Sizes of `struct io_uring_probe` without its operations, and of one of these.
const PROBE_HEADER: usize = 16;
const PROBE_OP: usize = 8;
/// Most queries of one chain, which may be a ring.
const MOST_QUERIES: u32 = 1000;
/// How many kinds of queries there are.
const QUERIES: u32 = 1;
const HEADER: usize = size_of::<QueryHdr>();
const OPCODES: usize = size_of::<QueryOpcode>();

/// `REGISTER_PROBE`: the opcodes that are carried out, not those that are merely known.
///
/// # Errors
///
/// `EINVAL` for a probe that is filled in, `EFAULT`.
pub(super) fn probe(call: &Call<'_>) -> Result<u32, Errno> {
    if call.addr == 0 || call.nr > MOST_PROBED {
        return Err(Errno::INVAL);
    }
    let count = call.nr.min(REQUEST_OPS) as usize;
    let mut probe = vec![0_u8; PROBE_HEADER + count * PROBE_OP];
    call.world.load(call.span(call.addr, probe.len()), &mut probe)?;
    if probe.iter().any(|byte| *byte != 0) {
        return Err(Errno::INVAL);
    }
    let byte = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    probe[0] = byte(REQUEST_OPS as usize - 1);
    probe[1] = byte(count);
    for (number, op) in probe[PROBE_HEADER..].chunks_exact_mut(PROBE_OP).enumerate() {
        op[0] = byte(number);
        if is_supported(byte(number)) {
            op[2..4].copy_from_slice(&IO_URING_OP_SUPPORTED.to_ne_bytes());
        }
    }
    call.store(&probe).map(|()| 0)
}

/// `REGISTER_QUERY`: a chain of queries, each with an answer of its own.
///
/// # Errors
///
/// `EINVAL`, `EFAULT`; `ERANGE` for a chain that does not end.
pub(super) fn query(call: &Call<'_>) -> Result<u32, Errno> {
    if call.nr != 0 {
        return Err(Errno::INVAL);
    }
    let mut at = call.addr;
    for _ in 0..MOST_QUERIES {
        if at == 0 {
            return Ok(0);
        }
        at = answer(call, at)?;
    }
    Err(Errno::RANGE)
}

/// Answers one query. Returns the address of the next.
fn answer(call: &Call<'_>, at: u64) -> Result<u64, Errno> {
    let header: Fields<HEADER> = call.load_at(at)?;
    let (data, size) = (header.u64(8), header.u32(20));
    let answered = match header.u32(16) {
        IO_URING_QUERY_OPCODES if size == 0 || header.reserved(24..HEADER).is_err() => Err(Errno::INVAL),
        IO_URING_QUERY_OPCODES => Ok(opcodes()),
        _ => Err(Errno::OPNOTSUPP),
    };
    let bytes = answered.map_or_else(|_| Vec::new(), |bytes| bytes.to_vec());
    let filled = bytes.len().min(size as usize);
    call.store_at(data, &bytes[..filled])?;
    clear(call, data.wrapping_add(filled as u64), size as usize - filled)?;
    let mut header = header.0;
    header[20..24].copy_from_slice(&u32::try_from(filled).unwrap_or(0).to_ne_bytes());
    let result = answered.map_or_else(|errno| -errno.raw_os_error(), |_| 0);
    header[24..28].copy_from_slice(&result.to_ne_bytes());
    call.store_at(at, &header)?;
    Ok(Fields(header).u64(0))
}

/// Writes zeros over what a longer structure has beyond ours.
fn clear(call: &Call<'_>, mut at: u64, mut len: usize) -> Result<(), Errno> {
    let zeros = [0; 4096];
    while len > 0 {
        let part = len.min(zeros.len());
        call.store_at(at, &zeros[..part])?;
        (at, len) = (at.wrapping_add(part as u64), len - part);
    }
    Ok(())
}

/// `struct io_uring_query_opcode`.
fn opcodes() -> [u8; OPCODES] {
    let flags = [
        u64::from(FEATURES.bits()),
        u64::from(KNOWN.bits()),
        u64::from(EnterFlags::all().bits()),
        u64::from(SqeFlags::all().bits()),
    ];
    let mut bytes = [0; OPCODES];
    bytes[0..4].copy_from_slice(&REQUEST_OPS.to_ne_bytes());
    bytes[4..8].copy_from_slice(&REGISTER_OPS.to_ne_bytes());
    for (place, word) in bytes[8..40].chunks_exact_mut(8).zip(flags) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    bytes[40..44].copy_from_slice(&QUERIES.to_ne_bytes());
    bytes
}
