//! What a secured connection costs at the least: dial, mutual TLS 1.3 handshake, one round trip.
//!
//! Both ends are in this process, a thread each, and warm; the algorithms are those of sockeye
//! (Ed25519 raw public keys, X25519MLKEM768, AES-128-GCM), the code is plain rustls on blocking
//! sockets. Prints the median in one line of JSON.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{self as crypto, cipher_suite, kx_group};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    ServerConnection, SignatureScheme, StreamOwned,
};
use sockeye_bench_reference::Outcome;

/// The least number of handshakes that a median is taken of.
const LEAST: usize = 20;

fn main() -> Outcome {
    let (key_file, duration) = arguments()?;
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![kx_group::X25519MLKEM768],
        ..crypto::default_provider()
    });
    let key = read_key(&key_file, &provider)?;
    let judge = Arc::new(Judge {
        spki: key.cert[0].as_ref().to_vec(),
        algorithms: provider.signature_verification_algorithms,
    });
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let config = server_config(&provider, &judge, &key)?;
    thread::spawn(move || serve(&listener, &config));
    let config = client_config(&provider, &judge, &key)?;
    visit(address, &config)?;
    let (since, mut times) = (Instant::now(), Vec::new());
    while times.len() < LEAST || since.elapsed() < duration {
        let begin = Instant::now();
        visit(address, &config)?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let median = times[times.len() / 2].as_secs_f64();
    println!("{{\"handshakes\":{},\"median\":{median:.7}}}", times.len());
    Ok(())
}

/// `KEY --duration SECONDS`: a private key in PKCS #8, and how long is counted.
fn arguments() -> Result<(String, Duration), Box<dyn std::error::Error>> {
    const USAGE: &str = "usage: ref-handshake KEY --duration SECONDS";
    let mut words = std::env::args().skip(1);
    let key = words.next().ok_or(USAGE)?;
    let seconds = match (words.next().as_deref(), words.next()) {
        (Some("--duration"), Some(seconds)) => seconds.parse()?,
        _ => return Err(USAGE.into()),
    };
    Ok((key, Duration::try_from_secs_f64(seconds)?))
}

/// The one key of both ends, with its public half where TLS has a certificate (RFC 7250).
fn read_key(
    file: &str,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, Box<dyn std::error::Error>> {
    let key = provider.key_provider.load_private_key(PrivateKeyDer::from_pem_file(file)?)?;
    let spki = key.public_key().ok_or("the key has no public half")?.to_vec();
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], key)))
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    judge: &Arc<Judge>,
    key: &Arc<CertifiedKey>,
) -> Result<Arc<ServerConfig>, Error> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(judge.clone())
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key.clone())));
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    judge: &Arc<Judge>,
    key: &Arc<CertifiedKey>,
) -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(judge.clone())
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(key.clone())));
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Echoes one byte to each client, on the core of the servers that are compared.
fn serve(listener: &TcpListener, config: &Arc<ServerConfig>) {
    let mut core = CpuSet::new();
    core.set(0);
    // Where that core is not ours, any other will do.
    let _ = sched_setaffinity(None, &core);
    for stream in listener.incoming() {
        if let Err(cause) = stream.map_err(Into::into).and_then(|stream| answer(stream, config)) {
            eprintln!("connection: {cause}");
        }
    }
}

fn answer(stream: TcpStream, config: &Arc<ServerConfig>) -> Outcome {
    stream.set_nodelay(true)?;
    let mut tls = StreamOwned::new(ServerConnection::new(config.clone())?, stream);
    let mut byte = [0];
    tls.read_exact(&mut byte)?;
    Ok(tls.write_all(&byte)?)
}

fn visit(address: SocketAddr, config: &Arc<ClientConfig>) -> Outcome {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("reference.invalid")?;
    let mut tls = StreamOwned::new(ClientConnection::new(config.clone(), name)?, stream);
    tls.write_all(b"?")?;
    Ok(tls.read_exact(&mut [0])?)
}

/// Accepts the one key that there is, once it is proved.
#[derive(Debug)]
struct Judge {
    spki: Vec<u8>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge {
    fn known(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        let known = shown.as_ref() == self.spki;
        known.then_some(()).ok_or_else(|| Error::General("another key".into()))
    }

    fn proved(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(shown.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, signed, &self.algorithms)
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.known(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proved(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.known(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proved(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
