//! The conversions from coordinates to counts, in one place: what is cut off and what is clamped is said here once.
//! `f32::floor` is avoided on purpose: on plain x86-64 it is a call, and noise takes the floor 10^8 times an album.

/// The largest whole number not above `x`, within the range of `i32`.
#[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose; out of range saturates")]
#[inline]
pub(super) fn floor(x: f32) -> i32 {
    let toward_zero = x as i32;
    toward_zero - i32::from(x < toward_zero as f32)
}

/// `x` rounded down to an index; below zero becomes zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounding is the purpose; it saturates"
)]
#[inline]
pub(super) fn index(x: f32) -> usize {
    x as usize
}

/// `x` rounded to the nearest of 0 to 255.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounding is the purpose; it saturates"
)]
#[inline]
pub(super) fn byte(x: f32) -> u8 {
    (x + 0.5) as u8
}

/// The curve from 0 at `low` to 1 at `high` (which may lie below `low`), level at both ends.
#[inline]
pub(super) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The point at `t` on the way from `a` to `b`.
#[inline]
pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}
