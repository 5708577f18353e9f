//! Conditional requests and entity tags.

use super::common::{CHANGED_DATE, Site, TAG};
use annulus_http::Policy;

const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

fn status(lines: &str) -> u16 {
    Site::default().get("/a.jpg", &format!("{lines}\r\n")).status
}

#[test]
fn if_none_match_is_304_for_a_list_a_star_and_a_weak_tag() {
    assert_eq!(status(&format!("If-None-Match: {TAG}")), 304);
    assert_eq!(status(&format!("If-None-Match: \"a\", W/{TAG}, \"b\"")), 304);
    assert_eq!(status("If-None-Match: *"), 304);
    assert_eq!(status("If-None-Match: \"a\", \"b\""), 200);
    assert_eq!(Site::default().ask("HEAD", "/a.jpg", "If-None-Match: *\r\n").status, 304);
}

#[test]
fn if_none_match_beats_if_modified_since() {
    assert_eq!(status(&format!("If-Modified-Since: {CHANGED_DATE}\r\nIf-None-Match: \"a\"")), 200);
    assert_eq!(status(&format!("If-Modified-Since: {BEFORE}\r\nIf-None-Match: {TAG}")), 304);
}

#[test]
fn not_modified_says_what_a_cache_needs_and_nothing_of_the_content() {
    let response = Site::default().get("/a.jpg", &format!("If-None-Match: {TAG}\r\nRange: bytes=0-9\r\n"));
    assert_eq!(response.status, 304);
    assert_eq!(response.field("ETag"), Some(TAG));
    assert_eq!(response.field("Last-Modified"), Some(CHANGED_DATE));
    assert_eq!(response.field("Cache-Control"), Some("max-age=3600"));
    assert_eq!(response.field("Content-Length"), None);
    assert_eq!(response.field("Content-Type"), None);
    assert!(response.body.is_empty() && response.persists);
}

#[test]
fn if_match_and_if_unmodified_since_are_412_on_mismatch() {
    assert_eq!(status(&format!("If-Match: {TAG}")), 200);
    assert_eq!(status("If-Match: *"), 200);
    assert_eq!(status("If-Match: \"a\""), 412);
    assert_eq!(status(&format!("If-Match: W/{TAG}")), 412, "the comparison is strong");
    assert_eq!(status(&format!("If-Unmodified-Since: {CHANGED_DATE}")), 200);
    assert_eq!(status(&format!("If-Unmodified-Since: {BEFORE}")), 412);
    assert_eq!(status("If-Unmodified-Since: once"), 200);
    assert_eq!(status(&format!("If-Match: {TAG}\r\nIf-Unmodified-Since: {BEFORE}")), 200);
    assert_eq!(status(&format!("If-Match: \"a\"\r\nIf-None-Match: {TAG}")), 412);
}

#[test]
fn if_modified_since_is_304_and_invalid_dates_are_ignored() {
    assert_eq!(status(&format!("If-Modified-Since: {CHANGED_DATE}")), 304);
    assert_eq!(status("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"), 304);
    assert_eq!(status("If-Modified-Since: Sun Nov  6 08:49:37 1994"), 304);
    assert_eq!(status(&format!("If-Modified-Since: {BEFORE}")), 200);
    for invalid in ["yesterday", "", "0", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 99:49:37 GMT"] {
        assert_eq!(status(&format!("If-Modified-Since: {invalid}")), 200, "{invalid}");
    }
}

#[test]
fn conditions_do_not_change_what_is_an_error_anyway() {
    let site = Site::default();
    assert_eq!(site.get("/nowhere", "If-None-Match: *\r\n").status, 404);
    assert_eq!(site.get("/nowhere", "If-Match: \"a\"\r\n").status, 404);
    assert_eq!(site.get("/album", "If-None-Match: *\r\n").status, 308);
    assert_eq!(site.ask("DELETE", "/a.jpg", "If-Match: \"a\"\r\n").status, 405);
}

#[test]
fn the_tag_is_strong_and_the_inode_can_be_left_out() {
    let response = Site::default().get("/a.jpg", "");
    assert_eq!(response.field("ETag"), Some("\"2ebc98a1-abc-3e8-7\""));
    let shared = Site { policy: Policy { inode_in_etag: false, ..Policy::default() }, ..Site::default() };
    assert_eq!(shared.get("/a.jpg", "").field("ETag"), Some("\"2ebc98a1-abc-3e8\""));
}

#[test]
fn a_listing_has_a_tag_of_its_bytes() {
    let site = Site::default();
    let listing = site.get("/album/", "");
    let tag = listing.field("ETag").expect("a tag");
    assert_eq!(listing.field("Last-Modified"), None);
    assert_eq!(site.get("/album/", &format!("If-None-Match: {tag}\r\n")).status, 304);
}
