//! The bytes that arrive are those of the file: whole, in parts, in parallel, and while it changes.

use std::fs::{self, File};
use std::io::Read as _;
use std::thread;

use annulus_serve::LogTarget;

use crate::site::{Client, Site, noise};

/// Larger than several chunks, and no multiple of anything.
const SIZE: usize = 1_234_567;

fn site() -> (Site, Vec<u8>) {
    let site = Site::start(|_| {});
    let bytes = noise(SIZE);
    site.write("photo.jpg", &bytes);
    (site, bytes)
}

#[test]
fn a_file_arrives_as_it_is_whatever_its_size() {
    let site = Site::start(|_| {});
    let mut client = site.client();
    // Around the sizes at which the head, the first chunk and the next one meet.
    for size in [0, 1, 100, 130_500, 131_071, 131_072, 131_073, 262_143, 262_144, 262_145, SIZE] {
        let bytes = noise(size);
        site.write("file.bin", &bytes);
        let response = client.ask("GET", "/file.bin", "");
        assert_eq!((response.status, response.body.len()), (200, size));
        assert!(response.body == bytes, "{size} bytes differ");
    }
}

#[test]
fn a_range_is_exactly_what_was_asked_for() {
    let (site, bytes) = site();
    let mut client = site.client();
    let last = SIZE - 1;
    let cases = [
        ("0-0", 0..1),
        ("0-9", 0..10),
        ("1000000-", 1_000_000..SIZE),
        ("-5", SIZE - 5..SIZE),
        ("-99999999", 0..SIZE),
        ("131000-131200", 131_000..131_201),
        ("5-99999999", 5..SIZE),
    ];
    for (range, expected) in cases {
        let response = client.ask("GET", "/photo.jpg", &format!("Range: bytes={range}\r\n"));
        let content_range = format!("bytes {}-{}/{SIZE}", expected.start, expected.end - 1);
        assert_eq!((response.status, response.header("Content-Range")), (206, content_range.as_str()));
        assert!(response.body == bytes[expected], "{range}");
    }
    for range in [format!("{SIZE}-"), "-0".to_owned()] {
        let response = client.ask("GET", "/photo.jpg", &format!("Range: bytes={range}\r\n"));
        assert_eq!((response.status, response.header("Content-Range")), (416, "bytes */1234567"));
    }
    for range in ["bytes=9-2", "bytes=x", "lines=1-2"] {
        let response = client.ask("GET", "/photo.jpg", &format!("Range: {range}\r\n"));
        assert_eq!((response.status, response.body.len()), (200, SIZE), "{range}");
    }
    assert_eq!(client.ask("HEAD", "/photo.jpg", &format!("Range: bytes=0-{last}\r\n")).status, 200);
}

#[test]
fn several_ranges_come_in_one_body() {
    let (site, bytes) = site();
    let ranges = [0..10, 200_000..500_000, SIZE - 3..SIZE];
    let asked = "Range: bytes=0-9, 200000-499999, -3\r\n";
    let mut client = site.client();
    let response = client.ask("GET", "/photo.jpg", asked);
    assert_eq!(response.status, 206);
    let boundary = response.header("Content-Type").strip_prefix("multipart/byteranges; boundary=");
    let boundary = boundary.expect("a multipart body").to_owned();
    let mut expected = Vec::new();
    for (index, range) in ranges.into_iter().enumerate() {
        let line_end = if index == 0 { "" } else { "\r\n" };
        let (first, last) = (range.start, range.end - 1);
        expected.extend_from_slice(
            format!(
                "{line_end}--{boundary}\r\nContent-Type: image/jpeg\r\nContent-Range: bytes {first}-{last}/{SIZE}\r\n\r\n"
            )
            .as_bytes(),
        );
        expected.extend_from_slice(&bytes[range]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(response.body == expected, "the body differs");
    assert_eq!(client.ask("GET", "/photo.jpg", "").body.len(), SIZE, "the connection goes on");

    let too_many: String = (0..17).map(|i| format!("{}-{},", i * 10, i * 10 + 1)).collect();
    let whole =
        client.ask("GET", "/photo.jpg", &format!("Range: bytes={}\r\n", too_many.trim_end_matches(',')));
    assert_eq!((whole.status, whole.body.len()), (200, SIZE));
}

#[test]
fn a_resumed_download_of_a_replaced_file_starts_over() {
    let (site, bytes) = site();
    let mut client = site.client();
    let begun = client.ask("GET", "/photo.jpg", "Range: bytes=0-999\r\n");
    let resume = format!("Range: bytes=1000-\r\nIf-Range: {}\r\n", begun.header("ETag"));
    let resumed = client.ask("GET", "/photo.jpg", &resume);
    assert_eq!(resumed.status, 206);
    assert!(resumed.body == bytes[1000..]);

    let other: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    site.write("new.jpg", &other);
    fs::rename(site.path("new.jpg"), site.path("photo.jpg")).expect("replaced");
    let resumed = client.ask("GET", "/photo.jpg", &resume);
    assert_eq!(resumed.status, 200);
    assert!(resumed.body == other);
}

#[test]
fn many_downloads_at_once_do_not_mix() {
    let site = Site::start(|_| {});
    for index in 0..8_u8 {
        let bytes: Vec<u8> = noise(400_000).iter().map(|byte| byte ^ index).collect();
        site.write(&format!("{index}.bin"), bytes);
    }
    let address = site.address();
    thread::scope(|scope| {
        for client in 0..25_u8 {
            scope.spawn(move || {
                // Eight connections a thread, all of them in the middle of a download at the same time.
                let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(address)).collect();
                for (index, connection) in clients.iter_mut().enumerate() {
                    connection.request("GET", &format!("/{index}.bin"), "");
                }
                for (index, connection) in (0..8_u8).zip(&mut clients) {
                    let response = connection.response("GET");
                    let expected: Vec<u8> = noise(400_000).iter().map(|byte| byte ^ index).collect();
                    assert!(response.body == expected, "{index} on thread {client}");
                }
            });
        }
    });
}

/// A download that has begun, of a file that is larger than what the sockets hold.
fn begun(site: &Site) -> (Client, usize) {
    let size = 64 << 20;
    File::create(site.path("large.bin")).and_then(|file| file.set_len(size)).expect("made");
    let mut client = site.client();
    client.request("GET", "/large.bin", "");
    let head = client.head();
    assert_eq!(head.header("Content-Length"), size.to_string());
    (client, usize::try_from(size).expect("64 MiB"))
}

#[test]
fn a_file_that_shrinks_ends_the_connection_and_is_never_padded() {
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("log");
    let mut site = Site::start(|config| config.log = LogTarget::File(log.clone()));
    let (mut client, size) = begun(&site);
    File::options().write(true).open(site.path("large.bin")).and_then(|f| f.set_len(1000)).expect("cut");
    let received = client.rest().len();
    assert!(received < size, "{received} bytes");
    site.stop();
    let log = fs::read_to_string(&log).expect("written");
    assert!(log.ends_with("ms aborted: the file became shorter while it was sent\n"), "{log}");
}

#[test]
fn a_file_that_grows_or_is_replaced_is_sent_as_it_was_promised() {
    let site = Site::start(|_| {});
    let (mut growing, size) = begun(&site);
    File::options()
        .write(true)
        .open(site.path("large.bin"))
        .and_then(|f| f.set_len(99 << 20))
        .expect("grown");
    let mut body = vec![1; size];
    growing.stream.read_exact(&mut body).expect("all that was promised");
    assert!(body.iter().all(|byte| *byte == 0));
    assert_eq!(growing.ask("HEAD", "/large.bin", "").header("Content-Length"), (99 << 20).to_string());

    let (mut replaced, size) = begun(&site);
    site.write("new.bin", vec![7; 1000]);
    fs::rename(site.path("new.bin"), site.path("large.bin")).expect("replaced");
    replaced.stream.read_exact(&mut body[..size]).expect("the old content");
    assert!(body.iter().all(|byte| *byte == 0));
    assert_eq!(replaced.ask("GET", "/large.bin", "").body, vec![7; 1000]);
}
