//! The report for a person at a terminal.

use std::io::{self, Write};

use super::report::{Engine, FormOf, Limits, Named, Report};

/// Characters to a line where names stand side by side.
const WIDTH: usize = 96;

/// Writes the report, with the forms of each opcode if they are asked for.
pub(crate) fn write(report: &Report, with_forms: bool, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "io_uring on Linux {} ({})", report.kernel, report.machine)?;
    match &report.blocked {
        Some(blocked) => writeln!(out, "  not to be had: {}", blocked.reason)?,
        None => writeln!(out, "  to be had")?,
    }
    match (&report.rings.run_on, &report.rings.blocked) {
        (Some(back_end), _) => writeln!(out, "  rings run on: the {back_end}")?,
        (None, Some(blocked)) => writeln!(out, "  rings run on: nothing: {}", blocked.reason)?,
        (None, None) => {}
    }
    if let Some(blocked) = &report.engine {
        writeln!(out, "  the engine has no ring to give: {}", blocked.reason)?;
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
    named("Setup flags", &report.setup_flags, out)?;
    named("Features", &report.features, out)?;
    opcodes(report, with_forms, out)?;
    register_operations(report, out)
}

fn opcodes(report: &Report, with_forms: bool, out: &mut impl Write) -> io::Result<()> {
    let all = &report.opcodes;
    let have = all.iter().filter(|op| op.available).count();
    let engine = all.iter().filter(|op| op.engine.available).count();
    writeln!(out, "\nOpcodes: {have} of {} (the engine: {engine})", all.len())?;
    writeln!(out, "{:25}kernel engine", "")?;
    for op in all {
        let (kernel, engine) = (mark(op.available), mark(op.engine.available));
        let note = note(&op.engine);
        writeln!(
            out,
            "  {:>3}  {:<18}{kernel:<7}{engine:<7}since Linux {}{note}",
            op.number, op.name, op.since
        )?;
        for form in op.forms.iter().filter(|_| with_forms) {
            let (kernel, engine) = (mark(form.available), mark(form.engine.available));
            let (constant, note) = (constant(form), self::note(&form.engine));
            writeln!(
                out,
                "{:25}{kernel:<7}{engine:<7}since Linux {}: {}{constant}{note}",
                "", form.since, form.what
            )?;
        }
    }
    Ok(())
}

fn constant(form: &FormOf) -> String {
    if form.name.is_empty() { String::new() } else { format!(" ({})", form.name) }
}

fn register_operations(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let all = &report.register_operations;
    let have = all.iter().filter(|op| op.available).count();
    let engine = all.iter().filter(|op| op.engine.available).count();
    writeln!(out, "\nRegister operations: {have} of {} (the engine: {engine})", all.len())?;
    writeln!(out, "{:35}kernel engine", "")?;
    for op in all {
        let (kernel, engine) = (mark(op.available), mark(op.engine.available));
        let guess = if op.known_by == "query" { "" } else { ", by the kernel's release" };
        let note = note(&op.engine);
        writeln!(
            out,
            "  {:>3}  {:<28}{kernel:<7}{engine:<7}since Linux {}{guess}{note}",
            op.number, op.name, op.since
        )?;
    }
    Ok(())
}

const fn mark(available: bool) -> &'static str {
    if available { "yes" } else { "no" }
}

fn note(engine: &Engine) -> String {
    engine.note.map_or_else(String::new, |note| format!("; engine: {note}"))
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
    let engine = all.iter().filter(|one| one.engine.available).count();
    writeln!(out, "\n{title}: {} of {} (the engine: {engine})", of(true).count(), all.len())?;
    if of(true).next().is_some() {
        side_by_side("", of(true), out)?;
    }
    let nowhere = |one: &&Named| !one.available && !one.engine.available;
    if all.iter().any(|one| nowhere(&one)) {
        side_by_side("missing: ", all.iter().filter(nowhere).map(|one| one.name), out)?;
    }
    for (label, kernel) in [("missing on the engine alone: ", true), ("on the engine alone: ", false)] {
        let differs = |one: &&Named| one.available == kernel && one.engine.available != kernel;
        if all.iter().any(|one| differs(&one)) {
            side_by_side(label, all.iter().filter(differs).map(|one| one.name), out)?;
        }
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
