//! One Rust file as tokens with lines, and the few questions that the checks ask of it.
//!
//! The lexer is proc-macro2's, so comments are gone, strings are literals and the inside of a macro
//! call is read like any other code. There is no syntax tree: an item is recognised by its keyword,
//! which holds inside `bitflags!` and `macro_rules!` as well.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, LexError, TokenStream, TokenTree};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword.
    Word,
    /// One punctuation character.
    Mark,
    /// A string, number or character.
    Literal,
    /// An opening bracket of any kind.
    Open,
    /// A closing bracket.
    Close,
}

/// One token of a file.
#[derive(Clone, Debug)]
pub struct Token {
    /// As written; raw identifiers without `r#`.
    pub text: String,
    /// Counted from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
    /// For an [`Kind::Open`], the index of its closing bracket; else its own index.
    pub partner: usize,
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`.
    pub line: usize,
    /// From that line to the closing brace.
    pub lines: usize,
}

/// A lexed file.
#[derive(Clone, Debug)]
pub struct Source {
    tokens: Vec<Token>,
    lines: usize,
    first_line: String,
}

impl Source {
    /// Lexes a whole file.
    ///
    /// # Errors
    /// When the text is not Rust: an open bracket or string, a stray character.
    pub fn lex(text: &str) -> Result<Self, LexError> {
        let mut tokens = Vec::new();
        flatten(text.parse::<TokenStream>()?, &mut tokens);
        Ok(Self {
            tokens,
            lines: text.lines().count(),
            first_line: text.lines().next().unwrap_or_default().to_owned(),
        })
    }

    /// The tokens, brackets included.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// How many lines the file has.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The file's first line.
    #[must_use]
    pub fn first_line(&self) -> &str {
        &self.first_line
    }

    /// The first line that says `word` as code.
    #[must_use]
    pub fn line_of(&self, word: &str) -> Option<usize> {
        self.tokens
            .iter()
            .find(|token| token.kind == Kind::Word && token.text == word)
            .map(|token| token.line)
    }

    /// Every word of the code.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().filter(|token| token.kind == Kind::Word).map(|token| token.text.as_str())
    }

    /// The functions that have a body, in order.
    #[must_use]
    pub fn functions(&self) -> Vec<Function> {
        self.declared_by(&["fn"]).into_iter().filter_map(|name_at| self.function(name_at)).collect()
    }

    /// The functions under a `#[test]`, `#[tokio::test]` and the like: name and line.
    #[must_use]
    pub fn tests(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            if token.text != "#" || !self.is(at + 1, "[") {
                continue;
            }
            let end = self.tokens[at + 1].partner;
            let named_test = self.tokens[end - 1].text == "test" && !self.is(at + 2, "cfg");
            let function =
                named_test.then(|| (end..self.tokens.len()).find(|&next| self.is(next, "fn"))).flatten();
            if let Some(name) = function.and_then(|at| self.tokens.get(at + 1)) {
                found.push((name.text.clone(), name.line));
            }
        }
        found
    }

    /// Every path of at least two segments, `use` trees spelled out, with the line of its last word.
    #[must_use]
    pub fn paths(&self) -> Vec<(Vec<String>, usize)> {
        let (mut found, mut at) = (Vec::new(), 0);
        while at < self.tokens.len() {
            let continues = at >= 2 && self.is(at - 1, ":") && self.is(at - 2, ":");
            if self.is_word(at) && !continues {
                self.extend_path(at, &[], &mut found);
            }
            // The braces of a `use` tree were read with the path before them.
            at = if continues { self.tokens[at].partner + 1 } else { at + 1 };
        }
        found.retain(|(path, _)| path.len() > 1);
        found
    }

    /// What is declared in the file: functions, types, constants, modules, macros, re-exports.
    #[must_use]
    pub fn declared(&self) -> BTreeSet<String> {
        self.declared_between(0, self.tokens.len())
    }

    /// Each type, trait and module with what stands in its bodies: variants, fields, methods, constants.
    #[must_use]
    pub fn members(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name_at in self.declared_by(&["struct", "enum", "trait", "union", "mod"]) {
            let body = self.body_after(name_at).map_or_else(BTreeSet::new, |open| self.body_names(open));
            members.entry(self.tokens[name_at].text.clone()).or_default().extend(body);
        }
        for at in 0..self.tokens.len() {
            if let Some((name, open)) = self.is(at, "impl").then(|| self.implemented(at)).flatten() {
                members.entry(name).or_default().extend(self.body_names(open));
            }
        }
        members
    }

    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.text == text && token.kind != Kind::Literal)
    }

    fn is_word(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Word)
    }

    fn function(&self, name_at: usize) -> Option<Function> {
        let name = &self.tokens[name_at];
        let open = self.body_after(name_at)?;
        let end = self.tokens[self.tokens[open].partner].line;
        Some(Function { name: name.text.clone(), line: name.line, lines: end + 1 - name.line })
    }

    /// The indices of the names that follow one of `keywords`.
    fn declared_by(&self, keywords: &[&str]) -> Vec<usize> {
        let is_keyword = |at: usize| keywords.iter().any(|keyword| self.is(at, keyword));
        (1..self.tokens.len()).filter(|&at| self.is_word(at) && is_keyword(at - 1)).collect()
    }

    /// The brace that opens the body of what is named at `at`, if it has one.
    fn body_after(&self, at: usize) -> Option<usize> {
        let mut next = at + 1;
        loop {
            let token = self.tokens.get(next)?;
            match token.text.as_str() {
                "{" => return Some(next),
                ";" => return None,
                _ if token.kind == Kind::Close => return None,
                _ if token.kind == Kind::Open => next = token.partner + 1,
                _ => next += 1,
            }
        }
    }

    /// Items declared in the body, and the words that begin its fields or variants.
    fn body_names(&self, open: usize) -> BTreeSet<String> {
        let close = self.tokens[open].partner;
        let mut names = self.declared_between(open, close);
        let mut at = open + 1;
        while at < close {
            let begins = matches!(self.tokens[at - 1].text.as_str(), "{" | "," | "]" | ")" | "pub");
            if begins && self.is_word(at) {
                names.insert(self.tokens[at].text.clone());
            }
            at = self.tokens[at].partner + 1;
        }
        names
    }

    fn declared_between(&self, from: usize, to: usize) -> BTreeSet<String> {
        let keywords = ["fn", "struct", "enum", "trait", "union", "mod", "type", "const", "static", "as"];
        let mut names: BTreeSet<String> = self
            .declared_by(&keywords)
            .into_iter()
            .filter(|at| (from..to).contains(at))
            .map(|at| self.tokens[at].text.clone())
            .collect();
        for at in from..to {
            if self.is(at, "macro_rules") && self.is_word(at + 2) {
                names.insert(self.tokens[at + 2].text.clone());
            }
            if self.is(at, "use") {
                let mut found = Vec::new();
                self.extend_path(at + 1, &[], &mut found);
                names.extend(found.into_iter().filter_map(|(mut path, _)| path.pop()));
            }
        }
        names
    }

    /// The type that the `impl` at `at` is for, and its opening brace.
    fn implemented(&self, at: usize) -> Option<(String, usize)> {
        let (mut name, mut angles, mut next) = (None, 0_u32, at + 1);
        loop {
            let token = self.tokens.get(next)?;
            let arrow = next > 0 && self.is(next - 1, "-");
            match token.text.as_str() {
                "{" => return Some((name?, next)),
                ";" | "," | "=" if angles == 0 => return None,
                "<" => angles += 1,
                ">" if !arrow => angles = angles.saturating_sub(1),
                "where" if angles == 0 => return Some((name?, self.body_after(next)?)),
                _ if token.kind == Kind::Close => return None,
                _ if token.kind == Kind::Word && angles == 0 => name = Some(token.text.clone()),
                _ => {}
            }
            next = token.partner + 1;
        }
    }

    fn extend_path(&self, at: usize, before: &[String], found: &mut Vec<(Vec<String>, usize)>) {
        let mut path = before.to_vec();
        let mut at = at;
        while self.is_word(at) {
            path.push(self.tokens[at].text.clone());
            if !(self.is(at + 1, ":") && self.is(at + 2, ":")) {
                break;
            }
            at += 3;
        }
        if !self.is(at, "{") || path.is_empty() {
            let line = self.tokens.get(at).map_or(0, |token| token.line);
            found.push((path, line));
            return;
        }
        let close = self.tokens[at].partner;
        let mut inner = at + 1;
        while inner < close {
            if self.is_word(inner) && (self.is(inner - 1, ",") || inner == at + 1) {
                self.extend_path(inner, &path, found);
            }
            inner = self.tokens[inner].partner + 1;
        }
    }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let here = tokens.len();
        let mut push = |text: String, kind| tokens.push(Token { text, line, kind, partner: here });
        match tree {
            TokenTree::Ident(word) => push(word.to_string().trim_start_matches("r#").to_owned(), Kind::Word),
            TokenTree::Punct(mark) => push(mark.as_char().to_string(), Kind::Mark),
            TokenTree::Literal(literal) => push(literal.to_string(), Kind::Literal),
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                push(open.to_owned(), Kind::Open);
                let end = group.span_close().start().line;
                flatten(group.stream(), tokens);
                let partner = tokens.len();
                tokens[here].partner = partner;
                tokens.push(Token { text: close.to_owned(), line: end, kind: Kind::Close, partner });
            }
        }
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Parenthesis | Delimiter::None => ("(", ")"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::lex(text).unwrap()
    }

    fn words(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_word_in_a_comment_a_string_or_a_doc_is_not_code() {
        let quiet = source("//! unsafe\n/// unsafe\nfn a() { /* unsafe */ let _ = \"unsafe\"; } // unsafe\n");
        assert_eq!(quiet.line_of("unsafe"), None);
        let loud = source("fn a() {\n    unsafe { b() }\n}\n");
        assert_eq!(loud.line_of("unsafe"), Some(2));
        let inside_a_macro = source("bitflags! {\n    struct A: u8 { const B = unsafe { 1 }; }\n}\n");
        assert_eq!(inside_a_macro.line_of("unsafe"), Some(2));
    }

    #[test]
    fn a_function_is_as_long_as_from_fn_to_its_brace() {
        let source =
            source("trait T {\n    fn none(&self);\n}\npub fn two() -> [u8; 2] {\n    [0; { 2 }] }\n");
        assert_eq!(source.functions(), [Function { name: "two".into(), line: 4, lines: 2 }]);
    }

    #[test]
    fn tests_are_found_behind_further_attributes() {
        let source = source(
            "#[test]\n#[ignore]\nfn a_b_c() {}\n#[tokio::test]\nasync fn d() {}\n#[cfg(test)]\nfn e() {}\n",
        );
        assert_eq!(source.tests(), [("a_b_c".to_owned(), 3), ("d".to_owned(), 5)]);
    }

    #[test]
    fn use_trees_are_spelled_out() {
        let source = source("use std::{fs, net::{TcpStream, self as n}};\nfn f() { a::b(); }\n");
        let paths: Vec<String> = source.paths().into_iter().map(|(path, _)| path.join("::")).collect();
        assert_eq!(paths, ["std::fs", "std::net::TcpStream", "std::net::self", "a::b"]);
    }

    #[test]
    fn members_are_gathered_from_definitions_and_impls() {
        let source = source(
            "enum E { One, #[x] Two(u8) }\nstruct S { pub field: u8 }\nimpl<T: Into<u8>> From<T> for S where T: Copy { fn from(t: T) -> Self { f() } }\nimpl crate::E { const C: u8 = 0; }\n",
        );
        let members = source.members();
        assert!(members["E"].is_superset(&words(&["One", "Two", "C"])));
        assert!(members["S"].is_superset(&words(&["field", "from"])));
        assert!(!members["S"].contains("f"));
    }

    #[test]
    fn re_exports_and_macros_count_as_declared() {
        let source = source("pub use a::{B, c::D as Renamed};\nmacro_rules! mine { () => {} }\n");
        assert!(source.declared().is_superset(&words(&["B", "D", "Renamed", "mine"])));
    }
}
