//! What a bench has to say: samples, what they come to, the bars, as JSON and as a table.
//!
//! All of it is computed from what was measured; nothing here measures, reads the machine or knows the time.

mod bars;
mod series;
mod stats;
mod table;
mod turns;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

pub use bars::{BARS, Bar, Figure, Side, Verdict, check};
pub use series::{Fault, Metric, Outcome, Round, Sample, Series};
pub use stats::Summary;
pub use turns::in_turns;

/// Everything that one run of a bench found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which bench.
    pub bench: &'static str,
    /// The version of annulus.
    pub version: &'static str,
    /// Where it ran.
    pub machine: Machine,
    /// How often each contender was measured in each case.
    pub rounds: usize,
    /// For how many seconds each time.
    pub seconds: f64,
    /// What a reader should know before comparing figures.
    pub notes: Vec<String>,
    /// The cases, in the order in which they ran.
    pub cases: Vec<Case>,
    /// What came of the bars, if that was asked for.
    pub bars: Vec<Verdict>,
}

impl Report {
    /// Whether a contender failed: was neither measured nor refused.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        let mut series = self.cases.iter().flat_map(|case| &case.series);
        series.any(|series| matches!(series.outcome, Outcome::Failed { .. }))
    }
}

/// The machine a bench ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The kernel's release.
    pub kernel: String,
    /// The processor's name.
    pub cpu: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
}

/// One set of parameters, in which all contenders were measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The parameters that make it, by name.
    pub parameters: BTreeMap<&'static str, u64>,
    /// What is counted.
    pub metric: Metric,
    /// The contenders.
    pub series: Vec<Series>,
}

impl Case {
    /// The contender of this name.
    #[must_use]
    pub fn series(&self, contender: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.contender == contender)
    }
}

impl Serialize for Case {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct View<'a> {
            name: &'a str,
            parameters: &'a BTreeMap<&'static str, u64>,
            unit: &'static str,
            cpu_unit: &'static str,
            less_is_better: bool,
            series: &'a [Series],
        }
        let view = View {
            name: &self.name,
            parameters: &self.parameters,
            unit: self.metric.unit(),
            cpu_unit: self.metric.cpu_unit(),
            less_is_better: self.metric.less_is_better(),
            series: &self.series,
        };
        view.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome) -> Report {
        let series = vec![Series { contender: "epoll".to_owned(), outcome }];
        let parameters = BTreeMap::from([("connections", 50), ("bytes", 64)]);
        let machine =
            Machine { kernel: "6.18".to_owned(), cpu: "One".to_owned(), cores: 2, memory_mib: 24_000 };
        Report {
            bench: "echo",
            version: "0.1.0",
            machine,
            rounds: 1,
            seconds: 0.25,
            notes: Vec::new(),
            cases: vec![Case { name: "a case".to_owned(), parameters, metric: Metric::Requests, series }],
            bars: Vec::new(),
        }
    }

    #[test]
    fn the_json_says_where_how_and_in_which_units() {
        let refused = Outcome::Refused { reason: "seccomp".to_owned() };
        let expected = serde_json::json!({
            "bench": "echo",
            "version": "0.1.0",
            "machine": { "kernel": "6.18", "cpu": "One", "cores": 2, "memory_mib": 24_000 },
            "rounds": 1,
            "seconds": 0.25,
            "notes": [],
            "cases": [{
                "name": "a case",
                "parameters": { "bytes": 64, "connections": 50 },
                "unit": "req/s",
                "cpu_unit": "CPU us/req",
                "less_is_better": false,
                "series": [{ "contender": "epoll", "outcome": "refused", "reason": "seccomp" }]
            }],
            "bars": []
        });
        assert_eq!(serde_json::to_value(report(refused)).unwrap(), expected);
    }

    #[test]
    fn a_refusal_is_no_failure_of_the_run() {
        assert!(!report(Outcome::Refused { reason: String::new() }).has_failures());
        assert!(report(Outcome::Failed { reason: String::new() }).has_failures());
    }
}
