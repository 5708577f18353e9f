//! Two records of one program, compared by what the interface promises.
//!
//! Completions are compared request by request, as their order is promised in few places; those few are checked in
//! each record by itself (`disorder`). Where two outcomes of a race are both right, they count as the same.

use std::fmt::{self, Write};

use annulus::abi::{IORING_CQE_F_MORE, IOSQE_IO_HARDLINK, IOSQE_IO_LINK};

use super::encode::MESSAGE;
use super::program::{Key, Op, Program, Registration, Request, Step};
use super::record::{Answer, Completion, Record};

/// One thing that is not as it ought to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is about: a request, a step, a thing.
    pub at: String,
    /// What the reference says.
    pub expected: String,
    /// What the back end under test says.
    pub got: String,
}

impl Difference {
    /// What it looks like without the numbers, so that the same defect is known again.
    #[must_use]
    pub fn kind(&self) -> String {
        let word = |text: &str| text.split(['(', ' ', ',']).next().unwrap_or_default().to_owned();
        let about =
            self.at.split(|c: char| c.is_ascii_digit() || c == '{').filter(|part| !part.trim().is_empty());
        let about: String = about.take(2).collect();
        format!("{about}: {}, {}", word(&self.expected), word(&self.got))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.at, self.expected, self.got)
    }
}

/// Everything in which two records differ, and all that is wrong with either by itself.
#[must_use]
pub fn differences(program: &Program, expected: &Record, got: &Record) -> Vec<Difference> {
    let mut found = Vec::new();
    for (whose, record) in [("the reference", expected), ("the back end under test", got)] {
        let wrong = record.broken.iter().cloned().chain(disorder(program, record));
        found.extend(wrong.map(|what| Difference {
            at: whose.to_owned(),
            expected: "nothing of the kind".to_owned(),
            got: what,
        }));
    }
    answers(program, expected, got, &mut found);
    for request in requests(program) {
        compare_requests(request, expected, got, &mut found);
    }
    let (one, other) = (messages(expected), messages(got));
    if one != other {
        let (expected, got) = (format!("results {one:?}"), format!("results {other:?}"));
        found.push(Difference { at: "completions posted by messages".to_owned(), expected, got });
    }
    for (name, bytes) in &expected.rest {
        let other = got.rest.iter().find(|(other, _)| other == name).map(|(_, bytes)| bytes);
        if other != Some(bytes) {
            found.push(Difference {
                at: format!("what is left in {name}"),
                expected: show(bytes),
                got: other.map_or_else(|| "nothing of that name".to_owned(), |bytes| show(bytes)),
            });
        }
    }
    for (name, bytes) in &got.rest {
        if expected.rest.iter().all(|(other, _)| other != name) {
            found.push(Difference {
                at: format!("what is left in {name}"),
                expected: "nothing of that name".to_owned(),
                got: show(bytes),
            });
        }
    }
    found
}

/// The results of completions that messages posted, in whatever order.
fn messages(record: &Record) -> Vec<i32> {
    let mut results: Vec<i32> = record.of(MESSAGE).map(|completion| completion.result).collect();
    results.sort_unstable();
    results
}

/// What is out of order: links are answered in the order of their chain, once they have begun.
///
/// A request that never ran may be answered before the one that failed and took it along, and the timeout of a
/// link before or after its target.
#[must_use]
pub(super) fn disorder(program: &Program, record: &Record) -> Vec<String> {
    let mut found = Vec::new();
    for chain in chains(program) {
        let started = |request: &&&Request| {
            !matches!(request.op, Op::LinkTimeout { .. })
                && record.of(request.name.into()).all(|completion| !is_cancelled(completion.result))
        };
        let names: Vec<u64> = chain.iter().filter(started).map(|request| request.name.into()).collect();
        for pair in names.windows(2) {
            let first = record.completions.iter().position(|completion| completion.name == pair[0]);
            let second = record.completions.iter().position(|completion| completion.name == pair[1]);
            if let (Some(first), Some(second)) = (first, second)
                && first > second
            {
                found.push(format!(
                    "request {} was answered before {}, to which it is linked",
                    pair[1], pair[0]
                ));
            }
        }
    }
    found
}

/// The requests of a program.
pub(super) fn requests(program: &Program) -> impl Iterator<Item = &Request> {
    program.steps.iter().filter_map(|step| match step {
        Step::Push(request) => Some(request),
        _ => None,
    })
}

/// The chains of each submission with more than one request.
fn chains(program: &Program) -> Vec<Vec<&Request>> {
    let (mut chains, mut chain) = (Vec::new(), Vec::new());
    for step in &program.steps {
        match step {
            Step::Push(request) => {
                chain.push(request);
                if request.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK) == 0 {
                    chains.push(std::mem::take(&mut chain));
                }
            }
            Step::Submit => chains.push(std::mem::take(&mut chain)),
            _ => {}
        }
    }
    chains.retain(|chain| chain.len() > 1);
    chains
}

fn answers(program: &Program, expected: &Record, got: &Record, found: &mut Vec<Difference>) {
    for (place, step) in program.steps.iter().enumerate() {
        let of = |record: &Record| record.answers.iter().find(|answer| answer.step == place).cloned();
        let (one, other) = (of(expected), of(got));
        if !same_answer(step, one.as_ref(), other.as_ref()) {
            let show = |answer: &Option<Answer>| {
                answer.as_ref().map_or_else(
                    || "no answer".to_owned(),
                    |answer| format!("{}{}", named(answer.value), shown_behind(&answer.bytes)),
                )
            };
            found.push(Difference {
                at: format!("step {place}, {step:?}"),
                expected: show(&one),
                got: show(&other),
            });
        }
    }
}

fn same_answer(step: &Step, one: Option<&Answer>, other: Option<&Answer>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return one == other };
    match step {
        // Found and cancelled, or too late: which of them is a race with a worker.
        Step::Register(Registration::SyncCancel { .. }) => {
            one.value == other.value
                || [one.value, other.value].iter().all(|value| [0, -62, -114].contains(value))
        }
        _ => one == other,
    }
}

fn compare_requests(request: &Request, expected: &Record, got: &Record, found: &mut Vec<Difference>) {
    let at = format!("request {}, {:?}", request.name, request.op);
    if let Op::RecvMany { bundle: true, .. } | Op::SendBundle { .. } = request.op {
        return compare_bundles(&at, request.name.into(), expected, got, found);
    }
    let same = |one: &Completion, other: &Completion| {
        same_result(&request.op, one.result, other.result)
            && one.flags == other.flags
            && one.bytes == other.bytes
    };
    compare_sequence(&at, expected, got, request.name.into(), same, found);
}

/// How many buffers go into one completion is not promised, nor whether the one that takes the last of them says that it is the
/// last, or another one comes to say that there are none, or nothing more to receive: what passed through them is.
fn compare_bundles(at: &str, name: u64, expected: &Record, got: &Record, found: &mut Vec<Difference>) {
    let passed = |record: &Record| -> (i64, Vec<u8>) {
        let full = record.of(name).filter(|completion| completion.result > 0);
        full.fold((0, Vec::new()), |(count, mut bytes), completion| {
            bytes.extend(&completion.bytes);
            (count + i64::from(completion.result), bytes)
        })
    };
    let end = |record: &Record| {
        let end = record.of(name).last().map_or(0, |completion| completion.result);
        if end >= 0 || is_cancelled(end) || end == -libc::ENOBUFS { None } else { Some(end) }
    };
    if passed(expected) != passed(got) || end(expected) != end(got) {
        let (one, other): (Vec<_>, Vec<_>) = (expected.of(name).collect(), got.of(name).collect());
        found.push(Difference { at: at.to_owned(), expected: list(&one), got: list(&other) });
    }
}

fn compare_sequence(
    at: &str,
    expected: &Record,
    got: &Record,
    name: u64,
    same: impl Fn(&Completion, &Completion) -> bool,
    found: &mut Vec<Difference>,
) {
    let (one, other): (Vec<_>, Vec<_>) = (expected.of(name).collect(), got.of(name).collect());
    if one.len() != other.len() || !one.iter().zip(&other).all(|(one, other)| same(one, other)) {
        found.push(Difference { at: at.to_owned(), expected: list(&one), got: list(&other) });
    }
}

/// Whether two results of an operation are the same, or the two outcomes of one race.
fn same_result(op: &Op, one: i32, other: i32) -> bool {
    let both = |of: &[i32]| of.contains(&one) && of.contains(&other);
    one == other
        || both(&[-libc::ECANCELED, -libc::EINTR, RESTARTED])
        // Who sees each wake by itself may tell fewer events than who looks at the file.
        || matches!(op, Op::PollAdd { multishot: true, .. }) && one > 0 && other > 0 && one & other != 0
        || matches!(op, Op::LinkTimeout { .. }) && both(&[-libc::ENOENT, -libc::ECANCELED])
        || matches!(op, Op::Cancel { all: false, .. }) && both(&[0, -libc::EALREADY])
        // What a worker is at, is found or too late.
        || matches!(op, Op::Cancel { all: true, .. } | Op::Cancel { key: Key::Any, .. }) && one >= 0 && other >= 0
}

/// What an interrupted SPLICE or TEE may say (`-ERESTARTSYS`): a number that no program should see.
const RESTARTED: i32 = -512;

const fn is_cancelled(result: i32) -> bool {
    result == -libc::ECANCELED || result == -libc::EINTR || result == RESTARTED
}

fn list(completions: &[&Completion]) -> String {
    if completions.is_empty() {
        return "no completion".to_owned();
    }
    let mut text = String::new();
    for completion in completions {
        let more = if completion.flags & IORING_CQE_F_MORE != 0 { " and more" } else { "" };
        let flags = completion.flags & !IORING_CQE_F_MORE;
        let flags = if flags == 0 { String::new() } else { format!(" flags {flags:#x}") };
        let comma = if text.is_empty() { "" } else { ", then " };
        let bytes = shown_behind(&completion.bytes);
        let _ = write!(text, "{comma}{}{flags}{more}{bytes}", named(completion.result.into()));
    }
    text
}

/// A number, or the name of an errno.
fn named(value: i64) -> String {
    let errno = i32::try_from(-value).ok().filter(|errno| (1..=133).contains(errno));
    match errno {
        Some(errno) => format!("{value} ({:?})", rustix::io::Errno::from_raw_os_error(errno)),
        None => value.to_string(),
    }
}

fn shown_behind(bytes: &[u8]) -> String {
    if bytes.is_empty() { String::new() } else { format!(" with {}", show(bytes)) }
}

/// Bytes as text if they are text, else the first of them and how many.
fn show(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') => format!("{text:?}"),
        _ => {
            let sum = bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
            format!("{} bytes {:02x?}.. of checksum {sum:08x}", bytes.len(), &bytes[..bytes.len().min(8)])
        }
    }
}
