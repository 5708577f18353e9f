//! Requests and their answers over a real socket: a sample of each row of the table that `annulus_http` tests in full.

use std::fs::File;
use std::io::Read as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::site::{Client, Site, noise};
use annulus_serve::LogTarget;

fn site() -> Site {
    let site = Site::start(|_| {});
    site.write("a.txt", "0123456789");
    site.write("album/b.jpg", noise(1000));
    site
}

#[test]
fn get_head_and_options_are_answered_with_every_header() {
    let site = site();
    let modified = UNIX_EPOCH + Duration::from_secs(1_784_808_000);
    File::options()
        .write(true)
        .open(site.path("a.txt"))
        .and_then(|f| f.set_modified(modified))
        .expect("dated");
    let mut client = site.client();

    let got = client.ask("GET", "/a.txt", "");
    assert_eq!((got.status, got.text().as_str()), (200, "0123456789"));
    assert_eq!(got.header("Content-Type"), "text/plain; charset=utf-8");
    assert_eq!(got.header("Content-Length"), "10");
    assert_eq!(got.header("Accept-Ranges"), "bytes");
    assert_eq!(got.header("Server"), "annulus");
    assert_eq!(got.header("X-Content-Type-Options"), "nosniff");
    assert_eq!(got.header("Last-Modified"), "Thu, 23 Jul 2026 12:00:00 GMT");
    assert_eq!(got.header("Cache-Control"), "max-age=3600");
    assert!(got.header("ETag").starts_with('"'), "strong: {}", got.header("ETag"));
    assert!(got.header("Date").ends_with(" GMT"));

    let head = client.ask("HEAD", "/a.txt", "");
    let without_date = |headers: &[(String, String)]| {
        headers.iter().filter(|(name, _)| name != "Date").cloned().collect::<Vec<_>>()
    };
    assert_eq!((head.status, without_date(&head.headers)), (200, without_date(&got.headers)));

    for target in ["/a.txt", "*"] {
        let options = client.ask("OPTIONS", target, "");
        assert_eq!((options.status, options.header("Allow")), (204, "GET, HEAD, OPTIONS"));
    }
}

#[test]
fn other_methods_are_refused_and_the_connection_goes_on() {
    let site = site();
    let mut client = site.client();
    let delete = client.ask("DELETE", "/a.txt", "");
    assert_eq!((delete.status, delete.header("Allow")), (405, "GET, HEAD, OPTIONS"));
    assert_eq!(client.ask("BREW", "/a.txt", "").status, 501);
    assert_eq!(client.ask("GET", "/a.txt", "").status, 200);
}

#[test]
fn a_body_is_dropped_and_the_next_request_is_found_behind_it() {
    let site = site();
    let mut client = site.client();
    client.send("GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 32\r\n\r\nGET /smuggled HTTP/1.1\r\n");
    client.send("Host: a\nGET /album/b.jpg HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response("GET").status, 200);
    let next = client.response("GET");
    assert!(next.body == noise(1000), "{}", next.status);

    client.send("POST /a.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n");
    client.send("0\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response("POST").status, 405);
    assert_eq!(client.response("GET").status, 200);
}

#[test]
fn a_client_that_waits_for_100_is_told_to_go_on_only_if_the_body_is_wanted() {
    let site = site();
    let mut client = site.client();
    client.request("GET", "/a.txt", "Content-Length: 3\r\nExpect: 100-continue\r\n");
    assert_eq!(client.response("GET").status, 100);
    client.send("abc");
    assert_eq!(client.response("GET").status, 200);

    assert_eq!(client.ask("GET", "/a.txt", "Expect: a-miracle\r\n").status, 417);

    let mut client = site.client();
    let too_much = client.ask("GET", "/a.txt", "Content-Length: 9999999\r\nExpect: 100-continue\r\n");
    assert_eq!((too_much.status, too_much.header("Connection")), (413, "close"));
    client.assert_closed();
}

#[test]
fn what_is_no_request_is_answered_and_closed() {
    let site = site();
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(101));
    let cases: [(&str, u16); 9] = [
        ("GET /a.txt HTTP/1.1\r\n\r\n", 400),
        ("GET /a.txt HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /a.txt HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET /a.txt HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03", 400),
        (&long, 414),
        (&many, 431),
    ];
    for (request, status) in cases {
        let mut client = site.client();
        client.send(request);
        let response = client.response("GET");
        assert_eq!((response.status, response.header("Connection")), (status, "close"), "{request:?}");
        client.assert_closed();
    }
}

#[test]
fn the_answer_arrives_although_the_client_is_still_sending() {
    let site = site();
    let mut client = site.client();
    client.send(format!(
        "POST /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n{}",
        "x".repeat(400_000)
    ));
    let response = client.response("POST");
    assert_eq!((response.status, response.header("Connection")), (405, "close"));
    // Closing on top of what was not read would reset the connection, and many a client would lose the answer by it.
    let end = client.stream.read(&mut [0]).expect("the end of the stream, and no reset");
    assert_eq!(end, 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let site = site();
    for index in 0..50 {
        site.write(&format!("{index}.txt"), format!("file {index}"));
    }
    let mut client = site.client();
    let requests: Vec<String> =
        (0..50).map(|i| format!("GET /{i}.txt HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(requests.concat());
    for index in 0..50 {
        assert_eq!(client.response("GET").text(), format!("file {index}"));
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let site = site();
    let mut client = site.client();
    for byte in b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response("GET").text(), "0123456789");
}

#[test]
fn http_1_0_closes_unless_it_asks_to_go_on() {
    let site = site();
    let mut client = site.client();
    client.send("GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let first = client.response("GET");
    assert_eq!((first.status, first.header("Connection")), (200, "keep-alive"));
    client.send("GET /a.txt HTTP/1.0\r\n\r\n");
    let last = client.response("GET");
    assert_eq!((last.text().as_str(), last.header("Connection")), ("0123456789", "close"));
    client.assert_closed();
}

#[test]
fn an_absolute_target_is_served() {
    let site = site();
    assert_eq!(site.get("http://example.test/a.txt", "").text(), "0123456789");
}

#[test]
fn conditions_are_evaluated_against_the_file() {
    let site = site();
    let mut client = site.client();
    let got = client.ask("GET", "/a.txt", "");
    let (etag, modified) = (got.header("ETag"), got.header("Last-Modified"));
    let cases = [
        (format!("If-None-Match: {etag}\r\n"), 304),
        (format!("If-None-Match: \"other\", W/{etag}\r\n"), 304),
        ("If-None-Match: *\r\n".to_owned(), 304),
        ("If-None-Match: \"other\"\r\n".to_owned(), 200),
        (format!("If-Modified-Since: {modified}\r\n"), 304),
        (format!("If-None-Match: \"other\"\r\nIf-Modified-Since: {modified}\r\n"), 200),
        ("If-Modified-Since: yesterday\r\n".to_owned(), 200),
        (format!("If-Match: {etag}\r\n"), 200),
        ("If-Match: \"other\"\r\n".to_owned(), 412),
        ("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n".to_owned(), 412),
    ];
    for (headers, status) in cases {
        assert_eq!(client.ask("GET", "/a.txt", &headers).status, status, "{headers}");
    }
    // The entity tag is that of this content, not of this name.
    std::fs::rename(site.path("album/b.jpg"), site.path("a.txt")).expect("replaced");
    assert_eq!(client.ask("GET", "/a.txt", &format!("If-None-Match: {etag}\r\n")).status, 200);
}

#[test]
fn the_best_precompressed_sibling_is_sent() {
    let site = Site::start(|_| {});
    site.write("page.html", "plain");
    site.write("page.html.gz", "gzipped");
    site.write("page.html.br", "brotli");
    site.write("photo.jpg", "photo");
    site.write("photo.jpg.gz", "never looked at");
    let get = |path: &str, accepts: &str| site.get(path, &format!("Accept-Encoding: {accepts}\r\n"));

    let brotli = get("/page.html", "gzip, br");
    assert_eq!((brotli.text().as_str(), brotli.header("Content-Encoding")), ("brotli", "br"));
    assert_eq!(brotli.header("Content-Type"), "text/html; charset=utf-8");
    assert_eq!(brotli.header("Vary"), "Accept-Encoding");
    let gzip = get("/page.html", "gzip, br;q=0");
    assert_eq!((gzip.text().as_str(), gzip.header("Content-Encoding")), ("gzipped", "gzip"));
    let plain = get("/page.html", "zstd");
    assert_eq!((plain.text().as_str(), plain.find("Content-Encoding")), ("plain", None));
    assert_eq!(plain.header("Vary"), "Accept-Encoding");
    assert_ne!(plain.header("ETag"), gzip.header("ETag"));
    let photo = get("/photo.jpg", "gzip");
    assert_eq!((photo.text().as_str(), photo.find("Vary")), ("photo", None));

    let part = site.get("/page.html", "Accept-Encoding: gzip\r\nRange: bytes=0-3\r\n");
    assert_eq!(
        (part.status, part.text().as_str(), part.header("Content-Range")),
        (206, "gzip", "bytes 0-3/7")
    );
}

#[test]
fn a_file_that_opens_and_cannot_be_read_is_answered_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("access.log");
    // The loopback device has no speed: the kernel says so by EINVAL when it is read, although the file has a size.
    let mut site = Site::start(|config| {
        config.root = "/sys/devices/virtual/net/lo".into();
        config.log = LogTarget::File(log.clone());
    });
    let mut client = site.client();
    let response = client.ask("GET", "/speed", "");
    assert_eq!(
        (response.status, response.text().as_str()),
        (500, "500 Internal Server Error: the file could not be read\n")
    );
    assert_eq!(client.ask("HEAD", "/speed", "").status, 200, "the connection goes on");
    drop(client);
    site.stop();
    let log = std::fs::read_to_string(&log).expect("written");
    let first = log.lines().next().expect("a line");
    assert!(
        first.ends_with("ms failed: the file could not be read: Invalid argument (os error 22)"),
        "{first}"
    );
}

#[test]
fn each_response_has_a_line_in_the_log() {
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("access.log");
    let mut site = Site::start(|config| config.log = LogTarget::File(log.clone()));
    site.write("a.txt", "0123456789");
    let mut client = site.client();
    client.ask("GET", "/a.txt", "");
    client.ask("HEAD", "/a.txt", "");
    client.ask("GET", "/a.txt", "Range: bytes=2-4\r\n");
    client.ask("GET", "/m%0Aissing?x=\"\\", "");
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.response("GET").status, 400);
    drop(client);
    site.stop();

    let text = std::fs::read_to_string(&log).expect("written");
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            assert_eq!(fields.len(), 7, "{line}");
            assert!(fields[0].ends_with('Z') && fields[6].ends_with("ms"), "{line}");
            fields[1..6].join(" ")
        })
        .collect();
    let missing = lines[3].split(' ').nth(4).expect("a count").to_owned();
    assert_eq!(
        lines,
        [
            "127.0.0.1 GET /a.txt 200 10",
            "127.0.0.1 HEAD /a.txt 200 0",
            "127.0.0.1 GET /a.txt 206 3",
            &format!("127.0.0.1 GET /m%0Aissing?x=%22%5C 404 {missing}"),
            &lines[4].clone(),
        ]
    );
    assert!(lines[4].starts_with("127.0.0.1 - - 400 "), "{}", lines[4]);
}

#[test]
fn dates_are_of_today() {
    let site = site();
    let date = site.get("/a.txt", "").header("Date").to_owned();
    #[expect(clippy::disallowed_methods, reason = "compares the server's clock with the machine's")]
    let now = SystemTime::now();
    let told = annulus_serve::http::Timestamp::parse(date.as_bytes()).expect("a date").unix();
    let now = now.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(told.abs_diff(now) <= 60, "{date}");
}

#[test]
fn two_hundred_connections_may_be_open_at_once() {
    let site = site();
    let mut clients: Vec<Client> = (0..200).map(|_| site.client()).collect();
    for client in &mut clients {
        client.request("GET", "/a.txt", "");
    }
    for client in clients.iter_mut().rev() {
        assert_eq!(client.response("GET").text(), "0123456789");
    }
}
