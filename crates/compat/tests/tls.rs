//! TLS over rings: rustls by the traits of tokio, with a certificate that the test makes.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::Arc;

use annulus_compat::Compat;
use annulus_rt::{run, spawn};
use common::{pair, pattern};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Both sides: one has a certificate for this name, the other trusts it.
fn sides(name: &str) -> (TlsAcceptor, TlsConnector) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let mut trusted = RootCertStore::empty();
    trusted.add(cert.der().clone()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let client = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)))
}

#[test]
fn a_megabyte_goes_there_and_back_encrypted() {
    run(async {
        let (acceptor, connector) = sides("localhost");
        let (near, far) = pair().await;
        let echo = spawn(async move {
            let stream = acceptor.accept(Compat::new(far)).await.unwrap();
            let (mut reader, mut writer) = tokio::io::split(stream);
            let copied = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            writer.shutdown().await.unwrap();
            copied
        });
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, Compat::new(near)).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let writing = spawn(async move {
            writer.write_all(&pattern(1 << 20)).await.unwrap();
            // Tells the other side that this was all, and the socket too.
            writer.shutdown().await.unwrap();
        });
        let mut back = Vec::new();
        // An end without the goodbye of TLS would be an error.
        assert_eq!(reader.read_to_end(&mut back).await.unwrap(), 1 << 20);
        assert!(back == pattern(1 << 20));
        writing.await.unwrap();
        assert_eq!(echo.await.unwrap(), 1 << 20);
    })
    .unwrap();
}

#[test]
fn a_certificate_of_another_name_is_refused_on_both_sides() {
    run(async {
        let (acceptor, connector) = sides("localhost");
        let (near, far) = pair().await;
        let accepting =
            spawn(async move { acceptor.accept(Compat::new(far)).await.err().map(|error| error.kind()) });
        let name = ServerName::try_from("elsewhere.example").unwrap();
        let refused = connector.connect(name, Compat::new(near)).await.unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{refused}");
        assert_eq!(accepting.await.unwrap(), Some(std::io::ErrorKind::InvalidData));
    })
    .unwrap();
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
