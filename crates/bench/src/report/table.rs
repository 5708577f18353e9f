//! The report for a person: one table for each case, then the bars.

use std::fmt::{self, Display, Formatter, Write};

use super::bars::{Figure, Side, Verdict};
use super::{Case, Outcome, Report};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(f, "annulus {} bench {}", self.version, self.bench)?;
        writeln!(f, "{}, Linux {}, {} cores", machine.cpu, machine.kernel, machine.cores)?;
        let Self { rounds, seconds, .. } = self;
        writeln!(f, "{rounds} rounds of {seconds} s in turns, medians; spread is (max - min) / median")?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for case in &self.cases {
            write!(f, "\n{case}")?;
        }
        if !self.bars.is_empty() {
            writeln!(f, "\nbars")?;
            self.bars.iter().try_for_each(|verdict| writeln!(f, "  {verdict}"))?;
        }
        Ok(())
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = self.series.iter().map(|series| series.contender.len());
        let width = names.max().unwrap_or_default();
        writeln!(f, "{}", self.name)?;
        let (unit, cpu_unit) = (self.metric.unit(), self.metric.cpu_unit());
        writeln!(f, "  {:width$} {unit:>12} {:>7} {cpu_unit:>12} {:>7}", "", "spread", "spread")?;
        for series in &self.series {
            write!(f, "  {:width$} ", series.contender)?;
            match &series.outcome {
                Outcome::Measured { value, cpu, .. } => {
                    let (figure, cpu_figure) = (figure(value.median), figure(cpu.median));
                    let (spread, cpu_spread) = (percent(value.spread), percent(cpu.spread));
                    writeln!(f, "{figure:>12} {spread:>7} {cpu_figure:>12} {cpu_spread:>7}")?;
                }
                Outcome::Refused { reason } => writeln!(f, "    refused: {reason}")?,
                Outcome::Failed { reason } => writeln!(f, "    FAILED: {reason}")?,
            }
        }
        Ok(())
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = match self.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "open",
        };
        let of = if self.figure == Figure::Cpu { " in CPU time" } else { "" };
        let side = if self.side == Side::AtLeast { "at least" } else { "at most" };
        write!(f, "{word:8} {}: {} / {}{of}", self.case, self.contender, self.against)?;
        match self.ratio {
            Some(ratio) => write!(f, " = {:.3} (spread {})", ratio.median, percent(ratio.spread))?,
            None => f.write_str(" was not measured")?,
        }
        write!(f, ", {side} {}", self.limit)
    }
}

/// At least three digits; thousands apart.
fn figure(value: f64) -> String {
    let decimals = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

fn percent(share: f64) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{:.0} %", share * 100.0);
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::{Fault, Machine, Metric, Sample, Series, Summary};

    #[test]
    fn figures_have_three_digits_and_thousands_apart() {
        let written = [0.0, 6.104, 92.34, 428.2, 148_912.4, 1_234_567.0].map(figure);
        assert_eq!(written, ["0.00", "6.10", "92.3", "428", "148,912", "1,234,567"]);
    }

    fn series(contender: &str, samples: Result<Vec<Sample>, Fault>) -> Series {
        Series { contender: contender.to_owned(), outcome: Outcome::new(Metric::Requests, samples) }
    }

    #[test]
    fn a_table_names_every_contender_with_figures_or_a_reason() {
        let sample = |wall_ns| Sample { units: 100_000, wall_ns, cpu_ns: 610_000_000 };
        let measured = series("kernel multishot", Ok(vec![sample(1_000_000_000), sample(800_000_000)]));
        let refused = series("engine", Err(Fault::Refused("no engine".to_owned())));
        let failed = series("tokio", Err(Fault::Failed("it ended".to_owned())));
        let case = Case {
            name: "64 bytes, 50 connections".to_owned(),
            parameters: BTreeMap::new(),
            metric: Metric::Requests,
            series: vec![measured, refused, failed],
        };
        let expected = "64 bytes, 50 connections
                          req/s  spread   CPU us/req  spread
  kernel multishot      112,500    22 %         6.10     0 %
  engine               refused: no engine
  tokio                FAILED: it ended
";
        assert_eq!(case.to_string(), expected);
    }

    #[test]
    fn a_report_says_where_how_and_what_came_of_the_bars() {
        let machine = Machine {
            kernel: "6.18.44".to_owned(),
            cpu: "A processor".to_owned(),
            cores: 2,
            memory_mib: 1024,
        };
        let ratio = Some(Summary { median: 0.97, spread: 0.36 });
        let verdict = Verdict {
            case: "a case".to_owned(),
            figure: Figure::Value,
            contender: "engine",
            against: "kernel",
            side: Side::AtLeast,
            limit: 0.95,
            ratio,
            met: Some(true),
        };
        let open = Verdict { ratio: None, met: None, figure: Figure::Cpu, ..verdict.clone() };
        let report = Report {
            bench: "echo",
            version: "0.1.0",
            machine,
            rounds: 7,
            seconds: 0.5,
            notes: vec!["a note".to_owned()],
            cases: Vec::new(),
            bars: vec![verdict, open],
        };
        let expected = "annulus 0.1.0 bench echo
A processor, Linux 6.18.44, 2 cores
7 rounds of 0.5 s in turns, medians; spread is (max - min) / median
note: a note

bars
  met      a case: engine / kernel = 0.970 (spread 36 %), at least 0.95
  open     a case: engine / kernel in CPU time was not measured, at least 0.95
";
        assert_eq!(report.to_string(), expected);
    }
}
