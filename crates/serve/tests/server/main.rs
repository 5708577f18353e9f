//! The server over real sockets: what a client of any kind can see of it.

mod bytes;
mod ends;
mod paths;
mod patience;
mod requests;
mod site;
