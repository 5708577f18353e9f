//! Methods, versions, hosts and the life of a connection.

use super::common::{Site, TAG, photo};

#[test]
fn get_is_200_with_the_bytes() {
    let response = Site::default().get("/a.jpg", "");
    assert_eq!(response.status, 200);
    assert_eq!(response.body, photo());
    assert_eq!(response.field("Content-Length"), Some("1000"));
    assert!(response.persists);
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    for target in ["/a.jpg", "/nowhere", "/album", "/album/", "/a%2fb", "/page.html"] {
        let (get, head) = (Site::default().get(target, ""), Site::default().ask("HEAD", target, ""));
        assert_eq!((head.status, &head.fields), (get.status, &get.fields), "{target}");
        assert!(!get.body.is_empty() && head.body.is_empty(), "{target}");
    }
}

#[test]
fn options_is_204_with_allow_for_a_path_and_for_the_server() {
    for target in ["/a.jpg", "/nowhere", "*"] {
        let response = Site::default().ask("OPTIONS", target, "");
        assert_eq!(response.status, 204, "{target}");
        assert_eq!(response.field("Allow"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(response.field("Content-Length"), None, "RFC 9110 section 8.6 forbids it on 204");
        assert!(response.persists && response.body.is_empty());
    }
    assert_eq!(Site::default().ask("OPTIONS", "/../a", "").status, 400);
    assert_eq!(Site::default().get("*", "").status, 400, "the asterisk is for OPTIONS alone");
}

#[test]
fn another_known_method_is_405_with_allow() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"] {
        let response = Site::default().ask(method, "/a.jpg", "");
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(response.field("Allow"), Some("GET, HEAD, OPTIONS"), "{method}");
        assert!(response.persists, "{method}");
    }
    assert_eq!(Site::default().ask("CONNECT", "localhost:443", "").status, 405);
}

#[test]
fn an_unknown_method_is_501() {
    for method in ["BREW", "get", "G", "GETT", "M-SEARCH"] {
        let response = Site::default().ask(method, "/a.jpg", "");
        assert_eq!((response.status, response.field("Allow")), (501, None), "{method}");
    }
}

#[test]
fn http_1_1_without_exactly_one_host_is_400() {
    let site = Site::default();
    assert_eq!(site.raw(b"GET /a.jpg HTTP/1.1\r\n\r\n").status, 400);
    assert_eq!(site.raw(b"GET /a.jpg HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").status, 400);
    assert_eq!(site.raw(b"GET /a.jpg HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").status, 400);
    assert_eq!(site.raw(b"GET /a.jpg HTTP/1.1\r\nHost: a b\r\n\r\n").status, 400);
    assert_eq!(site.raw(b"GET /a.jpg HTTP/1.1\r\nHost: user@a\r\n\r\n").status, 400);
    assert_eq!(site.raw(b"GET /a.jpg HTTP/1.1\r\nHost:\r\n\r\n").status, 200, "empty is legal");
    assert_eq!(site.raw(b"GET /a.jpg HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n").status, 200);
}

#[test]
fn an_absolute_target_is_served() {
    let site = Site::default();
    assert_eq!(site.get("http://localhost/a.jpg", "").body, photo());
    assert_eq!(site.get("http://another.example:8080/a.jpg?x", "").body, photo());
    assert_eq!(site.get("http://localhost", "").status, 200);
    assert_eq!(site.get("http://another.example/album", "").field("Location"), Some("/album/"));
    assert_eq!(site.raw(b"GET http://a/a.jpg HTTP/1.1\r\n\r\n").status, 400, "the Host is still required");
    assert_eq!(site.get("ftp://localhost/a.jpg", "").status, 400);
}

#[test]
fn http_1_0_is_served_and_closes_unless_asked() {
    let site = Site::default();
    let closed = site.raw(b"GET /a.jpg HTTP/1.0\r\n\r\n");
    assert_eq!((closed.status, closed.persists, closed.field("Connection")), (200, false, Some("close")));
    let kept = site.raw(b"GET /a.jpg HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    assert_eq!((kept.status, kept.persists, kept.field("Connection")), (200, true, Some("keep-alive")));
    let both = site.raw(b"GET /a.jpg HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n");
    assert_eq!((both.persists, both.field("Connection")), (false, Some("close")));
}

#[test]
fn http_1_1_persists_unless_told() {
    let kept = Site::default().get("/a.jpg", "");
    assert_eq!((kept.persists, kept.field("Connection")), (true, None));
    for lines in
        ["Connection: close\r\n", "Connection: x, CLOSE\r\n", "Connection: x\r\nConnection: close\r\n"]
    {
        let closed = Site::default().get("/a.jpg", lines);
        assert_eq!((closed.persists, closed.field("Connection")), (false, Some("close")), "{lines}");
    }
}

#[test]
fn another_version_is_505_and_nonsense_400_and_both_close() {
    let rows = [
        ("GET / HTTP/2.0", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/3.0", 505),
        ("GET / http/1.1", 400),
        ("GET / HTTP/11", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET / HTTP/1.10", 400),
        ("GET / HTTP/x.y", 400),
        ("GET / FTP/1.0", 400),
        ("GET /", 400),
        ("GET / b HTTP/1.1", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET / nonsense", 400),
    ];
    for (line, expected) in rows {
        let response = Site::default().raw(format!("{line}\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!((response.status, response.persists), (expected, false), "{line}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let received = b"\r\nGET /a.jpg HTTP/1.1\r\nHost: a\r\n\r\n\
        HEAD /a.jpg HTTP/1.1\r\nHost: a\r\n\r\n\r\n\
        GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n\
        DELETE /a.jpg HTTP/1.1\r\nHost: a\r\n\r\n\
        GET /a.html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n\
        GET /never HTTP/1.1\r\nHost: a\r\n\r\n";
    let statuses: Vec<u16> = Site::default().converse(received).iter().map(|r| r.status).collect();
    assert_eq!(statuses, [200, 200, 404, 405, 200]);
}

#[test]
fn bare_line_feeds_end_lines_of_a_head() {
    let response =
        Site::default().raw(format!("GET /a.jpg HTTP/1.1\nHost: a\nIf-None-Match: {TAG}\n\n").as_bytes());
    assert_eq!(response.status, 304, "RFC 9112 section 2.2 allows it, and people type requests by hand");
}
