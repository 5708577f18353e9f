//! The listing page: what is escaped, where the links lead, in what order. It reads no file.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use annulus_serve::listing::{Entry, Kind, human_size, natural_order, page, utc_minute};
use percent_encoding::percent_decode_str;

fn entry(name: &[u8], kind: Kind) -> Entry {
    Entry { name: OsString::from_vec(name.to_vec()), kind, size: 1234, modified: Some(UNIX_EPOCH) }
}

fn file(name: &[u8]) -> Entry {
    entry(name, Kind::File)
}

/// The links of the table, in order, without the one to the parent.
fn links(html: &str) -> Vec<&str> {
    html.split(r#"<td class="name"><a href=""#)
        .skip(1)
        .map(|rest| rest.split('"').next().expect("a quote ends the link"))
        .filter(|link| *link != "../")
        .collect()
}

#[test]
fn a_name_that_is_markup_stays_text() {
    let html = page(b"/", vec![file(b"<script>alert(1)</script>&\"'.jpg")]);
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;"));
    assert_eq!(links(&html), ["%3Cscript%3Ealert%281%29%3C%2Fscript%3E%26%22%27.jpg"]);
}

#[test]
fn a_folder_that_is_markup_stays_text_in_title_heading_and_breadcrumbs() {
    let html = page(b"/<b>/</title><script>/", vec![]);
    assert!(!html.contains("<b>") && !html.contains("<script>"), "{html}");
    assert!(html.contains("<bdi>&lt;b&gt;</bdi>"));
    // The slash of "</title>" parts two folders; no part of it may end the title.
    assert_eq!(html.matches("</title>").count(), 1);
}

#[test]
fn links_lead_back_to_the_bytes_of_the_names() {
    let names: [&[u8]; 12] = [
        b"plain.jpg",
        b"two words.jpg",
        "Sellajoch \u{2013} Gr\u{f6}den.jpg".as_bytes(),
        b"100% #1?.jpg",
        b"javascript:alert(1)",
        b"not\xffutf8\xfe.jpg",
        b"new\nline\ttab",
        b"back\\slash",
        b"semi;colon&amp;",
        b"\"quoted\"",
        b"...",
        "\u{202e}gpj.exe".as_bytes(),
    ];
    let html = page(b"/", names.iter().map(|name| file(name)).collect());
    let mut back: Vec<Vec<u8>> = links(&html).iter().map(|link| percent_decode_str(link).collect()).collect();
    let mut expected: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
    back.sort();
    expected.sort();
    assert_eq!(back, expected);
    for link in links(&html) {
        assert!(link.bytes().all(|b| b.is_ascii_alphanumeric() || b"%-._~".contains(&b)), "{link}");
    }
}

#[test]
fn every_byte_a_name_may_hold_survives_the_link() {
    for byte in (1..=255u8).filter(|byte| *byte != b'/') {
        let html = page(b"/", vec![file(&[b'a', byte, b'z'])]);
        let back: Vec<u8> = percent_decode_str(links(&html)[0]).collect();
        assert_eq!(back, [b'a', byte, b'z'], "byte {byte:#04x}");
    }
}

#[test]
fn bytes_that_are_no_text_are_shown_as_replacement_and_control_pictures() {
    let html = page(b"/", vec![file(b"a\xffb\x1b[31m\n.jpg")]);
    assert!(html.contains("<bdi>a\u{fffd}b\u{241b}[31m\u{240a}.jpg</bdi>"), "{html}");
}

#[test]
fn a_name_that_turns_the_direction_of_writing_is_isolated() {
    let html = page(b"/", vec![file("\u{202e}gpj.exe".as_bytes())]);
    assert!(html.contains("<bdi>\u{202e}gpj.exe</bdi>"));
}

#[test]
fn folders_come_first_and_names_in_natural_order() {
    let names = |html: &str| -> Vec<String> { links(html).into_iter().map(str::to_owned).collect() };
    let html = page(
        b"/",
        vec![
            file(b"IMG_10.jpg"),
            file(b"img_9.jpg"),
            entry(b"zoo", Kind::Folder),
            file(b"IMG_1.jpg"),
            entry(b"Ape 2", Kind::Folder),
            entry(b"ape 10", Kind::Folder),
        ],
    );
    assert_eq!(names(&html), ["Ape%202/", "ape%2010/", "zoo/", "IMG_1.jpg", "img_9.jpg", "IMG_10.jpg"]);
}

#[test]
fn natural_order_is_total_and_knows_numbers_of_any_length() {
    let mut names =
        ["b", "a1", "A01", "a", "a0", "a100000000000000000000000", "a99999999999999999999999", "", "a1b"];
    names.sort_by(|a, b| natural_order(a.as_ref(), b.as_ref()));
    assert_eq!(
        names,
        ["", "a", "a0", "A01", "a1", "a1b", "a99999999999999999999999", "a100000000000000000000000", "b"]
    );
    for a in &names {
        for b in &names {
            let there = natural_order(a.as_ref(), b.as_ref());
            assert_eq!(there, natural_order(b.as_ref(), a.as_ref()).reverse(), "{a:?} {b:?}");
            assert_eq!(there.is_eq(), a == b, "{a:?} {b:?}");
        }
    }
}

#[test]
fn breadcrumbs_climb_by_relative_links() {
    let html = page(b"/albums/2026-06 Dolomites/Day 2/", vec![]);
    let nav = html.split("<nav").nth(1).and_then(|rest| rest.split("</nav>").next()).expect("a nav element");
    let hrefs: Vec<&str> =
        nav.split("href=\"").skip(1).map(|rest| rest.split('"').next().expect("a quote")).collect();
    assert_eq!(hrefs, ["../../../", "../../", "../"]);
    assert!(html.contains("<title>Day 2</title>"));
    assert!(html.contains(r#"<a href="../">"#));
}

#[test]
fn the_root_has_no_breadcrumbs_and_no_parent() {
    let html = page(b"/", vec![file(b"a.jpg")]);
    assert!(!html.contains("<nav") && !html.contains("../"), "{html}");
    assert_eq!(page(b"", vec![]), page(b"/", vec![]));
}

#[test]
fn an_empty_folder_says_so() {
    assert!(page(b"/x/", vec![]).contains("This folder is empty."));
}

#[test]
fn a_row_tells_size_and_time_exactly_and_for_people() {
    let modified = Some(UNIX_EPOCH + Duration::from_secs(1_781_416_859));
    let html = page(b"/", vec![Entry { size: 5_243_000, modified, ..file(b"a.jpg") }]);
    assert!(html.contains(r#"<span title="5243000 bytes">5.2 MB</span>"#));
    assert!(html.contains(r#"<time datetime="2026-06-14T06:00Z">2026-06-14 06:00</time>"#), "{html}");
    assert!(html.contains("1 file · 5.2 MB"));
}

#[test]
fn a_folder_shows_no_size_and_an_unknown_time_nothing() {
    let html = page(b"/", vec![Entry { modified: None, ..entry(b"album", Kind::Folder) }]);
    assert!(!html.contains("1.2 kB") && !html.contains("<time"), "{html}");
    assert!(html.contains(r#"<p class="summary">1 folder</p>"#));
}

#[test]
fn the_page_has_no_script_and_loads_nothing() {
    let html = page(b"/a/", vec![file(b"a.jpg"), entry(b"b", Kind::Folder)]);
    assert!(html.starts_with("<!DOCTYPE html>"));
    for forbidden in ["<script", "<img", " src=", "@import", "url(", "javascript:", " onload"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("prefers-color-scheme: dark"));
}

#[test]
fn sizes_round_to_the_next_unit_without_a_gap() {
    let cases: [(u64, &str); 12] = [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1049, "1.0 kB"),
        (1050, "1.1 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (5_368_709_120, "5.4 GB"),
        (1_500_000_000_000, "1.5 TB"),
        (u64::MAX, "18.4 EB"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(human_size(bytes), expected, "{bytes}");
    }
}

#[test]
fn times_are_civil_dates_in_utc() {
    let at = |seconds: u64| utc_minute(UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(at(0).as_deref(), Some("1970-01-01 00:00"));
    assert_eq!(at(951_782_400).as_deref(), Some("2000-02-29 00:00"));
    assert_eq!(at(951_868_800).as_deref(), Some("2000-03-01 00:00"));
    assert_eq!(at(1_735_689_599).as_deref(), Some("2024-12-31 23:59"));
    assert_eq!(at(4_107_542_400).as_deref(), Some("2100-03-01 00:00"));
    let before: SystemTime = UNIX_EPOCH - Duration::from_millis(1);
    assert_eq!(utc_minute(before).as_deref(), Some("1969-12-31 23:59"));
    assert_eq!(at(253_402_300_800), None, "the year 10000");
}

#[test]
fn names_are_bytes_so_two_that_look_alike_keep_two_links() {
    let html = page(b"/", vec![file(b"\xff.jpg"), file(b"\xfe.jpg")]);
    assert_eq!(links(&html), ["%FE.jpg", "%FF.jpg"]);
}
