//! The first decision: what can be answered from the request's head alone, and what becomes of its body.
//!
//! Nothing about files is known here. What it keeps true: a body is either read to its end within the bounds or the
//! connection closes, so that none of its bytes is ever taken for a request.

use crate::body::{Drain, Framing};
use crate::headers::Name;
use crate::limits::Limits;
use crate::plan::{Body, Plan};
use crate::policy::Policy;
use crate::rejection::Rejection;
use crate::request::{RequestHead, Version};
use crate::response::ResponseHead;
use crate::target::Target;
use crate::{Method, Status};

/// What is to be done after a head: first the body, then the rest.
#[derive(Clone, Debug)]
pub struct Start<'b, 'p> {
    /// A body to be read and dropped before anything is answered. If it fails, answer [`Plan::rejected`] and close.
    pub drain: Option<Drain>,
    /// Whether the client waits for [`CONTINUE`](crate::CONTINUE) before it sends that body.
    pub send_continue: bool,
    /// What then follows.
    pub next: Next<'b, 'p>,
}

/// What follows once the body is out of the way.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "taken apart where it is returned; a box would cost an allocation per request"
)]
pub enum Next<'b, 'p> {
    /// The answer is known.
    Answer(Plan<'p>),
    /// Look at the file system, then ask [`respond`](crate::respond), [`respond_page`](crate::respond_page) or
    /// [`respond_failure`](crate::respond_failure).
    Open(Target<'b>),
}

/// Decides as much as the head alone allows.
///
/// ```
/// use annulus_http::{begin, parse, Limits, Next, Parsed, Policy};
///
/// let (limits, policy) = (Limits::default(), Policy::default());
/// let request = b"DELETE /a.jpg HTTP/1.1\r\nHost: a\r\n\r\n";
/// let Parsed::Complete { head, .. } = parse(request, &limits) else { panic!() };
/// let Next::Answer(plan) = begin(&head, &policy, &limits).next else { panic!() };
/// assert_eq!(plan.status().code(), 405);
/// assert!(plan.head.allow && plan.persists());
/// ```
#[must_use]
pub fn begin<'b, 'p>(head: &RequestHead<'b>, policy: &'p Policy, limits: &Limits) -> Start<'b, 'p> {
    let next = first_decision(head, policy);
    let waits = expectations(head).next().is_some();
    let too_long = matches!(head.framing, Framing::Length(len) if len > limits.max_dropped_body_bytes);
    match (head.framing, next) {
        (Framing::None, next) => Start { drain: None, send_continue: false, next },
        // The client has not sent the body yet and need not: the answer is final.
        (_, Next::Answer(plan)) if too_long || waits => unread(plan.closing()),
        (_, Next::Open(_)) if too_long => unread(
            Plan::error(Status::ContentTooLarge, Some(Rejection::BODY_TOO_LARGE.detail), head, policy)
                .closing(),
        ),
        (framing, next) => {
            let drain = Some(Drain::new(framing, limits.max_dropped_body_bytes));
            Start { drain, send_continue: waits, next }
        }
    }
}

const fn unread<'b, 'p>(plan: Plan<'p>) -> Start<'b, 'p> {
    Start { drain: None, send_continue: false, next: Next::Answer(plan) }
}

fn first_decision<'b, 'p>(head: &RequestHead<'b>, policy: &'p Policy) -> Next<'b, 'p> {
    let error = |status, why| Next::Answer(Plan::error(status, why, head, policy));
    match head.method {
        Method::Unknown => return error(Status::NotImplemented, Some("no such method here")),
        Method::Known => return error(Status::MethodNotAllowed, Some("files are only read here")),
        Method::Options if head.raw_target == "*" => return Next::Answer(options(head, policy)),
        Method::Get | Method::Head | Method::Options => {}
    }
    if expectations(head).any(|wish| !wish.eq_ignore_ascii_case(b"100-continue")) {
        return error(Status::ExpectationFailed, Some("the only expectation met here is 100-continue"));
    }
    match Target::parse(head.raw_target) {
        Err(why) => error(Status::BadRequest, Some(why.detail())),
        Ok(target) if target.is_hidden() && !policy.serve_hidden => error(Status::NotFound, None),
        Ok(_) if head.method == Method::Options => Next::Answer(options(head, policy)),
        Ok(target) => Next::Open(target),
    }
}

fn options<'p>(head: &RequestHead<'_>, policy: &'p Policy) -> Plan<'p> {
    let mut response = ResponseHead::new(Status::NoContent, head.connection);
    response.allow = true;
    response.extra = &policy.extra;
    Plan { head: response, body: Body::None }
}

/// What the client expects; HTTP/1.0 knows no expectations (RFC 9110 section 10.1.1).
fn expectations<'b>(head: &RequestHead<'b>) -> impl Iterator<Item = &'b [u8]> + use<'b> {
    let heard = head.version == Version::Http11;
    head.headers.members(Name::Expect).filter(move |_| heard)
}
