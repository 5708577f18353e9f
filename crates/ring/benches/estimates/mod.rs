//! What criterion left behind, and the two files that are kept of it: `benches/results.json` and `benches/RESULTS.md` of
//! the crate that this is built for. Measures nothing.
//!
//! The programs `results` of this crate and of `annulus-rt` have it in common; each brings who is compared and the text.
#![allow(clippy::print_stdout, reason = "its programs report what they wrote")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::{Map, Value, json};

/// The name of our side in every bench.
pub(crate) const OWN: &str = "annulus";

/// What the place of a loop in the program makes of its time, as a share of it. The intervals do not show that:
/// they come from one build.
const LAYOUT_NOISE: f64 = 0.02;

/// Nanoseconds for one element: the median, and the interval that it lies in with 95 % confidence.
#[derive(Clone, Copy)]
pub(crate) struct Median {
    pub(crate) low: f64,
    pub(crate) point: f64,
    pub(crate) high: f64,
}

/// The medians of a bench by the name of what ran it.
pub(crate) type Bench = BTreeMap<String, Median>;

/// Writes what criterion has of the benches that both sides took part in, by name: as JSON, and as the text that
/// `as_markdown` makes of it.
///
/// # Errors
///
/// If there is nothing to write or it cannot be read or written; and, once it is written, if we are slower than the
/// peer by more than noise explains.
pub(crate) fn keep(
    peer: &str,
    as_markdown: fn(&BTreeMap<String, Bench>) -> String,
) -> Result<(), Box<dyn Error>> {
    let mut benches = read(&criterion_folder()?)?;
    benches.retain(|_, bench| bench.contains_key(OWN) && bench.contains_key(peer));
    if benches.is_empty() {
        return Err("no estimates under target/criterion: run the other benches first".into());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    fs::write(folder.join("results.json"), format!("{:#}\n", as_json(&benches)))?;
    fs::write(folder.join("RESULTS.md"), as_markdown(&benches))?;
    println!("wrote results.json and RESULTS.md in {}", folder.display());
    let slower = benches.iter().filter(|(_, bench)| is_slower(bench[OWN], bench[peer]));
    let slower: Vec<&str> = slower.map(|(name, _)| name.as_str()).collect();
    if slower.is_empty() { Ok(()) } else { Err(format!("slower than {peer}: {}", slower.join(", ")).into()) }
}

/// The processor that was measured on, by its own name.
pub(crate) fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| env::consts::ARCH.to_owned(), |(_, model)| model.to_owned())
}

/// The kernel's version, without what a distribution adds to it.
pub(crate) fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().split('-').next().unwrap_or_default().to_owned()
}

/// `target/criterion`, beside the folder that this program was built in.
fn criterion_folder() -> Result<PathBuf, Box<dyn Error>> {
    let program = env::current_exe()?;
    let target = program.ancestors().nth(3).ok_or("this program lies in no target folder")?;
    Ok(target.join("criterion"))
}

/// Every bench that criterion has estimates for, by name. The sides took turns in several passes; each counts with its
/// fastest, in which the rest of the machine disturbed it least.
fn read(criterion: &Path) -> Result<BTreeMap<String, Bench>, Box<dyn Error>> {
    let mut benches: BTreeMap<String, Bench> = BTreeMap::new();
    let mut folders = vec![criterion.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let entry = entry?;
            if entry.file_name() == "new" {
                let (name, contender, median) = estimate(&entry.path())?;
                let best = benches.entry(name).or_default().entry(contender).or_insert(median);
                if median.point < best.point {
                    *best = median;
                }
            } else if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(benches)
}

/// Name, contender and time for one element, from a folder with the latest estimates.
fn estimate(folder: &Path) -> Result<(String, String, Median), Box<dyn Error>> {
    let file = |name: &str| -> Result<Value, Box<dyn Error>> {
        Ok(serde_json::from_slice(&fs::read(folder.join(name))?)?)
    };
    let (bench, estimates) = (file("benchmark.json")?, file("estimates.json")?);
    let text = |key: &str| bench[key].as_str().unwrap_or_default().to_owned();
    let elements = bench["throughput"]["Elements"].as_f64().unwrap_or(1.0);
    let number = |value: &Value| {
        let nanoseconds = value.as_f64().ok_or_else(|| format!("no number in {}", folder.display()));
        nanoseconds.map(|nanoseconds| nanoseconds / elements)
    };
    let median = &estimates["median"];
    let interval = &median["confidence_interval"];
    let median = Median {
        low: number(&interval["lower_bound"])?,
        point: number(&median["point_estimate"])?,
        high: number(&interval["upper_bound"])?,
    };
    let batch = bench["value_str"].as_str().map(|batch| format!("/{batch:0>2}")).unwrap_or_default();
    let group = text("group_id");
    let group = group.split_once("/pass ").map_or(&*group, |(group, _)| group);
    Ok((group.to_owned() + &batch, text("function_id"), median))
}

/// Whether our side takes longer, wherever in their intervals the medians of both are, and by more than
/// the same code differs from one build to the next.
fn is_slower(own: Median, peer: Median) -> bool {
    own.low > peer.high * (1.0 + LAYOUT_NOISE)
}

fn as_json(benches: &BTreeMap<String, Bench>) -> Value {
    let median = |median: &Median| json!({ "low": median.low, "median": median.point, "high": median.high });
    let bench =
        |bench: &Bench| bench.iter().map(|(name, of)| (name.clone(), median(of))).collect::<Map<_, _>>();
    json!({
        "unit": "ns for one element",
        "processor": processor(),
        "kernel": kernel(),
        "benches": benches.iter().map(|(name, of)| (name.clone(), bench(of).into())).collect::<Map<_, _>>(),
    })
}
