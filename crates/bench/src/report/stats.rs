//! Medians and their spread.
//!
//! A mean would let one disturbed round speak for all of them; the median does not, and the spread tells how far the
//! rounds lay apart.

use serde::Serialize;

/// What several rounds came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The value in the middle; of an even number of values the mean of the two in the middle.
    pub median: f64,
    /// (largest - smallest) / median: 0.1 is ten percent.
    pub spread: f64,
}

impl Summary {
    /// Sums up values in any order. Nothing is to be said of no values, nor of ones that are no numbers.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        let width = sorted[sorted.len() - 1] - sorted[0];
        // Values that are all zero (CPU time below the resolution of its clock) do not differ.
        let spread = if width == 0.0 { 0.0 } else { width / median.abs() };
        Some(Self { median, spread })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_number_is_the_one_in_the_middle() {
        assert_eq!(Summary::of(&[9.0, 1.0, 4.0]), Some(Summary { median: 4.0, spread: 2.0 }));
        assert_eq!(Summary::of(&[5.0]), Some(Summary { median: 5.0, spread: 0.0 }));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        assert_eq!(Summary::of(&[4.0, 1.0, 3.0, 2.0]), Some(Summary { median: 2.5, spread: 1.2 }));
    }

    #[test]
    fn one_disturbed_round_moves_the_spread_and_not_the_median() {
        let quiet = Summary::of(&[100.0, 101.0, 99.0, 100.0, 100.0]).unwrap();
        let disturbed = Summary::of(&[100.0, 101.0, 99.0, 1000.0, 100.0]).unwrap();
        assert_eq!((quiet.median, disturbed.median), (100.0, 100.0));
        assert_eq!((quiet.spread, disturbed.spread), (0.02, 9.01));
    }

    #[test]
    fn nothing_and_what_is_no_number_have_no_summary() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[1.0, f64::NAN]), None);
        assert_eq!(Summary::of(&[f64::INFINITY]), None);
    }

    #[test]
    fn values_that_are_all_zero_do_not_differ() {
        assert_eq!(Summary::of(&[0.0, 0.0]), Some(Summary { median: 0.0, spread: 0.0 }));
    }
}
