//! Random reads of 4 KiB, 64 at a time, in a tokio runtime of two threads: through rings, and on tokio's threads that block.
//!
//! `cargo run --release -p annulus-tokio --example random_reads`, with a file of one's own as an argument to read that one. What is
//! measured in earnest, with peers and spreads, is `annulus bench storage`.
#![allow(clippy::print_stdout, reason = "a program that tells what it measures")]

use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use annulus_tokio::File;
use tokio::time::Instant;

const BLOCK: usize = 4096;
/// How large the file is that is made.
const BLOCKS: u64 = 16 * 1024;
/// Tasks that read, each one block after the other.
const TASKS: u64 = 64;
const TIME: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = match std::env::args_os().nth(1) {
        Some(path) => path.into(),
        None => {
            let path = folder.path().join("blocks");
            let bytes = usize::try_from(BLOCKS).map_or(0, |blocks| blocks * BLOCK);
            annulus_tokio::write(&path, vec![7; bytes]).await.0?;
            path
        }
    };
    let file = Arc::new(File::open(&path).await?);
    let blocks = file.len().await? / BLOCK as u64;

    let through_rings = measure(|seed| {
        let file = file.clone();
        async move {
            let mut buf = vec![0; BLOCK];
            let (mut reads, mut seed, end) = (0_u64, seed, Instant::now() + TIME);
            while Instant::now() < end {
                let (read, back) = file.read_at(buf, block(&mut seed, blocks)).await;
                (reads, buf) = (reads + u64::from(read? == BLOCK), back);
            }
            Ok(reads)
        }
    });
    println!("through rings:           {:>9} reads a second", through_rings.await?);

    let blocking = Arc::new(std::fs::File::open(&path)?);
    let on_threads = measure(|seed| {
        let file = blocking.clone();
        async move {
            let mut buf = vec![0; BLOCK];
            let (mut reads, mut seed, end) = (0_u64, seed, Instant::now() + TIME);
            while Instant::now() < end {
                let (file, offset) = (file.clone(), block(&mut seed, blocks));
                let read = move || (file.read_at(&mut buf, offset), buf);
                let (read, back) = tokio::task::spawn_blocking(read).await?;
                (reads, buf) = (reads + u64::from(read? == BLOCK), back);
            }
            Ok(reads)
        }
    });
    println!("on threads that block:   {:>9} reads a second", on_threads.await?);
    Ok(())
}

/// Where to read next.
const fn block(seed: &mut u64, blocks: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % blocks * BLOCK as u64
}

/// Runs the tasks and adds up what they did in a second.
async fn measure<F>(task: impl Fn(u64) -> F) -> io::Result<u64>
where
    F: Future<Output = io::Result<u64>> + Send + 'static,
{
    let tasks: Vec<_> = (0..TASKS).map(|seed| tokio::spawn(task(seed))).collect();
    let mut reads = 0;
    for task in tasks {
        reads += task.await??;
    }
    Ok(reads / TIME.as_secs())
}
