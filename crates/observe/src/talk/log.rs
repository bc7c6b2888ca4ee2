//! The calls of a traced conversation: what was called, when, and what came back.

use std::borrow::Cow;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_net::sys::tcp_info::TcpInfo;

use crate::draw::words;
use crate::history::{Call, CallResult, Event, Side};

/// A call that was made.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was called, since the start of the trace.
    pub began: Duration,
    /// When it returned.
    pub ended: Duration,
    /// By whom.
    pub side: Side,
    /// Its name.
    pub name: &'static str,
    /// What stands between its parentheses.
    pub text: String,
    /// A count of bytes or 0, or how the system named its failure.
    pub result: Result<u64, String>,
    /// What the kernel counted so far, asked after the call, where somebody asked.
    pub info: Option<TcpInfo>,
    /// The beginning of what was sent or came, at most [`limits::TRACE_PAYLOAD`] bytes.
    pub data: Vec<u8>,
}

impl Record {
    /// True for a call that waits for the other end: it is told when it begins and when it returns.
    fn waits(&self) -> bool {
        self.name == "connect"
    }

    /// When it did what it does: a call that takes what has come did that when it returned.
    fn time(&self) -> Duration {
        if matches!(self.name, "recv" | "accept") { self.ended } else { self.began }
    }

    /// The call as a history takes it: one event, or two for a call that waits.
    pub fn events(&self) -> Vec<Event> {
        let told = |time, result| {
            let (side, text) = (self.side, self.text.clone());
            Event::Call(Call { time, side, name: Cow::Borrowed(self.name), text, result })
        };
        let result = match &self.result {
            Ok(count) => CallResult::Done(*count),
            Err(text) => CallResult::Failed(text.clone()),
        };
        if self.waits() {
            return vec![told(self.began, CallResult::Begun), told(self.ended, result)];
        }
        vec![told(self.time(), result)]
    }
}

/// Where both ends write their calls down.
#[derive(Debug)]
pub(super) struct Log {
    /// Since 1970, as packets are stamped.
    start: Duration,
    records: Mutex<Vec<Record>>,
}

impl Log {
    /// An empty log; the trace starts now.
    pub(super) fn start() -> Log {
        Log { start: since_1970(), records: Mutex::new(Vec::new()) }
    }

    /// The start of the trace, since 1970.
    pub(super) fn started(&self) -> Duration {
        self.start
    }

    /// Since the start of the trace.
    pub(super) fn now(&self) -> Duration {
        since_1970().saturating_sub(self.start)
    }

    /// Makes a call and writes it down; the number that `count` makes of its value is its result.
    pub(super) fn call<T>(
        &self,
        side: Side,
        name: &'static str,
        text: impl Into<String>,
        count: impl FnOnce(&T) -> usize,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let began = self.now();
        let made = call();
        let ended = self.now();
        let result = match &made {
            Ok(value) => Ok(count(value) as u64),
            Err(error) => Err(named(error)),
        };
        let text = text.into();
        self.add(Record { began, ended, side, name, text, result, info: None, data: Vec::new() });
        made
    }

    /// Adds what the kernel counts to the last call of `side`.
    pub(super) fn count(&self, side: Side, info: Option<TcpInfo>) {
        self.last(side, |last| last.info = info);
    }

    /// Adds what was sent or came to the last call of `side`.
    pub(super) fn carried(&self, side: Side, bytes: &[u8]) {
        let kept = &bytes[..bytes.len().min(limits::TRACE_PAYLOAD)];
        self.last(side, |last| last.data = kept.to_vec());
    }

    fn last(&self, side: Side, change: impl FnOnce(&mut Record)) {
        if let Some(last) = self.lock().iter_mut().rfind(|record| record.side == side) {
            change(last);
        }
    }

    /// The first [`limits::TRACE_RECORDS`] calls, in the order in which they returned.
    pub(super) fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    fn add(&self, record: Record) {
        let mut records = self.lock();
        if records.len() < limits::TRACE_RECORDS {
            records.push(record);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a send is given: `"hello\n", 6`.
pub(super) fn sent(bytes: &[u8]) -> String {
    format!("{}, {}", words::payload(bytes, bytes.len(), limits::TRACE_QUOTED), bytes.len())
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// `ECONNREFUSED: Connection refused`.
fn named(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match NAMES.iter().find(|(known, _)| Some(*known) == errno) {
        Some((_, name)) => format!("{name}: {text}"),
        None => text.to_owned(),
    }
}

/// The names of the errors that a conversation ends with: errno(3).
const NAMES: [(Errno, &str); 19] = [
    (Errno::CONNREFUSED, "ECONNREFUSED"),
    (Errno::CONNRESET, "ECONNRESET"),
    (Errno::CONNABORTED, "ECONNABORTED"),
    (Errno::TIMEDOUT, "ETIMEDOUT"),
    (Errno::HOSTUNREACH, "EHOSTUNREACH"),
    (Errno::NETUNREACH, "ENETUNREACH"),
    (Errno::NETDOWN, "ENETDOWN"),
    (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (Errno::ADDRINUSE, "EADDRINUSE"),
    (Errno::PIPE, "EPIPE"),
    (Errno::AGAIN, "EAGAIN"),
    (Errno::MSGSIZE, "EMSGSIZE"),
    (Errno::ACCESS, "EACCES"),
    (Errno::PERM, "EPERM"),
    (Errno::NOENT, "ENOENT"),
    (Errno::NOTCONN, "ENOTCONN"),
    (Errno::PROTOTYPE, "EPROTOTYPE"),
    (Errno::MFILE, "EMFILE"),
    (Errno::INVAL, "EINVAL"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// O1: a call has its result or the name of its error; one that waits is told twice, one that
    /// takes what has come when it returned.
    #[test]
    fn calls() {
        let log = Log::start();
        let failed = log.call(
            Side::Client,
            "connect",
            "127.0.0.1:9",
            |()| 0,
            || Err::<(), _>(io::Error::from_raw_os_error(Errno::CONNREFUSED.raw_os_error())),
        );
        assert!(failed.is_err());
        let n = log.call(Side::Server, "recv", "", |n| *n, || Ok(5));
        assert_eq!(n.unwrap(), 5);
        let records = log.records();
        assert_eq!(records[0].result, Err("ECONNREFUSED: Connection refused".into()));
        assert!(records[0].ended >= records[0].began);
        let told = records[0].events();
        assert!(matches!(&told[0], Event::Call(call) if call.result == CallResult::Begun));
        assert!(
            matches!(&told[1], Event::Call(call) if matches!(call.result, CallResult::Failed(_)))
        );
        let [Event::Call(recv)] = &records[1].events()[..] else { panic!("one event") };
        assert_eq!((recv.time, &recv.result), (records[1].ended, &CallResult::Done(5)));
    }
}
