//! The sign itself: two flags. Written over [`sync`], and checked with loom.

use super::sync::{self, AtomicBool, Ordering};

/// Whether somebody may look, and what they see.
#[derive(Debug, Default)]
pub(crate) struct Sign {
    is_exposed: AtomicBool,
    is_up: AtomicBool,
}

impl Sign {
    /// Somebody may look from now on. To be called with the ring's lock, as what is posted between the look at the
    /// queue and this would never be shown.
    pub(crate) fn expose(&self, waiting: impl Fn() -> u32, show: impl FnMut(bool)) {
        // Relaxed: the ring's lock orders it for those who post; who takes completions out is who exposes, or was told by them.
        self.is_exposed.store(true, Ordering::Relaxed);
        self.update(waiting, show);
    }

    /// Whether somebody may be looking.
    pub(crate) fn is_exposed(&self) -> bool {
        // Relaxed: as in `expose`.
        self.is_exposed.load(Ordering::Relaxed)
    }

    /// Turns it to what is right at this moment. To be called with the ring's lock.
    pub(crate) fn update(&self, waiting: impl Fn() -> u32, mut show: impl FnMut(bool)) {
        if !self.is_exposed() {
            return;
        }
        let is_up = waiting() > 0;
        if self.turn(is_up, &mut show) && is_up {
            // Pairs with the fence in `is_left_up`: if that did not see it up, this sees what was taken out.
            sync::fence(Ordering::SeqCst);
            if waiting() == 0 {
                self.turn(false, &mut show);
            }
        }
    }

    /// Whether it is up, for somebody who has taken completions out and gave their places back. It is to be updated then.
    pub(crate) fn is_left_up(&self) -> bool {
        if !self.is_exposed() {
            return false;
        }
        // Pairs with the fence in `update`.
        sync::fence(Ordering::SeqCst);
        self.is_up.load(Ordering::Relaxed)
    }

    /// Whether that turned it.
    fn turn(&self, up: bool, show: &mut impl FnMut(bool)) -> bool {
        // Relaxed: the ring's lock orders those who turn it, the fences those who look.
        let turned = self.is_up.swap(up, Ordering::Relaxed) != up;
        if turned {
            show(up);
        }
        turned
    }
}
