//! Counting days: the Gregorian calendar over seconds since 1970, in both directions. No clock, no time zone.

/// Year, month and day of a count of days since 1970-01-01.
///
/// Years are taken to begin in March: then the leap day is the last of its year, and the lengths of the months
/// follow one line, (153 m + 2) / 5.
pub(crate) fn civil_date(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + DAYS_FROM_0000_03_01_TO_1970;
    let cycle = days.div_euclid(DAYS_IN_400_YEARS);
    let day_of_cycle = days.rem_euclid(DAYS_IN_400_YEARS);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (cycle * 400 + year_of_cycle + i64::from(month <= 2), month, day)
}

/// The count of days since 1970-01-01 of a date.
pub(crate) fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let year_of_cycle = year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    year.div_euclid(400) * DAYS_IN_400_YEARS + day_of_cycle - DAYS_FROM_0000_03_01_TO_1970
}

const DAYS_IN_400_YEARS: i64 = 146_097;
const DAYS_FROM_0000_03_01_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::{civil_date, days_since_1970};

    #[test]
    fn dates_and_days_are_inverse_over_a_thousand_years() {
        for days in -200_000..200_000 {
            let (year, month, day) = civil_date(days);
            assert_eq!(days_since_1970(year, month, day), days, "{year}-{month}-{day}");
            assert!((1..=12).contains(&month) && (1..=31).contains(&day), "{year}-{month}-{day}");
        }
        assert_eq!(civil_date(11_016), (2000, 2, 29));
        assert_eq!(civil_date(-1), (1969, 12, 31));
    }
}
