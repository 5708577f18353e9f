//! Receiving where the kernel has no buffer ring: the other way, made to be taken here.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use annulus::{BackendChoice, environment};

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

#[test]
fn a_receive_waits_while_a_dropped_one_may_still_take_bytes_that_come_first() {
    crate::run(async {
        let (near, far) = pair().await;
        let mut receiver = far.receiver();
        let inbound = receiver.inbound.clone();
        inbound.doubt();
        near.send_all("later").await.0.unwrap();
        assert!(timeout(Duration::from_millis(30), receiver.next()).await.is_err());
        assert!(timeout(Duration::from_millis(30), far.recv(vec![0; 5])).await.is_err());
        let waits = spawn(async move { far.recv_exact(vec![0; 12]).await });
        crate::yield_now().await;
        inbound.keep(b"earlier");
        inbound.settle();
        let (result, all) = waits.await.unwrap();
        result.unwrap();
        assert_eq!(all, b"earlierlater");
    })
    .unwrap();
}

#[test]
fn an_error_that_a_dropped_receive_was_told_of_is_told_again_after_its_bytes() {
    crate::run(async {
        let (_near, far) = pair().await;
        let inbound = far.receiver().inbound.clone();
        inbound.keep(b"rest");
        inbound.keep_error(libc::ECANCELED);
        inbound.keep_error(libc::ECONNRESET);
        let (result, rest) = far.recv(vec![0; 9]).await;
        assert_eq!((result.unwrap(), rest), (4, b"rest".to_vec()));
        let (result, _) = far.recv(vec![0; 9]).await;
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    if environment::backend_choice() == Ok(BackendChoice::Engine) {
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["net::stream::receiver::", "--skip", "all_of_this_holds_on_the_engine_too"]);
    let output = again.env(environment::BACKEND_VARIABLE, "engine").output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !text.contains(" 0 passed"), "on the engine: {text}{errors}");
}
