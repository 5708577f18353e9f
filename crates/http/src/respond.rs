//! The second decision: the response, once it is known what the target names.
//!
//! Pure functions of the request, the facts and the time. They do not open, read or list anything.

use crate::conditional::{self, Validators, Verdict};
use crate::date::Timestamp;
use crate::encoding::Coding;
use crate::etag::ETag;
use crate::field::FieldValue;
use crate::multipart::Multipart;
use crate::plan::{Body, Plan};
use crate::policy::{Facts, Failure, Kind, Policy};
use crate::range::{self, Selection};
use crate::request::RequestHead;
use crate::response::{ContentRange, ResponseHead};
use crate::target::Target;
use crate::{Method, Name, Status};
use std::borrow::Cow;

/// A body made in memory: a listing, an album, JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// Its type, with the charset of text.
    pub content_type: FieldValue<'a>,
    /// All of it.
    pub body: Cow<'static, [u8]>,
    /// The request headers that had a say in it, such as `Accept`.
    pub vary: Option<FieldValue<'a>>,
}

/// The response for a target that has been found to be what `facts` say.
///
/// A file is answered with all that conditions and ranges demand. A directory asked for without its slash is answered
/// with a redirect; one asked for with it is the caller's to show, by a file in it (ask again with that file's facts) or
/// by [`respond_page`]: here it is not found, as is a file asked for with a slash and what is neither.
///
/// `now` keeps `Last-Modified` from lying in the future.
#[must_use]
pub fn respond<'a>(
    request: &RequestHead<'_>,
    target: &Target<'_>,
    facts: &'a Facts<'_>,
    policy: &'a Policy,
    now: Timestamp,
) -> Plan<'a> {
    match facts.kind {
        Kind::File if !target.has_trailing_slash() => respond_file(request, facts, policy, now),
        Kind::Directory if !target.has_trailing_slash() => redirect_to_slash(request, target, policy),
        Kind::File | Kind::Directory | Kind::Other => respond_failure(request, Failure::NotFound, policy),
    }
}

/// [`respond`] for a file that stands for something else than the target's own name: the index of a directory, the
/// derived image of a photo.
#[must_use]
pub fn respond_file<'a>(
    request: &RequestHead<'_>,
    facts: &'a Facts<'_>,
    policy: &'a Policy,
    now: Timestamp,
) -> Plan<'a> {
    // RFC 9110 section 8.8.2.1: a change that the file system dates later than now is dated now.
    let last_modified = Timestamp::from_unix(facts.mtime.seconds).map(|modified| modified.min(now));
    let representation = Representation {
        size: facts.size,
        content_type: facts.content_type.borrowed(),
        validators: Validators { etag: Some(facts.etag(policy)), last_modified },
        cache_control: facts.caching(policy),
        coding: facts.coding,
        vary: facts.negotiated.then_some(const { FieldValue::from_static("Accept-Encoding") }),
        body: None,
    };
    represent(request, representation, policy)
}

/// The response that shows a page made in memory. Its tag is made of its bytes, so an unchanged page is not sent again.
#[must_use]
pub fn respond_page<'a>(request: &RequestHead<'_>, page: Page<'a>, policy: &'a Policy) -> Plan<'a> {
    let representation = Representation {
        size: page.body.len() as u64,
        content_type: page.content_type,
        validators: Validators { etag: Some(ETag::of_bytes(&page.body)), last_modified: None },
        cache_control: policy.cache.html.borrowed(),
        coding: None,
        vary: page.vary,
        body: Some(page.body),
    };
    represent(request, representation, policy)
}

/// The response for a target that cannot be opened or read: 404, 403, 503 with `Retry-After`, or 500.
#[must_use]
pub fn respond_failure<'a>(request: &RequestHead<'_>, failure: Failure, policy: &'a Policy) -> Plan<'a> {
    let (status, why) = match failure {
        Failure::NotFound => (Status::NotFound, None),
        Failure::Forbidden => (Status::Forbidden, Some("this server may not read it")),
        Failure::Busy => (Status::ServiceUnavailable, Some("try again in a moment")),
        Failure::Broken => (Status::InternalServerError, Some("the file could not be read")),
    };
    Plan::error(status, why, request, policy)
}

/// What is to be sent if nothing speaks against it.
struct Representation<'a> {
    size: u64,
    content_type: FieldValue<'a>,
    validators: Validators,
    cache_control: FieldValue<'a>,
    coding: Option<Coding>,
    vary: Option<FieldValue<'a>>,
    /// The bytes, if they are in memory; then no ranges are offered.
    body: Option<Cow<'static, [u8]>>,
}

fn represent<'a>(request: &RequestHead<'_>, what: Representation<'a>, policy: &'a Policy) -> Plan<'a> {
    match conditional::evaluate(&request.headers, &what.validators) {
        Verdict::Failed => {
            Plan::error(Status::PreconditionFailed, Some("it is not in the state asked for"), request, policy)
        }
        Verdict::NotModified => not_modified(request, what, policy),
        Verdict::Proceed => match selection(request, &what) {
            Selection::Whole => whole(request, what, policy),
            Selection::One(range) => {
                let size = what.size;
                let mut plan = whole(request, what, policy);
                plan.head.status = Status::PartialContent;
                plan.head.content_length = Some(range.len);
                plan.head.content_range = Some(ContentRange::Part { range, size });
                plan.body = Body::Slice(range);
                plan
            }
            Selection::Many(ranges) => {
                let parts =
                    Multipart::new(ranges, what.size, what.content_type.clone(), policy.boundary_seed);
                let mut plan = whole(request, what, policy);
                plan.head.status = Status::PartialContent;
                plan.head.content_type = Some(parts.content_type());
                plan.head.content_length = Some(parts.content_length());
                plan.body = Body::Multipart(Box::new(parts));
                plan
            }
            Selection::Unsatisfiable => unsatisfiable(request, what.size, policy),
        },
    }
}

/// Ranges are defined for GET alone (RFC 9110 section 14.2), and offered for files.
fn selection(request: &RequestHead<'_>, what: &Representation<'_>) -> Selection {
    let asked =
        request.headers.only(Name::Range).filter(|_| request.method == Method::Get && what.body.is_none());
    match asked {
        Some(value) if conditional::range_may_be_honoured(&request.headers, &what.validators) => {
            range::select(value, what.size)
        }
        _ => Selection::Whole,
    }
}

fn whole<'a>(request: &RequestHead<'_>, what: Representation<'a>, policy: &'a Policy) -> Plan<'a> {
    let mut head = ResponseHead::new(Status::Ok, request.connection);
    head.content_type = Some(what.content_type);
    head.content_length = Some(what.size);
    head.content_encoding = what.coding;
    head.accept_ranges = what.body.is_none();
    head.etag = what.validators.etag;
    head.last_modified = what.validators.last_modified;
    head.cache_control = Some(what.cache_control);
    head.vary = what.vary;
    head.extra = &policy.extra;
    let body = what.body.map_or(Body::Whole(what.size), Body::Text);
    Plan { head, body }.for_method(request.method)
}

/// What RFC 9110 section 15.4.5 asks for: the fields by which a cache renews its copy, and nothing about the content.
fn not_modified<'a>(request: &RequestHead<'_>, what: Representation<'a>, policy: &'a Policy) -> Plan<'a> {
    let mut plan = whole(request, what, policy);
    plan.head.status = Status::NotModified;
    plan.head.content_type = None;
    plan.head.content_length = None;
    plan.head.content_encoding = None;
    plan.head.accept_ranges = false;
    plan.body = Body::None;
    plan
}

fn unsatisfiable<'a>(request: &RequestHead<'_>, size: u64, policy: &'a Policy) -> Plan<'a> {
    let mut plan =
        Plan::error(Status::RangeNotSatisfiable, Some("no byte of it is asked for"), request, policy);
    plan.head.content_range = Some(ContentRange::Unsatisfied { size });
    plan.head.accept_ranges = true;
    plan
}

/// 308, so that the method stays; built from the normalised path, so that it stays on this host.
fn redirect_to_slash<'a>(request: &RequestHead<'_>, target: &Target<'_>, policy: &'a Policy) -> Plan<'a> {
    let mut plan =
        Plan::error(Status::PermanentRedirect, Some("a directory ends with a slash"), request, policy);
    plan.head.location = FieldValue::new(target.with_slash()).ok();
    plan
}
