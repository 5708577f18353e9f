//! What a run comes to: all that the interface promises about it, and nothing else.
//!
//! Numbers of descriptors, ids of provided buffers, times and hints are not kept.

/// What a run of a program was answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What steps returned, in their order.
    pub answers: Vec<Answer>,
    /// Completions in the order of the queue.
    pub completions: Vec<Completion>,
    /// How many completions were there after each settling.
    pub settled: Vec<usize>,
    /// Places of `completions` from which on what was left was cancelled.
    pub finish: usize,
    /// Contents of what was used, when all was over.
    pub rest: Vec<(String, Vec<u8>)>,
    /// What no back end may do: memory overwritten that was not given to it, requests that never end.
    pub broken: Vec<String>,
}

/// What a step returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its place in the program.
    pub step: usize,
    /// A number, or `-errno`.
    pub value: i64,
    /// What it read.
    pub bytes: Vec<u8>,
}

/// One completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The `user_data`: the name of its request.
    pub name: u64,
    /// The result; 0 for any new descriptor of the process.
    pub result: i32,
    /// The flags that are promised (`IORING_CQE_F_*`), without the buffer's number.
    pub flags: u32,
    /// The data that came with it.
    pub bytes: Vec<u8>,
}

impl Record {
    /// The completions of one request, in their order.
    pub fn of(&self, name: u64) -> impl Iterator<Item = &Completion> {
        self.completions.iter().filter(move |completion| completion.name == name)
    }
}
