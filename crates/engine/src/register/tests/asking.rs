//! Probes and queries; what does not exist.

use annulus_abi as abi;
use rustix::io::Errno;

use super::*;
use crate::op::is_supported;

#[test]
fn an_operation_that_6_18_does_not_have_is_refused() {
    let engine = engine(SetupFlags::empty());
    for op in
        [abi::IORING_REGISTER_ZCRX_CTRL, abi::IORING_REGISTER_BPF_FILTER, abi::IORING_REGISTER_LAST, 4711]
    {
        assert_eq!(call(&engine, op, &mut [0_u64; 16], 1), Err(Errno::INVAL), "{op}");
    }
    // Messages are for no ring, and sizes for whoever has the ring to himself.
    for op in [abi::IORING_REGISTER_SEND_MSG_RING, abi::IORING_REGISTER_RESIZE_RINGS] {
        assert_eq!(call(&engine, op, &mut [0_u64; 16], 1), Err(Errno::INVAL), "{op}");
    }
    let blind_ops = (0..abi::IORING_REGISTER_LAST)
        .filter(|op| blind(*op, &mut [0_u64; 16], 0) != Err(Errno::INVAL))
        .collect::<Vec<_>>();
    assert_eq!(blind_ops, [abi::IORING_REGISTER_QUERY]);
}

#[test]
fn what_the_engine_has_no_use_for_answers_as_a_kernel_built_without_it() {
    let engine = engine(SetupFlags::empty());
    for op in [abi::IORING_REGISTER_NAPI, abi::IORING_REGISTER_ZCRX_IFQ] {
        assert_eq!(call(&engine, op, &mut [0_u64; 16], 1), Err(Errno::OPNOTSUPP), "{op}");
        assert_eq!(call(&engine, op, &mut [0_u64; 16], 2), Err(Errno::INVAL), "{op}");
        assert_eq!(plain(&engine, op, 1), Err(Errno::INVAL), "{op}");
    }
    assert_eq!(plain(&engine, abi::IORING_UNREGISTER_NAPI, 1), Err(Errno::OPNOTSUPP));
    assert_eq!(plain(&engine, abi::IORING_UNREGISTER_NAPI, 0), Err(Errno::INVAL));
}

#[test]
fn the_bit_for_a_registered_ring_means_this_ring() {
    let engine = engine(SetupFlags::empty());
    let op = abi::IORING_UNREGISTER_EVENTFD | abi::IORING_REGISTER_USE_REGISTERED_RING;
    assert_eq!(plain(&engine, op, 0), Err(Errno::NXIO));
}

#[test]
fn a_probe_tells_of_each_opcode_whether_it_is_carried_out() {
    let engine = engine(SetupFlags::empty());
    let mut probe = [0_u8; 16 + 256 * 8];
    let op = abi::IORING_REGISTER_PROBE;
    assert_eq!(call(&engine, op, &mut probe, 256), Ok(0));
    assert_eq!((probe[0], probe[1]), (62, 63));
    for (number, told) in probe[16..].chunks_exact(8).enumerate() {
        let number = u8::try_from(number).unwrap();
        let expected =
            if number < 63 { [number, 0, u8::from(is_supported(number)), 0, 0, 0, 0, 0] } else { [0; 8] };
        assert_eq!(told, expected);
    }
    assert_eq!(
        probe[16 + 8 * usize::from(abi::IORING_OP_RECV_ZC) + 2],
        0,
        "there is no card to receive from"
    );
    assert_eq!(call(&engine, op, &mut probe, 256), Err(Errno::INVAL), "it is filled in");
    assert_eq!(call(&engine, op, &mut [0_u8; 16], 257), Err(Errno::INVAL));
    assert_eq!(plain(&engine, op, 0), Err(Errno::INVAL));

    let mut short = [0_u8; 16 + 3 * 8];
    assert_eq!(call(&engine, op, &mut short, 3), Ok(0));
    assert_eq!((short[0], short[1]), (62, 3));
    let mut none = [0_u8; 16];
    assert_eq!(call(&engine, op, &mut none, 0), Ok(0));
    assert_eq!((none[0], none[1]), (62, 0));
}

/// A header: where the next is, where the answer goes, what is asked, how large the answer may be.
fn header(next: u64, data: u64, op: u32, size: u32) -> [u64; 5] {
    [next, data, u64::from(op) | u64::from(size) << 32, 0, 0]
}

/// Size and result of a header that was answered.
fn answered(header: [u64; 5]) -> (u64, i32) {
    let low_half = u32::try_from(header[3] & u64::from(u32::MAX)).unwrap();
    (header[2] >> 32, low_half.cast_signed())
}

#[test]
fn a_query_counts_what_there_is_and_clears_what_is_beyond() {
    let mut data = [u64::MAX; 9];
    let mut query = header(0, address(&mut data), 0, 64);
    assert_eq!(blind(abi::IORING_REGISTER_QUERY, &mut query, 0), Ok(0));
    assert_eq!(answered(query), (48, 0));
    let features = u64::from(crate::setup::FEATURES.bits());
    assert_eq!(data, [63 | 36 << 32, features, 0x7ffff, 0xff, 0x7f, 1, 0, 0, u64::MAX]);
    let engine = engine(SetupFlags::empty());
    let mut short = [u64::MAX; 2];
    let mut query = header(0, address(&mut short), 0, 8);
    assert_eq!(call(&engine, abi::IORING_REGISTER_QUERY, &mut query, 0), Ok(0));
    assert_eq!((answered(query), short), ((8, 0), [63 | 36 << 32, u64::MAX]));
}

#[test]
fn each_query_of_a_chain_has_its_own_result() {
    let mut data = [[u64::MAX; 6]; 3];
    let [first, second, third] = &mut data;
    let mut without_size = header(0, address(third), 0, 0);
    let mut unknown = header(address(&mut without_size), address(second), 1, 48);
    let mut chain = header(address(&mut unknown), address(first), 0, 48);
    assert_eq!(blind(abi::IORING_REGISTER_QUERY, &mut chain, 0), Ok(0));
    assert_eq!([chain, unknown, without_size].map(answered), [(48, 0), (0, -95), (0, -22)]);
    assert_eq!((data[0][0], data[1], data[2]), (63 | 36 << 32, [0; 6], [u64::MAX; 6]));
}

#[test]
fn a_chain_of_queries_ends_or_is_refused() {
    let mut data = [0_u64; 6];
    let mut cycle = header(0, address(&mut data), 0, 48);
    cycle[0] = address(&mut cycle);
    let mut again = cycle;
    again[0] = address(&mut again);
    assert_eq!(blind(abi::IORING_REGISTER_QUERY, &mut again, 0), Err(Errno::RANGE));
    assert_eq!(
        blind::<u64>(abi::IORING_REGISTER_QUERY, &mut [], 0),
        Ok(0),
        "nothing asked, nothing answered"
    );
    assert_eq!(blind(abi::IORING_REGISTER_QUERY, &mut cycle, 1), Err(Errno::INVAL));
    let mut nowhere = header(8, address(&mut data), 0, 48);
    assert_eq!(blind(abi::IORING_REGISTER_QUERY, &mut nowhere, 0), Err(Errno::FAULT));
}
