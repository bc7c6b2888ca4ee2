//! `trace --port`: the connections of a port as they come, until enough was seen.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use sockeye_limits as limits;
use sockeye_observe::capture::{Capture, Captured, Protocol, Watch};
use sockeye_observe::live::Connections;

use super::settings::Show;
use super::{PcapFile, failed, one_line, print, signals};
use crate::cli::usage::Failure;

/// When watching ends, but for a signal.
pub(super) struct Until {
    /// So many connections are over.
    pub(super) count: Option<usize>,
    /// So much time has passed.
    pub(super) duration: Option<Duration>,
}

/// What comes to who draws.
enum Word {
    Packet(Captured),
    Stop,
}

/// Watches and draws until a signal, or `until`.
pub(super) fn run(
    watch: Watch,
    until: &Until,
    show: Show,
    mut pcap: Option<PcapFile>,
) -> Result<(), Failure> {
    let (sender, words) = sync_channel(limits::CAPTURE_QUEUE);
    let stop = sender.clone();
    // Beside the packets that wait already; nobody listens any more where it has ended.
    let first = move || drop(std::thread::spawn(move || stop.send(Word::Stop)));
    signals::hear(first).context("cannot hear signals").map_err(one_line)?;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let sink = move |packet| sender.send(Word::Packet(packet)).is_ok();
    let capture = Capture::start(watch, sink).map_err(failed)?;
    let Watch::Port(protocol, port) = watch else { return Ok(()) };
    let name = if protocol == Protocol::Tcp { "TCP" } else { "UDP" };
    let mut out = print::Output::new(show);
    out.watching(name, port)?;
    let mut connections = Connections::new(port, started);
    let done = follow(&words, until, &mut connections, &mut out, pcap.as_mut());
    // Whoever captures waits for us where the queue is full.
    drop(words);
    let missed = capture.finish();
    // A file that cannot be written is no reason to keep what was seen back; a reader who has gone is.
    let told = match &done {
        Err(Failure::Status(_)) => Ok(()),
        _ => out.watched(&connections, missed),
    };
    let written = pcap.map_or(Ok(()), |pcap| pcap.finish().map(drop));
    done.and(told).and(written.context("cannot write the packets").map_err(one_line))
}

fn follow(
    words: &Receiver<Word>,
    until: &Until,
    connections: &mut Connections,
    out: &mut print::Output,
    mut pcap: Option<&mut PcapFile>,
) -> Result<(), Failure> {
    let deadline = Instant::now() + until.duration.unwrap_or(limits::LONGEST_TIME);
    let mut over = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let packet = match words.recv_timeout(left) {
            Ok(Word::Packet(packet)) => packet,
            Ok(Word::Stop) | Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(failed("the capture has ended. Look whether the network is up"));
            }
        };
        let Some(news) = connections.push(&packet) else { continue };
        out.news(&news)?;
        if let Some(pcap) = pcap.as_deref_mut() {
            let comment = format!("#{} {}", news.connection.number, print::comment(&news.step));
            let written = pcap.write(&packet, comment.trim(), sockeye_net::sys::interface_name);
            written.context("cannot write the packets").map_err(one_line)?;
        }
        over += usize::from(news.first_end);
        if until.count.is_some_and(|count| over >= count) {
            return Ok(());
        }
    }
}
