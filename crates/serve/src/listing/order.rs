//! The order in which people look for names: `IMG_9` before `IMG_10`, `apple` beside `Apple`.

use std::{cmp::Ordering, ffi::OsStr, iter::Peekable, os::unix::ffi::OsStrExt};

/// Compares names in natural order: letters without regard to case, runs of ASCII digits by their value.
///
/// A total order: names that are alike by that rule (`a1`, `A01`) are told apart by their bytes, so a listing never
/// depends on the order in which the file system gave them.
///
/// ```
/// use annulus_serve::listing::natural_order;
/// let mut names = ["IMG_10.jpg", "img_9.jpg", "IMG_1.jpg"];
/// names.sort_by(|a, b| natural_order(a.as_ref(), b.as_ref()));
/// assert_eq!(names, ["IMG_1.jpg", "img_9.jpg", "IMG_10.jpg"]);
/// ```
#[must_use]
pub fn natural_order(a: &OsStr, b: &OsStr) -> Ordering {
    let (text_a, text_b) = (a.to_string_lossy(), b.to_string_lossy());
    let mut left = text_a.chars().flat_map(char::to_lowercase).peekable();
    let mut right = text_b.chars().flat_map(char::to_lowercase).peekable();
    loop {
        let step = match (left.peek().copied(), right.peek().copied()) {
            (None, None) => return a.as_bytes().cmp(b.as_bytes()),
            (Some(l), Some(r)) if l.is_ascii_digit() && r.is_ascii_digit() => {
                let (number_l, number_r) = (take_number(&mut left), take_number(&mut right));
                // Without leading zeros the longer number is the larger one, of whatever length.
                number_l.len().cmp(&number_r.len()).then_with(|| number_l.cmp(&number_r))
            }
            (l, r) => {
                left.next();
                right.next();
                l.cmp(&r)
            }
        };
        if step != Ordering::Equal {
            return step;
        }
    }
}

/// Takes a run of digits and gives it back without leading zeros.
fn take_number(chars: &mut Peekable<impl Iterator<Item = char>>) -> String {
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        if digit != '0' || !digits.is_empty() {
            digits.push(digit);
        }
    }
    digits
}
