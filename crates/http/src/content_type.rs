//! Content types by file name, with `charset=utf-8` for text.
//!
//! The name alone decides: no file is opened and nothing is sniffed, and `nosniff` tells the browser to do the same.
//! `mime_guess` holds the long table; the short one here is for what it lacks or knows by an outdated name.

use crate::field::FieldValue;
use std::borrow::Cow;

/// The content type of a file of this name; `application/octet-stream` when nothing is known.
///
/// ```
/// use annulus_http::content_type_of;
///
/// assert_eq!(content_type_of(b"DSC_0042.JPG").as_str(), "image/jpeg");
/// assert_eq!(content_type_of(b"index.html").as_str(), "text/html; charset=utf-8");
/// assert_eq!(content_type_of(b"README").as_str(), "application/octet-stream");
/// ```
#[must_use]
pub fn content_type_of(file_name: &[u8]) -> FieldValue<'static> {
    let essence = extension(file_name).and_then(by_extension).unwrap_or("application/octet-stream");
    let typed: Cow<'static, str> = match essence {
        "text/html" => "text/html; charset=utf-8".into(),
        "text/plain" => "text/plain; charset=utf-8".into(),
        "text/css" => "text/css; charset=utf-8".into(),
        "text/javascript" => "text/javascript; charset=utf-8".into(),
        "image/svg+xml" => "image/svg+xml; charset=utf-8".into(),
        text if text.starts_with("text/") => format!("{text}; charset=utf-8").into(),
        other => other.into(),
    };
    FieldValue::new(typed).unwrap_or(const { FieldValue::from_static("application/octet-stream") })
}

/// Whether files of this type become notably smaller by compression, so that a precompressed sibling may exist.
/// Photographs, films and archives are compressed in themselves.
#[must_use]
pub fn is_compressible(content_type: &FieldValue<'_>) -> bool {
    let essence = essence(content_type.as_str());
    essence.starts_with("text/")
        || essence.ends_with("+xml")
        || essence.ends_with("+json")
        || matches!(
            essence,
            "application/javascript"
                | "application/json"
                | "application/manifest+json"
                | "application/wasm"
                | "application/xml"
                | "application/vnd.ms-fontobject"
                | "font/ttf"
                | "font/otf"
                | "font/collection"
                | "image/bmp"
                | "image/x-icon"
        )
}

/// Whether the type is one that browsers show as a page, whose cached copy must be checked before it is shown again.
#[must_use]
pub fn is_html(content_type: &FieldValue<'_>) -> bool {
    matches!(essence(content_type.as_str()), "text/html" | "application/xhtml+xml")
}

fn essence(content_type: &str) -> &str {
    content_type.split_once(';').map_or(content_type, |(essence, _)| essence).trim_ascii()
}

/// What follows the last dot; a name that only begins with a dot has none.
fn extension(file_name: &[u8]) -> Option<&str> {
    let dot = file_name.iter().rposition(|&b| b == b'.').filter(|&dot| dot > 0)?;
    std::str::from_utf8(&file_name[dot + 1..]).ok()
}

fn by_extension(extension: &str) -> Option<&'static str> {
    OWN.iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(extension))
        .map(|&(_, content_type)| content_type)
        .or_else(|| mime_guess::from_ext(extension).first_raw())
}

/// What `mime_guess` lacks, or names otherwise than the registry or browsers do.
const OWN: [(&str, &str); 28] = [
    ("avif", "image/avif"),
    ("br", "application/x-brotli"),
    ("cjs", "text/javascript"),
    ("dng", "image/x-adobe-dng"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("hif", "image/heif"),
    ("ico", "image/x-icon"),
    ("insp", "image/jpeg"),
    ("jxl", "image/jxl"),
    ("m4a", "audio/mp4"),
    ("map", "application/json"),
    ("mjs", "text/javascript"),
    ("mpo", "image/mpo"),
    ("opus", "audio/ogg"),
    ("rw2", "image/x-panasonic-rw2"),
    ("srw", "image/x-samsung-srw"),
    ("tgz", "application/gzip"),
    ("toml", "application/toml"),
    ("ts", "video/mp2t"),
    ("wasm", "application/wasm"),
    ("webp", "image/webp"),
    ("xml", "application/xml"),
    ("xmp", "application/rdf+xml"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zst", "application/zstd"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> String {
        content_type_of(name.as_bytes()).as_str().to_owned()
    }

    #[test]
    fn photographs_of_every_kind_are_known() {
        let kinds = [
            ("a.jpg", "image/jpeg"),
            ("a.JPEG", "image/jpeg"),
            ("a.avif", "image/avif"),
            ("a.jxl", "image/jxl"),
            ("a.heic", "image/heic"),
            ("a.HEIF", "image/heif"),
            ("a.hif", "image/heif"),
            ("a.webp", "image/webp"),
            ("a.png", "image/png"),
            ("a.apng", "image/apng"),
            ("a.gif", "image/gif"),
            ("a.tif", "image/tiff"),
            ("a.svg", "image/svg+xml; charset=utf-8"),
            ("a.bmp", "image/bmp"),
            ("a.ico", "image/x-icon"),
            ("a.dng", "image/x-adobe-dng"),
            ("a.CR3", "image/x-canon-cr3"),
            ("a.NEF", "image/x-nikon-nef"),
            ("a.arw", "image/x-sony-arw"),
            ("a.raf", "image/x-fuji-raf"),
            ("a.rw2", "image/x-panasonic-rw2"),
            ("a.mp4", "video/mp4"),
            ("a.mov", "video/quicktime"),
            ("a.webm", "video/webm"),
            ("a.mkv", "video/x-matroska"),
        ];
        for (name, expected) in kinds {
            assert_eq!(of(name), expected, "{name}");
        }
    }

    #[test]
    fn the_web_is_known_and_text_says_its_charset() {
        let kinds = [
            ("a.html", "text/html; charset=utf-8"),
            ("a.htm", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.wasm", "application/wasm"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.woff2", "font/woff2"),
            ("a.pdf", "application/pdf"),
            ("a.zip", "application/zip"),
            ("a.tar.gz", "application/gzip"),
            ("a.tgz", "application/gzip"),
            ("a.zst", "application/zstd"),
            ("a.xml", "application/xml"),
            ("a.flac", "audio/flac"),
            ("a.opus", "audio/ogg"),
            ("a.ts", "video/mp2t"),
        ];
        for (name, expected) in kinds {
            assert_eq!(of(name), expected, "{name}");
        }
    }

    #[test]
    fn names_without_an_extension_are_bytes() {
        for name in ["README", ".jpg", "a.", "a.unheard-of", "a.\u{e4}", ""] {
            assert_eq!(of(name), "application/octet-stream", "{name}");
        }
        assert_eq!(content_type_of(b"\xff.jpg").as_str(), "image/jpeg");
        assert_eq!(content_type_of(b"a.\xff").as_str(), "application/octet-stream");
    }

    #[test]
    fn what_is_compressed_in_itself_has_no_siblings() {
        for (name, expected) in [
            ("a.html", true),
            ("a.svg", true),
            ("a.json", true),
            ("a.geojson", true),
            ("a.wasm", true),
            ("a.jpg", false),
            ("a.mp4", false),
            ("a.zip", false),
            ("a.woff2", false),
            ("README", false),
        ] {
            assert_eq!(is_compressible(&content_type_of(name.as_bytes())), expected, "{name}");
        }
        assert!(is_html(&content_type_of(b"a.html")));
        assert!(is_html(&content_type_of(b"a.xhtml")));
        assert!(!is_html(&content_type_of(b"a.txt")));
    }
}
