//! The checks of this crate, run on the repository itself.

use std::sync::LazyLock;

use annulus_tidy::{Finding, Tree, arrows, dependencies, doors, names, purity, render, rooms, shape};

static TREE: LazyLock<Tree> = LazyLock::new(|| Tree::of_this_workspace().expect("the tree can be read"));

#[track_caller]
fn assert_none(findings: &[Finding]) {
    assert!(findings.is_empty(), "{}", render(findings));
}

#[test]
fn arrows_between_crates_are_those_that_architecture_lists_and_go_down() {
    assert_none(&arrows::check(&TREE));
}

#[test]
fn unsafe_stands_in_the_listed_files_and_nowhere_else() {
    assert_none(&doors::unsafe_code(&TREE));
}

#[test]
fn clock_and_threads_are_used_in_the_listed_files_and_nowhere_else() {
    assert_none(&doors::clock_and_threads(&TREE));
}

#[test]
fn one_file_names_the_engine() {
    assert_none(&doors::engine(&TREE));
}

#[test]
fn the_pure_part_has_no_way_outside() {
    assert_none(&purity::check(&TREE));
}

#[test]
fn names_in_documents_exist() {
    assert_none(&names::check(&TREE));
}

#[test]
fn every_file_says_what_it_is() {
    assert_none(&shape::openings(&TREE));
}

#[test]
fn no_file_or_function_is_long_without_a_reason() {
    assert_none(&shape::lengths(&TREE));
}

#[test]
fn every_test_is_named_by_a_sentence() {
    assert_none(&shape::test_names(&TREE));
}

#[test]
fn every_dependency_says_what_it_is_for() {
    assert_none(&dependencies::reasons(&TREE));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    assert_none(&dependencies::lints(&TREE));
}

#[test]
fn every_module_has_its_line_in_architecture() {
    assert_none(&rooms::check(&TREE));
}
