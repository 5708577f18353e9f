//! What the engine and the runtime have to reach beside the kernel and the peers, and whether they do.
//!
//! Ratios are formed within each round, whose two contenders ran one after the other, and the median of the ratios is
//! what counts: two medians of different rounds would compare two minutes of the machine.

use serde::Serialize;

use super::{Case, Round, Summary};

/// On which side of the limit a ratio has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// At the limit or above it.
    AtLeast,
    /// At the limit or below it.
    AtMost,
}

/// Which figure of the two contenders is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// The case's value.
    Value,
    /// The CPU time.
    Cpu,
}

/// A bar: one contender's figure divided by another's, in the cases of a bench that have these parameters.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Name of the bench.
    pub bench: &'static str,
    /// Parameters of the cases it is for; others of a case do not matter.
    pub parameters: &'static [(&'static str, u64)],
    /// What is divided.
    pub figure: Figure,
    /// Whose figure.
    pub contender: &'static str,
    /// By whose.
    pub against: &'static str,
    /// The side of the limit.
    pub side: Side,
    /// The limit.
    pub limit: f64,
}

/// The bars of the engine, then those of the runtime.
pub const BARS: [Bar; 26] = {
    use Figure::{Cpu, Value};
    use Side::{AtLeast, AtMost};
    const fn bar(
        bench: &'static str,
        parameters: &'static [(&'static str, u64)],
        figure: Figure,
        pair: (&'static str, &'static str),
        side: Side,
        limit: f64,
    ) -> Bar {
        Bar { bench, parameters, figure, contender: pair.0, against: pair.1, side, limit }
    }
    const MULTISHOT: (&str, &str) = ("engine multishot", "kernel multishot");
    const FIFTY: &[(&str, u64)] = &[("connections", 50), ("short_lived", 0)];
    const MANY: &[(&str, u64)] = &[("connections", 500), ("short_lived", 0)];
    const OURS: &str = "kernel async";
    const CACHED: &[(&str, u64)] = &[("direct", 0), ("depth", 64)];
    const DIRECT: &[(&str, u64)] = &[("direct", 1), ("depth", 64)];
    [
        bar("ring", &[("batch", 32)], Value, ("engine", "kernel"), AtMost, 0.5),
        bar("echo", FIFTY, Value, MULTISHOT, AtLeast, 0.95),
        bar("echo", FIFTY, Cpu, MULTISHOT, AtMost, 1.1),
        bar("storage", CACHED, Value, ("engine", "kernel"), AtLeast, 0.75),
        bar("storage", CACHED, Value, ("engine", "tokio blocking pool"), AtLeast, 4.0),
        bar("storage", CACHED, Value, ("engine", "pool of 4 threads"), AtLeast, 1.0),
        bar("storage", DIRECT, Value, ("engine", "kernel"), AtLeast, 0.9),
        bar("echo", FIFTY, Cpu, (OURS, "tokio"), AtMost, 0.95),
        bar("echo", FIFTY, Value, (OURS, "tokio"), AtLeast, 1.1),
        bar("echo", FIFTY, Cpu, (OURS, "monoio"), AtMost, 0.8),
        bar("echo", FIFTY, Value, (OURS, "monoio"), AtLeast, 1.2),
        bar("echo", FIFTY, Cpu, (OURS, "compio"), AtMost, 0.8),
        bar("echo", FIFTY, Value, (OURS, "compio"), AtLeast, 1.2),
        bar("echo", FIFTY, Cpu, (OURS, "kernel multishot"), AtMost, 1.05),
        bar("echo", FIFTY, Value, (OURS, "kernel multishot"), AtLeast, 0.95),
        bar("echo", FIFTY, Cpu, ("engine async", OURS), AtMost, 1.1),
        bar("echo", MANY, Cpu, (OURS, "tokio"), AtMost, 0.8),
        bar("echo", MANY, Value, (OURS, "tokio"), AtLeast, 1.1),
        bar("echo", MANY, Cpu, (OURS, "monoio"), AtMost, 0.8),
        bar("echo", MANY, Value, (OURS, "monoio"), AtLeast, 1.2),
        bar("echo", MANY, Cpu, (OURS, "compio"), AtMost, 0.8),
        bar("echo", MANY, Value, (OURS, "compio"), AtLeast, 1.2),
        bar("echo", MANY, Cpu, (OURS, "kernel multishot"), AtMost, 1.05),
        bar("echo", MANY, Value, (OURS, "kernel multishot"), AtLeast, 0.95),
        bar("echo", MANY, Cpu, ("engine async", OURS), AtMost, 1.1),
        bar("storage", CACHED, Value, (OURS, "tokio blocking pool"), AtLeast, 5.0),
    ]
};

/// What came of a bar in one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The case.
    pub case: String,
    /// What is divided.
    pub figure: Figure,
    /// Whose figure.
    pub contender: &'static str,
    /// By whose.
    pub against: &'static str,
    /// The side of the limit.
    pub side: Side,
    /// The limit.
    pub limit: f64,
    /// The ratio over all rounds; none if one of the two was not measured.
    pub ratio: Option<Summary>,
    /// Whether the median of the ratios is on its side of the limit; none without one.
    pub met: Option<bool>,
}

/// Holds the cases of a bench against its bars.
#[must_use]
pub fn check(bench: &str, cases: &[Case], bars: &[Bar]) -> Vec<Verdict> {
    let of_bench = bars.iter().filter(|bar| bar.bench == bench);
    of_bench
        .flat_map(|bar| cases.iter().filter(|case| bar.is_for(case)).map(|case| bar.judge(case)))
        .collect()
}

impl Bar {
    fn is_for(&self, case: &Case) -> bool {
        self.parameters.iter().all(|(name, value)| case.parameters.get(name) == Some(value))
    }

    fn judge(&self, case: &Case) -> Verdict {
        let figure = |round: &Round| match self.figure {
            Figure::Value => round.value,
            Figure::Cpu => round.cpu,
        };
        let rounds = |name| case.series(name).map_or(&[][..], |series| series.outcome.rounds());
        let pairs = rounds(self.contender).iter().zip(rounds(self.against));
        let ratio = Summary::of(&pairs.map(|(one, other)| figure(one) / figure(other)).collect::<Vec<_>>());
        let met = ratio.map(|ratio| match self.side {
            Side::AtLeast => ratio.median >= self.limit,
            Side::AtMost => ratio.median <= self.limit,
        });
        Verdict {
            case: case.name.clone(),
            figure: self.figure,
            contender: self.contender,
            against: self.against,
            side: self.side,
            limit: self.limit,
            ratio,
            met,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::{Fault, Metric, Outcome, Sample, Series};

    fn series(metric: Metric, contender: &str, samples: Result<&[(u64, u64)], Fault>) -> Series {
        let sample = |&(wall_ns, cpu_ns): &(u64, u64)| Sample { units: 1000, wall_ns, cpu_ns };
        let samples = samples.map(|samples| samples.iter().map(sample).collect());
        Series { contender: contender.to_owned(), outcome: Outcome::new(metric, samples) }
    }

    fn case(metric: Metric, parameters: &[(&'static str, u64)], series: Vec<Series>) -> Case {
        let parameters: BTreeMap<_, _> = parameters.iter().copied().collect();
        Case { name: "a case".to_owned(), parameters, metric, series }
    }

    #[test]
    fn the_ratio_is_formed_within_rounds_and_its_median_counts() {
        // The machine was twice as slow in the second round, for both: the ratio does not see it.
        let kernel = series(Metric::Operations, "kernel", Ok(&[(100, 1), (200, 1), (100, 1)]));
        let engine = series(Metric::Operations, "engine", Ok(&[(50, 1), (100, 1), (40, 1)]));
        let cases = [case(Metric::Operations, &[("batch", 32)], vec![kernel, engine])];
        let verdicts = check("ring", &cases, &BARS);
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        let ratio = verdicts[0].ratio.unwrap();
        assert_eq!(ratio.median, 0.5);
        assert!((ratio.spread - 0.2).abs() < 1e-9, "{ratio:?}");
        assert_eq!(verdicts[0].met, Some(true));
    }

    #[test]
    fn a_rate_below_its_limit_is_not_met_and_the_cpu_is_a_bar_of_its_own() {
        let kernel = series(Metric::Requests, "kernel multishot", Ok(&[(1000, 1000)]));
        let engine = series(Metric::Requests, "engine multishot", Ok(&[(1100, 1050)]));
        let parameters = [("connections", 50), ("bytes", 64), ("short_lived", 0)];
        let cases = [case(Metric::Requests, &parameters, vec![kernel, engine])];
        let verdicts = check("echo", &cases, &BARS);
        let judged = verdicts.iter().filter(|verdict| verdict.ratio.is_some());
        let seen: Vec<_> = judged.map(|verdict| (verdict.figure, verdict.met)).collect();
        assert_eq!(seen, [(Figure::Value, Some(false)), (Figure::Cpu, Some(true))]);
    }

    #[test]
    fn a_contender_that_was_refused_leaves_the_bar_open() {
        let kernel = series(Metric::Operations, "kernel", Err(Fault::Refused("seccomp".to_owned())));
        let engine = series(Metric::Operations, "engine", Ok(&[(50, 1)]));
        let cases = [case(Metric::Operations, &[("batch", 32)], vec![kernel, engine])];
        let verdicts = check("ring", &cases, &BARS);
        assert_eq!((verdicts[0].ratio, verdicts[0].met), (None, None));
    }

    #[test]
    fn bars_are_for_the_cases_with_their_parameters_only() {
        let cases = [1, 8, 32].map(|batch| case(Metric::Operations, &[("batch", batch)], Vec::new()));
        assert_eq!(check("ring", &cases, &BARS).len(), 1);
        assert_eq!(check("echo", &cases, &BARS), []);
        let storage = case(Metric::Reads, &[("direct", 0), ("depth", 64)], Vec::new());
        assert_eq!(check("storage", &[storage], &BARS).len(), 4);
    }
}
