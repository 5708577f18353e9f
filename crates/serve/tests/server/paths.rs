//! What a path may name, and what it may not: nothing outside of the root is ever sent.

use std::fs;
use std::os::unix::fs::symlink;

use crate::site::Site;
use rustix::fs::{CWD, Mode, mkfifoat};

#[test]
fn no_path_leads_out_of_the_root() {
    let outside = tempfile::tempdir().expect("a directory");
    fs::write(outside.path().join("secret.txt"), "secret").expect("written");
    for follow in [false, true] {
        let site = Site::start(|config| config.follow_symlinks = follow);
        site.write("in/a.txt", "inside");
        symlink(outside.path(), site.path("out")).expect("linked");
        symlink(outside.path().join("secret.txt"), site.path("in/file")).expect("linked");
        symlink("../..", site.path("in/up")).expect("linked");
        symlink("/proc/self/root", site.path("magic")).expect("linked");
        let secret = outside.path().join("secret.txt").to_string_lossy().into_owned();
        let targets = [
            "/out/secret.txt",
            "/out/",
            "/in/file",
            "/in/up/",
            &format!("/magic{secret}"),
            &format!("//{secret}"),
            "/../secret.txt",
            "/in/../../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/in/..%5c..%5csecret.txt",
            "/in/a.txt%00.jpg",
            "/in/%zz",
        ];
        for target in targets {
            let response = site.get(target, "");
            assert!(matches!(response.status, 400 | 404), "{target}: {}", response.status);
            assert!(!response.text().contains("secret.txt") && response.text() != "secret", "{target}");
        }
        assert_eq!(site.get("/in/a.txt", "").text(), "inside");
    }
}

#[test]
fn links_within_the_root_are_followed_only_on_demand() {
    for (follow, status) in [(false, 404), (true, 200)] {
        let site = Site::start(|config| config.follow_symlinks = follow);
        site.write("album/a.txt", "a");
        symlink("album", site.path("link")).expect("linked");
        symlink("../album/a.txt", site.path("album/again.txt")).expect("linked");
        assert_eq!(site.get("/link/a.txt", "").status, status);
        assert_eq!(site.get("/album/again.txt", "").status, status);
        let listing = site.get("/", "").text();
        assert_eq!(listing.contains("href=\"link/\""), follow, "{listing}");
    }
}

#[test]
fn hidden_names_are_served_only_on_demand() {
    for (hidden, status) in [(false, 404), (true, 200)] {
        let site = Site::start(|config| config.policy.serve_hidden = hidden);
        site.write(".git/config", "c");
        site.write("a/.b", "b");
        assert_eq!(site.get("/.git/config", "").status, status);
        assert_eq!(site.get("/a/%2eb", "").status, status);
        assert_eq!(site.get("/", "").text().contains(".git"), hidden);
    }
}

#[test]
fn a_folder_without_its_slash_is_redirected_on_this_host() {
    let site = Site::start(|_| {});
    site.write("album/a.txt", "a");
    site.write("evil.com/x", "x");
    let redirect = |path: &str| {
        let response = site.get(path, "");
        (response.status, response.find("Location").map(str::to_owned))
    };
    assert_eq!(redirect("/album"), (308, Some("/album/".to_owned())));
    assert_eq!(redirect("/album?sort=size"), (308, Some("/album/?sort=size".to_owned())));
    assert_eq!(redirect("//evil.com"), (308, Some("/evil.com/".to_owned())));
    assert_eq!(redirect("//evil.com/.."), (400, None));
    assert_eq!(redirect("/album/a.txt/"), (404, None));
}

#[test]
fn a_folder_shows_its_index_or_its_listing() {
    let site = Site::start(|_| {});
    site.write("site/index.html", "<p>home");
    site.write("site/index.html.gz", "zipped");
    site.write("album/\u{c5}re 2026.jpg", "12345");
    site.write("album/b/c.txt", "c");

    let index = site.get("/site/", "");
    assert_eq!((index.status, index.text().as_str()), (200, "<p>home"));
    assert_eq!(index.header("Content-Type"), "text/html; charset=utf-8");
    assert_eq!(index.header("Cache-Control"), "no-cache");
    assert_eq!(site.get("/site/", "Accept-Encoding: gzip\r\n").text(), "zipped");

    let listing = site.get("/album/", "");
    assert_eq!((listing.status, listing.header("Content-Type")), (200, "text/html; charset=utf-8"));
    assert!(listing.header("Content-Security-Policy").starts_with("default-src 'none'"));
    let text = listing.text();
    assert!(text.contains("href=\"%C3%85re%202026.jpg\"") && text.contains("href=\"b/\""), "{text}");
    assert!(text.contains("<title>album</title>"), "{text}");
    let again = site.get("/album/", &format!("If-None-Match: {}\r\n", listing.header("ETag")));
    assert_eq!(again.status, 304);
    let head = site.client().ask("HEAD", "/album/", "");
    assert_eq!(head.header("Content-Length"), listing.header("Content-Length"));
}

#[test]
fn a_name_that_is_not_utf8_is_listed_and_served() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let site = Site::start(|_| {});
    fs::write(site.root().join(OsStr::from_bytes(b"\xff.txt")), "bytes").expect("written");
    assert!(site.get("/", "").text().contains("href=\"%FF.txt\""));
    assert_eq!(site.get("/%FF.txt", "").text(), "bytes");
}

#[test]
fn what_cannot_be_served_is_never_a_500() {
    let site = Site::start(|_| {});
    site.write("a.txt", "a");
    mkfifoat(CWD, site.path("fifo"), Mode::RWXU).expect("made");
    std::os::unix::net::UnixListener::bind(site.path("socket")).expect("made");
    assert_eq!(site.get("/missing", "").status, 404);
    assert_eq!(site.get("/a.txt/b", "").status, 404);
    assert_eq!(site.get(&format!("/{}", "x".repeat(300)), "").status, 404);
    // Opening a FIFO that nobody writes into must not wait either.
    assert_eq!(site.get("/fifo", "").status, 404);
    assert_eq!(site.get("/socket", "").status, 404);
    assert!(!site.get("/", "").text().contains("fifo"));
}

#[test]
fn what_may_not_be_read_is_forbidden() {
    // Root may read everything, but not these: the kernel itself refuses to read a sysctl that is only written to.
    let site = Site::start(|config| config.root = "/proc/sys/vm".into());
    let response = site.get("/compact_memory", "");
    assert_eq!(
        (response.status, response.text().as_str()),
        (403, "403 Forbidden: this server may not read it\n")
    );
}
