//! Records behind the handshake: against the TLS library's own, and against a peer that says anything.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use rustls::client::Resumption;
use rustls::crypto::ring::cipher_suite as suites;
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::{AlertDescription, Error as TlsError, ServerConfig, SupportedCipherSuite};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::super::config::Identity;
use super::super::forge::{Forge, hears, read_all};
use super::super::protect::{self, Kind};
use super::super::verify::Judge;
use super::*;

/// Bytes that differ from place to place.
fn noise(count: usize) -> Vec<u8> {
    (0..count as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 23) as u8).collect()
}

fn provider(suite: SupportedCipherSuite) -> Arc<rustls::crypto::CryptoProvider> {
    let provider = super::super::config::provider();
    Arc::new(rustls::crypto::CryptoProvider { cipher_suites: vec![suite], ..(*provider).clone() })
}

/// The library's own client, and our server.
async fn library_client(
    suite: SupportedCipherSuite,
) -> (tokio_rustls::client::TlsStream<DuplexStream>, TlsStream<DuplexStream>) {
    let (near, far) = duplex(1 << 16);
    let (certified, _) = Identity::certify(key());
    let (judge, _) = Judge::new(Box::new(|_| true));
    let resolver = rustls::client::AlwaysResolvesClientRawPublicKeys::new(certified);
    let mut config = ClientConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(judge)
        .with_client_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from("example.com").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let acceptor = Acceptor::new(key(), &[ALPN]);
    let both = tokio::join!(connector.connect(name, near), acceptor.accept(far, |_| true));
    (both.0.unwrap(), both.1.unwrap().0)
}

/// The library's own server, which sends tickets, and our client.
async fn library_server(
    suite: SupportedCipherSuite,
) -> (tokio_rustls::server::TlsStream<DuplexStream>, TlsStream<DuplexStream>) {
    let (near, far) = duplex(1 << 16);
    let (certified, _) = Identity::certify(key());
    let (judge, _) = Judge::new(Box::new(|_| true));
    let mut config = ServerConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(judge)
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 4;
    config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let connect = connect(near, key(), ALPN, Expect::judge(|_| true));
    let both = tokio::join!(acceptor.accept(far), connect);
    (both.0.unwrap(), both.1.unwrap())
}

/// Sends `data` in pieces and says the last word.
async fn send(mut to: impl AsyncWrite + Unpin, data: &[u8], piece: usize) {
    for piece in data.chunks(piece) {
        to.write_all(piece).await.unwrap();
    }
    to.shutdown().await.unwrap();
}

async fn receive(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut got = Vec::new();
    from.read_to_end(&mut got).await.unwrap();
    got
}

/// T1: our records and the library's are the same, with every cipher, at both ends, both ways at once;
/// its tickets are passed over.
#[tokio::test]
async fn like_the_library() {
    let (there, back) = (noise(700_001), noise(300_007));
    for suite in [
        suites::TLS13_AES_128_GCM_SHA256,
        suites::TLS13_AES_256_GCM_SHA384,
        suites::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        let (theirs, ours) = library_client(suite).await;
        let ((their_in, their_out), (our_in, our_out)) = (split(theirs), split(ours));
        let (heard, answer, ..) = tokio::join!(
            receive(our_in),
            receive(their_in),
            send(their_out, &there, 100_000),
            send(our_out, &back, 77_777),
        );
        assert!(heard == there && answer == back, "{suite:?}");
        let (theirs, ours) = library_server(suite).await;
        let ((their_in, their_out), (our_in, our_out)) = (split(theirs), split(ours));
        let (heard, answer, ..) = tokio::join!(
            receive(their_in),
            receive(our_in),
            send(our_out, &there, 300_000),
            send(their_out, &back, 5_000),
        );
        assert!(heard == there && answer == back, "{suite:?}");
    }
}

/// P-T2: both ends take new keys in the middle, of their own accord and when the other asks, and the
/// library follows ours as we follow its.
#[tokio::test]
async fn new_keys() {
    let data = noise(400_000);
    let (mut theirs, mut ours) = library_client(suites::TLS13_AES_128_GCM_SHA256).await;
    ours.records().renew_after(3);
    let mut got = vec![0; data.len() / 10];
    for piece in data.chunks(got.len()) {
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        let (sent, read) = tokio::join!(theirs.write_all(piece), ours.read_exact(&mut got));
        assert!(sent.is_ok() && read.is_ok() && got == piece);
        let echo = async {
            ours.write_all(piece).await?;
            ours.flush().await
        };
        let (sent, read) = tokio::join!(echo, theirs.read_exact(&mut got));
        assert!(sent.is_ok() && read.is_ok() && got == piece);
    }
    ours.shutdown().await.unwrap();
    assert_eq!(theirs.read(&mut got).await.unwrap(), 0);
}

fn tls(result: &io::Result<()>) -> Option<&TlsError> {
    result.as_ref().err()?.get_ref()?.downcast_ref()
}

/// P-T2: what a peer may say besides data changes nothing: padding, tickets, warnings, nothing at all.
#[test]
fn besides_data() {
    let (mut forge, records) = Forge::pair();
    forge.say(23, b"one", 0);
    forge.say(22, &[4, 0, 0, 3, 1, 2, 3, 4, 0, 0, 0], 3);
    forge.say(23, b" two", 16_000);
    forge.say(23, b"", 16_384);
    forge.say(21, &[1, 90], 0);
    forge.renew(1);
    forge.renew(0);
    forge.say(23, &noise(protect::MOST), 0);
    forge.say(21, &[1, 0], 0);
    forge.say(23, b"after the end", 0);
    let expected = [&b"one two"[..], &noise(protect::MOST)].concat();
    let mut ours = hears(&mut forge, records, &[]);
    let (got, end) = read_all(&mut ours, &[100_000]);
    assert!(got == expected && end.is_ok());
    // The answer to one who asked for a new key goes before what is said next, once.
    let mut cx = Context::from_waker(Waker::noop());
    for text in [b"first", b"later"] {
        assert!(Pin::new(&mut ours).poll_write(&mut cx, text).is_ready());
    }
    assert!(Pin::new(&mut ours).poll_shutdown(&mut cx).is_ready());
    let heard = forge.hear(std::mem::take(&mut ours.io_mut().said));
    let kinds: Vec<Kind> = heard.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [Kind::Handshake, Kind::Data, Kind::Data, Kind::Alert]);
    assert_eq!((&heard[1].1[..], &heard[3].1[..]), (&b"first"[..], &[1, 0][..]));
}

/// P-T2: what no peer may say ends the connection, what came before it counts, what comes behind it
/// does not, and the peer is told why.
#[test]
fn never() {
    type Say = fn(&mut Forge);
    let cases: [(&str, Say, u8); 15] = [
        ("a message in pieces", |f| f.say(22, &[24, 0, 0], 0), 10),
        ("a message that is not whole", |f| f.say(22, &[4, 0, 0, 9, 1], 0), 10),
        ("another message", |f| f.say(22, &[1, 0, 0, 0], 0), 10),
        ("an empty message", |f| f.say(22, &[], 0), 50),
        ("a new key and more", |f| f.say(22, &[24, 0, 0, 1, 0, 4, 0, 0, 0], 0), 10),
        ("a new key of another kind", |f| f.say(22, &[24, 0, 0, 1, 2], 0), 10),
        ("half an alert", |f| f.say(21, &[2], 0), 50),
        ("another type", |f| f.say(20, &[1], 0), 10),
        ("no type", |f| f.say(0, &[0, 0], 7), 10),
        ("too much", |f| f.say(23, &[7; protect::MOST + 1], 0), 22),
        ("too much padding", |f| f.say(23, &[7; protect::MOST], 1), 22),
        ("longer than any", |f| f.wire.extend([23, 3, 3, 0x41, 0x01]), 22),
        ("shorter than any", |f| f.wire.extend([23, 3, 3, 0, 16, 0]), 20),
        ("another version", |f| f.wire.extend([23, 3, 4, 0, 99]), 10),
        ("no encryption", |f| f.wire.extend([21, 3, 3, 0, 2, 2, 40]), 10),
    ];
    for (what, say, alert) in cases {
        for room in [100, 300_000] {
            let (mut forge, records) = Forge::pair();
            forge.say(23, b"before", 0);
            say(&mut forge);
            forge.say(23, b"behind", 0);
            let mut ours = hears(&mut forge, records, &[]);
            let (got, end) = read_all(&mut ours, &[room]);
            assert_eq!(got, b"before", "{what}");
            assert!(tls(&end).is_some(), "{what}: {end:?}");
            assert!(tls(&read_all(&mut ours, &[room]).1).is_some(), "{what}: it stays so");
            let mut cx = Context::from_waker(Waker::noop());
            let more = Pin::new(&mut ours).poll_write(&mut cx, b"more");
            let Poll::Ready(more) = more else { panic!("{what}: {more:?}") };
            assert!(tls(&more.map(drop)).is_some(), "{what}: a write says why, too");
            let heard = forge.hear(std::mem::take(&mut ours.io_mut().said));
            assert_eq!(heard, [(Kind::Alert, vec![2, alert])], "{what}");
        }
    }
}

/// Fault 50: a changed bit anywhere in a record, a record that is missing, twice or out of order, is an
/// error at that place, and no data.
#[test]
fn changed() {
    let say = |forge: &mut Forge| {
        [&b"first"[..], b"second", b"third"].map(|text| {
            forge.say(23, text, 0);
            std::mem::take(&mut forge.wire)
        })
    };
    let ends = |wire: Vec<u8>, records| {
        let (mut forge, _) = Forge::pair();
        forge.wire = wire;
        let mut ours = hears(&mut forge, records, &[]);
        let (got, end) = read_all(&mut ours, &[50]);
        (got, tls(&end).cloned())
    };
    for bit in 0..8 * (5 + 6 + 17) {
        let (mut forge, records) = Forge::pair();
        let mut said = say(&mut forge);
        said[1][bit / 8] ^= 1 << (bit % 8);
        let (got, error) = ends(said.concat(), records);
        // A longer length waits for more, and the stream ends.
        let longer = (8 * 3..8 * 5).contains(&bit);
        assert!(got == b"first" && (error.is_some() || longer), "{bit}: {got:?}");
    }
    for order in [[1, 0, 2], [0, 0, 1], [0, 2, 1]] {
        let (mut forge, records) = Forge::pair();
        let said = say(&mut forge);
        let right = order.iter().enumerate().take_while(|(at, which)| at == *which).count();
        let (got, error) = ends(order.map(|which| said[which].clone()).concat(), records);
        assert_eq!(got, [&b""[..], b"first"][right], "{order:?}");
        assert_eq!(error, Some(TlsError::DecryptError), "{order:?}");
    }
}

/// P-T2: records without data are bounded, whatever they are; between data they may come for ever.
#[test]
fn nothing_at_all() {
    let (mut forge, records) = Forge::pair();
    for _ in 0..200 {
        (0..31).for_each(|_| forge.renew(1));
        forge.say(23, b".", 0);
        forge.say(23, b"", 0);
    }
    let (got, end) = read_all(&mut hears(&mut forge, records, &[]), &[4096]);
    assert_eq!(got.len(), 200);
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let (mut forge, records) = Forge::pair();
    (0..33).for_each(|_| forge.say(23, b"", 0));
    let (got, end) = read_all(&mut hears(&mut forge, records, &[]), &[4096]);
    assert!(got.is_empty() && tls(&end).is_some(), "{end:?}");
}

/// Whatever follows an end is not kept, however much it is (found by the fuzz target `tls_records`).
#[test]
fn much_behind_the_end() {
    for end in [[1, 0], [2, 49]] {
        let (mut forge, records) = Forge::pair();
        forge.say(21, &end, 0);
        (0..20).for_each(|_| forge.say(23, &noise(protect::MOST), 0));
        let (got, ended) = read_all(&mut hears(&mut forge, records, &[]), &[1 << 20]);
        assert!(got.is_empty() && ended.is_ok() == (end == [1, 0]), "{ended:?}");
    }
}

/// An alert of the peer's is told as what it is, whatever level it claims, and not answered.
#[test]
fn alerts() {
    for level in [0, 1, 2] {
        let (mut forge, records) = Forge::pair();
        forge.say(21, &[level, 49], 0);
        let mut ours = hears(&mut forge, records, &[]);
        let (_, end) = read_all(&mut ours, &[1]);
        let told = TlsError::AlertReceived(AlertDescription::AccessDenied);
        assert_eq!(tls(&end), Some(&told));
        assert!(ours.io().said.is_empty());
    }
}

proptest! {
    /// P8: however data is written, cut on its way and read, it is the same data: with room for much it
    /// is opened where it is wanted, with room for little elsewhere.
    #[test]
    fn any_pieces(
        said in proptest::collection::vec((1_usize..=protect::MOST, 0_usize..3), 1..40),
        pieces in proptest::collection::vec(1_usize..200_000, 0..40),
        rooms in proptest::collection::vec(
            prop_oneof![1_usize..100, 1_000..20_000_usize, 60_000..400_000_usize], 1..6),
    ) {
        let (mut forge, records) = Forge::pair();
        let data = noise(said.iter().map(|(length, _)| length).sum());
        let mut at = 0;
        for (length, more) in said {
            forge.say(23, &data[at..at + length], (protect::MOST - length).min(more * 100));
            if more == 2 {
                forge.renew(0);
            }
            at += length;
        }
        forge.say(21, &[1, 0], 0);
        let (got, end) = read_all(&mut hears(&mut forge, records, &pieces), &rooms);
        prop_assert!(got == data && end.is_ok(), "{} of {}: {end:?}", got.len(), data.len());
    }
}
