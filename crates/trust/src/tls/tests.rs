//! Both ends of a handshake in memory, honest and not.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio_rustls::TlsConnector;

use super::*;
use crate::key::PublicKey;
use crate::pair::{KeyPair, SignError, Signer};
use crate::testing::key;

mod records;

const ALPN: &[u8] = b"sockeye-host/1";

type Both = (
    Result<TlsStream<DuplexStream>, HandshakeError>,
    Result<(TlsStream<DuplexStream>, PublicKey), HandshakeError>,
);

/// A server and a client that expect each other.
struct Scene {
    server: Arc<KeyPair>,
    client: Arc<KeyPair>,
}

impl Scene {
    fn new() -> Scene {
        Scene { server: key(), client: key() }
    }

    fn acceptor(&self) -> Acceptor {
        Acceptor::new(self.server.clone(), &[ALPN])
    }

    fn welcome(&self) -> impl Fn(&PublicKey) -> bool + Send + Sync + 'static {
        let welcome = self.client.public();
        move |key: &PublicKey| *key == welcome
    }

    async fn over(&self, near: DuplexStream, far: DuplexStream) -> Both {
        let acceptor = self.acceptor();
        let expect = Expect::Key(self.server.public());
        let connect = connect(near, self.client.clone(), ALPN, expect);
        tokio::join!(connect, acceptor.accept(far, self.welcome()))
    }

    async fn pair(&self) -> (TlsStream<DuplexStream>, TlsStream<DuplexStream>) {
        let (near, far) = duplex(1 << 20);
        let (client, server) = self.over(near, far).await;
        let (server, peer) = server.unwrap();
        assert_eq!(peer, self.client.public());
        (client.unwrap(), server)
    }
}

/// What a client meets whose server says this and hangs up.
async fn meets(said: &[u8]) -> HandshakeError {
    let (near, mut far) = duplex(1 << 16);
    let said = said.to_vec();
    let server = tokio::spawn(async move {
        let mut hello = [0; 4096];
        assert!(far.read(&mut hello).await.unwrap() > 0);
        far.write_all(&said).await.unwrap();
    });
    let met = connect(near, key(), ALPN, Expect::judge(|_| true)).await.unwrap_err();
    server.await.unwrap();
    met
}

/// What a server meets whose client says this and hangs up.
async fn met_by_server(said: &[u8]) -> HandshakeError {
    let (mut near, far) = duplex(1 << 18);
    near.write_all(said).await.unwrap();
    near.shutdown().await.unwrap();
    let read_on = tokio::spawn(async move {
        let mut rest = Vec::new();
        let _ = near.read_to_end(&mut rest).await;
    });
    let met = Acceptor::new(key(), &[ALPN]).accept(far, |_| true).await.unwrap_err();
    read_on.await.unwrap();
    met
}

/// T1: both ends prove their keys, over TLS 1.3 with the hybrid group, and bytes go both ways.
#[tokio::test]
async fn right() {
    let scene = Scene::new();
    let (mut client, mut server) = scene.pair().await;
    assert_eq!(client.peer(), scene.server.public());
    assert_eq!(server.peer(), scene.client.public());
    assert_eq!(client.describe(), "TLS 1.3, X25519MLKEM768, TLS13_AES_128_GCM_SHA256");
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = String::new();
    server.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "question");
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    got.clear();
    client.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "answer");
}

/// T1: a megabyte in writes of 256 KiB arrives as it was, through a narrow pipe.
#[tokio::test]
async fn bulk() {
    let scene = Scene::new();
    let (near, far) = duplex(10_000);
    let (client, server) = scene.over(near, far).await;
    let (mut client, (mut server, _)) = (client.unwrap(), server.unwrap());
    let data: Vec<u8> = (0..1_048_576u32).map(|n| ((n * 7) >> 3) as u8).collect();
    let sent = data.clone();
    let send = async move {
        for piece in sent.chunks(256 * 1024) {
            client.write_all(piece).await.unwrap();
        }
        client.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let (_, read) = tokio::join!(send, server.read_to_end(&mut got));
    read.unwrap();
    assert!(got == data);
}

/// T1, fault 51: a key that is not authorised is refused, and both sides say so.
#[tokio::test]
async fn unknown_key() {
    let scene = Scene::new();
    let (near, far) = duplex(1 << 16);
    let acceptor = scene.acceptor();
    let client = async {
        let expect = Expect::Key(scene.server.public());
        let mut stream = connect(near, key(), ALPN, expect).await.unwrap();
        stream.write_all(b"let me in").await.unwrap();
        let error = stream.read_u8().await.unwrap_err();
        explain_read(&error)
    };
    let (explained, server) = tokio::join!(client, acceptor.accept(far, scene.welcome()));
    assert!(matches!(explained, Some(HandshakeError::NotAuthorised)), "{explained:?}");
    assert!(matches!(server, Err(HandshakeError::NotAuthorised)));
}

/// T4, fault 52: an unexpected host key is refused with the key in the error, and the server
/// learns nothing of the client's: its judge is never asked.
#[tokio::test]
async fn wrong_host_key() {
    let scene = Scene::new();
    let (near, far) = duplex(1 << 16);
    let asked = Arc::new(AtomicBool::new(false));
    let seen = asked.clone();
    let acceptor = scene.acceptor();
    let accept = acceptor.accept(far, move |_| !seen.swap(true, Ordering::Relaxed));
    let expect = Expect::Fingerprint(key().public().fingerprint());
    let (client, server) = tokio::join!(connect(near, scene.client.clone(), ALPN, expect), accept);
    let Err(HandshakeError::HostKey(proved)) = client else { panic!("{client:?}") };
    assert_eq!(proved, scene.server.public());
    let server = server.unwrap_err();
    assert!(matches!(server, HandshakeError::Client(_)), "{server:?}");
    assert!(!asked.load(Ordering::Relaxed));
}

/// Signs with one key what it shows as another's.
#[derive(Debug)]
struct Liar(Arc<KeyPair>, PublicKey);

impl Signer for Liar {
    fn public(&self) -> PublicKey {
        self.1
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        self.0.sign(message)
    }
}

/// T1, fault 51: whoever shows a key without holding it is refused before anybody is asked about
/// that key, on both sides.
#[tokio::test]
async fn stolen_name() {
    let scene = Scene::new();
    let (near, far) = duplex(1 << 16);
    let liar = Arc::new(Liar(key(), scene.client.public()));
    let acceptor = scene.acceptor();
    let expect = Expect::Key(scene.server.public());
    let client = async {
        let mut stream = connect(near, liar, ALPN, expect).await.unwrap();
        explain_read(&stream.read_u8().await.unwrap_err())
    };
    let judge = |_: &PublicKey| panic!("asked about a key that was not proved");
    let (client, server) = tokio::join!(client, acceptor.accept(far, judge));
    assert!(matches!(server, Err(HandshakeError::Tls(_))), "{server:?}");
    assert!(!matches!(client, Some(HandshakeError::NotAuthorised) | None), "{client:?}");

    let (near, far) = duplex(1 << 16);
    let liar = Arc::new(Liar(key(), scene.server.public()));
    let acceptor = Acceptor::new(liar, &[ALPN]);
    let expect = Expect::judge(|_| panic!("asked about a key that was not proved"));
    let client = connect(near, scene.client.clone(), ALPN, expect);
    let (client, server) = tokio::join!(client, acceptor.accept(far, |_| true));
    assert!(matches!(client, Err(HandshakeError::Tls(_))), "{client:?}");
    assert!(server.is_err());
}

/// Refuses to sign.
#[derive(Debug)]
struct Mute(PublicKey);

impl Signer for Mute {
    fn public(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, _: &[u8]) -> Result<[u8; 64], SignError> {
        Err(SignError::Refused("not today".into()))
    }
}

/// T2: a signer that does not sign is told as what it is, on its own side.
#[tokio::test]
async fn mute_signers() {
    let scene = Scene::new();
    let (near, far) = duplex(1 << 16);
    let acceptor = scene.acceptor();
    let mute = Arc::new(Mute(scene.client.public()));
    let client = connect(near, mute, ALPN, Expect::Key(scene.server.public()));
    let (client, _) = tokio::join!(client, acceptor.accept(far, scene.welcome()));
    let refused = |error| matches!(error, HandshakeError::Signer(SignError::Refused(_)));
    assert!(refused(client.unwrap_err()));
    let (near, far) = duplex(1 << 16);
    let acceptor = Acceptor::new(Arc::new(Mute(key().public())), &[ALPN]);
    let client = connect(near, scene.client.clone(), ALPN, Expect::judge(|_| true));
    let (_, server) = tokio::join!(client, acceptor.accept(far, scene.welcome()));
    assert!(refused(server.unwrap_err()));
}

/// T1: no application protocol in common, or none asked for, is no connection.
#[tokio::test]
async fn other_protocol() {
    let scene = Scene::new();
    let (near, far) = duplex(1 << 16);
    let acceptor = scene.acceptor();
    let client = connect(near, key(), b"other/9", Expect::judge(|_| true));
    let (client, server) = tokio::join!(client, acceptor.accept(far, |_| true));
    assert!(matches!(client, Err(HandshakeError::Protocol)), "{client:?}");
    assert!(matches!(server, Err(HandshakeError::Protocol)), "{server:?}");

    let empty = connect(duplex(1).0, key(), b"", Expect::judge(|_| true)).await;
    assert!(matches!(empty, Err(HandshakeError::Protocol)));
    let (near, far) = duplex(1 << 16);
    let (certified, _) = super::config::Identity::certify(key());
    let (judge, _) = super::verify::Judge::new(Box::new(|_| true));
    let config = super::client::configure(certified, judge, &[]).unwrap();
    let name = ServerName::try_from("example.com").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let (_, server) = tokio::join!(connector.connect(name, near), acceptor.accept(far, |_| true));
    assert!(matches!(server, Err(HandshakeError::Protocol)), "{server:?}");
}

/// Fault 48: HTTP, an SSH banner, an echo, an older TLS, nothing: the client says which it met.
#[tokio::test]
async fn strangers_to_the_client() {
    for (said, word) in [
        (&b"HTTP/1.1 400 Bad Request\r\nServer: \x1b[1m\r\n\r\n"[..], "HTTP"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
        (b"220 smtp ready\r\n", "plain text"),
        (b"x", "plain text"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "older TLS"),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "echo"),
    ] {
        let met = meets(said).await;
        let text = met.to_string();
        assert!(matches!(met, HandshakeError::NotTls(_)) && text.contains(word), "{met:?}");
        assert!(!text.contains(['\x1b', '\n']), "{text:?}");
    }
    assert!(matches!(meets(b"").await, HandshakeError::Closed));
}

/// Fault 48: HTTP, an SSH client, nothing: the server says which it met.
#[tokio::test]
async fn strangers_to_the_server() {
    for (said, word) in
        [(&b"GET / HTTP/1.1\r\n\r\n"[..], "HTTP"), (b"SSH-2.0-x\r\n", "SSH"), (b"hi\n", "plain")]
    {
        let met = met_by_server(said).await;
        assert!(met.to_string().contains(word), "{met:?}");
    }
    assert!(matches!(met_by_server(b"").await, HandshakeError::Closed));
    let half = met_by_server(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
    assert!(matches!(half, HandshakeError::Closed), "{half:?}");
}

/// A client's hello as the library makes it, with an extension more: early data (RFC 8446, section 4.2.10).
fn hello_with_early_data() -> Vec<u8> {
    let (certified, _) = super::config::Identity::certify(key());
    let (judge, _) = super::verify::Judge::new(Box::new(|_| true));
    let config = super::client::configure(certified, judge, &[ALPN]).unwrap();
    let name = ServerName::try_from("example.com").unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let longer = |bytes: &mut [u8]| {
        let length = u16::from_be_bytes([bytes[0], bytes[1]]) + 4;
        bytes.copy_from_slice(&length.to_be_bytes());
    };
    // Session, ciphers and compressions stand before the extensions.
    let session = 5 + 4 + 2 + 32;
    let ciphers = session + 1 + usize::from(hello[session]);
    let count = usize::from(u16::from_be_bytes([hello[ciphers], hello[ciphers + 1]]));
    let compressions = ciphers + 2 + count;
    let extensions = compressions + 1 + usize::from(hello[compressions]);
    longer(&mut hello[3..5]);
    longer(&mut hello[7..9]);
    longer(&mut hello[extensions..extensions + 2]);
    let first = extensions + 2;
    hello.splice(first..first, [0, 42, 0, 0]);
    hello
}

/// T6: early data that nobody asked for is passed over, but not for ever: the library looks through all of
/// it again with each record.
#[tokio::test]
async fn endless_early_data() {
    let hello = hello_with_early_data();
    for records in [32, 26_000] {
        let flood = [hello.clone(), [23, 3, 3, 0, 0].repeat(records)].concat();
        let since = std::time::Instant::now();
        let met = met_by_server(&flood).await;
        assert!(since.elapsed().as_secs() < 2, "{records}");
        let bounded = matches!(met, HandshakeError::Tls(_));
        assert_eq!(bounded, records > 64, "{records}: {met:?}");
    }
}

/// T1: a client without TLS 1.3, with certificates, or without a key gets no connection.
#[tokio::test]
async fn other_tls() {
    // OpenSSL's hello for TLS 1.2 alone, as far as it matters here.
    let mut body = vec![3, 3];
    body.extend([9; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0, 0, 8, 0, 10, 0, 4, 0, 2, 0, 29]);
    let mut hello = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    hello.extend(&body);
    assert_eq!(crate::hello::look(&hello), crate::hello::Look::Stranger("an older TLS"));
    let met = met_by_server(&hello).await;
    assert!(matches!(met, HandshakeError::OtherTls), "{met:?}");

    let (near, far) = duplex(1 << 16);
    let builder = ClientConfig::builder_with_provider(super::config::provider());
    let mut config = builder
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    let name = ServerName::try_from("example.com").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let acceptor = Acceptor::new(key(), &[ALPN]);
    let client = connector.connect(name, near);
    let (client, server) = tokio::join!(client, acceptor.accept(far, |_| true));
    assert!(client.is_err());
    assert!(matches!(server, Err(HandshakeError::OtherTls)), "{server:?}");
}

/// Fault 47: a stream that ends without close_notify is cut, not ended, on both sides.
#[tokio::test]
async fn truncated() {
    let scene = Scene::new();
    let (mut client, mut server) = scene.pair().await;
    client.write_all(b"half a sen").await.unwrap();
    drop(client);
    let mut got = Vec::new();
    let error = server.read_to_end(&mut got).await.unwrap_err();
    assert_eq!((error.kind(), &got[..]), (io::ErrorKind::UnexpectedEof, &b"half a sen"[..]));
    let (mut client, mut server) = scene.pair().await;
    server.write_all(b"x").await.unwrap();
    drop(server);
    let error = client.read_to_end(&mut got).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

/// Carries bytes from one stream to another, with one bit of byte `at` flipped.
async fn carry(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    flip: Option<usize>,
) {
    let (mut buffer, mut passed) = ([0; 8192], 0);
    while let Ok(n) = from.read(&mut buffer).await
        && n > 0
    {
        if let Some(byte) = flip.and_then(|at| at.checked_sub(passed)).filter(|at| *at < n) {
            buffer[byte] ^= 1;
        }
        passed += n;
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Fault 50: one flipped bit anywhere, in the handshake or after it, in either direction: never
/// success, never another text.
#[tokio::test]
async fn flipped_bit() {
    let scene = Scene::new();
    for at in (0..2_100).step_by(23) {
        for to_server in [true, false] {
            let (near, hop_near) = duplex(1 << 16);
            let (hop_far, far) = duplex(1 << 16);
            let (near_in, near_out) = split(hop_near);
            let (far_in, far_out) = split(hop_far);
            tokio::spawn(carry(near_in, far_out, to_server.then_some(at)));
            tokio::spawn(carry(far_in, near_out, (!to_server).then_some(at)));
            let acceptor = scene.acceptor();
            let client = async {
                let expect = Expect::Key(scene.server.public());
                let mut stream = connect(near, scene.client.clone(), ALPN, expect).await.ok()?;
                let data = [b'a'; 2048];
                stream.write_all(&data).await.ok()?;
                let mut got = Vec::new();
                stream.read_to_end(&mut got).await.ok()?;
                Some(got)
            };
            let server = async {
                let (mut stream, _) = acceptor.accept(far, scene.welcome()).await.ok()?;
                let mut got = vec![0; 2048];
                stream.read_exact(&mut got).await.ok()?;
                stream.write_all(&[b'b'; 2048]).await.ok()?;
                stream.shutdown().await.ok()?;
                Some(got)
            };
            let (client, server) = tokio::join!(client, server);
            assert!(client.is_none(), "{at}");
            assert!(server.is_none_or(|got| !to_server && got == [b'a'; 2048]), "{at}");
        }
    }
}

/// Records what it was asked to sign.
#[derive(Debug)]
struct Recorder(Arc<KeyPair>, std::sync::Mutex<Vec<Vec<u8>>>);

impl Signer for Recorder {
    fn public(&self) -> PublicKey {
        self.0.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        self.1.lock().unwrap().push(message.to_vec());
        self.0.sign(message)
    }
}

/// T1: what a server signs is what a signing process signs; what a client signs is not, nor
/// anything that is one byte off.
#[tokio::test]
async fn signing_content() {
    let record = || Arc::new(Recorder(key(), std::sync::Mutex::default()));
    let (server, client) = (record(), record());
    let (near, far) = duplex(1 << 16);
    let acceptor = Acceptor::new(server.clone(), &[ALPN]);
    let connect = connect(near, client.clone(), ALPN, Expect::judge(|_| true));
    let (one, other) = tokio::join!(connect, acceptor.accept(far, |_| true));
    assert!(one.is_ok() && other.is_ok());
    let by_server = server.1.lock().unwrap().concat();
    let by_client = client.1.lock().unwrap().concat();
    assert!(signing_content_ok(&by_server) && !signing_content_ok(&by_client));
    for at in 0..98 {
        let mut off = by_server.clone();
        off[at] ^= 1;
        assert!(!signing_content_ok(&off), "{at}");
        assert!(!signing_content_ok(&by_server[..at]));
    }
    let more = [&by_server[..], b"x"].concat();
    assert!(!signing_content_ok(&more) && !signing_content_ok(&by_server[1..]));
}

/// T1: what is shown of streams, acceptors and expectations holds no secret, and errors are small.
#[test]
fn small_and_silent() {
    assert!(size_of::<HandshakeError>() < 128);
    let pair = key();
    let shown = format!("{:?}", Acceptor::new(pair.clone(), &[ALPN]));
    assert_eq!(shown, format!("Acceptor({})", pair.public().fingerprint()));
}
