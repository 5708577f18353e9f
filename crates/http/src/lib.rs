//! HTTP/1.1 as pure functions: heads, ranges, conditionals, dates. No I/O.
