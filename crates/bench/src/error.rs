//! Why a bench could not be run at all. What befalls one contender stands in the report
//! ([`Fault`](crate::report::Fault)).

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a bench could not be run at all.
#[derive(Debug)]
#[non_exhaustive]
pub enum BenchError {
    /// A number that makes no case.
    Parameter {
        /// Which one.
        name: &'static str,
        /// What was given.
        given: u64,
        /// The smallest that is possible.
        least: u64,
        /// The largest that is possible.
        most: u64,
    },
    /// A selection that no contender of this bench belongs to.
    NoSuchContender {
        /// What was asked for.
        asked: String,
        /// Who there is.
        known: Vec<String>,
    },
    /// The file to read from cannot be had: `ENOENT`, `EACCES`, `ENOSPC`, or whatever opening and writing said.
    File {
        /// The file, or the directory for it.
        path: PathBuf,
        /// What was said.
        source: io::Error,
    },
    /// The file to read from has not even one block.
    FileTooSmall {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        bytes: u64,
    },
    /// The process cannot be kept on its core, or the machine cannot be asked.
    Machine(io::Error),
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter { name, given, least, most } => {
                write!(f, "{given} {name} cannot be measured; give {least} to {most}")
            }
            Self::NoSuchContender { asked, known } => {
                write!(f, "no contender has `{asked}` in its name; there are: {}", known.join(", "))
            }
            Self::File { path, source } => {
                write!(
                    f,
                    "{}: {source}; name another file with --file or another directory with --dir",
                    path.display()
                )
            }
            Self::FileTooSmall { path, bytes } => {
                write!(f, "{} has {bytes} bytes; one block of 4096 is the least to read from", path.display())
            }
            Self::Machine(source) => write!(f, "cannot run on a core of its own: {source}"),
        }
    }
}

impl std::error::Error for BenchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } | Self::Machine(source) => Some(source),
            Self::Parameter { .. } | Self::NoSuchContender { .. } | Self::FileTooSmall { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_was_wrong_and_what_to_do() {
        let known = vec!["kernel".to_owned(), "tokio".to_owned()];
        let error = BenchError::NoSuchContender { asked: "windows".to_owned(), known };
        assert_eq!(error.to_string(), "no contender has `windows` in its name; there are: kernel, tokio");
        let error = BenchError::Parameter { name: "bytes", given: 7, least: 8, most: 16_384 };
        assert_eq!(error.to_string(), "7 bytes cannot be measured; give 8 to 16384");
        let source = io::Error::from_raw_os_error(2);
        let error = BenchError::File { path: "/none".into(), source };
        assert!(error.to_string().starts_with("/none: No such file or directory"), "{error}");
        assert!(error.to_string().ends_with("with --file or another directory with --dir"), "{error}");
    }
}
