//! Operations on extended attributes: get, set.
#![allow(unsafe_code, reason = "names paths and values that the operations own")]

use std::ffi::CString;

use annulus::{opcode, squeue};

use super::{filled, length, nothing};
use crate::buf::BufResult;
use crate::driver::{Completion, Operation};
use crate::fd::SharedFd;

/// Whose attribute it is.
pub(crate) enum Whose {
    /// What a path leads to, from the working directory on.
    Path(CString),
    /// An open file.
    File(SharedFd),
}

/// getxattr(2) or fgetxattr(2), into the capacity of a vector.
pub(crate) struct GetXattr {
    pub(crate) whose: Whose,
    pub(crate) name: CString,
    pub(crate) value: Vec<u8>,
}

// SAFETY: path, name and value are on the heap, the share keeps the descriptor open.
unsafe impl Operation for GetXattr {
    type Output = BufResult<usize, Vec<u8>>;

    fn entry(&mut self) -> squeue::Entry {
        let (name, len) = (self.name.as_ptr(), length(self.value.capacity()));
        let value = self.value.as_mut_ptr().cast();
        match &self.whose {
            Whose::Path(path) => opcode::GetXattr::new(name, value, path.as_ptr(), len).build(),
            Whose::File(fd) => opcode::FGetXattr::new(fd.target(), name, value, len).build(),
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        filled(completion, self.value)
    }
}

/// setxattr(2) or fsetxattr(2), with `XATTR_CREATE`, `XATTR_REPLACE` or nothing.
pub(crate) struct SetXattr {
    pub(crate) whose: Whose,
    pub(crate) name: CString,
    pub(crate) value: Vec<u8>,
    pub(crate) flags: i32,
}

// SAFETY: as for `GetXattr`.
unsafe impl Operation for SetXattr {
    type Output = std::io::Result<()>;

    fn entry(&mut self) -> squeue::Entry {
        let (name, len) = (self.name.as_ptr(), length(self.value.len()));
        let value = self.value.as_ptr().cast();
        match &self.whose {
            Whose::Path(path) => {
                opcode::SetXattr::new(name, value, path.as_ptr(), len).flags(self.flags).build()
            }
            Whose::File(fd) => {
                opcode::FSetXattr::new(fd.target(), name, value, len).flags(self.flags).build()
            }
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        nothing(completion)
    }
}
