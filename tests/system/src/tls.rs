//! A TLS server in front of a sandbox, with certificates of one's own.

use std::net::SocketAddr;
use std::sync::Arc;

use awork_sandbox::Sandbox;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// An authority that nobody knows.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A TLS server that hands everything to a sandbox; it stops when dropped.
pub struct TlsServer {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Authority {
    /// Makes one up.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer }
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server in front of a sandbox whose certificate is for this host.
    pub fn serve(&self, host: &str, sandbox: &Sandbox) -> TlsServer {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("a host");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("the key fits the certificate");
        TlsServer::start(TlsAcceptor::from(Arc::new(config)), sandbox.address())
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl TlsServer {
    fn start(acceptor: TlsAcceptor, behind: SocketAddr) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("a port");
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client may refuse the certificate, or go away.
                    let Ok(mut outside) = acceptor.accept(connection).await else { return };
                    let Ok(mut inside) = TcpStream::connect(behind).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        Self { address, runtime: Some(runtime) }
    }

    /// The base of version 1 under this name of the machine.
    pub fn api_url(&self, host: &str) -> String {
        format!("https://{host}:{}/api/v1", self.address.port())
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
