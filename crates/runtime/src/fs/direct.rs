//! What a file wants of reads and writes around the page cache (`O_DIRECT`).

use std::io;

use super::{File, Metadata};
use crate::buf::AlignedBuf;
use crate::driver::Op;
use crate::driver::op::path::{Base, Statx};

/// What every device and file system that is known takes, in bytes.
const ENOUGH: u32 = 4096;

/// Powers of two that divide the address, the offset and the length of every direct transfer of a file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DirectAlignment {
    memory: u32,
    offset: u32,
    read_offset: u32,
}

impl DirectAlignment {
    /// What divides the addresses of buffers.
    #[must_use]
    pub const fn memory(self) -> u32 {
        self.memory
    }

    /// What divides offsets and lengths.
    #[must_use]
    pub const fn offset(self) -> u32 {
        self.offset
    }

    /// What divides offsets and lengths of reads, where that is less (XFS over blocks larger than the device's).
    #[must_use]
    pub const fn read_offset(self) -> u32 {
        self.read_offset
    }

    /// The offset at or before this one at which a transfer may begin.
    #[must_use]
    pub const fn floor(self, offset: u64) -> u64 {
        offset & !(self.offset as u64 - 1)
    }

    /// The offset at or after this one at which a transfer may end; the last that is aligned for those behind it.
    #[must_use]
    pub const fn ceil(self, offset: u64) -> u64 {
        match offset.checked_next_multiple_of(self.offset as u64) {
            Some(end) => end,
            None => self.floor(u64::MAX),
        }
    }

    /// An empty buffer for direct transfers of up to `len` bytes.
    #[must_use]
    pub fn buf(self, len: usize) -> AlignedBuf {
        AlignedBuf::with_alignment(len, self.memory.max(self.offset) as usize)
    }

    /// The facts that tell it (`STATX_*`): with them in the mask, [`of`](Self::of) reads the answer.
    pub const MASK: u32 = libc::STATX_DIOALIGN | READ_ALIGNMENT;

    /// What statx(2) has said of a file, asked with [`MASK`](Self::MASK); 4096 of everything where the system does not tell. `None` if the
    /// file takes no direct transfers at all.
    #[must_use]
    pub const fn of(metadata: &Metadata) -> Option<Self> {
        let facts = metadata.as_statx();
        if facts.stx_mask & libc::STATX_DIOALIGN == 0 {
            return Some(Self { memory: ENOUGH, offset: ENOUGH, read_offset: ENOUGH });
        }
        let (memory, offset) = (facts.stx_dio_mem_align, facts.stx_dio_offset_align);
        let read_offset = match facts.stx_dio_read_offset_align {
            0 => offset,
            less => less,
        };
        let sound = memory.is_power_of_two() && offset.is_power_of_two() && read_offset.is_power_of_two();
        if sound { Some(Self { memory, offset, read_offset }) } else { None }
    }
}

impl File {
    /// What the file wants of direct transfers ([`OpenOptions::direct`](crate::fs::OpenOptions::direct)): what the system says since
    /// Linux 6.1, 4096 where it does not.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus_rt::fs::OpenOptions;
    ///
    /// annulus_rt::run(async {
    ///     let file = OpenOptions::new().read(true).direct(true).open("Cargo.toml").await?;
    ///     let alignment = file.direct_alignment().await?;
    ///     let (read, buf) = file.read_at(alignment.buf(4096), 0).await;
    ///     read?;
    ///     assert!(buf.starts_with(b"[package]"));
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the file takes no direct transfers; else as [`metadata`](Self::metadata).
    pub async fn direct_alignment(&self) -> io::Result<DirectAlignment> {
        let base = Base::Dir(self.shared().clone());
        let statx = Statx::new(base, c"".to_owned(), libc::AT_EMPTY_PATH).mask(DirectAlignment::MASK);
        let metadata = Op::new(statx).await.map(Metadata)?;
        DirectAlignment::of(&metadata).ok_or_else(|| io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }
}

/// `STATX_DIO_READ_ALIGN`, since Linux 6.14.
const READ_ALIGNMENT: u32 = 0x2_0000;
