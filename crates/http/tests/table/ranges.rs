//! Ranges, `If-Range` and multipart bodies.

use super::common::{CHANGED_DATE, Site, TAG, photo};

#[test]
fn one_range_is_206_clamped_with_an_exact_content_range() {
    let rows = [
        ("bytes=0-9", 0..10, "bytes 0-9/1000"),
        ("bytes=0-0", 0..1, "bytes 0-0/1000"),
        ("bytes=5-", 5..1000, "bytes 5-999/1000"),
        ("bytes=-5", 995..1000, "bytes 995-999/1000"),
        ("bytes=990-5000", 990..1000, "bytes 990-999/1000"),
        ("bytes=-5000", 0..1000, "bytes 0-999/1000"),
        ("bytes=0-99999999999999999999999999", 0..1000, "bytes 0-999/1000"),
        ("bytes=0-9, 5000-", 0..10, "bytes 0-9/1000"),
    ];
    for (range, slice, content_range) in rows {
        let response = Site::default().get("/a.jpg", &format!("Range: {range}\r\n"));
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.field("Content-Range"), Some(content_range), "{range}");
        assert_eq!(response.field("Content-Length"), Some(slice.len().to_string().as_str()), "{range}");
        assert_eq!(response.field("Content-Type"), Some("image/jpeg"));
        assert_eq!(response.field("ETag"), Some(TAG));
        assert_eq!(response.body, photo()[slice], "{range}");
    }
}

#[test]
fn a_range_outside_is_416_with_the_size() {
    for range in ["bytes=5000-", "bytes=1000-", "bytes=-0", "bytes=5000-6000, -0"] {
        let response = Site::default().get("/a.jpg", &format!("Range: {range}\r\n"));
        assert_eq!(response.status, 416, "{range}");
        assert_eq!(response.field("Content-Range"), Some("bytes */1000"), "{range}");
        assert_eq!((response.field("Accept-Ranges"), response.field("ETag")), (Some("bytes"), None));
        assert!(response.persists);
    }
}

#[test]
fn an_unknown_unit_or_bad_syntax_is_ignored() {
    for range in
        ["lines=0-9", "bytes=9-2", "bytes=", "bytes=a-b", "bytes", "0-9", "bytes=1-2-3", "bytes=0-9,9-2", ""]
    {
        let response = Site::default().get("/a.jpg", &format!("Range: {range}\r\n"));
        assert_eq!((response.status, response.body.len()), (200, 1000), "{range}");
        assert_eq!(response.field("Content-Range"), None, "{range}");
    }
    let repeated = Site::default().get("/a.jpg", "Range: bytes=0-1\r\nRange: bytes=2-3\r\n");
    assert_eq!(repeated.status, 200);
}

#[test]
fn several_ranges_are_parts_with_an_exact_length() {
    let response = Site::default().get("/a.jpg", "Range: bytes=0-1,10-12,-1\r\n");
    assert_eq!(response.status, 206);
    assert_eq!(response.field("Content-Range"), None, "each part has its own");
    assert_eq!(response.field("Content-Length"), Some(response.body.len().to_string().as_str()));
    let content_type = response.field("Content-Type").expect("a type");
    let boundary =
        content_type.strip_prefix("multipart/byteranges; boundary=").expect("multipart").to_owned();
    let photo = photo();
    let mut expected = Vec::new();
    for (opening, slice, range) in
        [("--", 0..2, "0-1"), ("\r\n--", 10..13, "10-12"), ("\r\n--", 999..1000, "999-999")]
    {
        let head = format!(
            "{opening}{boundary}\r\nContent-Type: image/jpeg\r\nContent-Range: bytes {range}/1000\r\n\r\n"
        );
        expected.extend(head.as_bytes());
        expected.extend(&photo[slice]);
    }
    expected.extend(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert_eq!(response.body, expected);
}

#[test]
fn overlapping_unsorted_or_too_many_ranges_get_the_whole() {
    let seventeen: Vec<String> = (0..17).map(|i| format!("{0}-{0}", i * 10)).collect();
    let rows = ["0-9,5-14", "0-,0-,0-", "8-8,6-6,4-4,2-2,0-0", &seventeen.join(",")];
    for range in rows {
        let response = Site::default().get("/a.jpg", &format!("Range: bytes={range}\r\n"));
        assert_eq!((response.status, response.body.len()), (200, 1000), "{range}");
    }
    let sixteen = Site::default().get("/a.jpg", &format!("Range: bytes={}\r\n", seventeen[..16].join(",")));
    assert_eq!(sixteen.status, 206);
    let outside =
        Site::default().get("/a.jpg", &format!("Range: bytes={},5000-\r\n", seventeen[..16].join(",")));
    assert_eq!(outside.status, 200, "those outside count");
}

#[test]
fn if_range_continues_the_same_file_and_restarts_another() {
    let get = |if_range: &str| {
        Site::default().get("/a.jpg", &format!("Range: bytes=500-\r\nIf-Range: {if_range}\r\n"))
    };
    for same in [TAG, CHANGED_DATE, "Sunday, 06-Nov-94 08:49:37 GMT"] {
        assert_eq!((get(same).status, get(same).body.len()), (206, 500), "{same}");
    }
    let weak = format!("W/{TAG}");
    for other in
        ["\"another\"", &weak, "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT", "x", "*"]
    {
        assert_eq!((get(other).status, get(other).body.len()), (200, 1000), "{other}");
    }
    let outside = Site::default().get("/a.jpg", "Range: bytes=5000-\r\nIf-Range: \"another\"\r\n");
    assert_eq!(outside.status, 200, "a replaced photo that is smaller now is sent whole");
}

#[test]
fn ranges_are_for_get_and_for_files() {
    let site = Site::default();
    let head = site.ask("HEAD", "/a.jpg", "Range: bytes=0-9\r\n");
    assert_eq!((head.status, head.field("Content-Length")), (200, Some("1000")));
    let listing = site.get("/album/", "Range: bytes=0-9\r\n");
    assert_eq!((listing.status, listing.field("Accept-Ranges")), (200, None));
    assert_eq!(site.get("/nowhere", "Range: bytes=0-9\r\n").status, 404);
}

#[test]
fn an_empty_file_is_sent_whole() {
    let site = Site::default();
    let empty = site.get("/empty.jpg", "");
    assert_eq!((empty.status, empty.field("Content-Length")), (200, Some("0")));
    assert_eq!(site.get("/empty.jpg", "Range: bytes=0-\r\n").status, 200);
    assert_eq!(site.get("/empty.jpg", "Range: bytes=-5\r\n").status, 200);
    let beyond = site.get("/empty.jpg", "Range: bytes=5-\r\n");
    assert_eq!((beyond.status, beyond.field("Content-Range")), (416, Some("bytes */0")));
}

#[test]
fn ranges_refer_to_the_chosen_coding() {
    let response = Site::default().get("/page.html", "Accept-Encoding: br\r\nRange: bytes=0-2\r\n");
    assert_eq!((response.status, response.text().as_str()), (206, ".br"));
    assert_eq!(response.field("Content-Range"), Some("bytes 0-2/30"));
    assert_eq!(response.field("Content-Encoding"), Some("br"));
}
