//! How many connections there may be, in all and from one address.
//!
//! A table that the caller asks at accept and tells at close; it holds no socket. What it keeps true: the table never
//! has more entries than connections are allowed, and an address without connections has none.

use core::net::IpAddr;
use std::collections::BTreeMap;

/// The bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Connections in all. At this number the caller stops accepting, and goes on when one ends.
    pub connections: usize,
    /// Connections from one IPv4 address or one IPv6 network of 64 bits, which is what one customer gets.
    pub per_address: usize,
}

impl Default for AdmissionLimits {
    /// 4096 in all, 256 from one address: many people may share one behind a translator.
    fn default() -> Self {
        Self { connections: 4096, per_address: 256 }
    }
}

/// Why a connection is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// There are as many as allowed in all.
    Full,
    /// There are as many as allowed from this address.
    AddressFull,
}

/// Counts connections.
///
/// ```
/// use annulus_http::{Admission, AdmissionLimits, Refused};
///
/// let mut admission = Admission::new(AdmissionLimits { connections: 3, per_address: 1 });
/// let (one, two) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
/// assert_eq!(admission.admit(one), Ok(()));
/// assert_eq!(admission.admit(one), Err(Refused::AddressFull));
/// assert_eq!(admission.admit(two), Ok(()));
/// admission.release(one);
/// assert_eq!(admission.admit(one), Ok(()));
/// ```
#[derive(Clone, Debug)]
pub struct Admission {
    limits: AdmissionLimits,
    total: usize,
    // Ordered, not hashed: addresses are chosen by clients, and a tree has no bad case to choose.
    per_address: BTreeMap<u128, usize>,
}

impl Admission {
    /// An empty table.
    #[must_use]
    pub const fn new(limits: AdmissionLimits) -> Self {
        Self { limits, total: 0, per_address: BTreeMap::new() }
    }

    /// Counts a connection from `address` in, if there is room.
    ///
    /// # Errors
    /// [`Refused`]: close it, perhaps after
    /// [`TOO_MANY_CONNECTIONS`](crate::Rejection::TOO_MANY_CONNECTIONS). It must not be released.
    pub fn admit(&mut self, address: IpAddr) -> Result<(), Refused> {
        if self.is_full() {
            return Err(Refused::Full);
        }
        let key = key(address);
        let count = self.per_address.get(&key).copied().unwrap_or(0);
        if count >= self.limits.per_address {
            return Err(Refused::AddressFull);
        }
        self.per_address.insert(key, count + 1);
        self.total += 1;
        Ok(())
    }

    /// Counts a connection out that was admitted.
    ///
    /// # Panics
    /// If none from `address` is counted in: the caller has lost count.
    pub fn release(&mut self, address: IpAddr) {
        let key = key(address);
        let count = self.per_address.get(&key).copied().unwrap_or(0);
        assert!(count > 0, "release({address}) without a connection admitted from there");
        if count == 1 {
            self.per_address.remove(&key);
        } else {
            self.per_address.insert(key, count - 1);
        }
        self.total -= 1;
    }

    /// Connections counted in.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.total
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Whether accepting should wait for one to end.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.total >= self.limits.connections
    }
}

/// IPv4 as it is, also when mapped into IPv6; of IPv6 the network.
fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn full_is_an_answer_until_one_ends() {
        let mut admission = Admission::new(AdmissionLimits { connections: 2, per_address: 2 });
        assert_eq!(admission.admit(ip("192.0.2.1")), Ok(()));
        assert_eq!(admission.admit(ip("192.0.2.2")), Ok(()));
        assert!(admission.is_full());
        assert_eq!(admission.admit(ip("192.0.2.3")), Err(Refused::Full));
        admission.release(ip("192.0.2.2"));
        assert_eq!(admission.admit(ip("192.0.2.3")), Ok(()));
        assert_eq!(admission.len(), 2);
    }

    #[test]
    fn one_customer_is_one_address() {
        let mut admission = Admission::new(AdmissionLimits { connections: 99, per_address: 1 });
        assert_eq!(admission.admit(ip("2001:db8:0:1::1")), Ok(()));
        assert_eq!(admission.admit(ip("2001:db8:0:1:ffff::2")), Err(Refused::AddressFull));
        assert_eq!(admission.admit(ip("2001:db8:0:2::1")), Ok(()));
        assert_eq!(admission.admit(ip("192.0.2.1")), Ok(()));
        assert_eq!(admission.admit(ip("::ffff:192.0.2.1")), Err(Refused::AddressFull));
        assert_eq!(admission.admit(ip("192.0.2.2")), Ok(()));
    }

    #[test]
    fn the_table_forgets_who_has_left() {
        let mut admission = Admission::new(AdmissionLimits::default());
        for last in 0..=255 {
            let address = IpAddr::from([192, 0, 2, last]);
            assert_eq!(admission.admit(address), Ok(()));
            admission.release(address);
        }
        assert!(admission.is_empty() && admission.per_address.is_empty());
    }

    #[test]
    #[should_panic(expected = "release(192.0.2.1)")]
    fn releasing_what_was_not_admitted_is_a_mistake() {
        Admission::new(AdmissionLimits::default()).release(ip("192.0.2.1"));
    }
}
