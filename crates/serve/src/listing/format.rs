//! Sizes and times as people read them. No locale, no time zone but UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::calendar::civil_date;

/// A size with a decimal unit: bytes below 1000 as they are, above that two or three digits.
///
/// ```
/// use annulus_serve::listing::human_size;
/// assert_eq!(human_size(999), "999 B");
/// assert_eq!(human_size(5_243_000), "5.2 MB");
/// assert_eq!(human_size(999_950), "1.0 MB");
/// ```
#[must_use]
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // In tenths of the unit, rounded half up, in 128 bits: exact where a float would wander near the limits.
    let mut divisor: u128 = 1000;
    for (index, unit) in UNITS.iter().enumerate() {
        let tenths = (u128::from(bytes) * 10 + divisor / 2) / divisor;
        if tenths < 1000 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        let whole = (u128::from(bytes) + divisor / 2) / divisor;
        if whole < 1000 || index + 1 == UNITS.len() {
            return format!("{whole} {unit}");
        }
        divisor *= 1000;
    }
    unreachable!("u64::MAX is 18.4 EB and the last unit takes whatever is left")
}

/// A time as `2026-06-14 05:42` in UTC; `None` outside the years 0 to 9999.
///
/// ```
/// use annulus_serve::listing::utc_minute;
/// use std::time::{Duration, UNIX_EPOCH};
/// assert_eq!(utc_minute(UNIX_EPOCH + Duration::from_secs(951_782_399)).unwrap(), "2000-02-28 23:59");
/// assert_eq!(utc_minute(UNIX_EPOCH - Duration::from_secs(1)).unwrap(), "1969-12-31 23:59");
/// ```
#[must_use]
pub fn utc_minute(time: SystemTime) -> Option<String> {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok()?,
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).ok()?;
            -(whole + i64::from(before.subsec_nanos() > 0))
        }
    };
    let (year, month, day) = civil_date(seconds.div_euclid(86_400));
    let minute_of_day = seconds.rem_euclid(86_400) / 60;
    let (hour, minute) = (minute_of_day / 60, minute_of_day % 60);
    (0..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}"))
}
