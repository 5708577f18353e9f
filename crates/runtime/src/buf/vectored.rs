//! Several buffers as one, for operations that gather or scatter (readv, writev).
#![allow(unsafe_code, reason = "the traits promise what entries rest on")]

use super::{IoBuf, IoBufMut};

/// Several buffers that one operation writes from, one after the other: a vector or an array of buffers, or a tuple of two
/// to four buffers of different types.
///
/// # Safety
///
/// As long as the value is not moved and not used through `&mut`, each pair that [`pieces`](Self::pieces) names is
/// that many initialised bytes, which are neither changed nor freed.
#[allow(clippy::missing_safety_doc, reason = "stated above; clippy looks for it on the trait and finds it")]
pub unsafe trait IoVectoredBuf: 'static {
    /// Names each buffer in turn: where its bytes lie, and how many it holds.
    fn pieces(&self, each: &mut dyn FnMut(*const u8, usize));

    /// How many bytes they hold together.
    fn total_filled(&self) -> usize {
        let mut total = 0;
        self.pieces(&mut |_, len| total += len);
        total
    }
}

/// Several buffers that one operation reads into, one after the other.
///
/// # Safety
///
/// That of [`IoVectoredBuf`]; and what [`pieces_mut`](Self::pieces_mut) names belongs to the value and may be written,
/// up to the capacity of each.
pub unsafe trait IoVectoredBufMut: IoVectoredBuf {
    /// Names each buffer in turn: where its bytes go, how many it holds, and how many there is room for.
    fn pieces_mut(&mut self, each: &mut dyn FnMut(*mut u8, usize, usize));

    /// Says that the first `len` bytes of the room of all, and no others, are contents now.
    ///
    /// # Safety
    ///
    /// They are initialised, and `len` is at most the capacity of all.
    unsafe fn set_filled(&mut self, len: usize);
}

/// What is left of `len` when a buffer has taken its part.
///
/// # Safety
///
/// The first bytes of the buffer, as many of `len` as it has room for, are initialised.
unsafe fn take_part<B: IoBufMut>(buf: &mut B, len: &mut usize) {
    let part = buf.capacity().min(*len);
    *len -= part;
    // SAFETY: the contract of this function.
    unsafe { buf.set_filled(part) };
}

/// Lists of buffers of one type.
macro_rules! lists {
    ($([$($generic:tt)*] $List:ty,)*) => { $(
        // SAFETY: the buffers stay in the list, which is not moved; each keeps its bytes then.
        unsafe impl<B: IoBuf, $($generic)*> IoVectoredBuf for $List {
            fn pieces(&self, each: &mut dyn FnMut(*const u8, usize)) {
                for buf in self {
                    each(buf.as_stable_ptr(), buf.filled());
                }
            }
        }

        // SAFETY: as above.
        unsafe impl<B: IoBufMut, $($generic)*> IoVectoredBufMut for $List {
            fn pieces_mut(&mut self, each: &mut dyn FnMut(*mut u8, usize, usize)) {
                for buf in self {
                    let (filled, capacity) = (buf.filled(), buf.capacity());
                    each(buf.as_stable_mut_ptr(), filled, capacity);
                }
            }

            unsafe fn set_filled(&mut self, mut len: usize) {
                for buf in self {
                    // SAFETY: the contract of this function, as the buffers are filled in this order.
                    unsafe { take_part(buf, &mut len) };
                }
            }
        }
    )* };
}

lists! {
    [] Vec<B>,
    [] Box<[B]>,
    [const N: usize] [B; N],
}

/// Tuples of buffers of different types.
macro_rules! tuples {
    ($(($($B:ident $index:tt),*),)*) => { $(
        // SAFETY: the buffers stay in the tuple, which is not moved; each keeps its bytes then.
        unsafe impl<$($B: IoBuf),*> IoVectoredBuf for ($($B,)*) {
            fn pieces(&self, each: &mut dyn FnMut(*const u8, usize)) {
                $(each(self.$index.as_stable_ptr(), self.$index.filled());)*
            }
        }

        // SAFETY: as above.
        unsafe impl<$($B: IoBufMut),*> IoVectoredBufMut for ($($B,)*) {
            fn pieces_mut(&mut self, each: &mut dyn FnMut(*mut u8, usize, usize)) {
                $(
                    let (filled, capacity) = (self.$index.filled(), self.$index.capacity());
                    each(self.$index.as_stable_mut_ptr(), filled, capacity);
                )*
            }

            unsafe fn set_filled(&mut self, mut len: usize) {
                $(
                    // SAFETY: the contract of this function, as the buffers are filled in this order.
                    unsafe { take_part(&mut self.$index, &mut len) };
                )*
            }
        }
    )* };
}

tuples! {
    (A 0, B 1),
    (A 0, B 1, C 2),
    (A 0, B 1, C 2, D 3),
}
