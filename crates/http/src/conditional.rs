//! Conditional requests: the precedence of RFC 9110 section 13.2.2, and `If-Range`.
//!
//! Pure comparison of what the client has seen with what there is now. Meant for GET and HEAD of something that exists:
//! conditions are not looked at when the answer would be an error anyway. Dates that cannot be read are ignored.

use crate::date::Timestamp;
use crate::etag::{self, Comparison, ETag};
use crate::headers::{Headers, Name};

/// What identifies a state of a representation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The strong entity tag.
    pub etag: Option<ETag>,
    /// The modification time, never in the future.
    pub last_modified: Option<Timestamp>,
}

/// What the conditions of a request say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer as if there were none.
    Proceed,
    /// 304: the client has it already.
    NotModified,
    /// 412: the client wanted another state of it.
    Failed,
}

/// Evaluates the conditions of a GET or HEAD: `If-Match`, else `If-Unmodified-Since`; then `If-None-Match`, else
/// `If-Modified-Since`.
#[must_use]
pub fn evaluate(headers: &Headers<'_>, current: &Validators) -> Verdict {
    if is_another_state(headers, current) {
        Verdict::Failed
    } else if is_the_same_state(headers, current) {
        Verdict::NotModified
    } else {
        Verdict::Proceed
    }
}

/// Whether `Range` may be honoured: there is no `If-Range`, or it names the present state by its strong tag or its
/// exact modification time. With any doubt the whole is sent, so that a resumed download is never two files in one.
#[must_use]
pub fn range_may_be_honoured(headers: &Headers<'_>, current: &Validators) -> bool {
    if headers.is_repeated(Name::IfRange) {
        return false;
    }
    let Some(value) = headers.first(Name::IfRange) else { return true };
    let tag_is_ours = || current.etag.is_some_and(|ours| etag::is_exactly(value, &ours));
    let date_is_ours = || current.last_modified.is_some_and(|ours| Timestamp::parse(value) == Some(ours));
    tag_is_ours() || date_is_ours()
}

fn is_another_state(headers: &Headers<'_>, current: &Validators) -> bool {
    if headers.first(Name::IfMatch).is_some() {
        return !names(headers, Name::IfMatch, current, Comparison::Strong);
    }
    match (date(headers, Name::IfUnmodifiedSince), current.last_modified) {
        (Some(since), Some(modified)) => modified > since,
        _ => false,
    }
}

fn is_the_same_state(headers: &Headers<'_>, current: &Validators) -> bool {
    if headers.first(Name::IfNoneMatch).is_some() {
        return names(headers, Name::IfNoneMatch, current, Comparison::Weak);
    }
    match (date(headers, Name::IfModifiedSince), current.last_modified) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

fn names(headers: &Headers<'_>, name: Name, current: &Validators, how: Comparison) -> bool {
    headers.values(name).any(|value| etag::list_names(value, current.etag.as_ref(), how))
}

fn date(headers: &Headers<'_>, name: Name) -> Option<Timestamp> {
    headers.only(name).and_then(Timestamp::parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etag::Mtime;
    use crate::headers::tests::headers;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const EXACT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    /// Tag `"1-2-3"`, modified at [`EXACT`].
    fn current() -> Validators {
        let etag = ETag::of_file(Mtime { seconds: 1, nanoseconds: 2 }, 3, None, None);
        Validators { etag: Some(etag), last_modified: Timestamp::from_unix(784_111_777) }
    }

    fn verdict(block: &str) -> Verdict {
        evaluate(&headers(block), &current())
    }

    #[test]
    fn if_none_match_compares_weakly_and_beats_the_date() {
        assert_eq!(verdict("If-None-Match: \"1-2-3\"\r\n"), Verdict::NotModified);
        assert_eq!(verdict("If-None-Match: W/\"1-2-3\"\r\n"), Verdict::NotModified);
        assert_eq!(verdict("If-None-Match: \"x\", \"1-2-3\"\r\n"), Verdict::NotModified);
        assert_eq!(verdict("If-None-Match: \"x\"\r\nIf-None-Match: \"1-2-3\"\r\n"), Verdict::NotModified);
        assert_eq!(verdict("If-None-Match: *\r\n"), Verdict::NotModified);
        assert_eq!(verdict("If-None-Match: \"x\"\r\n"), Verdict::Proceed);
        assert_eq!(
            verdict(&format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {AFTER}\r\n")),
            Verdict::Proceed
        );
    }

    #[test]
    fn if_modified_since_answers_from_the_second_of_the_change() {
        assert_eq!(verdict(&format!("If-Modified-Since: {BEFORE}\r\n")), Verdict::Proceed);
        assert_eq!(verdict(&format!("If-Modified-Since: {EXACT}\r\n")), Verdict::NotModified);
        assert_eq!(verdict(&format!("If-Modified-Since: {AFTER}\r\n")), Verdict::NotModified);
        assert_eq!(verdict("If-Modified-Since: yesterday\r\n"), Verdict::Proceed);
        assert_eq!(
            verdict(&format!("If-Modified-Since: {AFTER}\r\nIf-Modified-Since: {AFTER}\r\n")),
            Verdict::Proceed
        );
    }

    #[test]
    fn if_match_compares_strongly_and_beats_the_date() {
        assert_eq!(verdict("If-Match: \"1-2-3\"\r\n"), Verdict::Proceed);
        assert_eq!(verdict("If-Match: *\r\n"), Verdict::Proceed);
        assert_eq!(verdict("If-Match: W/\"1-2-3\"\r\n"), Verdict::Failed);
        assert_eq!(verdict("If-Match: \"x\"\r\n"), Verdict::Failed);
        assert_eq!(verdict("If-Match: nonsense\r\n"), Verdict::Failed);
        assert_eq!(
            verdict(&format!("If-Match: \"1-2-3\"\r\nIf-Unmodified-Since: {BEFORE}\r\n")),
            Verdict::Proceed
        );
    }

    #[test]
    fn if_unmodified_since_fails_after_a_change() {
        assert_eq!(verdict(&format!("If-Unmodified-Since: {BEFORE}\r\n")), Verdict::Failed);
        assert_eq!(verdict(&format!("If-Unmodified-Since: {EXACT}\r\n")), Verdict::Proceed);
        assert_eq!(verdict("If-Unmodified-Since: 0\r\n"), Verdict::Proceed);
    }

    #[test]
    fn a_failed_match_goes_before_not_modified() {
        assert_eq!(verdict("If-Match: \"x\"\r\nIf-None-Match: \"1-2-3\"\r\n"), Verdict::Failed);
        assert_eq!(verdict("If-Match: \"1-2-3\"\r\nIf-None-Match: \"1-2-3\"\r\n"), Verdict::NotModified);
    }

    #[test]
    fn if_range_wants_the_exact_state() {
        let may = |block: &str| range_may_be_honoured(&headers(block), &current());
        assert!(may("Range: bytes=0-\r\n"));
        assert!(may("If-Range: \"1-2-3\"\r\n"));
        assert!(may(&format!("If-Range: {EXACT}\r\n")));
        for no in ["\"x\"", "W/\"1-2-3\"", "*", "1-2-3", BEFORE, AFTER, ""] {
            assert!(!may(&format!("If-Range: {no}\r\n")), "{no}");
        }
        assert!(!may("If-Range: \"1-2-3\"\r\nIf-Range: \"1-2-3\"\r\n"));
    }

    #[test]
    fn without_validators_only_the_star_matters() {
        let bare = Validators::default();
        assert_eq!(evaluate(&headers("If-None-Match: \"a\"\r\n"), &bare), Verdict::Proceed);
        assert_eq!(evaluate(&headers("If-Match: \"a\"\r\n"), &bare), Verdict::Failed);
        assert_eq!(evaluate(&headers(&format!("If-Modified-Since: {AFTER}\r\n")), &bare), Verdict::Proceed);
        assert!(!range_may_be_honoured(&headers("If-Range: \"a\"\r\n"), &bare));
    }
}
