//! HTTP/1.1 for a server of files, as pure functions: heads, targets, conditions, ranges, dates, responses.
//!
//! No I/O, no clock, no thread, no unsafe: bytes and facts come in, a decision goes out, and the time is an argument.
//! Bodies of files are never seen here; a [`Plan`] says which of their bytes to send.
//!
//! # What a server does with it
//!
//! ```text
//!   receive ─▶ HeadParser::parse ─▶ Partial: receive more
//!                  │       └─────▶ Rejected: send Plan::rejected, close
//!                  ▼ Complete
//!               begin ─▶ drain: send CONTINUE if send_continue, then Drain::feed until done
//!                  │            (its error: send Plan::rejected, close)
//!                  ├───▶ Next::Answer(plan)
//!                  ▼ Next::Open(target)
//!         openat2 + statx ─▶ failed: respond_failure(Failure::from_errno)
//!                  ├───▶ file, directory without slash: respond
//!                  └───▶ directory with slash: respond_file for its index, or respond_page for a listing
//!                  ▼
//!         Plan: write_head, then the Body; log; persists() ? parse again behind `consumed` : close
//! ```
//!
//! One request, complete. The file system is a match here; everything else is as in a server:
//!
//! ```
//! use annulus_http::{
//!     begin, content_type_of, parse, respond, respond_failure, Body, DateCache, Facts, Failure, Limits, Mtime, Next,
//!     Parsed, Plan, Policy, Segment, Timestamp,
//! };
//!
//! /// Answers the request at the beginning of `received` into `out`; tells how much of it was used, and whether the
//! /// connection goes on. `None`: receive more.
//! fn serve(received: &[u8], out: &mut Vec<u8>, dates: &mut DateCache, now: Timestamp) -> Option<(usize, bool)> {
//!     let (limits, policy) = (Limits::default(), Policy::default());
//!     let (head, mut used) = match parse(received, &limits) {
//!         Parsed::Partial => return None,
//!         Parsed::Rejected(why) => {
//!             let plan = Plan::rejected(&why, &policy);
//!             plan.write_head(out, dates.at(now));
//!             if let Body::Text(text) = &plan.body {
//!                 out.extend_from_slice(text);
//!             }
//!             return Some((received.len(), false));
//!         }
//!         Parsed::Complete { head, consumed } => (head, consumed),
//!     };
//!
//!     let start = begin(&head, &policy, &limits);
//!     if let Some(mut drain) = start.drain {
//!         let drained = drain.feed(&received[used..]).ok()?; // a server answers the error
//!         used += drained.consumed;
//!         if !drained.done {
//!             return None; // a server receives more and feeds it
//!         }
//!     }
//!
//!     let photo = b"\xff\xd8 not much of a photo \xff\xd9";
//!     let facts; // lives as long as the plan
//!     let plan = match start.next {
//!         Next::Answer(plan) => plan,
//!         Next::Open(target) => match target.path() {
//!             b"album/photo.jpg" => {
//!                 let mtime = Mtime { seconds: 1_700_000_000, nanoseconds: 5 };
//!                 facts = Facts::file(photo.len() as u64, mtime, 42, content_type_of(b"photo.jpg"));
//!                 respond(&head, &target, &facts, &policy, now)
//!             }
//!             b"album" => {
//!                 facts = Facts::directory();
//!                 respond(&head, &target, &facts, &policy, now)
//!             }
//!             _ => respond_failure(&head, Failure::NotFound, &policy),
//!         },
//!     };
//!
//!     plan.write_head(out, dates.at(now));
//!     match &plan.body {
//!         Body::None => {}
//!         Body::Whole(len) => out.extend_from_slice(&photo[..*len as usize]),
//!         Body::Slice(range) => out.extend_from_slice(&photo[range.start as usize..range.end() as usize]),
//!         Body::Multipart(parts) => {
//!             for segment in parts.segments() {
//!                 match segment {
//!                     Segment::Text(text) => out.extend_from_slice(&text),
//!                     Segment::File(range) => {
//!                         out.extend_from_slice(&photo[range.start as usize..range.end() as usize]);
//!                     }
//!                 }
//!             }
//!         }
//!         Body::Text(text) => out.extend_from_slice(text),
//!     }
//!     Some((used, plan.persists()))
//! }
//!
//! let now = Timestamp::from_unix(1_700_000_100).unwrap();
//! let mut out = Vec::new();
//! let request = b"GET /album/photo.jpg HTTP/1.1\r\nHost: localhost\r\nRange: bytes=-2\r\n\r\n";
//! let served = serve(request, &mut out, &mut DateCache::default(), now);
//! assert_eq!(served, Some((request.len(), true)));
//! assert_eq!(
//!     String::from_utf8_lossy(&out[..out.len() - 2]),
//!     "HTTP/1.1 206 Partial Content\r\n\
//!      Date: Tue, 14 Nov 2023 22:15:00 GMT\r\n\
//!      Server: annulus\r\n\
//!      X-Content-Type-Options: nosniff\r\n\
//!      Content-Type: image/jpeg\r\n\
//!      Content-Length: 2\r\n\
//!      Content-Range: bytes 23-24/25\r\n\
//!      Accept-Ranges: bytes\r\n\
//!      ETag: \"6553f100-5-19-2a\"\r\n\
//!      Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
//!      Cache-Control: max-age=3600\r\n\r\n",
//! );
//! assert_eq!(out[out.len() - 2..], *b"\xff\xd9");
//! ```
//!
//! # What the caller owes
//!
//! - A receive buffer of [`Limits::max_head_bytes`], and the same beginning at each [`HeadParser::parse`] until it
//!   answers. What stands behind `consumed` belongs to the body or to the next request: answer in order.
//! - The path is safe by its characters; symbolic links are not seen here. Open [`Target::open_path`] with
//!   `openat2(RESOLVE_BENEATH)`.
//! - Precompressed siblings: if [`is_compressible`], try [`preferred_codings`] in order ([`Coding::suffix`]), and give
//!   [`respond`] the facts of the one that exists, with `content_type` of the original name, `coding` set, and
//!   `negotiated` set if there is any sibling.
//! - Closing after an unread body: shut the sending side down and read on for a moment, or the client's kernel throws
//!   the response away with the reset.
//! - A file that ends before the plan does: close the connection, never pad.
//! - Waiting: [`Watch`] says until when. Connections: [`Admission`] says how many.

mod admission;
mod body;
mod conditional;
mod content_type;
mod date;
mod encoding;
mod etag;
mod field;
mod headers;
mod limits;
mod method;
mod multipart;
mod patience;
mod plan;
mod policy;
mod range;
mod rejection;
mod request;
mod respond;
mod response;
mod start;
mod status;
mod target;

pub use admission::{Admission, AdmissionLimits, Refused};
pub use body::{Drain, Drained, Framing};
pub use conditional::{Validators, Verdict, evaluate, range_may_be_honoured};
pub use content_type::{content_type_of, is_compressible, is_html};
pub use date::{DateCache, DateText, Timestamp};
pub use encoding::{Coding, preferred_codings};
pub use etag::{ETag, Mtime};
pub use field::{Field, FieldValue, InvalidField};
pub use headers::{Headers, Name};
pub use limits::Limits;
pub use method::Method;
pub use multipart::{Multipart, Segment, Segments};
pub use patience::{Cut, MinRate, Patience, Watch};
pub use plan::{Body, Plan};
pub use policy::{CacheRules, Facts, Failure, Kind, Policy};
pub use range::{ByteRange, MAX_RANGES, Ranges, Selection, select};
pub use rejection::Rejection;
pub use request::{Connection, HeadParser, Parsed, RequestHead, Version, parse};
pub use respond::{Page, respond, respond_failure, respond_file, respond_page};
pub use response::{CONTINUE, ContentRange, ResponseHead};
pub use start::{Next, Start, begin};
pub use status::Status;
pub use target::{Target, TargetError, encode_component};
