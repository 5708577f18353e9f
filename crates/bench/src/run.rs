//! What all benches have in common: who takes part, turns, one measuring process after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::launcher::{Launcher, PATIENCE};
use crate::meter::Window;
use crate::pin::Cores;
use crate::report::{Case, Fault, Metric, Outcome, Sample, Series, in_turns};
use crate::worker::{Answer, Task, Work};
use crate::{BenchError, Plan};

/// Somebody who takes part: a name for the table, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contender<T> {
    pub(crate) name: String,
    pub(crate) what: T,
}

impl<T> Contender<T> {
    pub(crate) fn new(name: impl Into<String>, what: T) -> Self {
        Self { name: name.into(), what }
    }
}

/// One run of a bench.
pub(crate) struct Runner<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) launcher: &'a Launcher,
    pub(crate) cores: Cores,
    /// What a reader of the report should know.
    pub(crate) notes: Vec<String>,
    pub(crate) progress: &'a mut dyn FnMut(&str),
}

impl Runner<'_> {
    pub(crate) fn window(&self) -> Window {
        Window::of(self.plan.duration)
    }

    /// Those contenders that the plan asks for.
    ///
    /// # Errors
    ///
    /// [`BenchError::NoSuchContender`] for a part of a name that none has.
    pub(crate) fn select<T>(&self, contenders: Vec<Contender<T>>) -> Result<Vec<Contender<T>>, BenchError> {
        select(contenders, &self.plan.only)
    }

    /// Measures all contenders of a case in turns.
    pub(crate) fn case<T>(
        &mut self,
        name: String,
        parameters: BTreeMap<&'static str, u64>,
        metric: Metric,
        contenders: &[Contender<T>],
        mut measure: impl FnMut(&Self, &T) -> Result<Sample, Fault>,
    ) -> Case {
        let rounds = self.plan.rounds.get();
        let outcomes = in_turns(rounds, contenders, |round, contender| {
            (self.progress)(&format!("{name}: round {} of {rounds}: {}", round + 1, contender.name));
            measure(self, &contender.what)
        });
        let series = contenders.iter().zip(outcomes).map(|(contender, samples)| Series {
            contender: contender.name.clone(),
            outcome: Outcome::new(metric, samples),
        });
        Case { name, parameters, metric, series: series.collect() }
    }

    /// Has a process of its own measure something.
    ///
    /// # Errors
    ///
    /// What the process answered instead, or [`Fault::Failed`] if it did not answer.
    pub(crate) fn measure(&self, task: Task) -> Result<Sample, Fault> {
        let mut worker = self.launcher.start(&Work { core: self.cores.measured, task })?;
        match worker.answer(self.patience())? {
            Answer::Measured(sample) => Ok(sample),
            other => Err(Fault::Failed(format!("not a measurement: {other:?}"))),
        }
    }

    fn patience(&self) -> Duration {
        self.window().whole() + PATIENCE
    }
}

fn select<T>(contenders: Vec<Contender<T>>, only: &[String]) -> Result<Vec<Contender<T>>, BenchError> {
    let is_part = |part: &String| contenders.iter().any(|contender| contender.name.contains(part.as_str()));
    if let Some(asked) = only.iter().find(|part| !is_part(part)) {
        let known = contenders.iter().map(|contender| contender.name.clone()).collect();
        return Err(BenchError::NoSuchContender { asked: asked.clone(), known });
    }
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    Ok(contenders.into_iter().filter(|contender| is_wanted(&contender.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> Result<Vec<String>, BenchError> {
        let all = ["kernel multishot", "kernel one-shot", "epoll"].map(|name| Contender::new(name, ()));
        let only: Vec<String> = only.iter().map(|&part| part.to_owned()).collect();
        Ok(select(all.into(), &only)?.into_iter().map(|contender| contender.name).collect())
    }

    #[test]
    fn parts_of_names_select_contenders_in_the_order_of_the_bench() {
        assert_eq!(names(&[]).unwrap(), ["kernel multishot", "kernel one-shot", "epoll"]);
        assert_eq!(names(&["epoll", "multi"]).unwrap(), ["kernel multishot", "epoll"]);
        assert_eq!(names(&["kernel"]).unwrap(), ["kernel multishot", "kernel one-shot"]);
    }

    #[test]
    fn a_part_that_no_name_has_is_refused_even_beside_one_that_is_there() {
        let error = names(&["epoll", "kqueue"]).unwrap_err();
        assert!(
            matches!(&error, BenchError::NoSuchContender { asked, known } if asked == "kqueue" && known.len() == 3)
        );
    }
}
