//! What a wait is told: its time, its clock, its signal mask, from an argument of the call or from the registered region.

use annulus_abi::{EnterFlags, GeteventsArg, RegWaitFlags};
use rustix::io::Errno;

use super::Settings;
use super::call::{Call, Fields};
use crate::core::{State, Wait};
use crate::world::{ClockId, Vouched, World};

/// `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME`.
const CLOCKS: [(u32, ClockId); 2] = [(1, ClockId::Monotonic), (7, ClockId::Boottime)];

impl Settings {
    /// A wait that is described in the registered region.
    ///
    /// # Errors
    ///
    /// `EFAULT`: there is none at this offset, or its signal mask cannot be read. `EINVAL`: flags without meaning.
    pub(crate) fn registered_wait(
        &self,
        offset: u64,
        flags: EnterFlags,
        mut wait: Wait,
        world: &dyn World,
    ) -> Result<Wait, Errno> {
        let (region, vouched) = self.region.as_ref().ok_or(Errno::FAULT)?;
        let fields = region.wait(world, offset)?;
        let has_time = RegWaitFlags::from_bits(fields.u32(20)).ok_or(Errno::INVAL)?;
        if wait.want > 0 {
            wait.sigmask = load_sigmask(world, *vouched, fields.u64(24), fields.u32(32) as usize)?;
        }
        let time = has_time.contains(RegWaitFlags::TS).then(|| (fields.i64(0), fields.i64(8)));
        self.set_times(&mut wait, flags, time, fields.u32(16), world);
        Ok(wait)
    }

    /// A wait with a timeout, a minimum wait, a signal mask.
    ///
    /// # Errors
    ///
    /// `EFAULT`, `EINVAL`.
    pub(crate) fn extended_wait(
        &self,
        arg: &GeteventsArg,
        flags: EnterFlags,
        mut wait: Wait,
        world: &dyn World,
        vouched: Vouched,
    ) -> Result<Wait, Errno> {
        let time = if arg.ts == 0 { None } else { Some(load_time(world, vouched, arg.ts)?) };
        // The kernel reads the mask only when it is about to wait.
        if wait.want > 0 {
            let size = usize::try_from(arg.sigmask_sz).unwrap_or(usize::MAX);
            wait.sigmask = load_sigmask(world, vouched, arg.sigmask, size)?;
        }
        self.set_times(&mut wait, flags, time, arg.min_wait_usec, world);
        Ok(wait)
    }

    fn set_times(
        &self,
        wait: &mut Wait,
        flags: EnterFlags,
        time: Option<(i64, i64)>,
        min_wait_usec: u32,
        world: &dyn World,
    ) {
        if min_wait_usec != 0 {
            let now = world.now(ClockId::Monotonic);
            wait.min_wait = Some(now.saturating_add(u64::from(min_wait_usec) * 1000));
        }
        if let Some((seconds, nanos)) = time {
            let is_absolute = flags.contains(EnterFlags::ABS_TIMER);
            let from = if is_absolute { 0 } else { world.now(self.clock) };
            let at = from.saturating_add_signed(saturating_ns(seconds, nanos));
            wait.deadline = Some((self.clock, at));
        }
    }
}

/// `REGISTER_CLOCK`.
///
/// # Errors
///
/// `EINVAL` for another clock than the two, `EFAULT`.
pub(super) fn set_clock(state: &mut State, call: &Call<'_>) -> Result<u32, Errno> {
    call.structure(0)?;
    let fields: Fields<16> = call.load()?;
    fields.reserved(4..16)?;
    let known = CLOCKS.iter().find(|(id, _)| *id == fields.u32(0));
    state.settings.clock = known.map(|(_, clock)| *clock).ok_or(Errno::INVAL)?;
    Ok(0)
}

/// The signal set at an address, if there is one.
///
/// # Errors
///
/// `EINVAL` unless it has the kernel's size; `EFAULT`.
pub(crate) fn load_sigmask(
    world: &dyn World,
    vouched: Vouched,
    addr: u64,
    size: usize,
) -> Result<Option<u64>, Errno> {
    if addr == 0 {
        return Ok(None);
    }
    if size != size_of::<u64>() {
        return Err(Errno::INVAL);
    }
    let mut bytes = [0; 8];
    world.load(vouched.span(addr, bytes.len()), &mut bytes)?;
    Ok(Some(u64::from_ne_bytes(bytes)))
}

/// The argument of an extended enter at an address.
///
/// # Errors
///
/// `EFAULT`.
pub(crate) fn load_getevents(world: &dyn World, vouched: Vouched, addr: u64) -> Result<GeteventsArg, Errno> {
    let mut fields = Fields([0; size_of::<GeteventsArg>()]);
    world.load(vouched.span(addr, fields.0.len()), &mut fields.0)?;
    Ok(GeteventsArg {
        sigmask: fields.u64(0),
        sigmask_sz: fields.u32(8),
        min_wait_usec: fields.u32(12),
        ts: fields.u64(16),
    })
}

/// Seconds and nanoseconds at an address.
fn load_time(world: &dyn World, vouched: Vouched, addr: u64) -> Result<(i64, i64), Errno> {
    let mut fields = Fields([0; 16]);
    world.load(vouched.span(addr, fields.0.len()), &mut fields.0)?;
    Ok((fields.i64(0), fields.i64(8)))
}

/// Nanoseconds of a wait. Unlike a timeout's, they are not checked: a negative time has passed.
pub(super) fn saturating_ns(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
