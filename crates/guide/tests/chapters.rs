//! No chapter is left out, of the tests or of the table of contents.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide");
const CONTENTS: &str = "README.md";

fn chapters() -> BTreeSet<String> {
    let files = fs::read_dir(FOLDER).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != CONTENTS).collect()
}

#[test]
fn every_chapter_is_tested() {
    let tested: BTreeSet<String> = annulus_guide::CHAPTERS.iter().map(ToString::to_string).collect();
    assert_eq!(chapters(), tested);
}

#[test]
fn every_chapter_stands_in_the_contents() {
    let contents = fs::read_to_string(Path::new(FOLDER).join(CONTENTS)).unwrap();
    for chapter in chapters() {
        assert!(contents.contains(&format!("]({chapter})")), "{chapter} is not in {CONTENTS}");
    }
}
