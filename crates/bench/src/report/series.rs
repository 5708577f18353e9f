//! One contender in one case: what each round measured, what it comes to, or why there is nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Summary;

/// What one round of one contender measured, as counted: so much was done in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// How many operations, requests or reads.
    pub units: u64,
    /// In how many nanoseconds of the clock on the wall.
    pub wall_ns: u64,
    /// In how many nanoseconds of CPU time, all threads of the measured process together.
    pub cpu_ns: u64,
}

/// What a bench counts and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Time per operation: less is better.
    Operations,
    /// Requests per second: more is better.
    Requests,
    /// Reads per second: more is better.
    Reads,
}

impl Metric {
    /// The unit of the value.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Operations => "ns/op",
            Self::Requests => "req/s",
            Self::Reads => "reads/s",
        }
    }

    /// The unit of the CPU time.
    #[must_use]
    pub const fn cpu_unit(self) -> &'static str {
        match self {
            Self::Operations => "CPU ns/op",
            Self::Requests => "CPU us/req",
            Self::Reads => "CPU us/read",
        }
    }

    /// Whether the smaller value is the better one.
    #[must_use]
    pub const fn less_is_better(self) -> bool {
        matches!(self, Self::Operations)
    }

    /// The value of a sample in [`unit`](Self::unit); no number if nothing was done.
    #[must_use]
    pub fn value(self, sample: Sample) -> f64 {
        let (units, wall_ns) = (float(sample.units), float(sample.wall_ns));
        if self.less_is_better() { wall_ns / units } else { units * 1e9 / wall_ns }
    }

    /// The CPU time of a sample in [`cpu_unit`](Self::cpu_unit); no number if nothing was done.
    #[must_use]
    pub fn cpu(self, sample: Sample) -> f64 {
        let ns = float(sample.cpu_ns) / float(sample.units);
        if self.less_is_better() { ns } else { ns / 1000.0 }
    }
}

/// Counts of a bench are far below 2^53, up to which this is exact.
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of a bench fit into 53 bits")]
const fn float(count: u64) -> f64 {
    count as f64
}

/// Why a contender has no figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The machine, its kernel or its container does not allow or have it. That is a finding and no failure.
    Refused(String),
    /// It should have worked.
    Failed(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "refused: {reason}"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// One round as the report shows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Round {
    /// What was counted.
    #[serde(flatten)]
    pub sample: Sample,
    /// The value in the case's unit.
    pub value: f64,
    /// The CPU time in the case's unit.
    pub cpu: f64,
}

/// What became of a contender.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It was measured.
    Measured {
        /// The value over all rounds.
        value: Summary,
        /// The CPU time over all rounds.
        cpu: Summary,
        /// The rounds, in their order.
        rounds: Vec<Round>,
    },
    /// See [`Fault::Refused`].
    Refused {
        /// By what.
        reason: String,
    },
    /// See [`Fault::Failed`].
    Failed {
        /// What went wrong.
        reason: String,
    },
}

impl Outcome {
    /// Sums up the rounds of a contender. One that did nothing in a round has failed.
    #[must_use]
    pub fn new(metric: Metric, samples: Result<Vec<Sample>, Fault>) -> Self {
        let samples = match samples {
            Ok(samples) => samples,
            Err(Fault::Refused(reason)) => return Self::Refused { reason },
            Err(Fault::Failed(reason)) => return Self::Failed { reason },
        };
        let round = |sample: &Sample| Round {
            sample: *sample,
            value: metric.value(*sample),
            cpu: metric.cpu(*sample),
        };
        let rounds: Vec<Round> = samples.iter().map(round).collect();
        let sum_up = |of: fn(&Round) -> f64| Summary::of(&rounds.iter().map(of).collect::<Vec<_>>());
        let is_empty = samples.iter().any(|sample| sample.units == 0);
        match (sum_up(|round| round.value), sum_up(|round| round.cpu)) {
            (Some(value), Some(cpu)) if !is_empty => Self::Measured { value, cpu, rounds },
            _ => Self::Failed { reason: "nothing was done in a whole round".to_owned() },
        }
    }

    /// The rounds, if there are any.
    #[must_use]
    pub fn rounds(&self) -> &[Round] {
        if let Self::Measured { rounds, .. } = self { rounds } else { &[] }
    }
}

/// One contender in one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// Its name, the same in every case.
    pub contender: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Sample = Sample { units: 1000, wall_ns: 2_000_000, cpu_ns: 1_000_000 };

    #[test]
    fn operations_are_told_in_time_and_requests_as_a_rate() {
        assert_eq!((Metric::Operations.value(SAMPLE), Metric::Operations.cpu(SAMPLE)), (2000.0, 1000.0));
        assert_eq!((Metric::Requests.value(SAMPLE), Metric::Requests.cpu(SAMPLE)), (500_000.0, 1.0));
        assert_eq!((Metric::Reads.value(SAMPLE), Metric::Reads.cpu(SAMPLE)), (500_000.0, 1.0));
    }

    #[test]
    fn rounds_are_summed_up_in_the_unit_of_the_case() {
        let slower = Sample { wall_ns: 4_000_000, ..SAMPLE };
        let outcome = Outcome::new(Metric::Operations, Ok(vec![SAMPLE, slower, slower]));
        let Outcome::Measured { value, cpu, rounds } = &outcome else { panic!("{outcome:?}") };
        assert_eq!(*value, Summary { median: 4000.0, spread: 0.5 });
        assert_eq!(*cpu, Summary { median: 1000.0, spread: 0.0 });
        assert_eq!(rounds.iter().map(|round| round.value).collect::<Vec<_>>(), [2000.0, 4000.0, 4000.0]);
        assert_eq!(outcome.rounds().len(), 3);
    }

    #[test]
    fn a_round_in_which_nothing_was_done_is_a_failure() {
        let idle = Sample { units: 0, ..SAMPLE };
        for metric in [Metric::Operations, Metric::Requests] {
            let outcome = Outcome::new(metric, Ok(vec![SAMPLE, idle]));
            assert!(matches!(&outcome, Outcome::Failed { .. }), "{outcome:?}");
            assert_eq!(outcome.rounds(), []);
        }
    }

    #[test]
    fn a_refusal_keeps_its_reason_and_is_no_failure() {
        let refused = Outcome::new(Metric::Reads, Err(Fault::Refused("seccomp".to_owned())));
        assert_eq!(refused, Outcome::Refused { reason: "seccomp".to_owned() });
        let failed = Outcome::new(Metric::Reads, Err(Fault::from(std::io::Error::other("disk"))));
        assert_eq!(failed, Outcome::Failed { reason: "disk".to_owned() });
    }

    #[test]
    fn a_series_is_one_flat_object_of_json() {
        let outcome = Outcome::new(Metric::Requests, Ok(vec![SAMPLE]));
        let json = serde_json::to_value(Series { contender: "epoll".to_owned(), outcome }).unwrap();
        let round = serde_json::json!(
            { "units": 1000, "wall_ns": 2_000_000, "cpu_ns": 1_000_000, "value": 500_000.0, "cpu": 1.0 }
        );
        let summary = |median: f64| serde_json::json!({ "median": median, "spread": 0.0 });
        let expected = serde_json::json!({
            "contender": "epoll", "outcome": "measured", "value": summary(500_000.0), "cpu": summary(1.0),
            "rounds": [round]
        });
        assert_eq!(json, expected);
    }
}
