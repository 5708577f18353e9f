//! The server over real sockets: what a client of any kind can see of it.

mod bytes;
mod ends;
mod paths;
mod patience;
mod requests;
mod site;

use std::process::Command;

/// The tests of this program again, in another process, on the engine: no client sees a difference.
#[test]
fn all_of_this_holds_on_the_engine_too() {
    const BACKEND: &str = "ANNULUS_BACKEND";
    if std::env::var_os(BACKEND).is_some_and(|backend| backend == "engine") {
        return;
    }
    let mut again = Command::new(std::env::current_exe().expect("a test program has a path"));
    again.args(["--exact", "--skip", "all_of_this_holds_on_the_engine_too"]).env(BACKEND, "engine");
    let output = again.output().expect("a test program can be run again");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !text.contains(" 0 passed"), "on the engine: {text}{errors}");
}
