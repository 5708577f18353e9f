//! Where io_uring is forbidden or missing and nothing but the kernel is wanted, `run` says so and nothing panics.

mod common;

use annulus_rt::{BackendChoice, Builder, Error, Shards};
use common::with_setup_answering;

fn on_kernel() -> Builder {
    Builder::new().backend(BackendChoice::Kernel)
}

#[test]
fn a_filter_that_forbids_io_uring_is_named_in_the_error() {
    let error = with_setup_answering(libc::EPERM, || on_kernel().run(async {}).unwrap_err());
    assert!(matches!(error, Error::Setup(_)), "{error:?}");
    assert_eq!(error.errno(), Some(rustix::io::Errno::PERM));
    let text = error.to_string();
    assert!(text.starts_with("io_uring is forbidden by a seccomp filter"), "{text}");
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::PermissionDenied);
}

#[test]
fn a_kernel_without_io_uring_is_an_error_for_shards_too() {
    let error = with_setup_answering(libc::ENOSYS, || {
        Shards::new(2).builder(on_kernel()).run(|_| async {}).unwrap_err()
    });
    assert_eq!(error.errno(), Some(rustix::io::Errno::NOSYS));
    assert!(error.to_string().starts_with("there is no io_uring here (ENOSYS)"), "{error}");
}
