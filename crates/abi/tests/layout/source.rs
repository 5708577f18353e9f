//! This crate's own files, read as text: nothing may be added without standing in one of the lists.
//!
//! It keeps to the shapes that the files have: a constant is `pub const NAME:` at the start of a line or
//! `NAME as Flag = ` in a group of flags, a structure of the interface opens with `#[repr(C)]`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::{constants, structures, unseen};

/// Constants that are data of this crate, no numbers of the interface.
const OUR_OWN: [&str; 4] = ["FLAGS", "FORMS", "OPCODES", "REGISTER_OPS"];

#[test]
fn every_constant_is_compared() {
    let oracle = constants::CONSTANTS.iter().copied().flatten().map(|constant| constant.name);
    let written_out = unseen::CONSTANTS.iter().map(|constant| constant.name);
    let entry_flags = constants::ENTRY_FLAGS.iter().map(|(name, ..)| *name);
    let others = OUR_OWN.into_iter().chain(["IORING_FILE_INDEX_ALLOC"]);
    let compared: BTreeSet<String> =
        oracle.chain(written_out).chain(entry_flags).chain(others).map(String::from).collect();
    let defined = constants_defined();

    assert!(defined.len() > 300, "only {} constants found: has the files' shape changed?", defined.len());
    assert_eq!(defined.difference(&compared).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn every_field_of_every_structure_is_compared() {
    let mut compared: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for structure in structures::STRUCTURES.into_iter().flatten() {
        compared.entry(structure.name).or_default().extend(structure.fields.iter().map(|field| field.name));
    }
    for structure in unseen::STRUCTURES {
        compared.entry(structure.name).or_default().extend(structure.fields.iter().map(|field| field.name));
    }

    let defined = structures_defined();
    assert!(defined.len() > 45, "only {} structures found: has the files' shape changed?", defined.len());
    for (name, fields) in &defined {
        let compared = compared.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not compared"));
        let fields: BTreeSet<&str> = fields.iter().map(String::as_str).collect();
        assert_eq!(&fields, compared, "{name}");
    }
}

fn constants_defined() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files() {
        for line in read(&file).lines() {
            let constant = line.strip_prefix("pub const ").and_then(|rest| rest.split_once(": "));
            let flag =
                line.split_once(" as ").filter(|(_, rest)| rest.contains(" = ") && rest.ends_with(';'));
            let name = constant.or(flag).map(|(name, _)| name.trim());
            names.extend(name.filter(|name| is_constant(name)).map(String::from));
        }
    }
    names
}

fn is_constant(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn structures_defined() -> BTreeMap<String, Vec<String>> {
    let mut structures = BTreeMap::new();
    for file in files() {
        let text = read(&file);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line != "#[repr(C)]" {
                continue;
            }
            let head = lines.next().and_then(|line| line.strip_prefix("pub struct "));
            let head = head.unwrap_or_else(|| panic!("{}: no structure below #[repr(C)]", file.display()));
            let name = head.split(['<', ' ']).next().unwrap_or_default();
            let body = lines.by_ref().take_while(|line| *line != "}");
            let fields =
                body.filter_map(|line| Some(line.strip_prefix("    pub ")?.split_once(": ")?.0.to_owned()));
            structures.insert(name.to_owned(), fields.collect());
        }
    }
    structures
}

/// The files that hold the interface's data; `memory` and `backend` hold behaviour.
fn files() -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("memory") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("backend.rs") {
                files.push(path);
            }
        }
    }
    files
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
