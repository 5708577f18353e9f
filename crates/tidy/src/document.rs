//! One Markdown document: its code spans, its shell blocks, its links, and its tables by heading.
//!
//! Only what a machine can hold against the tree is kept; prose is for people.

use std::collections::BTreeMap;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A piece of a document with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Without the marks around it.
    pub text: String,
    /// Counted from 1.
    pub line: usize,
}

/// A row of a table, without its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The text of each cell, without Markdown.
    pub cells: Vec<String>,
    /// Counted from 1.
    pub line: usize,
}

impl Row {
    /// The cell's text, empty where the row is shorter.
    #[must_use]
    pub fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    /// The cell as a list: split at commas, without the dash that stands for an empty list.
    pub fn list(&self, column: usize) -> impl Iterator<Item = &str> {
        self.cell(column).split(',').map(str::trim).filter(|item| !matches!(*item, "" | "-" | "–" | "—"))
    }
}

/// A parsed document.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Its path from the root.
    pub path: String,
    /// What stands between backquotes.
    pub spans: Vec<Span>,
    /// The lines of the fenced blocks that hold shell commands.
    pub commands: Vec<Span>,
    /// Where links point to.
    pub links: Vec<Span>,
    tables: BTreeMap<String, Vec<Row>>,
}

impl Document {
    /// Reads a document.
    #[must_use]
    pub fn parse(path: &str, text: &str) -> Self {
        let mut reader = Reader { text, ..Reader::default() };
        reader.document.path = path.to_owned();
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            reader.take(event, range.start);
        }
        reader.document
    }

    /// The rows of the tables under a heading, up to the next heading of any level.
    #[must_use]
    pub fn table(&self, heading: &str) -> &[Row] {
        self.tables.get(heading).map_or(&[], Vec::as_slice)
    }
}

#[derive(Default)]
struct Reader<'t> {
    text: &'t str,
    document: Document,
    heading: String,
    in_heading: bool,
    in_shell: bool,
    row: Option<Row>,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, at: usize) {
        match event {
            Event::Start(tag) => self.start(&tag, at),
            Event::End(tag) => self.end(tag),
            Event::Code(code) => {
                let line = self.line(at);
                self.document.spans.push(Span { text: code.to_string(), line });
                self.append(&code);
            }
            Event::Text(text) if self.in_shell => {
                let first = self.line(at);
                let lines = text.lines().enumerate();
                self.document
                    .commands
                    .extend(lines.map(|(below, line)| Span { text: line.to_owned(), line: first + below }));
            }
            Event::Text(text) => self.append(&text),
            Event::SoftBreak => self.append(" "),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>, at: usize) {
        let line = self.line(at);
        match tag {
            Tag::Heading { .. } => (self.in_heading, self.heading) = (true, String::new()),
            Tag::CodeBlock(CodeBlockKind::Fenced(language)) => {
                self.in_shell = matches!(language.as_ref(), "sh" | "console" | "bash");
            }
            Tag::Link { dest_url, .. } => self.document.links.push(Span { text: dest_url.to_string(), line }),
            Tag::TableRow => self.row = Some(Row { cells: Vec::new(), line }),
            Tag::TableCell => self.row.iter_mut().for_each(|row| row.cells.push(String::new())),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => self.in_heading = false,
            TagEnd::CodeBlock => self.in_shell = false,
            TagEnd::TableRow => {
                let rows = self.document.tables.entry(self.heading.clone()).or_default();
                rows.extend(self.row.take());
            }
            _ => {}
        }
    }

    fn append(&mut self, text: &str) {
        if self.in_heading {
            self.heading.push_str(text);
        }
        if let Some(cell) = self.row.as_mut().and_then(|row| row.cells.last_mut()) {
            cell.push_str(text);
        }
    }

    fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A `Title`\n\nSee [style](STYLE.md) and `Code`.\n\n## List\n\n| File | Why |\n|---|---|\n| `a.rs` | x, `y` |\n| b | - |\n\n## Other\n\n```sh\nannulus serve\n  curl x\n```\n\n```rust\nlet x = 1;\n```\n";

    #[test]
    fn spans_links_and_commands_carry_their_lines() {
        let document = Document::parse("X.md", TEXT);
        let spans: Vec<(&str, usize)> =
            document.spans.iter().map(|span| (span.text.as_str(), span.line)).collect();
        assert_eq!(spans, [("Title", 1), ("Code", 3), ("a.rs", 9), ("y", 9)]);
        assert_eq!(document.links, [Span { text: "STYLE.md".into(), line: 3 }]);
        let commands: Vec<(&str, usize)> =
            document.commands.iter().map(|it| (it.text.as_str(), it.line)).collect();
        assert_eq!(commands, [("annulus serve", 15), ("  curl x", 16)]);
    }

    #[test]
    fn a_table_is_found_by_the_heading_above_it() {
        let document = Document::parse("X.md", TEXT);
        let rows = document.table("List");
        assert_eq!((rows.len(), rows[0].cell(0), rows[0].line), (2, "a.rs", 9));
        assert_eq!(rows[0].list(1).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(rows[1].list(1).count(), 0);
        assert!(document.table("Other").is_empty());
    }
}
