//! One definition per flag: the constant under its C name, and the same bit in a typed flag word.
//!
//! What it keeps true: a number of the interface stands in this crate once.

/// Defines flag words. Each line gives the C name, the short name, and the value; the C constant
/// and the typed flag carry the same documentation. `_ = !0;` as the last line keeps bits that have no
/// name yet, which is right for words that the kernel fills in.
macro_rules! flag_words {
    ($(
        $(#[$($outer:tt)*])*
        pub struct $Word:ident: $T:ty {
            $( $(#[$($inner:tt)*])* $C:ident as $Flag:ident = $value:expr; )*
            $( _ = $rest:expr; )?
        }
    )*) => { $(
        $( $(#[$($inner)*])* pub const $C: $T = $value; )*

        bitflags::bitflags! {
            $(#[$($outer)*])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $Word: $T {
                $( $(#[$($inner)*])* const $Flag = $C; )*
                $( const _ = $rest; )?
            }
        }
    )* };
}

pub(crate) use flag_words;
