//! The account of one response: begun with the request, and logged when it is dropped, however that comes.
//!
//! It sends nothing. What it keeps true: each response has exactly one line in the log, also if its connection is cut, its
//! client goes away, or the server ends while it is being sent.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Display;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use annulus_http::{RequestHead, Status};

use crate::clock::wall;
use crate::log::Record;
use crate::shard::Shard;

/// What is said about a response whose task was dropped by the end of the server.
const SERVER_ENDED: &str = "aborted: the server ended before it was complete";

/// One response on its way.
pub(crate) struct Transfer {
    shard: Rc<Shard>,
    address: IpAddr,
    began: Instant,
    method: Option<String>,
    target: Option<String>,
    /// `None` as long as nothing is being sent: then there is nothing to log.
    status: Cell<Option<Status>>,
    head_bytes: Cell<u64>,
    sent_bytes: Cell<u64>,
    remark: Cell<Option<Cow<'static, str>>>,
}

impl Transfer {
    /// For a request that was understood.
    pub(crate) fn of(shard: &Rc<Shard>, address: IpAddr, request: &RequestHead<'_>) -> Self {
        let mut transfer = Self::unknown(shard, address);
        if shard.parts.log.is_on() {
            transfer.method = Some(request.method_token.to_owned());
            transfer.target = Some(request.target_for_log().to_string());
        }
        transfer
    }

    /// For bytes that are no request.
    pub(crate) fn unknown(shard: &Rc<Shard>, address: IpAddr) -> Self {
        Self {
            shard: Rc::clone(shard),
            address,
            began: annulus_rt::time::now(),
            method: None,
            target: None,
            status: Cell::new(None),
            head_bytes: Cell::new(0),
            sent_bytes: Cell::new(0),
            remark: Cell::new(Some(SERVER_ENDED.into())),
        }
    }

    /// A head of so many bytes is about to be sent.
    pub(crate) fn answered(&self, status: Status, head_bytes: usize) {
        self.status.set(Some(status));
        self.head_bytes.set(head_bytes as u64);
    }

    /// The socket took so many bytes.
    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.set(self.sent_bytes.get() + bytes as u64);
    }

    /// It ends before its time.
    pub(crate) fn abort(&self, why: &dyn Display) {
        self.remark.set(Some(format!("aborted: {why}").into()));
    }

    /// All of it was sent; `failed` says why it was not what was asked for.
    pub(crate) fn complete(self, failed: Option<&dyn Display>) {
        self.remark.set(failed.map(|why| format!("failed: {why}").into()));
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let Some(status) = self.status.get() else { return };
        if !self.shard.parts.log.is_on() {
            return;
        }
        let record = Record {
            at: wall(),
            address: self.address,
            method: self.method.take(),
            target: self.target.take(),
            status: status.code(),
            body_bytes: self.sent_bytes.get().saturating_sub(self.head_bytes.get()),
            took: annulus_rt::time::now().saturating_duration_since(self.began),
            remark: self.remark.take(),
        };
        self.shard.parts.log.put(record.line());
    }
}
