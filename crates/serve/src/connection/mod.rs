//! One connection: requests in their order, each answered before the next is looked at.
//!
//! What a request deserves is decided by `annulus_http`, what a target names by `Shard::look_up`; here both are asked, and
//! the answer is sent. What it keeps true: whatever a client does, its connection ends, and no other notices.

mod both;
mod patience;
mod wire;

use std::net::IpAddr;
use std::rc::Rc;

use annulus_http::{
    Cut, Failure, HeadParser, Next, Parsed, Plan, Rejection, RequestHead, begin, respond_failure,
};
use annulus_rt::fs::File;
use annulus_rt::net::TcpStream;

use crate::shard::Shard;
use crate::transfer::Transfer;
use wire::{Dropped, End, Unsent, Wire};

/// What an idle connection keeps of its receive buffer at the most.
const KEPT_BYTES: usize = 4096;

/// What follows a response.
enum Onward {
    /// The next request.
    Again,
    /// The end, in good order.
    Close,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(shard: Rc<Shard>, address: IpAddr, stream: TcpStream) {
    let mut wire = Wire::new(shard, address, stream);
    // Grows with what comes, up to the longest head.
    let mut received = Vec::new();
    loop {
        match exchange(&mut wire, &mut received).await {
            Ok(Onward::Again) => {}
            Ok(Onward::Close) => return wire.linger().await,
            Err(End::Cut(Cut::Stalled | Cut::TooSlow) | End::Broken(_)) => return wire.reset(),
            Err(End::Gone | End::Cut(Cut::Idle | Cut::Head) | End::Stopping) => return,
        }
    }
}

/// Tells a client that there are too many connections, and closes.
pub(crate) async fn refuse(shard: Rc<Shard>, address: IpAddr, stream: TcpStream) {
    let mut wire = Wire::new(shard, address, stream);
    if let Ok(Onward::Close) = reject(&mut wire, &Rejection::TOO_MANY_CONNECTIONS, None).await {
        wire.linger().await;
    }
}

/// One request and its response. Leaves in `received` what came behind the request.
async fn exchange(wire: &mut Wire, received: &mut Vec<u8>) -> Result<Onward, End> {
    let shard = Rc::clone(&wire.shard);
    let mut parser = HeadParser::default();
    let (head, consumed) = loop {
        match parser.parse(received, &shard.parts.limits) {
            Parsed::Complete { head, consumed } => break (head, consumed),
            Parsed::Rejected(why) => return reject(wire, &why, None).await,
            Parsed::Partial => {}
        }
        match wire.receive(received).await {
            Ok(()) => {}
            Err(End::Cut(Cut::Head)) => return reject(wire, &Rejection::HEAD_TOO_SLOW, None).await,
            Err(end) => return Err(end),
        }
    };

    let transfer = Transfer::of(&shard, wire.address, &head);
    let start = begin(&head, &shard.parts.policy, &shard.parts.limits);
    let (used, behind) = match start.drain {
        None => (consumed, Vec::new()),
        Some(drain) => match wire.drop_body(drain, &received[consumed..], start.send_continue).await {
            Ok(Dropped::Done { consumed: body, behind }) => (consumed + body, behind),
            Ok(Dropped::Rejected(why)) => return reject(wire, &why, Some(transfer)).await,
            Err(End::Cut(Cut::Head)) => {
                return reject(wire, &Rejection::HEAD_TOO_SLOW, Some(transfer)).await;
            }
            Err(end) => return Err(end),
        },
    };

    let found;
    let (plan, file) = match start.next {
        Next::Answer(plan) => (plan, None),
        Next::Open(target) => {
            found = shard.look_up(&head, &target).await;
            (found.plan(&head, &target, &shard), found.file())
        }
    };
    let onward = answer(wire, &head, plan, file, transfer).await?;
    received.drain(..used);
    received.extend_from_slice(&behind);
    if received.is_empty() {
        // An idle connection waits for a minute, and there may be thousands.
        received.shrink_to(KEPT_BYTES);
    }
    Ok(onward)
}

/// Sends the answer to a request that was understood.
async fn answer(
    wire: &mut Wire,
    head: &RequestHead<'_>,
    plan: Plan<'_>,
    file: Option<&File>,
    transfer: Transfer,
) -> Result<Onward, End> {
    let shard = Rc::clone(&wire.shard);
    let mut plan = if shard.is_stopping() { plan.closing() } else { plan };
    match wire.respond(&plan, file, &transfer).await {
        Ok(()) => transfer.complete(None),
        Err(Unsent::End(end)) => return Err(end),
        Err(Unsent::NotBegun(broken)) => {
            plan = respond_failure(head, Failure::Broken, &shard.parts.policy);
            wire.respond(&plan, None, &transfer).await.map_err(Unsent::into_end)?;
            transfer.complete(Some(&broken));
        }
    }
    Ok(if plan.persists() { Onward::Again } else { Onward::Close })
}

/// Answers what cannot be understood, or did not come in time, and closes.
async fn reject(wire: &mut Wire, why: &Rejection, transfer: Option<Transfer>) -> Result<Onward, End> {
    let shard = Rc::clone(&wire.shard);
    let transfer = transfer.unwrap_or_else(|| Transfer::unknown(&shard, wire.address));
    let plan = Plan::rejected(why, &shard.parts.policy);
    wire.respond(&plan, None, &transfer).await.map_err(Unsent::into_end)?;
    transfer.complete(None);
    Ok(Onward::Close)
}
