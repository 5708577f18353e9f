//! `Origin`: where a task comes from, for those who look at it: its name, the place in the program that spawned it, its span.

use std::borrow::Cow;
use std::panic::Location;

use tracing::span::Entered;
use tracing::{Level, Span};

use super::Id;

/// Where a task comes from.
pub(crate) struct Origin {
    name: Option<Cow<'static, str>>,
    location: &'static Location<'static>,
    /// Only if somebody listens.
    span: Option<Box<Span>>,
}

impl Origin {
    /// That of a task which the caller spawns.
    #[track_caller]
    pub(crate) const fn here() -> Self {
        Self { name: None, location: Location::caller(), span: None }
    }

    pub(crate) fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Opens the task's span, if somebody listens.
    #[inline]
    pub(crate) fn spanned(mut self, id: Id) -> Self {
        if tracing::enabled!(target: "annulus_rt::task", Level::TRACE) {
            self.open_span(id);
        }
        self
    }

    #[cold]
    fn open_span(&mut self, id: Id) {
        let span = tracing::trace_span!(
            target: "annulus_rt::task",
            "task",
            id = id.get(),
            name = self.name(),
            spawned_at = %self.location,
        );
        self.span = (!span.is_disabled()).then(|| Box::new(span));
    }

    /// Enters the task's span, for a poll.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        self.span.as_ref().map(|span| span.enter())
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) const fn location(&self) -> &'static Location<'static> {
        self.location
    }
}
