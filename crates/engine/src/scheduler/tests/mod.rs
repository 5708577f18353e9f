//! The scheduler, held to the rules: case by case, over all short sequences, and in any order of completions.

mod every;
mod oracle;
mod rules;
mod shuffled;
mod stage;
