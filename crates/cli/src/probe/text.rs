//! The report for a person at a terminal.

use std::io::{self, Write};

use super::report::{Limits, Named, Report};

/// Characters to a line where names stand side by side.
const WIDTH: usize = 96;

/// Writes the report.
pub(crate) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "io_uring on Linux {} ({})", report.kernel, report.machine)?;
    match &report.blocked {
        Some(blocked) => writeln!(out, "  not to be had: {}", blocked.reason)?,
        None => writeln!(out, "  to be had")?,
    }
    limits(&report.limits, out)?;
    if let Some(sizes) = &report.largest {
        writeln!(out, "  largest ring: {} submissions, {} completions", sizes.sq_entries, sizes.cq_entries)?;
    }
    if report.available {
        match report.poll_devices.as_slice() {
            [] => writeln!(
                out,
                "  IOPOLL: no block device here has poll queues, so polled reads and writes fail"
            )?,
            devices => writeln!(out, "  IOPOLL: devices with poll queues: {}", devices.join(", "))?,
        }
    }
    if report.available {
        named("Setup flags", &report.setup_flags, out)?;
        named("Features", &report.features, out)?;
    }
    if !report.opcodes.is_empty() {
        let have = report.opcodes.iter().filter(|op| op.available).count();
        writeln!(out, "\nOpcodes: {have} of {}", report.opcodes.len())?;
        for op in &report.opcodes {
            let mark = if op.available { "yes" } else { "no" };
            writeln!(out, "  {:>3}  {:<18} {:<4} since Linux {}", op.number, op.name, mark, op.since)?;
        }
    }
    if !report.register_operations.is_empty() {
        let have = report.register_operations.iter().filter(|op| op.available).count();
        writeln!(out, "\nRegister operations: {have} of {}", report.register_operations.len())?;
        for op in &report.register_operations {
            let mark = if op.available { "yes" } else { "no" };
            let guess = if op.known_by == "query" { "" } else { ", by the kernel's release" };
            writeln!(out, "  {:>3}  {:<28} {:<4} since Linux {}{guess}", op.number, op.name, mark, op.since)?;
        }
    }
    Ok(())
}

fn limits(limits: &Limits, out: &mut impl Write) -> io::Result<()> {
    match limits.io_uring_disabled {
        Some(value) => {
            let meaning = match value {
                0 => "allowed to all",
                1 => "allowed to CAP_SYS_ADMIN and kernel.io_uring_group",
                _ => "forbidden to all",
            };
            writeln!(out, "  sysctl kernel.io_uring_disabled = {value} ({meaning})")?;
        }
        None => writeln!(out, "  sysctl kernel.io_uring_disabled: none (before Linux 6.6)")?,
    }
    if let Some(group) = limits.io_uring_group.filter(|group| *group >= 0) {
        writeln!(out, "  sysctl kernel.io_uring_group = {group}")?;
    }
    let filter = if limits.seccomp_filter { "in force" } else { "none" };
    writeln!(out, "  seccomp filter: {filter}")?;
    writeln!(out, "  locked memory: {}", limit(limits.memlock_bytes, " bytes"))?;
    writeln!(out, "  descriptors: {}", limit(limits.descriptors, ""))
}

fn limit(value: Option<u64>, unit: &str) -> String {
    value.map_or_else(|| "no limit".to_owned(), |value| format!("at most {value}{unit}"))
}

fn named(title: &str, all: &[Named], out: &mut impl Write) -> io::Result<()> {
    let of = |available| all.iter().filter(move |one| one.available == available).map(|one| one.name);
    writeln!(out, "\n{title}: {} of {}", of(true).count(), all.len())?;
    side_by_side("", of(true), out)?;
    if of(false).next().is_some() {
        side_by_side("missing: ", of(false), out)?;
    }
    Ok(())
}

/// Words in lines, the first of which opens with `label`.
fn side_by_side<'a>(
    label: &str,
    words: impl Iterator<Item = &'a str>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut line = format!("  {label}");
    let mut first = true;
    for word in words {
        if !first && line.len() + 1 + word.len() > WIDTH {
            writeln!(out, "{line}")?;
            line = "  ".to_owned();
            first = true;
        }
        if !first {
            line.push(' ');
        }
        line.push_str(word);
        first = false;
    }
    writeln!(out, "{line}")
}
