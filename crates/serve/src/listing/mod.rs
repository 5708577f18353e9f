//! The plain directory listing: entries in, one complete HTML document out.
//!
//! A pure function. It reads no directory, knows no clock and no configuration; who calls it has already decided
//! which entries may be seen. It makes no thumbnails: an `<img>` here would load originals of many megabytes.
//!
//! What it keeps true:
//! - every byte of a name is escaped where it is shown and percent-encoded where it is linked, so that a name can
//!   neither become markup nor a scheme, and every link leads back to exactly the bytes of its name;
//! - links are relative: the page works below any prefix a proxy may add;
//! - no script, nothing loaded from elsewhere: [`CONTENT_SECURITY_POLICY`] forbids both.
//!
//! ```
//! use annulus_serve::listing::{Entry, Kind, page};
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! let entries = vec![Entry {
//!     name: "Drei Zinnen.jpg".into(),
//!     kind: Kind::File,
//!     size: 5_243_000,
//!     modified: Some(UNIX_EPOCH + Duration::from_secs(1_781_416_800)),
//! }];
//! let html = page(b"/2026-06 Dolomites/", entries);
//! assert!(html.contains(r#"href="Drei%20Zinnen.jpg""#));
//! assert!(html.contains("5.2 MB"));
//! ```

use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::Path, time::SystemTime};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

mod format;
mod order;

pub use format::{human_size, utc_minute};
pub use order::natural_order;

/// The `Content-Security-Policy` that the page is written for: its own style and icon, and nothing else.
pub const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'self'";

const STYLE: &str = include_str!("listing.css");

/// What stays as it is in a link: the unreserved characters of RFC 3986. The colon is not among them, so a file
/// named `javascript:...` remains a file.
const IN_LINKS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One line of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name in its directory: any bytes the file system allows, no slash.
    pub name: OsString,
    /// A folder or a file.
    pub kind: Kind,
    /// The size in bytes; not shown for folders.
    pub size: u64,
    /// The time of the last change of the content, if known.
    pub modified: Option<SystemTime>,
}

/// What an [`Entry`] leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A directory: sorted first, linked with a slash at the end.
    Folder,
    /// Anything that is sent as bytes.
    File,
}

/// The listing of the directory at `path` as an HTML5 document in UTF-8.
///
/// `path` is the decoded path from the root of what is served, with or without slashes at its ends; it makes the
/// title and the breadcrumbs. The page must be answered at the address that ends in a slash, or its relative
/// links would lead astray. The entries come in any order and are sorted here: folders first, then by
/// [`natural_order`].
#[must_use]
pub fn page(path: &[u8], entries: Vec<Entry>) -> String {
    document(path, entries, false)
}

/// As [`page`], of a directory that has more entries than these. The page says so.
///
/// ```
/// use annulus_serve::listing::{page, page_cut_short};
///
/// assert!(page_cut_short(b"/", Vec::new()).contains("There are more"));
/// assert!(!page(b"/", Vec::new()).contains("There are more"));
/// ```
#[must_use]
pub fn page_cut_short(path: &[u8], entries: Vec<Entry>) -> String {
    document(path, entries, true)
}

fn document(path: &[u8], mut entries: Vec<Entry>, cut_short: bool) -> String {
    entries.sort_by(|a, b| a.kind.cmp(&b.kind).then_with(|| natural_order(&a.name, &b.name)));
    let folders: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).collect();
    let title = folders.last().map_or_else(|| "Photos and files".to_owned(), |name| shown(name));
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href=(FAVICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                (symbols())
                header {
                    @if !folders.is_empty() { (breadcrumbs(&folders)) }
                    h1 { bdi { (title) } }
                    p.summary {
                        (summary(&entries))
                        @if cut_short { ". There are more, which can be asked for by name." }
                    }
                }
                main { (table(&entries, !folders.is_empty())) }
                footer { "Served by annulus" }
            }
        }
    };
    document.into_string()
}

/// The way from the root down to this folder, whose own name is the heading below.
fn breadcrumbs(folders: &[&[u8]]) -> Markup {
    let depth = folders.len();
    html! {
        nav aria-label="Breadcrumbs" {
            ol {
                li { a href=(climb(depth)) { "Home" } }
                @for (level, name) in folders.iter().enumerate().take(depth - 1) {
                    li { a href=(climb(depth - 1 - level)) { bdi { (shown(name)) } } }
                }
            }
        }
    }
}

/// The relative link to the folder `levels` above this one.
fn climb(levels: usize) -> String {
    if levels == 0 { "./".to_owned() } else { "../".repeat(levels) }
}

fn table(entries: &[Entry], has_parent: bool) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th.name scope="col" { "Name" }
                    th.size scope="col" { "Size" }
                    th.time scope="col" { "Changed (UTC)" }
                }
            }
            tbody {
                @if has_parent {
                    tr {
                        td.name { a href="../" { (icon("up")) bdi { "Parent folder" } } }
                        td.size {}
                        td.time {}
                    }
                }
                @for entry in entries { (row(entry)) }
                @if entries.is_empty() {
                    tr { td.empty colspan="3" { "This folder is empty." } }
                }
            }
        }
    }
}

fn row(entry: &Entry) -> Markup {
    let name = entry.name.as_bytes();
    html! {
        tr {
            td.name { a href=(link(entry)) { (icon(icon_of(entry))) bdi { (shown(name)) } } }
            td.size {
                @if entry.kind == Kind::File {
                    span title={ (entry.size) " bytes" } { (human_size(entry.size)) }
                }
            }
            td.time {
                @if let Some(minute) = entry.modified.and_then(utc_minute) {
                    time datetime={ (minute.replace(' ', "T")) "Z" } { (minute) }
                }
            }
        }
    }
}

/// The relative link to an entry.
fn link(entry: &Entry) -> String {
    let encoded = percent_encode(entry.name.as_bytes(), IN_LINKS).to_string();
    if entry.kind == Kind::Folder { encoded + "/" } else { encoded }
}

/// A name as text to show: bytes that are no UTF-8 become replacement characters, control characters their
/// pictures. The caller's template escapes it.
fn shown(name: &[u8]) -> String {
    let picture = |c: char| match c {
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    };
    String::from_utf8_lossy(name).chars().map(picture).collect()
}

/// "3 folders, 12 files, 61 MB": what there is to see, without the parts that are nought.
fn summary(entries: &[Entry]) -> String {
    let folders = entries.iter().filter(|entry| entry.kind == Kind::Folder).count();
    let files = entries.len() - folders;
    let bytes = entries
        .iter()
        .filter(|entry| entry.kind == Kind::File)
        .fold(0u64, |sum, entry| sum.saturating_add(entry.size));
    let counted = |count: usize, noun: &str| match count {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{count} {noun}s")),
    };
    let size = (files > 0).then(|| human_size(bytes));
    let parts: Vec<String> =
        [counted(folders, "folder"), counted(files, "file"), size].into_iter().flatten().collect();
    if parts.is_empty() { "Nothing here".to_owned() } else { parts.join(" · ") }
}

/// The name of the icon for an entry: by its kind, and for files by the end of the name.
fn icon_of(entry: &Entry) -> &'static str {
    if entry.kind == Kind::Folder {
        return "folder";
    }
    let extension = Path::new(&entry.name).extension().unwrap_or_default();
    match extension.to_ascii_lowercase().as_bytes() {
        b"jpg" | b"jpeg" | b"png" | b"gif" | b"webp" | b"avif" | b"jxl" | b"heic" | b"heif" | b"tif"
        | b"tiff" | b"bmp" | b"svg" | b"dng" | b"cr2" | b"cr3" | b"nef" | b"arw" | b"raf" | b"orf"
        | b"rw2" => "image",
        b"mp4" | b"m4v" | b"mov" | b"mkv" | b"webm" | b"avi" => "video",
        b"mp3" | b"m4a" | b"flac" | b"ogg" | b"opus" | b"wav" | b"aac" => "audio",
        b"zip" | b"tar" | b"gz" | b"xz" | b"zst" | b"bz2" | b"7z" | b"br" => "archive",
        b"txt" | b"md" | b"html" | b"htm" | b"css" | b"js" | b"json" | b"xml" | b"xmp" | b"csv" | b"pdf"
        | b"toml" | b"log" => "text",
        _ => "file",
    }
}

fn icon(name: &str) -> Markup {
    html! {
        svg class={ "icon " (name) } aria-hidden="true" { use href={ "#" (name) } {} }
    }
}

/// The drawings behind the icons, once per page: outlines of 24 by 24 in the colour of the text.
const ICONS: [(&str, &str); 8] = [
    ("up", "M9 14 4 9l5-5 M4 9h10a6 6 0 0 1 6 6v5"),
    ("folder", "M3 7a2 2 0 0 1 2-2h4l2 2.5h8a2 2 0 0 1 2 2V17a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z"),
    (
        "image",
        "M5 4h14a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2z M3 17l5-5 4 4 3.5-3.5L21 18 \
         M15.5 8.5h.01",
    ),
    ("video", "M5 5h14a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z M10 9l5 3-5 3z"),
    ("audio", "M9 18V6l11-2v12 M9 18a3 3 0 1 1-6 0 3 3 0 0 1 6 0z M20 16a3 3 0 1 1-6 0 3 3 0 0 1 6 0z"),
    ("archive", "M4 8v11a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1V8 M3 4h18v4H3z M10 12h4"),
    ("text", "M6 3h8l5 5v12a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1z M14 3v5h5 M9 13h6 M9 17h6"),
    ("file", "M6 3h8l5 5v12a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1z M14 3v5h5"),
];

/// The ring that gives the project its name. As a data address it also keeps browsers from asking for
/// `/favicon.ico`.
const FAVICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
    %3Ccircle cx='8' cy='8' r='5.5' fill='none' stroke='%23d0692c' stroke-width='3.4'/%3E%3C/svg%3E";

fn symbols() -> Markup {
    html! {
        svg width="0" height="0" style="position:absolute" aria-hidden="true" {
            @for (name, path) in ICONS {
                symbol id=(name) viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7"
                    stroke-linecap="round" stroke-linejoin="round" { path d=(path) {} }
            }
        }
    }
}
