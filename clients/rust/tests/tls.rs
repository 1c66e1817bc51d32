//! `tls+tcp://` against a server with certificates made for the occasion.

mod support;

use std::{sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use support::{Listener, Peer, REP};
use tokio::join;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};
use tonic::{Code, Status};
use tradebook_client::{
    Channel, TlsOptions,
    v1::{EchoRequest, EchoResponse, admin_service_client::AdminServiceClient},
};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, for a server of this name or for a client.
fn certificate(
    authority: &Authority,
    name: &str,
    purpose: ExtendedKeyUsagePurpose,
) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.extended_key_usages = vec![purpose];
    (params.signed_by(&key, authority).unwrap(), key)
}

fn acceptor(authority: &Authority, name: &str, clients: Option<&Authority>) -> TlsAcceptor {
    let (certificate, key) = certificate(authority, name, ExtendedKeyUsagePurpose::ServerAuth);
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ClientCertVerifier> = match clients {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap()
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// One call over TLS, and how it ends.
async fn call(acceptor: TlsAcceptor, options: TlsOptions) -> Result<(), Status> {
    let listener = Listener::new().await;
    let channel = Channel::builder(format!("tls+tcp://{}", listener.host_and_port()))
        .timeout(Duration::from_millis(500))
        .tls(options)
        .build()
        .unwrap();
    let mut client = AdminServiceClient::new(channel);
    let server = async {
        loop {
            let Ok(stream) = acceptor.accept(listener.stream().await).await else { continue };
            let mut peer = Peer::greet(stream, REP).await;
            let request = peer.request().await;
            peer.reply(&request, &EchoResponse::default()).await;
        }
    };
    tokio::select! {
        response = client.echo(EchoRequest::default()) => response.map(|_| ()),
        () = server => unreachable!(),
    }
}

#[tokio::test]
async fn a_server_of_a_trusted_authority_is_called() {
    let authority = authority();
    call(acceptor(&authority, "127.0.0.1", None), TlsOptions::new(authority.pem())).await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_authority_or_name_is_not() {
    let (trusted, other) = (authority(), authority());
    let options = TlsOptions::new(trusted.pem());
    let (strange, misnamed) = join!(
        call(acceptor(&other, "127.0.0.1", None), options.clone()),
        call(acceptor(&trusted, "book.example", None), options.clone()),
    );
    for status in [strange.unwrap_err(), misnamed.unwrap_err()] {
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("certificate"), "{status:?}");
    }
    let expected = options.server_name("book.example");
    call(acceptor(&trusted, "book.example", None), expected).await.unwrap();
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let authority = authority();
    let (certificate, key) = certificate(&authority, "bot", ExtendedKeyUsagePurpose::ClientAuth);
    let options = TlsOptions::new(authority.pem()).identity(certificate.pem(), key.serialize_pem());
    call(acceptor(&authority, "127.0.0.1", Some(&authority)), options).await.unwrap();
}

#[test]
fn options_that_cannot_be_used_are_refused() {
    let authority = authority();
    for options in [
        TlsOptions::new("no certificate"),
        TlsOptions::new(authority.pem()).identity(authority.pem(), "no key"),
        TlsOptions::new(authority.pem()).server_name("no name"),
    ] {
        let error = Channel::builder("tls+tcp://127.0.0.1:7601").tls(options).build().unwrap_err();
        assert!(error.to_string().starts_with("TLS: "), "{error}");
    }
}
