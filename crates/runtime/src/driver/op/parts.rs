//! What messages are sent from and received into: one buffer, or several in a row.
#![allow(unsafe_code, reason = "marks as filled what the kernel says it wrote")]

use std::ops::Range;

use crate::buf::{FixedBuf, Held, IoBuf, IoBufMut, fill};

/// The most buffers that one call takes.
const MOST: usize = libc::UIO_MAXIOV.unsigned_abs() as usize;

/// A list of buffers as the kernel reads it, without an allocation for a single one.
pub(crate) struct Iovecs {
    one: libc::iovec,
    /// All of them, if there are more.
    many: Vec<libc::iovec>,
    count: usize,
}

impl Iovecs {
    const fn new() -> Self {
        let one = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self { one, many: Vec::new(), count: 0 }
    }

    /// Appends a buffer, unless there are as many as one call takes.
    fn push(&mut self, start: *mut u8, len: usize) {
        let iovec = libc::iovec { iov_base: start.cast(), iov_len: len };
        match self.count {
            0 => self.one = iovec,
            MOST.. => return,
            _ => {
                if self.many.is_empty() {
                    self.many.push(self.one);
                }
                self.many.push(iovec);
            }
        }
        self.count += 1;
    }

    /// Where they are, and how many.
    pub(crate) fn raw(&mut self) -> (*mut libc::iovec, usize) {
        let start = if self.many.is_empty() { &raw mut self.one } else { self.many.as_mut_ptr() };
        (start, self.count)
    }
}

/// Buffers to send from. They keep their addresses while this is only moved.
pub(crate) trait Source: 'static {
    /// The list of them, without the first `skip` bytes.
    fn iovecs(&self, skip: usize) -> Iovecs;
}

/// Buffers to receive into. They keep their addresses while this is only moved.
pub(crate) trait Sink: 'static {
    /// The list of them.
    fn iovecs(&mut self) -> Iovecs;
    /// How many bytes one call can put into them.
    fn capacity(&self) -> usize;
    /// Marks the first `len` bytes as contents.
    ///
    /// # Safety
    ///
    /// They are written, and not more than the capacity.
    unsafe fn fill(&mut self, len: usize);
    /// The first `len` bytes, which are contents.
    fn gather(&self, len: usize) -> Vec<u8>;
}

/// One buffer.
pub(crate) struct One<B>(pub(crate) Held<B>);

/// Several in a row; the first 1,024 of them count.
pub(crate) struct Many<B>(Vec<Held<B>>);

/// Several parts of one registered buffer in a row; the first 1,024 of them that hold something count.
pub(crate) struct PartsOf<B> {
    buf: B,
    parts: Vec<Range<usize>>,
}

/// Buffers, and something else that is kept as long as they are: descriptors that are being passed.
pub(crate) struct With<S, T>(pub(crate) S, pub(crate) T);

impl<B: IoBuf> One<B> {
    pub(crate) fn new(buf: B) -> Self {
        Self(Held::new(buf))
    }

    pub(crate) fn into_inner(self) -> B {
        self.0.into_inner()
    }
}

impl<B: IoBuf> Many<B> {
    pub(crate) fn new(bufs: Vec<B>) -> Self {
        Self(bufs.into_iter().map(Held::new).collect())
    }

    pub(crate) fn into_inner(self) -> Vec<B> {
        self.0.into_iter().map(Held::into_inner).collect()
    }
}

impl<B: FixedBuf> PartsOf<B> {
    /// # Panics
    ///
    /// If a part reaches beyond what the buffer holds.
    pub(crate) fn new(buf: B, parts: Vec<Range<usize>>) -> Self {
        let len = buf.filled();
        for part in &parts {
            assert!(
                part.start <= part.end && part.end <= len,
                "part {part:?} of a buffer that holds {len} bytes"
            );
        }
        Self { buf, parts }
    }

    /// How many bytes all parts have together.
    pub(crate) fn total(&self) -> usize {
        self.parts.iter().map(ExactSizeIterator::len).sum()
    }

    /// How many parts have any.
    pub(crate) fn count(&self) -> usize {
        self.parts.iter().filter(|part| !part.is_empty()).count()
    }

    /// Where the buffer is registered.
    pub(crate) fn slot(&self) -> Option<u16> {
        self.buf.slot()
    }

    pub(crate) fn into_inner(self) -> B {
        self.buf
    }
}

impl<B: IoBufMut> One<B> {
    /// Fills the buffer with bytes that came by another way. Returns how many fitted.
    pub(crate) fn scatter(&mut self, bytes: &[u8]) -> usize {
        fill(&mut self.0, bytes)
    }
}

impl<B: IoBufMut> Many<B> {
    /// Fills the buffers with bytes that came by another way. Returns how many fitted.
    pub(crate) fn scatter(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        for buf in self.0.iter_mut().take(MOST) {
            done += fill(buf, &bytes[done..]);
        }
        done
    }
}

impl<B: IoBuf> Source for One<B> {
    fn iovecs(&self, skip: usize) -> Iovecs {
        let mut iovecs = Iovecs::new();
        let gone = skip.min(self.0.filled());
        let start = self.0.as_stable_ptr().wrapping_add(gone).cast_mut();
        iovecs.push(start, self.0.filled() - gone);
        iovecs
    }
}

impl<B: IoBuf> Source for Many<B> {
    fn iovecs(&self, mut skip: usize) -> Iovecs {
        let mut iovecs = Iovecs::new();
        for buf in &self.0 {
            let len = buf.filled();
            let gone = skip.min(len);
            skip -= gone;
            if gone < len {
                iovecs.push(buf.as_stable_ptr().wrapping_add(gone).cast_mut(), len - gone);
            }
        }
        iovecs
    }
}

impl<B: FixedBuf> Source for PartsOf<B> {
    fn iovecs(&self, mut skip: usize) -> Iovecs {
        let mut iovecs = Iovecs::new();
        for part in &self.parts {
            let gone = skip.min(part.len());
            skip -= gone;
            if gone < part.len() {
                let start = self.buf.as_stable_ptr().wrapping_add(part.start + gone);
                iovecs.push(start.cast_mut(), part.len() - gone);
            }
        }
        iovecs
    }
}

impl<S: Source, T: 'static> Source for With<S, T> {
    fn iovecs(&self, skip: usize) -> Iovecs {
        self.0.iovecs(skip)
    }
}

impl<B: IoBufMut> Sink for One<B> {
    fn iovecs(&mut self) -> Iovecs {
        let mut iovecs = Iovecs::new();
        let (start, len) = (self.0.as_stable_mut_ptr(), self.0.capacity());
        iovecs.push(start, len);
        iovecs
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    unsafe fn fill(&mut self, len: usize) {
        // SAFETY: the contract of this function.
        unsafe { self.0.set_filled(len) };
    }

    fn gather(&self, len: usize) -> Vec<u8> {
        self.0.as_bytes()[..len].to_vec()
    }
}

impl<B: IoBufMut> Sink for Many<B> {
    fn iovecs(&mut self) -> Iovecs {
        let mut iovecs = Iovecs::new();
        for buf in self.0.iter_mut().take(MOST) {
            let (start, len) = (buf.as_stable_mut_ptr(), buf.capacity());
            iovecs.push(start, len);
        }
        iovecs
    }

    fn capacity(&self) -> usize {
        self.0.iter().take(MOST).map(IoBufMut::capacity).sum()
    }

    unsafe fn fill(&mut self, mut len: usize) {
        for buf in &mut self.0 {
            let part = len.min(buf.capacity());
            // SAFETY: the bytes fill one buffer after the other (this function's contract).
            unsafe { buf.set_filled(part) };
            len -= part;
        }
    }

    fn gather(&self, mut len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        for buf in &self.0 {
            let part = len.min(buf.filled());
            bytes.extend_from_slice(&buf.as_bytes()[..part]);
            len -= part;
        }
        bytes
    }
}
