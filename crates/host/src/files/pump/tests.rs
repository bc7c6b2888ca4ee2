//! Peers that trickle, fall silent, take nothing, or refuse, in a time of the tests' own.

use sockeye_files::{Gone, Inbox, Outbox, Stopped};
use sockeye_wire::files::codec::data_header;
use sockeye_wire::files::{FromReceiver, FromSender, Speech, Time};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::time::{Instant, sleep};

use super::super::refusal::tell_refusal;
use super::*;

/// Pumps for this engine over a connection whose other end the script has.
async fn pumped<M: Whole + Parts + Send + 'static, T: Send + 'static>(
    engine: impl FnOnce(&mut dyn Inbox<M>, &mut dyn Outbox) -> Result<T, Stopped> + Send + 'static,
    script: impl AsyncFnOnce(DuplexStream),
) -> Result<T, PumpError> {
    let (ours, theirs) = duplex(64 * 1024);
    let (mut reader, mut writer) = split(ours);
    let pump = pump((&mut reader, &mut writer), Vec::new(), None, engine);
    tokio::select! {
        ended = pump => ended,
        () = script(theirs) => panic!("the script ends first"),
    }
}

/// An engine that waits for a word.
fn waits<M: Speech>(inbox: &mut dyn Inbox<M>, _: &mut dyn Outbox) -> Result<M, Stopped> {
    inbox.wait().map_err(Stopped::from)
}

/// An engine that talks and never listens.
fn talks(_: &mut dyn Inbox<FromReceiver>, outbox: &mut dyn Outbox) -> Result<(), Stopped> {
    loop {
        outbox.send(vec![0; 100_000].into()).map_err(|Gone| Stopped::Gone)?;
    }
}

/// Fault 70: a frame that comes a byte a second is given up when its time is over, however it goes
/// on; so is one after many whole ones.
#[tokio::test(start_paused = true)]
async fn trickle() {
    let since = Instant::now();
    let ended = pumped(waits::<FromSender>, async |mut theirs| {
        let frame = data_header(10_000).into_iter().chain(std::iter::repeat(0));
        for byte in frame.take(200) {
            let _ = theirs.write_all(&[byte]).await;
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending().await
    });
    let ended = ended.await;
    let Err(PumpError::Stalled(time)) = ended else { panic!("{ended:?}") };
    assert_eq!(time, limits::TRANSFER_FRAME_TIME);
    // While the engine's thread ends, the bytes go on; had they put the end off, it would be later.
    let latest = Duration::from_secs(200) + limits::TRANSFER_FRAME_TIME / 2;
    assert!(since.elapsed() < latest, "{:?}", since.elapsed());
}

/// What a sender says first of a content of a mebibyte, or of a stream.
fn begins(size: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    let mtime = Time { seconds: 0, nanoseconds: 0 };
    FromSender::Begin { file: 0, mtime, size, from: 0 }.put(&mut out);
    out
}

/// An engine that takes whatever comes.
fn takes(inbox: &mut dyn Inbox<FromSender>, _: &mut dyn Outbox) -> Result<(), Stopped> {
    loop {
        inbox.wait().map_err(Stopped::from)?;
    }
}

/// What comes of a content, or a stream, of which so many bytes come in a frame of their own each so
/// often, up to 64 KiB; and how long that took.
async fn in_pieces(
    size: Option<u64>,
    piece: usize,
    each: Duration,
) -> (Result<(), PumpError>, Duration) {
    let since = Instant::now();
    let (ours, mut theirs) = duplex(64 * 1024);
    let frame = [&data_header(piece)[..], &vec![0; piece]].concat();
    let script = async move {
        let _ = theirs.write_all(&begins(size)).await;
        for _ in 0..64 * 1024 / piece {
            sleep(each).await;
            if theirs.write_all(&frame).await.is_err() {
                break;
            }
        }
        since.elapsed()
    };
    let pump = async move {
        // They end with the pump: whoever still writes finds out.
        let (mut reader, mut writer) = split(ours);
        pump((&mut reader, &mut writer), Vec::new(), None, takes).await
    };
    tokio::join!(pump, script)
}

/// Fault 70, P-X18: whole frames of one byte, one every few seconds, are a trickle as well, and it is
/// told whose.
#[tokio::test(start_paused = true)]
async fn trickle_of_frames() {
    let (ended, _) = in_pieces(Some(1 << 20), 1, Duration::from_secs(5)).await;
    let Err(error @ PumpError::Trickles) = ended else { panic!("{ended:?}") };
    assert!(error.to_string().starts_with("the other side sent less than 64 KiB"), "{error}");
}

/// Fault 30, P-X18: a line of 64 kbit/s is no trickle, and neither is a stream whose input comes
/// slowly.
#[tokio::test(start_paused = true)]
async fn slow() {
    let (ended, _) = in_pieces(Some(1 << 20), 1000, Duration::from_millis(125)).await;
    assert!(matches!(ended, Err(PumpError::Ended)), "{ended:?}");
    let (ended, lasted) = in_pieces(None, 64, Duration::from_secs(60)).await;
    assert!(matches!(ended, Err(PumpError::Ended)), "{ended:?}");
    assert!(lasted > limits::TRANSFER_FRAME_TIME * 100, "{lasted:?}");
}

/// Fault 70: a peer that says nothing at all is left after a longer time.
#[tokio::test(start_paused = true)]
async fn silence() {
    let since = Instant::now();
    let ended = pumped(waits::<FromSender>, async |theirs| {
        let _open = theirs;
        std::future::pending().await
    });
    let ended = ended.await;
    assert!(matches!(ended, Err(PumpError::Stalled(limits::TRANSFER_SILENCE))), "{ended:?}");
    // While the engine's thread ends, the clock jumps over what it is waited for.
    let over = since.elapsed() - limits::TRANSFER_SILENCE;
    assert!(over <= 2 * limits::LINGER_TIME, "{over:?}");
}

/// Fault 70: a peer that takes nothing holds nobody either.
#[tokio::test]
async fn takes_nothing() {
    let ended = pumped(talks, async |mut theirs| {
        // The engine has begun to talk: from here on the clock may jump.
        let _ = theirs.read_u8().await;
        tokio::time::pause();
        std::future::pending().await
    });
    let ended = ended.await;
    assert!(matches!(ended, Err(PumpError::Stalled(limits::TRANSFER_FRAME_TIME))), "{ended:?}");
}

/// F6, fault 70: a peer that takes what we send, however slowly, need not say anything meanwhile.
#[tokio::test(start_paused = true)]
async fn one_way() {
    let since = Instant::now();
    let (ours, mut theirs) = duplex(64 * 1024);
    let (mut reader, mut writer) = split(ours);
    let script = async {
        let mut some = vec![0; 64 * 1024];
        while since.elapsed() < limits::TRANSFER_SILENCE * 2 {
            // The engine is a thread: while it is waited for, the clock must not jump at all.
            tokio::time::resume();
            let read = theirs.read(&mut some).await;
            tokio::time::pause();
            assert!(read.is_ok_and(|count| count > 0));
            sleep(Duration::from_secs(20)).await;
        }
    };
    tokio::select! {
        ended = pump((&mut reader, &mut writer), Vec::new(), None, talks) => panic!("{ended:?}"),
        () = script => {}
    }
}

/// Fault 37: where the other side has gone, an engine that waits for input of its own holds nobody.
#[tokio::test]
async fn waits_elsewhere() {
    let (never, ended) = std::sync::mpsc::channel::<()>();
    let engine = move |_: &mut dyn Inbox<FromReceiver>, _: &mut dyn Outbox| {
        let _ = ended.recv();
        Ok::<(), Stopped>(())
    };
    let ended = pumped(engine, async |theirs| {
        drop(theirs);
        std::future::pending().await
    });
    let ended = ended.await;
    assert!(matches!(ended, Err(PumpError::Ended)), "{ended:?}");
    drop(never);
}

/// Fault 68: why the other side refuses is told, also to an engine that does not listen and a
/// connection that has gone.
#[tokio::test]
async fn refusal_is_told() {
    let ended = pumped(talks, async |mut theirs| {
        let mut some = vec![0; 1000];
        let _ = theirs.read_exact(&mut some).await;
        let _ = theirs.write_all(&FromReceiver::refuse("onto itself".into())).await;
        drop(theirs);
        std::future::pending().await
    });
    let ended = ended.await;
    assert!(
        matches!(&ended, Err(PumpError::TheyRefused(why)) if why == "onto itself"),
        "{ended:?}"
    );
}

/// Fault 68: what an engine refuses is said to the other side.
#[tokio::test]
async fn refusal_is_said() {
    let engine = |_: &mut dyn Inbox<FromSender>, outbox: &mut dyn Outbox| -> Result<(), Stopped> {
        let stopped = Stopped::Refused("no".into());
        tell_refusal::<FromReceiver>(&stopped, outbox);
        Err(stopped)
    };
    let (ours, mut theirs) = duplex(64 * 1024);
    let (mut reader, mut writer) = split(ours);
    let ended = pump((&mut reader, &mut writer), Vec::new(), None, engine).await;
    assert!(matches!(&ended, Err(PumpError::Refused(why)) if why == "no"), "{ended:?}");
    let expected = FromReceiver::refuse("no".into());
    let mut said = vec![0; expected.len()];
    theirs.read_exact(&mut said).await.unwrap();
    assert_eq!(said, expected);
}

/// P-X8: what is said to people has no bound, so where the engine is busy it is dropped, troubles as
/// well as notes; all else is heard, and their number stands in the last word.
#[tokio::test]
async fn troubles_are_dropped_where_there_is_no_room() {
    let (go, wait) = recycled::channel();
    let busy = move |inbox: &mut dyn Inbox<FromReceiver>, _: &mut dyn Outbox| {
        // Whoever drops its end wants us to go on.
        let _: Result<(), _> = wait.recv();
        let mut troubles = 0;
        loop {
            match inbox.wait()? {
                FromReceiver::Trouble { .. } => troubles += 1,
                FromReceiver::Finished(tally) => return Ok((troubles, tally.failed)),
                other => panic!("{other:?}"),
            }
        }
    };
    let all = 4 * limits::RECEIVER_AHEAD / 6000;
    let ended = pumped(busy, async |mut theirs| {
        let mut frame = Vec::new();
        let (path, text) = (vec![b'a'; 4000], "b".repeat(2000));
        FromReceiver::Trouble { path, text }.put(&mut frame);
        // If they were kept, this would never end.
        for _ in 0..all {
            theirs.write_all(&frame).await.unwrap();
        }
        let mut last = Vec::new();
        let tally = sockeye_wire::files::Tally { failed: all as u64, ..Default::default() };
        FromReceiver::Finished(tally).put(&mut last);
        drop(go);
        theirs.write_all(&last).await.unwrap();
        std::future::pending().await
    });
    let (troubles, failed) = ended.await.unwrap();
    assert_eq!(failed, all as u64);
    assert!(troubles < all, "{troubles}");
}

/// F6: more than may wait for an engine comes all the same, whole and in order.
#[tokio::test]
async fn a_slow_engine_hears_all() {
    let all = 3 * limits::SENDER_AHEAD / 1000;
    let engine = move |inbox: &mut dyn Inbox<FromSender>, _: &mut dyn Outbox| {
        for number in 0..all {
            let FromSender::Data(data) = inbox.wait()? else { panic!("no content") };
            assert_eq!(data, [number as u8; 1000]);
            if number % 50 == 0 {
                thread::yield_now();
            }
        }
        Ok(())
    };
    let ended = pumped(engine, async |mut theirs| {
        for number in 0..all {
            let frame = [&data_header(1000)[..], &[number as u8; 1000]].concat();
            theirs.write_all(&frame).await.unwrap();
        }
        std::future::pending().await
    });
    ended.await.unwrap();
}

/// P8, P11: the memory that an engine gives back takes the next payload.
#[tokio::test]
async fn payloads_go_round() {
    const MOST: usize = limits::FRAME_DATA_MAX;
    // No payload of its own has so much.
    const ROOMY: usize = MOST + 4096;
    let engine = |inbox: &mut dyn Inbox<FromSender>, outbox: &mut dyn Outbox| {
        let mut rooms = Vec::new();
        for _ in 0..2 {
            let FromSender::Data(data) = inbox.wait()? else { panic!("no content") };
            rooms.push(data.capacity());
            assert_eq!(data, [7; MOST]);
            inbox.reuse(Vec::with_capacity(ROOMY));
            outbox.send(vec![1].into())?;
        }
        Ok(rooms)
    };
    let ended = pumped(engine, async |mut theirs| {
        let frame = [&data_header(MOST)[..], &[7; MOST]].concat();
        for _ in 0..2 {
            theirs.write_all(&frame).await.unwrap();
            assert_eq!(theirs.read_u8().await.unwrap(), 1);
        }
        std::future::pending().await
    });
    assert_eq!(ended.await.unwrap(), [MOST, ROOMY]);
}
