//! The table of registered buffers, on the host.

use std::sync::Arc;

use annulus_abi::CloneFlags;
use rustix::io::Errno;

use super::*;
use crate::files::{RingTest, Source};
use crate::op::Tables;
use crate::world::{Host, Vouched, World};

const VOUCHED: Vouched = Vouched::in_tests();

fn host() -> Arc<dyn World> {
    Arc::new(Host::new().expect("a world"))
}

fn source(world: &Arc<dyn World>) -> Source<'_> {
    Source { world, vouched: VOUCHED, rings: RingTest::default() }
}

fn at<T>(list: &[T]) -> u64 {
    list.as_ptr().expose_provenance() as u64
}

/// Memory to register, and the iovecs of some pieces of it.
fn pieces(memory: &[u8], pieces: &[(usize, usize)]) -> Vec<[usize; 2]> {
    pieces.iter().map(|(start, len)| [memory[*start..].as_ptr().expose_provenance(), *len]).collect()
}

#[test]
fn a_part_of_a_buffer_is_named_by_its_address() {
    let (world, mut tables, memory) = (host(), Tables::default(), vec![0; 8192]);
    let iovecs = pieces(&memory, &[(100, 4000)]);
    tables.buffers.register(&source(&world), 1, at(&iovecs), 0).unwrap();
    let start = at(&memory) + 100;
    let part =
        |addr, len| tables.buffers.span(0, addr, len, VOUCHED).map(|(span, _)| (span.addr(), span.len()));
    assert_eq!(part(start, 4000), Ok((start, 4000)));
    assert_eq!(part(start + 4000, 0), Ok((start + 4000, 0)));
    assert_eq!(part(start + 3999, 2), Err(Errno::FAULT));
    assert_eq!(part(start - 1, 1), Err(Errno::FAULT));
    assert_eq!(part(u64::MAX, 2), Err(Errno::FAULT));
    assert_eq!(tables.buffers.span(1, start, 1, VOUCHED).unwrap_err(), Errno::FAULT);
    assert!(tables.buffers.has(0) && !tables.buffers.has(1));
}

#[test]
fn what_cannot_be_a_buffer_is_refused() {
    let (world, mut tables, memory) = (host(), Tables::default(), vec![0; 64]);
    let there = memory.as_ptr().expose_provenance();
    let mut register = |iovec: [usize; 2]| tables.buffers.register(&source(&world), 1, at(&[iovec]), 0);
    assert_eq!(register([there, 0]), Err(Errno::FAULT));
    assert_eq!(register([0, 1]), Err(Errno::FAULT));
    assert_eq!(register([8, 1]), Err(Errno::FAULT), "nothing is mapped there");
    assert_eq!(register([there, (1 << 30) + 1]), Err(Errno::FAULT));
    assert_eq!(register([there, usize::MAX]), Err(Errno::INVAL));
    assert_eq!(register([usize::MAX - 4095, 4096]), Err(Errno::OVERFLOW));
    assert_eq!(tables.buffers.register(&source(&world), 16_385, 0, 0), Err(Errno::INVAL));
    assert_eq!(tables.buffers.register(&source(&world), 0, 0, 0), Err(Errno::INVAL));
    assert_eq!(tables.buffers.register(&source(&world), 1, 8, 0), Err(Errno::FAULT));
    assert_eq!(tables.buffers.register(&source(&world), 1, 0, at(&[3_u64])), Err(Errno::INVAL));
    assert_eq!(tables.buffers.unregister(), Err(Errno::NXIO));
    assert_eq!(tables.buffers.register(&source(&world), 16_384, 0, 0), Ok(()));
    assert_eq!(tables.buffers.register(&source(&world), 1, 0, 0), Err(Errno::BUSY));
}

#[test]
fn memory_that_cannot_be_written_is_refused() {
    let (world, mut tables) = (host(), Tables::default());
    let constant: &'static str = "text of the program";
    let iovec = [constant.as_ptr().expose_provenance(), constant.len()];
    assert_eq!(tables.buffers.register(&source(&world), 1, at(&[iovec]), 0), Err(Errno::FAULT));
}

#[test]
fn a_buffer_that_is_replaced_posts_its_tag_after_its_last_user() {
    let (world, mut tables, memory) = (host(), Tables::default(), vec![0; 4096]);
    let source = source(&world);
    let iovecs = pieces(&memory, &[(0, 10), (10, 10)]);
    tables.buffers.register(&source, 2, at(&iovecs), at(&[21_u64, 22])).unwrap();
    let (_, user) = tables.buffers.span(0, at(&memory), 1, VOUCHED).unwrap();
    assert_eq!(tables.buffers.update(&source, 0, 1, at(&pieces(&memory, &[(20, 5)])), 0), Ok(1));
    assert_eq!(tables.take_retired(), []);
    drop(user);
    assert_eq!(tables.take_retired(), [21]);
    assert!(tables.buffers.span(0, at(&memory) + 20, 5, VOUCHED).is_ok());
    assert_eq!(tables.buffers.update(&source, 1, 1, at(&[[0_usize; 2]]), 0), Ok(1), "an empty slot");
    assert_eq!((tables.buffers.has(1), tables.take_retired()), (false, vec![22]));
    assert_eq!(tables.buffers.update(&source, 1, 2, at(&iovecs), 0), Err(Errno::INVAL));
    assert_eq!(tables.buffers.update(&source, 1, 1, 8, 0), Err(Errno::FAULT));
}

#[test]
fn a_refused_list_of_buffers_posts_no_tag() {
    let (world, mut tables, memory) = (host(), Tables::default(), vec![0; 4096]);
    let iovecs = [pieces(&memory, &[(0, 10)])[0], [8, 1]];
    let refused = tables.buffers.register(&source(&world), 2, at(&iovecs), at(&[1_u64, 2]));
    assert_eq!((refused, tables.buffers.len()), (Err(Errno::FAULT), 0));
    assert_eq!(tables.take_retired(), []);
}

#[test]
fn buffers_are_cloned_without_their_tags() {
    let (world, mut from, mut to, memory) = (host(), Tables::default(), Tables::default(), vec![0; 4096]);
    let iovecs = pieces(&memory, &[(0, 10), (10, 10), (20, 10)]);
    from.buffers.register(&source(&world), 3, at(&iovecs), at(&[1_u64, 2, 3])).unwrap();
    let spans = from.buffers.spans();
    let mut clone = |from, to_slot, count, flags| {
        to.buffers.clone_from(&spans, Clones { from, to: to_slot, count, flags })
    };
    let (plain, replace) = (CloneFlags::empty(), CloneFlags::DST_REPLACE);
    assert_eq!(clone(1, 0, 0, plain), Err(Errno::INVAL), "an offset needs a count");
    assert_eq!(clone(0, 0, 4, plain), Err(Errno::INVAL));
    assert_eq!(clone(2, 0, 2, plain), Err(Errno::OVERFLOW));
    assert_eq!(clone(0, 16_384, 1, plain), Err(Errno::INVAL));
    assert_eq!(clone(1, 2, 2, plain), Ok(()));
    assert_eq!(clone(0, 0, 0, plain), Err(Errno::BUSY));
    assert_eq!(clone(0, 1, 1, replace), Ok(()));
    assert_eq!((to.buffers.len(), to.buffers.has(0)), (4, false));
    let addr = |slot| to.buffers.get(slot).map(|buffer| buffer.span(at(&memory) + 10, 1, VOUCHED).is_ok());
    assert_eq!((addr(1), addr(2), addr(3)), (Ok(false), Ok(true), Ok(false)));
    drop(to);
    assert_eq!(from.take_retired(), []);
    assert_eq!(
        Tables::default().buffers.clone_from(&[], Clones { from: 0, to: 0, count: 0, flags: plain }),
        Err(Errno::NXIO)
    );
}
