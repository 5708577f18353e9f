//! The scheduler, held to the rules: case by case, over all short sequences, and in any order of completions.

mod rules;
mod stage;
