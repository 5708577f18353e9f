//! Rings registered with a thread (`IORING_REGISTER_RING_FDS`): 16 places, which belong to the thread.
//!
//! The kernel spares itself a look-up by them. Here a ring is never looked up, so places only keep their meaning for
//! programs that name rings by them. A place does not keep its ring: one whose ring is gone is free.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use rustix::io::Errno;

use super::call::{Call, Fields};
use crate::core::{self, Ring};

/// Places of a thread (`IO_RINGFD_REG_MAX`).
const PLACES: u32 = 16;
/// Size of `struct io_uring_rsrc_update`.
const ENTRY: usize = 16;

thread_local! {
    static TABLE: RefCell<[Weak<Ring>; PLACES as usize]> = const { RefCell::new([const { Weak::new() }; PLACES as usize]) };
}

/// The ring in a place of the calling thread.
///
/// # Errors
///
/// `EINVAL`: no such place. `EBADF`: nothing in it.
pub(super) fn get(place: u32) -> Result<Arc<Ring>, Errno> {
    if place >= PLACES {
        return Err(Errno::INVAL);
    }
    let ring = TABLE.with_borrow(|table| table[place as usize].upgrade());
    ring.filter(|ring| ring.home.is_here()).ok_or(Errno::BADF)
}

/// Gives the calling thread a place for the ring, unless it has one. Says whether it had none.
///
/// # Errors
///
/// `EBUSY`: all places are taken.
pub(crate) fn enter(ring: &Arc<Ring>) -> Result<bool, Errno> {
    let known = TABLE.with_borrow(|table| table.iter().any(|place| is(place, ring)));
    if known {
        return Ok(false);
    }
    put(ring, 0..PLACES).map(|_| true)
}

/// Gives up the calling thread's place for the ring. Says whether it had one.
pub(crate) fn leave(ring: &Arc<Ring>) -> bool {
    TABLE.with_borrow_mut(|table| {
        let place = table.iter_mut().find(|place| is(place, ring));
        place.map(|place| *place = Weak::new()).is_some()
    })
}

/// `REGISTER_RING_FDS`.
///
/// # Errors
///
/// Only if none was registered: `EINVAL`, `EFAULT`, `EBADF`, `EOPNOTSUPP` for what is no ring, `EBUSY`.
pub(super) fn register(call: &Call<'_>) -> Result<u32, Errno> {
    each(call, |entry, fields| {
        fields.reserved(4..8)?;
        let places = match fields.u32(0) {
            u32::MAX => 0..PLACES,
            place if place < PLACES => place..place + 1,
            _ => return Err(Errno::INVAL),
        };
        #[expect(clippy::cast_possible_truncation, reason = "the kernel takes the low half")]
        let fd = (fields.u64(8) as u32).cast_signed();
        call.world.kind(fd)?;
        let ring = core::find(fd, &**call.world).ok_or(Errno::OPNOTSUPP)?;
        let place = put(&ring, places)?;
        call.store_at(entry, &place.to_ne_bytes()).inspect_err(|_| clear(place))
    })
}

/// `UNREGISTER_RING_FDS`.
///
/// # Errors
///
/// Only if none was unregistered: `EINVAL`, `EFAULT`.
pub(super) fn unregister(call: &Call<'_>) -> Result<u32, Errno> {
    each(call, |_, fields| {
        fields.reserved(4..16)?;
        if fields.u32(0) >= PLACES {
            return Err(Errno::INVAL);
        }
        clear(fields.u32(0));
        Ok(())
    })
}

fn each(
    call: &Call<'_>,
    mut one: impl FnMut(u64, &Fields<ENTRY>) -> Result<(), Errno>,
) -> Result<u32, Errno> {
    if call.nr == 0 || call.nr > PLACES {
        return Err(Errno::INVAL);
    }
    for done in 0..call.nr {
        let entry = call.addr.wrapping_add(u64::from(done) * ENTRY as u64);
        match call.load_at(entry).and_then(|fields| one(entry, &fields)) {
            Ok(()) => {}
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => return Ok(done),
        }
    }
    Ok(call.nr)
}

fn put(ring: &Arc<Ring>, places: std::ops::Range<u32>) -> Result<u32, Errno> {
    TABLE.with_borrow_mut(|table| {
        for place in places {
            let slot = &mut table[place as usize];
            // That of the process which forked this one is no ring here.
            if slot.upgrade().is_none_or(|ring| !ring.home.is_here()) {
                *slot = Arc::downgrade(ring);
                return Ok(place);
            }
        }
        Err(Errno::BUSY)
    })
}

fn clear(place: u32) {
    TABLE.with_borrow_mut(|table| table[place as usize] = Weak::new());
}

fn is(place: &Weak<Ring>, ring: &Arc<Ring>) -> bool {
    std::ptr::eq(place.as_ptr(), Arc::as_ptr(ring))
}
