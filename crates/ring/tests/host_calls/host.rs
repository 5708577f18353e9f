//! The host: a thread that makes the system calls for a program that cannot, and refuses every pointer
//! that does not lie in the memory that both share.

use std::collections::HashMap;
use std::ffi::c_void;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use annulus::abi::{
    self, BufReg, EnterFlags, GeteventsArg, MemRegionReg, Params, QueryHdr, RegionDesc, RegisterOp,
    RsrcRegister, RsrcUpdate, RsrcUpdate2, Sqe,
};
use annulus::kernel::SystemCalls;
use rustix::io::Errno;

use super::arena::Arena;

/// What the program asks for. Pointers are addresses here, as they cross to another thread.
#[derive(Debug)]
pub(super) enum Call {
    Setup { entries: u32, params: u64 },
    Enter { fd: RawFd, submit: u32, want: u32, flags: u32, arg: u64, size: usize },
    Register { fd: RawFd, op: u32, arg: u64, nr: u32 },
    Map { fd: RawFd, len: usize, offset: u64 },
    Unmap { start: u64, len: usize },
    Close { fd: RawFd },
    End,
}

type Answer = Result<u64, Errno>;

/// A pointer that the host did not follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) what: &'static str,
    pub(super) address: u64,
}

/// The program's way to its host.
#[derive(Clone, Debug)]
pub(super) struct Host {
    calls: Sender<(Call, Sender<Answer>)>,
    pub(super) arena: Arc<Arena>,
    refusals: Arc<Mutex<Vec<Refusal>>>,
    made: Arc<Mutex<Vec<&'static str>>>,
}

impl Host {
    /// Starts the thread.
    pub(super) fn start() -> (Self, JoinHandle<()>) {
        let (calls, received) = channel();
        let host =
            Self { calls, arena: Arc::new(Arena::new()), refusals: Arc::default(), made: Arc::default() };
        let arena = Arc::clone(&host.arena);
        let refusals = Arc::clone(&host.refusals);
        let made = Arc::clone(&host.made);
        let thread = std::thread::spawn(move || {
            Worker { arena, refusals, made, rings: HashMap::new(), registered: HashMap::new() }
                .serve(&received);
        });
        (host, thread)
    }

    /// Has the host make a call, and waits for it.
    pub(super) fn call(&self, call: Call) -> Answer {
        let (answer, answered) = channel();
        self.calls.send((call, answer)).expect("the host lives as long as the program");
        answered.recv().expect("the host answers every call")
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        let (nobody, _) = channel();
        self.calls.send((Call::End, nobody)).expect("the host lives until it is ended");
    }

    /// The pointers that were refused so far.
    pub(super) fn refusals(&self) -> Vec<Refusal> {
        self.refusals.lock().unwrap().clone()
    }

    /// How many calls of this name the host was asked for.
    pub(super) fn count(&self, name: &str) -> usize {
        self.made.lock().unwrap().iter().filter(|made| **made == name).count()
    }
}

/// What the host knows of a ring.
#[derive(Clone, Copy, Debug)]
struct Ring {
    params: Params,
    sq_ring: u64,
    sqes: u64,
}

struct Worker {
    arena: Arc<Arena>,
    refusals: Arc<Mutex<Vec<Refusal>>>,
    made: Arc<Mutex<Vec<&'static str>>>,
    rings: HashMap<RawFd, Ring>,
    /// Descriptors by their index among the registered ones.
    registered: HashMap<RawFd, RawFd>,
}

impl Worker {
    fn serve(mut self, calls: &Receiver<(Call, Sender<Answer>)>) {
        while let Ok((call, answer)) = calls.recv() {
            if matches!(call, Call::End) {
                break;
            }
            let result = self.make(call);
            // A program that died does not wait for its answer.
            let _ = answer.send(result);
        }
    }

    fn make(&mut self, call: Call) -> Answer {
        let (name, result) = match call {
            Call::Setup { entries, params } => ("setup", self.setup(entries, params)),
            Call::Enter { fd, submit, want, flags, arg, size } => {
                ("enter", self.enter(fd, submit, want, flags, arg, size))
            }
            Call::Register { fd, op, arg, nr } => ("register", self.register(fd, op, arg, nr)),
            Call::Map { fd, len, offset } => ("map", self.map(fd, len, offset)),
            Call::Unmap { start, len } => ("unmap", Self::unmap(start, len)),
            Call::Close { fd } => ("close", self.close(fd)),
            Call::End => unreachable!("ends the loop"),
        };
        self.made.lock().unwrap().push(name);
        result
    }

    fn setup(&mut self, entries: u32, params: u64) -> Answer {
        self.check("params", params, size_of::<Params>())?;
        // SAFETY: checked just above; the program waits for the answer.
        let fd = unsafe { (SystemCalls::LINUX.setup)(entries, pointer(params).cast()) }?;
        // SAFETY: as above.
        let params = unsafe { load::<Params>(params) };
        self.rings.insert(fd, Ring { params, sq_ring: 0, sqes: 0 });
        Ok(u64::from(fd.cast_unsigned()))
    }

    fn enter(&self, fd: RawFd, submit: u32, want: u32, flags: u32, arg: u64, size: usize) -> Answer {
        let typed = EnterFlags::from_bits_retain(flags);
        let by_index = typed.contains(EnterFlags::REGISTERED_RING);
        let real = if by_index { self.registered.get(&fd) } else { Some(&fd) };
        let ring = real.and_then(|fd| self.rings.get(fd)).ok_or(Errno::BADF)?;
        self.check_entries(ring, submit)?;
        if typed.contains(EnterFlags::EXT_ARG) {
            self.check("getevents arg", arg, size_of::<GeteventsArg>())?;
            // SAFETY: checked just above.
            let inner = unsafe { load::<GeteventsArg>(arg) };
            self.check_unless_null("timeout", inner.ts, 16)?;
            self.check_unless_null("signal mask", inner.sigmask, 8)?;
        } else {
            self.check_unless_null("signal mask", arg, 8)?;
        }
        // SAFETY: every pointer of the call and of the entries was checked.
        unsafe { (SystemCalls::LINUX.enter)(fd, submit, want, flags, pointer(arg), size) }.map(u64::from)
    }

    /// Looks at the entries that this enter would hand to the kernel.
    fn check_entries(&self, ring: &Ring, submit: u32) -> Result<(), Errno> {
        let Params { sq_off, sq_entries, .. } = ring.params;
        // SAFETY: the ring's header lies where the host mapped it.
        let head = unsafe { load::<u32>(ring.sq_ring + u64::from(sq_off.head)) };
        for n in 0..submit {
            let place = u64::from(head.wrapping_add(n) & (sq_entries - 1));
            let array = ring.sq_ring + u64::from(sq_off.array);
            let indexed = sq_off.array != 0;
            let index = if indexed {
                // SAFETY: as above, in the array of indices.
                u64::from(unsafe { load::<u32>(array + place * 4) })
            } else {
                place
            };
            // SAFETY: as above, in the region of the entries.
            let sqe = unsafe { load::<Sqe>(ring.sqes + index * size_of::<Sqe>() as u64) };
            match sqe.opcode {
                abi::IORING_OP_NOP => {}
                abi::IORING_OP_READ
                | abi::IORING_OP_WRITE
                | abi::IORING_OP_READ_FIXED
                | abi::IORING_OP_WRITE_FIXED => self.check("buffer", sqe.addr, sqe.len as usize)?,
                abi::IORING_OP_TIMEOUT => self.check("timeout", sqe.addr, 16)?,
                _ => return Err(self.refuse("operation unknown to the host", u64::from(sqe.opcode))),
            }
        }
        Ok(())
    }

    fn register(&mut self, fd: RawFd, op: u32, arg: u64, nr: u32) -> Answer {
        let op = RegisterOp::from_raw(op);
        let len = op.info().and_then(|info| info.layout.size(nr)).ok_or(Errno::INVAL)?;
        if len > 0 {
            self.check("register argument", arg, len)?;
        }
        self.check_lists(op, arg, nr)?;
        // SAFETY: every pointer was checked.
        let result = unsafe { (SystemCalls::LINUX.register)(fd, op.raw(), pointer(arg), nr) }?;
        match op {
            RegisterOp::REGISTER_RING_FDS => {
                // SAFETY: checked above.
                let update = unsafe { load::<RsrcUpdate>(arg) };
                self.registered.insert(update.offset.cast_signed(), i32::try_from(update.data).unwrap());
            }
            RegisterOp::UNREGISTER_RING_FDS => {
                // SAFETY: checked above.
                let update = unsafe { load::<RsrcUpdate>(arg) };
                self.registered.remove(&update.offset.cast_signed());
            }
            _ => {}
        }
        Ok(u64::from(result))
    }

    /// Looks at what an argument points to.
    fn check_lists(&self, op: RegisterOp, arg: u64, nr: u32) -> Result<(), Errno> {
        match RegisterOp::from_raw(op.number()) {
            RegisterOp::REGISTER_BUFFERS => self.check_buffers(arg, nr),
            RegisterOp::REGISTER_FILES_UPDATE => {
                // SAFETY: the argument was checked.
                let update = unsafe { load::<RsrcUpdate>(arg) };
                self.check("files", update.data, nr as usize * 4)
            }
            RegisterOp::REGISTER_FILES2 | RegisterOp::REGISTER_BUFFERS2 => {
                // SAFETY: the argument was checked.
                let list = unsafe { load::<RsrcRegister>(arg) };
                self.check_unless_null("tags", list.tags, list.nr as usize * 8)?;
                if op.number() == RegisterOp::REGISTER_FILES2.number() {
                    return self.check_unless_null("files", list.data, list.nr as usize * 4);
                }
                if list.data == 0 {
                    return Ok(());
                }
                self.check("buffers", list.data, list.nr as usize * 16)?;
                self.check_buffers(list.data, list.nr)
            }
            RegisterOp::REGISTER_FILES_UPDATE2 | RegisterOp::REGISTER_BUFFERS_UPDATE => {
                // SAFETY: the argument was checked.
                let list = unsafe { load::<RsrcUpdate2>(arg) };
                self.check_unless_null("tags", list.tags, list.nr as usize * 8)?;
                if op.number() == RegisterOp::REGISTER_FILES_UPDATE2.number() {
                    return self.check("files", list.data, list.nr as usize * 4);
                }
                self.check("buffers", list.data, list.nr as usize * 16)?;
                self.check_buffers(list.data, list.nr)
            }
            RegisterOp::REGISTER_PBUF_RING => {
                // SAFETY: the argument was checked.
                let ring = unsafe { load::<BufReg>(arg) };
                self.check("buffer ring", ring.ring_addr, ring.ring_entries as usize * 16)
            }
            RegisterOp::REGISTER_MEM_REGION => {
                // SAFETY: the argument was checked.
                let region = unsafe { load::<MemRegionReg>(arg) };
                self.check("description of a region", region.region_uptr, size_of::<RegionDesc>())?;
                // SAFETY: checked just above.
                let region = unsafe { load::<RegionDesc>(region.region_uptr) };
                self.check("region", region.user_addr, usize::try_from(region.size).unwrap())
            }
            RegisterOp::REGISTER_QUERY => {
                // SAFETY: the argument was checked.
                let query = unsafe { load::<QueryHdr>(arg) };
                self.check("answer", query.query_data, query.size as usize)
            }
            _ if op.info().is_some_and(|info| info.has_pointers) => {
                Err(self.refuse("registration unknown to the host", u64::from(op.number())))
            }
            _ => Ok(()),
        }
    }

    fn check_buffers(&self, list: u64, nr: u32) -> Result<(), Errno> {
        for n in 0..u64::from(nr) {
            // SAFETY: the list was checked. Two words: address and length.
            let [base, len] = unsafe { load::<[usize; 2]>(list + n * 16) };
            self.check("registered buffer", base as u64, len)?;
        }
        Ok(())
    }

    /// Maps a part of the ring, at a place of the kernel's choice: it allows no other. That memory is shared too.
    fn map(&mut self, fd: RawFd, len: usize, offset: u64) -> Answer {
        // SAFETY: the program passes a descriptor that the host opened for it.
        let start = unsafe { (SystemCalls::LINUX.map)(fd, len, offset) }?;
        let address = start.as_ptr().expose_provenance() as u64;
        let ring = self.rings.get_mut(&fd).ok_or(Errno::BADF)?;
        match offset {
            abi::IORING_OFF_SQ_RING => ring.sq_ring = address,
            abi::IORING_OFF_SQES => ring.sqes = address,
            _ => {}
        }
        Ok(address)
    }

    fn unmap(start: u64, len: usize) -> Answer {
        let start = NonNull::new(pointer(start).cast::<u8>()).ok_or(Errno::INVAL)?;
        // SAFETY: the program gives back what `map` gave it.
        unsafe { (SystemCalls::LINUX.unmap)(start, len) };
        Ok(0)
    }

    fn close(&mut self, fd: RawFd) -> Answer {
        self.rings.remove(&fd);
        // SAFETY: the host opened it for the program, which is done with it.
        unsafe { (SystemCalls::LINUX.close)(fd) };
        Ok(0)
    }

    fn check_unless_null(&self, what: &'static str, address: u64, len: usize) -> Result<(), Errno> {
        if address == 0 { Ok(()) } else { self.check(what, address, len) }
    }

    fn check(&self, what: &'static str, address: u64, len: usize) -> Result<(), Errno> {
        if self.arena.holds(address, len as u64) { Ok(()) } else { Err(self.refuse(what, address)) }
    }

    fn refuse(&self, what: &'static str, address: u64) -> Errno {
        self.refusals.lock().unwrap().push(Refusal { what, address });
        Errno::FAULT
    }
}

/// An address that the program passed, as a pointer.
fn pointer(address: u64) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap())
}

/// # Safety
///
/// A `T` of integers lies there.
unsafe fn load<T>(address: u64) -> T {
    // SAFETY: the contract of this function. Volatile: the kernel may write it.
    unsafe { pointer(address).cast::<T>().read_volatile() }
}
