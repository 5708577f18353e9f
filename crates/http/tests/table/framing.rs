//! What must be beyond doubt in a head, what becomes of bodies, and the bounds.

use super::common::Site;
use annulus_http::{HeadParser, Limits, Parsed, Status};

/// Each is 400, and nothing behind it is read.
#[test]
fn what_smugglers_send_is_400_and_closes() {
    let rows: [(&str, &[u8]); 20] = [
        ("both lengths", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("both lengths, other order", b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        ("repeated length", b"Content-Length: 5\r\nContent-Length: 5\r\n"),
        ("list of lengths", b"Content-Length: 5, 5\r\n"),
        ("signed length", b"Content-Length: +5\r\n"),
        ("negative length", b"Content-Length: -5\r\n"),
        ("hexadecimal length", b"Content-Length: 0x5\r\n"),
        ("empty length", b"Content-Length:\r\n"),
        ("length that overflows", b"Content-Length: 18446744073709551616\r\n"),
        ("chunked twice", b"Transfer-Encoding: chunked, chunked\r\n"),
        ("not chunked at the end", b"Transfer-Encoding: chunked, identity\r\n"),
        ("another coding", b"Transfer-Encoding: xchunked\r\n"),
        ("blank before the colon", b"Content-Length : 5\r\n"),
        ("blank before the name", b" X: y\r\n"),
        ("folded line", b"X: y\r\n z\r\n"),
        ("bare CR in a value", b"X: y\rz\r\n"),
        ("bare CR as a line end", b"X: y\rTransfer-Encoding: chunked\r\n"),
        ("NUL in a value", b"X: y\0z\r\n"),
        ("NUL in a name", b"X\0: y\r\n"),
        ("no colon", b"X\r\n"),
    ];
    for (what, lines) in rows {
        let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let request = [b"GET /a.jpg HTTP/1.1\r\nHost: a\r\n", lines, b"\r\n", smuggled].concat();
        let response = Site::default().raw(&request);
        assert_eq!((response.status, response.persists), (400, false), "{what}");
        assert_eq!(response.field("Connection"), Some("close"), "{what}");
    }
}

#[test]
fn control_characters_in_the_request_line_are_400() {
    for line in [
        &b"GET /a\0b HTTP/1.1"[..],
        b"GET /a\rb HTTP/1.1",
        b"GET\t/a HTTP/1.1",
        b"GET /a\x7f HTTP/1.1",
        b"\x16\x03\x01\x02\x00",
    ] {
        let response = Site::default().raw(&[line, b"\r\nHost: a\r\n\r\n"].concat());
        assert_eq!((response.status, response.persists), (400, false), "{:?}", String::from_utf8_lossy(line));
    }
}

#[test]
fn a_transfer_coding_that_is_not_spoken_is_501_and_closes() {
    let response = Site::default().get("/a.jpg", "Transfer-Encoding: gzip, chunked\r\n");
    assert_eq!((response.status, response.persists), (501, false));
    let response = Site::default().raw(b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!((response.status, response.persists), (400, false));
}

#[test]
fn a_body_on_get_is_dropped_and_the_next_request_found() {
    let received =
        b"GET /a.jpg HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: \
        GET /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        1b;x=y\r\nGET /smuggled HTTP/1.1\r\n\r\n\n\r\n0\r\nTrailer: z\r\n\r\n\
        GET /a.html HTTP/1.1\r\nHost: a\r\n\r\n";
    let statuses: Vec<u16> = Site::default().converse(received).iter().map(|r| r.status).collect();
    assert_eq!(statuses, [200, 404, 200]);
}

#[test]
fn a_body_on_a_refused_method_is_dropped_too() {
    let received = b"POST /a.jpg HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde\
        GET /a.html HTTP/1.1\r\nHost: a\r\n\r\n";
    let statuses: Vec<u16> = Site::default().converse(received).iter().map(|r| r.status).collect();
    assert_eq!(statuses, [405, 200]);
}

#[test]
fn a_body_beyond_the_bound_closes() {
    let site = Site::default();
    let get = site.raw(
        b"GET /a.jpg HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!((get.status, get.persists), (413, false));
    let post = site.raw(b"POST /a.jpg HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n");
    assert_eq!((post.status, post.persists, post.field("Allow")), (405, false, Some("GET, HEAD, OPTIONS")));
    let mut chunks = b"GET /a.jpg HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    chunks.extend(b"1\r\nx\r\n".repeat(11_000));
    let chunked = site.raw(&chunks);
    assert_eq!((chunked.status, chunked.persists), (413, false), "one byte in each chunk");
}

#[test]
fn malformed_chunks_are_400_and_close() {
    let received =
        b"GET /a.jpg HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nabcde\r\n0\r\n\r\n";
    let response = Site::default().raw(received);
    assert_eq!((response.status, response.persists), (400, false));
}

#[test]
fn expect_100_continue_is_met_when_a_body_is_to_be_read() {
    let site = Site::default();
    let expecting = "Expect: 100-Continue\r\nContent-Length: 5\r\n";
    let received = format!("GET /a.jpg HTTP/1.1\r\nHost: a\r\n{expecting}\r\nabcde");
    let response = site.raw(received.as_bytes());
    assert_eq!((response.status, response.continued, response.persists), (200, true, true));
    let response = site.get("/a.jpg", "Expect: 100-continue\r\n");
    assert_eq!((response.status, response.continued), (200, false), "no body, nothing to wait for");
    let response = site.ask("PUT", "/a.jpg", expecting);
    assert_eq!(
        (response.status, response.continued, response.persists),
        (405, false, false),
        "the answer is final"
    );
    let in_1_0 = site.raw(format!("GET /a.jpg HTTP/1.0\r\n{expecting}\r\nabcde").as_bytes());
    assert_eq!((in_1_0.status, in_1_0.continued), (200, false), "HTTP/1.0 knows no expectations");
}

#[test]
fn any_other_expectation_is_417() {
    let site = Site::default();
    let response = site.get("/a.jpg", "Expect: a-miracle\r\n");
    assert_eq!((response.status, response.persists), (417, true));
    assert_eq!(site.get("/a.jpg", "Expect: 100-continue, x\r\n").status, 417);
    let with_body = site.get("/a.jpg", "Expect: x\r\nContent-Length: 5\r\n");
    assert_eq!((with_body.status, with_body.persists), (417, false));
    assert_eq!(site.raw(b"GET /a.jpg HTTP/1.0\r\nExpect: x\r\n\r\n").status, 200);
}

#[test]
fn a_target_over_8_kib_is_414_and_closes() {
    let site = Site::default();
    let longest = format!("/{}", "a".repeat(8191));
    assert_eq!(site.get(&longest, "").status, 404);
    let response = site.get(&format!("{longest}a"), "");
    assert_eq!((response.status, response.persists), (414, false));
    let response = site.raw(&[b"GET /", &b"a".repeat(9000)[..]].concat());
    assert_eq!((response.status, response.persists), (414, false), "told before the line has ended");
}

#[test]
fn headers_over_32_kib_are_431_and_close() {
    let site = Site::default();
    // `Host: localhost`, `X: `, three line ends and the empty line are the other 24 bytes.
    let fits = format!("X: {}\r\n", "y".repeat(32_768 - 24));
    assert_eq!(site.get("/a.jpg", &fits).status, 200);
    let response = site.get("/a.jpg", &format!("X: {}\r\n", "y".repeat(32_768 - 23)));
    assert_eq!((response.status, response.persists), (431, false));
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(40_000));
    assert_eq!(site.raw(endless.as_bytes()).status, 431, "told before the line has ended");
}

#[test]
fn over_100_header_lines_are_431_and_close() {
    let site = Site::default();
    assert_eq!(site.get("/a.jpg", &"X: y\r\n".repeat(99)).status, 200, "with Host they are 100");
    let response = site.get("/a.jpg", &"X: y\r\n".repeat(100));
    assert_eq!((response.status, response.persists), (431, false));
}

#[test]
fn endless_empty_lines_are_no_request() {
    assert_eq!(Site::default().raw(&b"\r\n".repeat(100)).status, 400);
    assert_eq!(Site::default().converse(b"\r\n\r\n").len(), 0, "a few are ignored");
}

#[test]
fn a_line_that_trickles_in_without_end_is_refused_at_the_limit() {
    let limits = Limits { max_header_bytes: 100, ..Limits::default() };
    let received = [&b"GET / HTTP/1.1\r\nX: "[..], &b"y".repeat(200)].concat();
    let mut parser = HeadParser::default();
    let refused = (1..=received.len()).find_map(|end| match parser.parse(&received[..end], &limits) {
        Parsed::Rejected(why) => Some((end, why.status)),
        Parsed::Partial => None,
        Parsed::Complete { .. } => unreachable!("the head never ends"),
    });
    assert_eq!(refused, Some((16 + 100, Status::RequestHeaderFieldsTooLarge)));
}
