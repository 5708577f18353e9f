//! In which order contenders are measured: in turns, A B C A B C, so that a slow minute of the machine falls on
//! all of them.

use super::{Fault, Sample};

/// Measures every contender once in every round, in their order, and returns each one's samples. A contender that
/// was refused or failed once is not asked again, and keeps that answer.
pub fn in_turns<C>(
    rounds: usize,
    contenders: &[C],
    mut measure: impl FnMut(usize, &C) -> Result<Sample, Fault>,
) -> Vec<Result<Vec<Sample>, Fault>> {
    let mut outcomes: Vec<Result<Vec<Sample>, Fault>> = contenders.iter().map(|_| Ok(Vec::new())).collect();
    for round in 0..rounds {
        for (contender, outcome) in contenders.iter().zip(&mut outcomes) {
            let Ok(samples) = outcome else { continue };
            match measure(round, contender) {
                Ok(sample) => samples.push(sample),
                Err(fault) => *outcome = Err(fault),
            }
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn sample(units: u64) -> Sample {
        Sample { units, wall_ns: 1, cpu_ns: 1 }
    }

    #[test]
    fn contenders_take_turns_within_each_round() {
        let mut order = String::new();
        in_turns(3, &['a', 'b', 'c'], |round, name| {
            order.push_str(&format!("{name}{round} "));
            Ok(sample(1))
        });
        assert_eq!(order, "a0 b0 c0 a1 b1 c1 a2 b2 c2 ");
    }

    #[test]
    fn samples_stay_with_their_contender_in_the_order_of_rounds() {
        let outcomes = in_turns(2, &[10, 20], |round, base| Ok(sample(base + round as u64)));
        assert_eq!(outcomes, [Ok(vec![sample(10), sample(11)]), Ok(vec![sample(20), sample(21)])]);
    }

    #[test]
    fn who_is_refused_once_is_not_asked_again_and_the_others_go_on() {
        let mut asked = Vec::new();
        let outcomes = in_turns(3, &["a", "b"], |round, name| {
            asked.push((round, *name));
            if *name == "b" && round == 1 { Err(Fault::Refused("b".to_owned())) } else { Ok(sample(1)) }
        });
        assert_eq!(asked, [(0, "a"), (0, "b"), (1, "a"), (1, "b"), (2, "a")]);
        assert_eq!(outcomes, [Ok(vec![sample(1); 3]), Err(Fault::Refused("b".to_owned()))]);
    }
}
