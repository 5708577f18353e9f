//! What stands on every answer, and the choice of a precompressed sibling.

use super::common::{NOW_DATE, Site};
use annulus_http::{Field, FieldValue, Policy};

#[test]
fn every_answer_has_its_date_its_server_and_nosniff() {
    let requests: [&[u8]; 9] = [
        b"GET /a.jpg HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a.jpg HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,4-5\r\n\r\n",
        b"GET /a.jpg HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
        b"GET /a.jpg HTTP/1.1\r\nHost: a\r\nRange: bytes=5000-\r\n\r\n",
        b"GET /album HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /album/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"nonsense\r\n\r\n",
    ];
    for request in requests {
        let response = Site::default().raw(request);
        assert_eq!(response.field("Date"), Some(NOW_DATE));
        assert_eq!(response.field("Server"), Some("annulus"));
        assert_eq!(response.field("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(response.field("Strict-Transport-Security"), None);
        let length = response.field("Content-Length").map(|length| length.parse().expect("a number"));
        let bodiless = matches!(response.status, 204 | 304);
        assert_eq!(length, (!bodiless).then_some(response.body.len()), "{}", response.status);
    }
}

#[test]
fn files_offer_ranges() {
    let response = Site::default().get("/a.jpg", "");
    assert_eq!(response.field("Accept-Ranges"), Some("bytes"));
    assert_eq!(response.field("Last-Modified"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
}

#[test]
fn a_change_in_the_future_is_dated_now() {
    let past = Site { now: annulus_http::Timestamp::from_unix(1000).expect("inside"), ..Site::default() };
    let response = past.get("/a.jpg", "");
    assert_eq!(response.field("Last-Modified"), Some("Thu, 01 Jan 1970 00:16:40 GMT"));
    assert_eq!(response.field("Date"), response.field("Last-Modified"));
}

#[test]
fn caching_follows_the_kind() {
    let site = Site::default();
    assert_eq!(site.get("/a.html", "").field("Cache-Control"), Some("no-cache"));
    assert_eq!(site.get("/a.jpg", "").field("Cache-Control"), Some("max-age=3600"));
    assert_eq!(site.get("/album/", "").field("Cache-Control"), Some("no-cache"));
    assert_eq!(site.get("/album", "").field("Cache-Control"), Some("no-cache"), "a folder may become a file");
    let mut policy = Policy::default();
    policy.cache.files = FieldValue::from_static("no-store");
    let configured = Site { policy, ..Site::default() };
    assert_eq!(configured.get("/a.jpg", "").field("Cache-Control"), Some("no-store"));
    assert_eq!(Policy::default().cache.derived.as_str(), "max-age=31536000, immutable");
}

#[test]
fn configured_headers_stand_on_every_answer() {
    let extra = vec![Field::new("Access-Control-Allow-Origin", "*").expect("plain")];
    let site = Site { policy: Policy { extra, ..Policy::default() }, ..Site::default() };
    for request in [
        &b"GET /a.jpg HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"x\r\n\r\n",
    ] {
        assert_eq!(site.raw(request).field("Access-Control-Allow-Origin"), Some("*"));
    }
}

#[test]
fn the_best_acceptable_sibling_is_sent_with_vary_and_its_own_tag() {
    let get = |accepted: &str| Site::default().get("/page.html", &format!("Accept-Encoding: {accepted}\r\n"));
    let rows = [
        ("gzip, deflate, br, zstd", Some("br")),
        ("zstd, gzip", Some("gzip")),
        ("br;q=0.5, gzip", Some("gzip")),
        ("br;q=0, gzip;q=0", None),
        ("*", Some("br")),
        ("*;q=0", None),
        ("identity", None),
        ("", None),
        ("zstd", None),
    ];
    for (accepted, expected) in rows {
        let response = get(accepted);
        assert_eq!(response.field("Content-Encoding"), expected, "{accepted}");
        assert_eq!(response.field("Vary"), Some("Accept-Encoding"), "{accepted}");
        assert_eq!(response.field("Content-Type"), Some("text/html; charset=utf-8"), "{accepted}");
    }
    assert_eq!(get("br").field("ETag"), Some("\"2ebc98a1-abc-1e-8-br\""));
    assert_eq!(get("gzip").field("ETag"), Some("\"2ebc98a1-abc-1e-8-gzip\""));
    assert_eq!(get("").field("ETag"), Some("\"2ebc98a1-abc-1f4-8\""));
    assert_eq!(get("br").field("Content-Length"), Some("30"));
    let tag = get("br").field("ETag").map(str::to_owned).expect("a tag");
    let again =
        Site::default().get("/page.html", &format!("Accept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n"));
    assert_eq!(again.status, 200, "another coding is another representation");
    let again =
        Site::default().get("/page.html", &format!("Accept-Encoding: br\r\nIf-None-Match: {tag}\r\n"));
    assert_eq!((again.status, again.field("Vary")), (304, Some("Accept-Encoding")));
    assert_eq!(Site::default().get("/a.jpg", "Accept-Encoding: br\r\n").field("Vary"), None);
}
