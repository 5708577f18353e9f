//! A test program once more, on the engine: what it asserts holds there too.

use std::process::Command;

use annulus::{BackendChoice, environment};

/// Runs the tests of this program again in another process, on the engine, but for those that are about the kernel's own
/// rings. `name` is the full name of the test that calls this, and does nothing else.
pub(crate) fn on_the_engine(name: &str, about_the_kernel: &[&str]) {
    if environment::backend_choice() == Ok(BackendChoice::Engine) {
        return;
    }
    let mut again = Command::new(std::env::current_exe().expect("a test program has a path"));
    again.arg("--exact").env(environment::BACKEND_VARIABLE, "engine");
    for skipped in [name].iter().chain(about_the_kernel) {
        again.args(["--skip", skipped]);
    }
    let output = again.output().expect("a test program can be run again");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !text.contains(" 0 passed"), "on the engine: {text}{errors}");
}
