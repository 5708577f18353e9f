//! The chapters of `docs/guide`, so that `cargo test` compiles and runs the code in each.
//!
//! It holds nothing of its own. A chapter without its line here fails `every_chapter_is_tested`.

macro_rules! chapters {
    ($($name:ident: $file:literal),* $(,)?) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../../docs/guide/", $file))]
            #[allow(dead_code, reason = "carries the examples of a chapter")]
            struct $name;
        )*

        /// The files that are tested.
        pub const CHAPTERS: &[&str] = &[$($file),*];
    };
}

chapters! {
    Start: "start.md",
    Operations: "operations.md",
    Tasks: "tasks.md",
    Files: "files.md",
    Network: "network.md",
    Shards: "shards.md",
    Shutdown: "shutdown.md",
    Seen: "seen.md",
    Kernels: "kernels.md",
    Bridges: "bridges.md",
    Migrate: "migrate.md",
}
