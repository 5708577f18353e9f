//! Targets, redirects, and files that cannot be served.

use super::common::{Site, photo};
use annulus_http::{Failure, Policy, Rejection};

#[test]
fn nothing_leaves_the_root() {
    let targets = [
        "/../etc/passwd",
        "/..",
        "/album/../../etc/passwd",
        "/album/..",
        "/%2e%2e/etc/passwd",
        "/%2E%2e%2Fetc%2fpasswd",
        "/..%2fetc/passwd",
        "/album%2fb.jpg",
        "/a.jpg%00",
        "/%00/a.jpg",
        "/%",
        "/%zz",
        "/a%2",
        "/\\..\\etc",
        "/..%5cetc",
        "/album\\b.jpg",
        "/%c0%ae%c0%ae/etc/passwd",
        "//../etc/passwd",
        "/.%2e/etc",
        "http://localhost/../etc/passwd",
        "etc/passwd",
    ];
    for target in targets {
        let response = Site::default().get(target, "");
        assert!(matches!(response.status, 400 | 404), "{target}: {}", response.status);
        assert!(response.persists, "{target}: the request was understood, only refused");
        assert!(!response.text().contains("etc"), "{target}: nothing of the request comes back");
    }
}

#[test]
fn plain_and_encoded_names_are_the_same() {
    let site = Site::default();
    for target in ["/a.jpg", "//a.jpg", "/./a.jpg", "/%61.jpg", "/a%2ejpg", "/a.jpg?x=1", "/a.jpg?/../%zz"] {
        assert_eq!(site.get(target, "").body, photo(), "{target}");
    }
    assert_eq!(site.get("/album/b%20c.jpg", "").body, photo());
}

#[test]
fn hidden_names_do_not_exist_unless_allowed() {
    assert_eq!(Site::default().get("/.hidden.jpg", "").status, 404);
    assert_eq!(Site::default().get("/%2ehidden.jpg", "").status, 404);
    assert_eq!(Site::default().get("/.git/config", "").status, 404);
    let open = Site { policy: Policy { serve_hidden: true, ..Policy::default() }, ..Site::default() };
    assert_eq!(open.get("/.hidden.jpg", "").body, photo());
}

#[test]
fn a_directory_without_slash_is_308_to_itself_on_this_host() {
    let rows = [
        ("/album", "/album/"),
        ("/album?sort=date", "/album/?sort=date"),
        ("//evil.com", "/evil.com/"),
        ("/.//evil.com", "/evil.com/"),
        ("//album", "/album/"),
        ("/./album", "/album/"),
        ("/%61lbum", "/album/"),
        ("http://evil.com/album", "/album/"),
    ];
    for (target, location) in rows {
        let response = Site::default().get(target, "");
        assert_eq!(response.status, 308, "{target}");
        assert_eq!(response.field("Location"), Some(location), "{target}");
        assert!(response.persists, "{target}");
    }
    for target in ["//evil.com/..", "//evil.com/%2e%2e", "/\\evil.com", "/%5cevil.com", "/%2fevil.com"] {
        let response = Site::default().get(target, "");
        assert_eq!((response.status, response.field("Location")), (400, None), "{target}");
    }
}

#[test]
fn a_redirect_cannot_inject_a_header() {
    let response = Site::default().get("/album?x=%0d%0aSet-Cookie:y", "");
    assert_eq!(response.field("Location"), Some("/album/?x=%0d%0aSet-Cookie:y"), "still encoded");
    assert_eq!(response.field("Set-Cookie"), None);
    let response = Site::default().get("/album?x=\u{e4}", "");
    assert_eq!(response.field("Location"), Some("/album/?x=%C3%A4"));
}

#[test]
fn a_directory_with_slash_is_a_listing_or_its_index() {
    let listing = Site::default().get("/album/", "");
    assert_eq!(listing.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(listing.text(), "<!doctype html><title>album</title>");
    let index = Site::default().get("/gallery/", "Range: bytes=0-8\r\n");
    assert_eq!((index.status, index.text().as_str()), (206, "<!doctype"));
}

#[test]
fn a_file_with_slash_and_what_is_no_file_are_404() {
    assert_eq!(Site::default().get("/a.jpg/", "").status, 404);
    assert_eq!(Site::default().get("/a.jpg/.", "").status, 404);
    assert_eq!(Site::default().get("/fifo", "").status, 404);
}

#[test]
fn what_cannot_be_opened_is_never_500() {
    let site = Site::default();
    assert_eq!(site.get("/nowhere.jpg", "").status, 404);
    assert_eq!(site.get("/locked.jpg", "").status, 403);
    let crowded = site.get("/crowded.jpg", "");
    assert_eq!((crowded.status, crowded.field("Retry-After")), (503, Some("2")));
    assert!(crowded.persists, "the next request may find room");
    let rows = [
        ("ENOENT", 2, Failure::NotFound),
        ("ENOTDIR", 20, Failure::NotFound),
        ("EISDIR", 21, Failure::NotFound),
        ("ENAMETOOLONG", 36, Failure::NotFound),
        ("ELOOP, a link not to be followed", 40, Failure::NotFound),
        ("EXDEV, out of the root", 18, Failure::NotFound),
        ("EACCES", 13, Failure::Forbidden),
        ("EPERM", 1, Failure::Forbidden),
        ("EMFILE", 24, Failure::Busy),
        ("ENFILE", 23, Failure::Busy),
        ("ENOMEM", 12, Failure::Busy),
        ("EIO", 5, Failure::Broken),
    ];
    for (name, errno, expected) in rows {
        assert_eq!(Failure::from_errno(errno), expected, "{name}");
    }
}

#[test]
fn a_connection_above_the_bounds_is_told_when_to_come_back() {
    let policy = Policy { retry_after_s: 7, ..Policy::default() };
    let plan = annulus_http::Plan::rejected(&Rejection::TOO_MANY_CONNECTIONS, &policy);
    assert_eq!((plan.status().code(), plan.head.retry_after_s, plan.persists()), (503, Some(7), false));
    let plan = annulus_http::Plan::rejected(&Rejection::HEAD_TOO_SLOW, &policy);
    assert_eq!((plan.status().code(), plan.head.retry_after_s, plan.persists()), (408, None, false));
}
