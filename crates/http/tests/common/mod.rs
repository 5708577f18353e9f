//! A server without sockets and files: it carries out what the crate decides over a few files in memory.
//!
//! It takes no decision of its own, so what the tests see is what `begin`, `respond` and the writer of heads do.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of it")]

use annulus_http::{
    Body, CONTINUE, DateText, Facts, Failure, HeadParser, Kind, Limits, Mtime, Next, Page, Parsed, Plan,
    Policy, RequestHead, Segment, Target, Timestamp, begin, content_type_of, is_compressible,
    preferred_codings, respond, respond_failure, respond_file, respond_page,
};

/// What `/a.jpg` holds: 1000 bytes, each telling its place.
pub fn photo() -> Vec<u8> {
    (0..1000_u32).map(|place| u8::try_from(place % 251).expect("below 251")).collect()
}

/// When all files were changed: Sun, 06 Nov 1994 08:49:37 GMT and some nanoseconds.
pub const CHANGED: Mtime = Mtime { seconds: 784_111_777, nanoseconds: 0xabc };
pub const CHANGED_DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
/// The tag of `/a.jpg`: its time, its size 0x3e8 and its inode.
pub const TAG: &str = "\"2ebc98a1-abc-3e8-7\"";
/// When everything is asked.
pub const NOW_DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

/// The server.
pub struct Site {
    pub policy: Policy,
    pub limits: Limits,
    pub now: Timestamp,
}

impl Default for Site {
    fn default() -> Self {
        let now = Timestamp::from_unix(1_700_000_000).expect("inside of the calendar");
        Self { policy: Policy::default(), limits: Limits::default(), now }
    }
}

/// One response, taken apart again.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether `100 Continue` went before it.
    pub continued: bool,
    /// Whether the connection goes on.
    pub persists: bool,
}

impl Response {
    /// The field's value; the test fails if it stands there twice.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} stands twice in {:?}", self.fields);
        value
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Site {
    /// The response to `GET target` with these further header lines.
    pub fn get(&self, target: &str, lines: &str) -> Response {
        self.ask("GET", target, lines)
    }

    /// The only response to this request in HTTP/1.1.
    pub fn ask(&self, method: &str, target: &str, lines: &str) -> Response {
        self.raw(format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").as_bytes())
    }

    /// The only response to these bytes.
    pub fn raw(&self, received: &[u8]) -> Response {
        let mut responses = self.converse(received);
        assert_eq!(responses.len(), 1, "{responses:?} to {:?}", String::from_utf8_lossy(received));
        responses.remove(0)
    }

    /// All responses to what one connection brings.
    pub fn converse(&self, mut received: &[u8]) -> Vec<Response> {
        let mut responses = Vec::new();
        while let Some((response, used)) = self.serve(received) {
            received = &received[used..];
            let persists = response.persists;
            responses.push(response);
            if !persists {
                break;
            }
        }
        responses
    }

    fn serve(&self, received: &[u8]) -> Option<(Response, usize)> {
        match HeadParser::default().parse(received, &self.limits) {
            Parsed::Partial => None,
            Parsed::Rejected(why) => Some((carry_out(&Plan::rejected(&why, &self.policy), &[], self.now), 0)),
            Parsed::Complete { head, consumed } => self.serve_head(&head, received, consumed),
        }
    }

    fn serve_head(
        &self,
        head: &RequestHead<'_>,
        received: &[u8],
        mut used: usize,
    ) -> Option<(Response, usize)> {
        let start = begin(head, &self.policy, &self.limits);
        if let Some(mut drain) = start.drain {
            match drain.feed(&received[used..]) {
                Ok(drained) if !drained.done => return None,
                Ok(drained) => used += drained.consumed,
                Err(why) => {
                    return Some((carry_out(&Plan::rejected(&why, &self.policy), &[], self.now), used));
                }
            }
        }
        let mut response = match start.next {
            Next::Answer(plan) => carry_out(&plan, &[], self.now),
            Next::Open(target) => self.serve_target(head, &target),
        };
        response.continued = start.send_continue;
        Some((response, used))
    }

    fn serve_target(&self, head: &RequestHead<'_>, target: &Target<'_>) -> Response {
        let (policy, now) = (&self.policy, self.now);
        let path = String::from_utf8_lossy(target.path()).into_owned();
        let name = target.file_name().unwrap_or_default();
        let directory = Facts::directory();
        match path.as_str() {
            "" | "album" | "evil.com" if target.has_trailing_slash() => {
                let page = Page {
                    content_type: content_type_of(b"listing.html"),
                    body: b"<!doctype html><title>album</title>".into(),
                    vary: None,
                };
                carry_out(&respond_page(head, page, policy), &[], now)
            }
            "" | "album" | "evil.com" => carry_out(&respond(head, target, &directory, policy, now), &[], now),
            "gallery" if target.has_trailing_slash() => {
                let index = b"<!doctype html><title>index</title>";
                let facts = Facts::file(index.len() as u64, CHANGED, 9, content_type_of(b"index.html"));
                carry_out(&respond_file(head, &facts, policy, now), index, now)
            }
            "fifo" => {
                let facts = Facts { kind: Kind::Other, ..Facts::directory() };
                carry_out(&respond(head, target, &facts, policy, now), &[], now)
            }
            "locked.jpg" => carry_out(&respond_failure(head, Failure::from_errno(13), policy), &[], now),
            "crowded.jpg" => carry_out(&respond_failure(head, Failure::from_errno(24), policy), &[], now),
            _ => match file(&path, head, name) {
                Some((facts, content)) => {
                    carry_out(&respond(head, target, &facts, policy, now), &content, now)
                }
                None => carry_out(&respond_failure(head, Failure::from_errno(2), policy), &[], now),
            },
        }
    }
}

/// The file of this path, or the best of its precompressed siblings.
fn file(path: &str, head: &RequestHead<'_>, name: &[u8]) -> Option<(Facts<'static>, Vec<u8>)> {
    let content = match path {
        "a.jpg" | ".hidden.jpg" | "album/b c.jpg" => photo(),
        "empty.jpg" => Vec::new(),
        "a.html" => b"<!doctype html><title>a</title>".into(),
        "page.html" => vec![b'x'; 500],
        _ => return None,
    };
    let content_type = content_type_of(name);
    if path == "page.html" && is_compressible(&content_type) {
        let has_sibling = |suffix: &str| matches!(suffix, ".br" | ".gz");
        let coding = preferred_codings(&head.headers).find(|coding| has_sibling(coding.suffix()));
        let content = coding.map_or(content, |coding| coding.suffix().repeat(10).into_bytes());
        let facts = Facts::file(content.len() as u64, CHANGED, 8, content_type);
        return Some((Facts { coding, negotiated: true, ..facts }, content));
    }
    Some((Facts::file(content.len() as u64, CHANGED, 7, content_type), content))
}

/// Sends a plan, as a server does, and reads it again.
fn carry_out(plan: &Plan<'_>, file: &[u8], now: Timestamp) -> Response {
    let date: DateText = now.text();
    let mut head = Vec::new();
    plan.write_head(&mut head, &date);
    let mut body = Vec::new();
    let slice = |range: annulus_http::ByteRange| {
        let ends = [range.start, range.end()].map(|end| usize::try_from(end).expect("a small file"));
        &file[ends[0]..ends[1]]
    };
    match &plan.body {
        Body::None => {}
        Body::Whole(len) => {
            assert_eq!(*len, file.len() as u64);
            body.extend_from_slice(file);
        }
        Body::Slice(range) => body.extend_from_slice(slice(*range)),
        Body::Multipart(parts) => parts.segments().for_each(|segment| match segment {
            Segment::Text(text) => body.extend_from_slice(&text),
            Segment::File(range) => body.extend_from_slice(slice(range)),
        }),
        Body::Text(text) => body.extend_from_slice(text),
    }
    assert_eq!(body.len() as u64, plan.body.len());
    read_back(&head, body, plan.persists())
}

fn read_back(head: &[u8], body: Vec<u8>, persists: bool) -> Response {
    let head = std::str::from_utf8(head).expect("a head is ASCII");
    assert_eq!(CONTINUE, b"HTTP/1.1 100 Continue\r\n\r\n");
    let mut lines = head.strip_suffix("\r\n\r\n").expect("an empty line ends the head").split("\r\n");
    let status_line = lines.next().expect("a status line");
    assert!(status_line.starts_with("HTTP/1.1 "), "{status_line}");
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(": ").expect("a colon in each line");
        (name.to_owned(), value.to_owned())
    });
    let status = status_line[9..12].parse().expect("three digits");
    Response { status, fields: fields.collect(), body, continued: false, persists }
}
