//! What the tests of the server share: a directory to serve, and a client that sends exactly what it is told.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use annulus_serve::{Config, Server};
use tempfile::TempDir;

/// A directory and a server of it; both end with this value.
pub(crate) struct Site {
    server: Option<Server>,
    root: TempDir,
}

impl Site {
    /// An empty directory, served as `adjust` says.
    pub(crate) fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let mut config = Config::new(root.path());
        config.listen = "127.0.0.1:0".parse().expect("an address");
        config.shards = std::num::NonZeroUsize::new(2);
        adjust(&mut config);
        let server = Server::start(config).expect("a server");
        Self { server: Some(server), root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Writes a file, with the folders on the way to it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server().address()
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("there until the end")
    }

    /// Ends the server as a signal would, and waits.
    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
            server.join().expect("every shard ends in order");
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// One request on a connection of its own.
    pub(crate) fn get(&self, path: &str, headers: &str) -> Response {
        self.client().ask("GET", path, headers)
    }
}

/// A connection. It gives up after half a minute without a byte, so that no test hangs.
pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        stream.set_write_timeout(Some(Duration::from_secs(30))).expect("set");
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, raw: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(raw.as_ref()).expect("sent");
    }

    /// Sends a request; `headers` are whole lines, each with its CRLF.
    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &str) {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str) -> Response {
        self.request(method, path, headers);
        self.response(method)
    }

    /// Reads the head of a response.
    pub(crate) fn head(&mut self) -> Response {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a status line");
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status in {line:?}"));
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("a header line");
            let line = line.strip_suffix("\r\n").unwrap_or_else(|| panic!("no end of line in {line:?}"));
            if line.is_empty() {
                return Response { status, headers, body: Vec::new() };
            }
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header in {line:?}"));
            headers.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Reads a response to a request with this method.
    pub(crate) fn response(&mut self, method: &str) -> Response {
        let mut response = self.head();
        if method != "HEAD" && !matches!(response.status, 100 | 204 | 304) {
            let length: usize = response.header("Content-Length").parse().expect("a length");
            response.body = vec![0; length];
            self.stream.read_exact(&mut response.body).expect("the whole body");
        }
        response
    }

    /// Everything until the server closes; a reset counts as the end too.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return rest,
                Ok(read) => rest.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return rest,
                Err(error) => panic!("after {} bytes: {error}", rest.len()),
            }
        }
    }

    /// That the server has closed, and sent nothing more before.
    pub(crate) fn assert_closed(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.rest()), "");
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A header that must be there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Bytes that look like nothing in particular, and that differ wherever one might take a part for another.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
