//! Receiving where the kernel has no buffer ring: the other way, made to be taken here.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::executor::Context;
use crate::net::{TcpListener, TcpStream};
use crate::time::timeout;
use crate::{Builder, spawn};

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap())
}

#[test]
fn without_a_buffer_ring_bytes_come_in_buffers_that_the_pool_bounds() {
    let builder = Builder::new().receive_buffers(2, 64);
    let echoed = builder.run(async {
        Context::current().pool().unwrap().give_up_ring();
        let (near, far) = pair().await;
        far.set_nodelay(true).unwrap();
        let echo = spawn(async move {
            let mut receiver = far.receiver();
            let mut total = 0;
            while let Some(bytes) = receiver.next().await.unwrap() {
                total += bytes.len();
                far.send_all(bytes).await.0.unwrap();
            }
            total
        });
        for round in 0..100_u8 {
            near.send_all(vec![round; 100]).await.0.unwrap();
            let (result, back) = near.recv_exact(vec![0; 100]).await;
            result.unwrap();
            assert_eq!(back, [round; 100]);
        }
        near.shutdown(std::net::Shutdown::Write).await.unwrap();
        echo.await.unwrap()
    });
    assert_eq!(echoed.unwrap(), 10_000);
}

#[test]
fn without_a_buffer_ring_a_receiver_waits_for_a_buffer_and_loses_nothing_when_dropped() {
    let builder = Builder::new().receive_buffers(1, 64);
    builder
        .run(async {
            Context::current().pool().unwrap().give_up_ring();
            let (near, far) = pair().await;
            near.send_all(vec![1; 64]).await.0.unwrap();
            let mut receiver = far.receiver();
            let held = receiver.next().await.unwrap().unwrap();
            near.send_all("second").await.0.unwrap();
            assert!(timeout(Duration::from_millis(30), receiver.next()).await.is_err());
            drop(held);
            assert_eq!(&*receiver.next().await.unwrap().unwrap(), b"second");
        })
        .unwrap();
}

#[test]
fn a_pool_whose_ring_is_refused_later_goes_on_without() {
    Builder::new()
        .run(async {
            let (near, far) = pair().await;
            let mut receiver = far.receiver();
            near.send_all("one").await.0.unwrap();
            assert_eq!(&*receiver.next().await.unwrap().unwrap(), b"one");
            Context::current().pool().unwrap().give_up_ring();
            near.send_all("two").await.0.unwrap();
            assert_eq!(&*receiver.next().await.unwrap().unwrap(), b"two");
        })
        .unwrap();
}
