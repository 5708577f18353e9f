//! Content codings of precompressed siblings (`page.html.br` beside `page.html`) and which of them a client wants.
//!
//! Nothing is compressed here. What it keeps true: a coding that the client gave `q=0`, by name or by `*`, is never
//! proposed, and nothing better than what the file itself is worth to the client is skipped.

use crate::headers::{Headers, Name};

/// A content coding that a sibling file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `br`, RFC 7932
    Brotli,
    /// `zstd`, RFC 8878
    Zstd,
    /// `gzip`, RFC 1952
    Gzip,
}

impl Coding {
    /// In the server's own order of preference, which decides between equal weights.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The token of `Content-Encoding`.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What the sibling's name ends with, dot included.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }

    fn from_token(token: &[u8]) -> Option<Self> {
        let is = |name: &[u8]| token.eq_ignore_ascii_case(name);
        Self::ALL
            .into_iter()
            .find(|coding| is(coding.token().as_bytes()))
            .or_else(|| is(b"x-gzip").then_some(Self::Gzip))
    }
}

/// The codings worth looking for, best first. When none of the siblings exists, the file itself is served: also to a
/// client that refused `identity`, since bytes are of more use to it than 406 (RFC 9110 section 12.5.3 allows it).
///
/// ```
/// use annulus_http::{parse, preferred_codings, Coding, Limits, Parsed};
///
/// let request = b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br;q=0, zstd;q=0.5\r\n\r\n";
/// let Parsed::Complete { head, .. } = parse(request, &Limits::default()) else { panic!() };
/// let wanted: Vec<Coding> = preferred_codings(&head.headers).collect();
/// assert_eq!(wanted, [Coding::Gzip, Coding::Zstd]);
/// ```
pub fn preferred_codings(headers: &Headers<'_>) -> impl Iterator<Item = Coding> + use<> {
    let weights = Weights::of(headers);
    let mut ranked = Coding::ALL.map(|coding| (weights.of_coding(coding), Some(coding)));
    for (weight, coding) in &mut ranked {
        if *weight == 0 || *weight < weights.of_identity() {
            *coding = None;
        }
    }
    // The sort is stable, so equal weights stay in the server's order.
    ranked.sort_by_key(|&(weight, _)| std::cmp::Reverse(weight));
    ranked.into_iter().filter_map(|(_, coding)| coding)
}

/// Weights in thousandths, `None` where the client did not name the coding.
#[derive(Default)]
struct Weights {
    brotli: Option<u16>,
    zstd: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    any: Option<u16>,
}

impl Weights {
    fn of(headers: &Headers<'_>) -> Self {
        let mut weights = Self::default();
        for value in headers.values(Name::AcceptEncoding) {
            for member in value.split(|&b| b == b',') {
                weights.note(member.trim_ascii());
            }
        }
        weights
    }

    fn note(&mut self, member: &[u8]) {
        let mut parts = member.split(|&b| b == b';');
        let token = parts.next().unwrap_or_default().trim_ascii();
        // A weight that cannot be read means that the client's wish is not known: nothing is assumed in its favour.
        let weight = parts.next().map_or(1000, |q| weight(q.trim_ascii()).unwrap_or(0));
        let place = match Coding::from_token(token) {
            Some(Coding::Brotli) => &mut self.brotli,
            Some(Coding::Zstd) => &mut self.zstd,
            Some(Coding::Gzip) => &mut self.gzip,
            None if token.eq_ignore_ascii_case(b"identity") => &mut self.identity,
            None if token == b"*" => &mut self.any,
            None => return,
        };
        *place = Some(weight);
    }

    fn of_coding(&self, coding: Coding) -> u16 {
        let named = match coding {
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
            Coding::Gzip => self.gzip,
        };
        named.or(self.any).unwrap_or(0)
    }

    /// Unless named, the file itself ranks below everything acceptable: a client that lists codings prefers them.
    fn of_identity(&self) -> u16 {
        self.identity.unwrap_or(0)
    }
}

/// `q=0.8` in thousandths; at most three decimals, at most 1.
fn weight(parameter: &[u8]) -> Option<u16> {
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
    let (whole, decimals) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', decimals @ ..] => (whole, decimals),
        _ => return None,
    };
    if decimals.len() > 3 || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let fraction = (0..3).fold(0, |sum, place| {
        let digit = decimals.get(place).map_or(0, |&d| u16::from(d - b'0'));
        sum * 10 + digit
    });
    match (whole, fraction) {
        (b'0', fraction) => Some(fraction),
        (b'1', 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::tests::headers;

    fn wanted(block: &str) -> Vec<Coding> {
        preferred_codings(&headers(block)).collect()
    }

    #[test]
    fn without_the_header_the_file_itself_is_served() {
        assert_eq!(wanted("Host: a\r\n"), []);
        assert_eq!(wanted("Accept-Encoding:\r\n"), []);
        assert_eq!(wanted("Accept-Encoding: identity\r\n"), []);
        assert_eq!(wanted("Accept-Encoding: deflate, compress\r\n"), []);
    }

    #[test]
    fn equal_weights_follow_the_order_of_the_server() {
        let all = [Coding::Brotli, Coding::Zstd, Coding::Gzip];
        assert_eq!(wanted("Accept-Encoding: gzip, deflate, br, zstd\r\n"), all);
        assert_eq!(wanted("Accept-Encoding: *\r\n"), all);
        assert_eq!(wanted("Accept-Encoding: x-gzip\r\n"), [Coding::Gzip]);
        assert_eq!(
            wanted("Accept-Encoding: GZIP\r\nAccept-Encoding: Br\r\n"),
            [Coding::Brotli, Coding::Gzip]
        );
    }

    #[test]
    fn the_weight_of_the_client_goes_first() {
        assert_eq!(wanted("Accept-Encoding: br;q=0.5, gzip;q=1.0\r\n"), [Coding::Gzip, Coding::Brotli]);
        assert_eq!(wanted("Accept-Encoding: br; q=0.001, gzip ;q=0.002\r\n"), [Coding::Gzip, Coding::Brotli]);
    }

    #[test]
    fn zero_refuses_by_name_and_by_star() {
        assert_eq!(wanted("Accept-Encoding: br;q=0, gzip\r\n"), [Coding::Gzip]);
        assert_eq!(wanted("Accept-Encoding: gzip, *;q=0\r\n"), [Coding::Gzip]);
        assert_eq!(wanted("Accept-Encoding: *, br;q=0.000\r\n"), [Coding::Zstd, Coding::Gzip]);
        assert_eq!(wanted("Accept-Encoding: *;q=0\r\n"), []);
    }

    #[test]
    fn a_client_may_prefer_the_file_itself() {
        assert_eq!(wanted("Accept-Encoding: identity, gzip;q=0.5\r\n"), []);
        assert_eq!(wanted("Accept-Encoding: identity;q=0.5, gzip;q=0.4, br;q=0.6\r\n"), [Coding::Brotli]);
        assert_eq!(wanted("Accept-Encoding: identity;q=0, gzip\r\n"), [Coding::Gzip]);
    }

    #[test]
    fn a_weight_that_cannot_be_read_refuses() {
        for bad in ["q=2", "q=1.5", "q=0.1234", "q=-1", "q=", "q=.5", "quality=1", "q=0,5"] {
            assert_eq!(wanted(&format!("Accept-Encoding: gzip;{bad}\r\n")), [], "{bad}");
        }
    }
}
