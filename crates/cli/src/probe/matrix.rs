//! The support matrix as a document: `docs/SUPPORT.md`, from the tables of the interface and of the engine.
//!
//! It says nothing about this machine; what does, is the rest of the report.

use std::io::{self, Write};

use annulus::abi::{FLAGS, FORMS, FlagGroup, OPCODES, REGISTER_OPS};
use annulus::support::{self, Support};

/// The kernels with long support, and those around them that are of interest.
const KERNELS: [(u8, u8); 8] = [(5, 4), (5, 10), (5, 15), (6, 1), (6, 6), (6, 12), (6, 18), (7, 1)];

const HEAD: &str = "\
# What works where

What each Linux brought, and what the engine honours of it. `cargo run -p annulus-cli -- probe --matrix` writes this file from the
tables in `annulus-abi` and `annulus-engine`, and a test compares it. `annulus probe` tells what there is on your machine.

A column of a kernel has a `+` from the release on that brought the form; the second column names it. The engine presents
itself as Linux 6.18: `yes` is as there, a text in brackets says what is different, `no` why it is missing. Something of a later kernel that is missing
answers as on 6.18, mostly by `EINVAL`. The kernels' columns are those of mainline: distributions take features back and leave them out.
";

/// Writes the document.
pub(crate) fn write(out: &mut impl Write) -> io::Result<()> {
    write!(out, "{HEAD}")?;
    opcodes(out)?;
    let groups = [
        ("Set-up flags", FlagGroup::Setup),
        ("Features", FlagGroup::Feature),
        ("Flags of entries", FlagGroup::Entry),
        ("Flags of enter", FlagGroup::Enter),
    ];
    for (title, group) in groups {
        head(title, out)?;
        flags(group, out)?;
    }
    head("Register operations", out)?;
    for info in &REGISTER_OPS {
        let name = format!("`IORING_{}`", info.name);
        row(&name, info.since, support::of_register_op(info), out)?;
    }
    head("Flags of register operations", out)?;
    flags(FlagGroup::Register, out)
}

/// Each opcode, its forms below it.
fn opcodes(out: &mut impl Write) -> io::Result<()> {
    head("Operations", out)?;
    for info in &OPCODES {
        row(&format!("**`{}`**", info.name), info.since, support::of_opcode(info), out)?;
        for form in FORMS.iter().filter(|form| form.is_of(info)) {
            let constant = if form.name.is_empty() { String::new() } else { format!(" (`{}`)", form.name) };
            let name = format!("- {}{constant}", form.what);
            row(&name, form.since_with(info), support::of_form(info, form), out)?;
        }
    }
    Ok(())
}

fn flags(group: FlagGroup, out: &mut impl Write) -> io::Result<()> {
    for flag in FLAGS.iter().filter(|flag| flag.group == group) {
        row(&format!("`{}`", flag.name), flag.since, support::of_flag(flag), out)?;
    }
    Ok(())
}

fn head(title: &str, out: &mut impl Write) -> io::Result<()> {
    let kernels: String = KERNELS.iter().map(|(major, minor)| format!(" {major}.{minor} |")).collect();
    let rule = "---|".repeat(KERNELS.len());
    writeln!(out, "\n## {title}\n\n| What | Linux |{kernels} Engine |\n|---|---|{rule}---|")
}

fn row(name: &str, since: (u8, u8), support: Support, out: &mut impl Write) -> io::Result<()> {
    let has = |kernel: &(u8, u8)| if *kernel >= since { " + |" } else { "   |" };
    let kernels: String = KERNELS.iter().map(has).collect();
    let engine = match support {
        Support::Full => "yes".to_owned(),
        Support::Differs(note) => format!("yes ({note})"),
        Support::Missing(note) => format!("no: {note}"),
    };
    writeln!(out, "| {name} | {}.{} |{kernels} {engine} |", since.0, since.1)
}
