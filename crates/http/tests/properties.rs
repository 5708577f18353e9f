//! What holds for every input: heads cut anywhere, targets of any bytes, ranges of any size.

use annulus_http::{
    Body, Drain, Drained, FieldValue, Framing, HeadParser, Limits, Multipart, Parsed, Segment, Selection,
    Target, parse, select,
};
use proptest::prelude::*;

mod common;

/// Small enough that random heads run into them.
const TIGHT: Limits =
    Limits { max_target_bytes: 48, max_header_bytes: 160, max_header_lines: 6, max_dropped_body_bytes: 64 };

/// An answer in comparable form: the status of a rejection, or what was found.
fn outcome(parsed: Parsed<'_>) -> Option<String> {
    match parsed {
        Parsed::Partial => None,
        Parsed::Rejected(why) => Some(why.status.to_string()),
        Parsed::Complete { head, consumed } => Some(format!("{consumed} {head:?}")),
    }
}

/// The first answer to `bytes` when they come in pieces ending at `cuts`, and then one by one.
fn outcome_in_pieces(bytes: &[u8], cuts: &[usize]) -> Option<String> {
    let mut parser = HeadParser::default();
    let ends = cuts.iter().copied().filter(|&cut| cut < bytes.len()).chain([bytes.len()]);
    ends.into_iter().find_map(|end| outcome(parser.parse(&bytes[..end], &TIGHT)))
}

/// Bytes of which heads are made, good and bad, in a mixture that often gets past the request line.
fn pieces_of_heads() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "GET ", "HEAD ", "/", "/a.jpg", "*", "http://h/a", " HTTP/1.1", " HTTP/1.0", " HTTP/2.0", " HTTP/1.", "\r\n", "\n",
            "\r\n\r\n", "Host: a", "Host: a\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "X: y\r\n",
            "X : y\r\n", " z\r\n", "\r", "\0", ":", " ", "\t", "Connection: close\r\n", "\u{e4}",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    let opening = prop_oneof![
        4 => Just(b"GET /a HTTP/1.1\r\nHost: a\r\n".to_vec()),
        1 => Just(b"GET /a HTTP/1.1\r\n".to_vec()),
        2 => Just(Vec::new()),
    ];
    (opening, prop::collection::vec(piece, 0..14))
        .prop_map(|(opening, pieces)| [opening, pieces.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_head_is_the_same_however_it_is_cut(bytes in pieces_of_heads(), cuts in prop::collection::btree_set(0_usize..300, 0..4)) {
        let whole = outcome(parse(&bytes, &TIGHT));
        let stateless = (0..=bytes.len()).find_map(|end| outcome(parse(&bytes[..end], &TIGHT)));
        prop_assert_eq!(stateless, whole);
        // The parser with a memory may wait for a line's end before it tells what is wrong in the line.
        let ended = [&bytes[..], b"\n"].concat();
        let whole = outcome(parse(&ended, &TIGHT));
        let cuts: Vec<usize> = cuts.into_iter().collect();
        prop_assert_eq!(&outcome_in_pieces(&ended, &cuts), &whole);
        let each: Vec<usize> = (0..ended.len()).collect();
        prop_assert_eq!(outcome_in_pieces(&ended, &each), whole);
    }

    #[test]
    fn any_bytes_have_an_answer_within_the_bounds(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let parsed = outcome(parse(&bytes, &TIGHT));
        prop_assert!(parsed.is_some() || bytes.len() < TIGHT.max_head_bytes());
        let _ = outcome(parse(&bytes, &Limits::default()));
    }

    #[test]
    fn a_conversation_of_any_requests_ends_in_whole_responses(bytes in prop::collection::vec(pieces_of_heads(), 0..4)) {
        // The server of `common` checks each response: one status line, no field twice, exact lengths.
        for response in common::Site::default().converse(&bytes.concat()) {
            prop_assert!((200..=505).contains(&response.status));
            prop_assert_eq!(response.field("Server"), Some("annulus"));
        }
    }

    #[test]
    fn a_target_never_leaves_the_root(raw in "(/|//|http://h/)?([a-c%2efF05C./\\\\?#äµ ~]|%2e|%2F|%00|%C3%A4|\\.\\.|/){0,12}") {
        let Ok(target) = Target::parse(&raw) else { return Ok(()) };
        prop_assert!(!target.path().starts_with(b"/") && !target.path().ends_with(b"/"));
        prop_assert!(!target.path().contains(&0) && !target.path().contains(&b'\\'));
        for component in target.path().split(|&b| b == b'/').filter(|_| !target.path().is_empty()) {
            prop_assert!(!matches!(component, b"" | b"." | b".."), "{:?} of {raw:?}", component);
        }
        let redirect = target.with_slash();
        prop_assert!(redirect.starts_with('/') && !redirect.starts_with("//"), "{redirect}");
        prop_assert!(FieldValue::new(redirect.as_str()).is_ok(), "{redirect}");
    }

    #[test]
    fn a_normalised_target_is_normal(raw in "/([a-z%.~ä/]|%2e|%25|%3F|%C3%A4|%0a){0,12}(\\?[a-z%&=]{0,4})?") {
        let Ok(target) = Target::parse(&raw) else { return Ok(()) };
        let normalised = target.normalised();
        let again = Target::parse(&normalised).expect("what we write ourselves can be read");
        prop_assert_eq!(again.path(), target.path());
        prop_assert_eq!(again.has_trailing_slash(), target.has_trailing_slash());
        prop_assert_eq!(again.normalised(), normalised);
    }

    #[test]
    fn any_name_survives_a_link_to_it(name in prop::collection::vec(any::<u8>(), 1..20)) {
        let is_name = name.iter().all(|b| !matches!(b, b'/' | b'\\' | 0)) && name != b"." && name != b"..";
        let link = format!("/{}", annulus_http::encode_component(&name));
        match Target::parse(&link) {
            Ok(target) if is_name => prop_assert_eq!(target.path(), &name[..]),
            Ok(target) => prop_assert_eq!(target.path(), b"", "only '.' is dropped: {:?}", name),
            Err(why) => prop_assert!(!is_name, "{why}"),
        }
    }

    #[test]
    fn ranges_lie_inside_and_do_not_overlap(value in "bytes=([0-9]{0,3}-[0-9]{0,3},? ?){0,20}", size in 0_u64..600) {
        let ranges = match select(value.as_bytes(), size) {
            Selection::One(range) => vec![range],
            Selection::Many(ranges) => ranges.as_slice().to_vec(),
            Selection::Whole | Selection::Unsatisfiable => vec![],
        };
        let mut covered = vec![false; 600];
        for range in &ranges {
            prop_assert!(range.len > 0 && range.end() <= size, "{range:?} of {size}");
            for place in &mut covered[usize::try_from(range.start)?..usize::try_from(range.end())?] {
                prop_assert!(!*place, "{ranges:?} overlap");
                *place = true;
            }
        }
        prop_assert!(ranges.len() <= 16);
    }

    #[test]
    fn one_range_is_what_a_slow_reading_of_the_rfc_says(first in prop::option::of(0_u64..50), last in prop::option::of(0_u64..50), size in 1_u64..40) {
        let text = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
        let bytes: Vec<u64> = match (first, last) {
            (Some(first), Some(last)) => (0..size).filter(|byte| (first..=last).contains(byte)).collect(),
            (Some(first), None) => (first..size).collect(),
            (None, Some(count)) => (0..size).rev().take(usize::try_from(count)?).collect::<Vec<_>>().into_iter().rev().collect(),
            (None, None) => vec![],
        };
        let malformed = matches!((first, last), (None, None)) || matches!((first, last), (Some(f), Some(l)) if f > l);
        let selected = select(format!("bytes={}-{}", text(first), text(last)).as_bytes(), size);
        match (malformed, bytes.first()) {
            (true, _) => prop_assert_eq!(selected, Selection::Whole),
            (false, None) => prop_assert_eq!(selected, Selection::Unsatisfiable),
            (false, Some(&start)) => {
                prop_assert_eq!(selected, Selection::One(annulus_http::ByteRange { start, len: bytes.len() as u64 }));
            }
        }
    }

    #[test]
    fn any_range_header_has_an_answer(value in prop::collection::vec(any::<u8>(), 0..60), size in any::<u64>()) {
        let _ = select(&value, size);
        let _ = select(&[b"bytes=", &value[..]].concat(), size);
    }

    #[test]
    fn the_parts_are_as_long_as_announced(starts in prop::collection::btree_set(0_u64..1 << 40, 2..16), seed in any::<u64>()) {
        let list: Vec<String> = starts.iter().map(|start| format!("{start}-{start}")).collect();
        let size = 1 << 41;
        let Selection::Many(ranges) = select(format!("bytes={}", list.join(",")).as_bytes(), size) else {
            return Err(TestCaseError::fail("distinct ascending ranges"));
        };
        let parts = Multipart::new(ranges, size, FieldValue::from_static("image/jpeg"), seed);
        let sent: u64 = parts.segments().map(|segment| match segment {
            Segment::Text(text) => text.len() as u64,
            Segment::File(range) => range.len,
        }).sum();
        prop_assert_eq!(sent, parts.content_length());
        prop_assert_eq!(Body::Multipart(Box::new(parts)).len(), sent);
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut(bytes in "([0-9a-f]{1,2}|[0-3]\r\n|\r\n|\n|;x|abc|0\r\n\r\n|\\PC){0,12}", cut in 0_usize..40) {
        let bytes = bytes.as_bytes();
        let whole = Drain::new(Framing::Chunked, 40).feed(bytes);
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        let mut drain = Drain::new(Framing::Chunked, 40);
        let in_two = drain.feed(first).and_then(|begun| match begun.done {
            true => Ok(begun),
            false => drain.feed(second).map(|rest| Drained { consumed: begun.consumed + rest.consumed, ..rest }),
        });
        prop_assert_eq!(in_two, whole);
    }
}
