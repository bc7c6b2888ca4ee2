//! The table: sockets by state, a line each, a second one for what holds them up; sums at the end.

use std::collections::HashMap;
use std::fmt::Write;

use sockeye_limits as limits;
use sockeye_load::draw::units::whole;
use sockeye_observe::counters::Counters;
use sockeye_observe::snapshot::{Snapshot, TimeWaits, Wanted};
use sockeye_observe::sockets::State;

use super::details::{Detail, span};
use super::nothing::{self, empty};
use super::paint::{Ink, Screen, width};
use super::row::{self, Mark, Row, wrap};

/// The rows, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    /// So many of those in TIME-WAIT are shown.
    waits_shown: usize,
    /// What is in TIME-WAIT is summed up at the end.
    waits_summed: bool,
    /// Says that there is no such socket.
    nothing: Option<String>,
}

impl Table {
    /// TIME-WAIT has all its rows where that state was asked for, a few where a port or a process was
    /// or there is nothing else, and else none.
    pub(super) fn of(seen: &Snapshot, wanted: &Wanted, verbose: bool) -> Table {
        let only = seen.sockets.iter().all(|found| found.socket.state == State::TimeWait);
        let named = wanted.states.contains(&State::TimeWait);
        let summed = seen.subject.is_none() && !only && !named;
        let waits_shown = if named { usize::MAX } else { limits::WAITS_SHOWN };
        let shown = seen.sockets.iter();
        let shown = shown.filter(|found| !summed || found.socket.state != State::TimeWait);
        let inet = shown.map(|found| row::inet(found, verbose));
        let rows = inet.chain(seen.unix.iter().map(row::unix)).collect();
        Table {
            rows,
            waits_shown,
            waits_summed: named || wanted.states.is_empty(),
            nothing: empty(seen).then(|| nothing::line(seen.subject, wanted)),
        }
    }

    /// Marks what differs from an older table, and puts in what is gone.
    pub(super) fn mark(&mut self, older: &Table) {
        let before: HashMap<&str, &Row> = older
            .rows
            .iter()
            .filter(|row| row.mark != Mark::Gone)
            .map(|row| (row.key.as_str(), row))
            .collect();
        let mut gone = before.clone();
        for row in &mut self.rows {
            gone.remove(row.key.as_str());
            row.mark = match before.get(row.key.as_str()) {
                None => Mark::New,
                Some(old) if old.state != row.state || old.facts != row.facts => Mark::Changed,
                Some(_) => Mark::Same,
            };
        }
        let mut gone: Vec<Row> = gone.into_values().cloned().collect();
        gone.sort_by(|a, b| a.key.cmp(&b.key));
        for row in gone {
            // At the end of its state's rows, or of all.
            let place = self.rows.iter().rposition(|other| other.state == row.state);
            let place = place.map_or(self.rows.len(), |place| place + 1);
            self.rows.insert(place, Row { mark: Mark::Gone, ..row });
        }
    }

    /// The rows that are shown, and how many in TIME-WAIT are not.
    fn split(&self) -> (Vec<&Row>, u64) {
        let mut waits = 0;
        let (shown, left_out): (Vec<&Row>, Vec<&Row>) = self.rows.iter().partition(|row| {
            let waiting = row.state == State::TimeWait.name();
            waits += usize::from(waiting);
            !waiting || waits <= self.waits_shown
        });
        (shown, left_out.iter().filter(|row| row.mark != Mark::Gone).count() as u64)
    }

    /// All of it as lines for that screen, none wider.
    pub(super) fn text(&self, seen: &Snapshot, screen: &Screen) -> String {
        let (shown, left_out) = self.split();
        let ends: Vec<String> = shown.iter().map(|row| row.ends()).collect();
        // What is much wider than the rest gets its owner on a line of its own.
        let room = screen.width.saturating_sub(34);
        let column = ends.iter().map(|text| width(text)).filter(|n| *n <= room).max().unwrap_or(0);
        let mut text = String::new();
        let mut state = "";
        for (at, (row, ends)) in shown.iter().zip(&ends).enumerate() {
            if row.state != state {
                state = row.state;
                let count =
                    self.rows.iter().filter(|r| r.state == state && r.mark != Mark::Gone).count();
                let _ = writeln!(text, "{}  {count}", screen.ink(Ink::Heading, state));
            }
            row.write(&mut text, ends, column, screen);
            let ends_here = shown.get(at + 1).is_none_or(|next| next.state != state);
            if left_out > 0 && ends_here && state == State::TimeWait.name() {
                let line = format!("… and {} more; --state time-wait shows all", whole(left_out));
                wrap(&mut text, &[(Ink::Faint, line)], 2, screen);
            }
        }
        let nothing = self.nothing.iter().map(|line| (Ink::Plain, line.clone()));
        for (ink, line) in nothing.chain(self.sums(seen)) {
            wrap(&mut text, &[(ink, line)], 0, screen);
        }
        text
    }

    /// The lines at the end: what is in TIME-WAIT, what was dropped, what is not visible.
    fn sums(&self, seen: &Snapshot) -> Vec<Detail> {
        let mut lines = Vec::new();
        if self.waits_summed && seen.time_waits.count > 0 {
            lines.push(summed(&seen.time_waits));
        }
        lines.extend(counted(&seen.counters));
        if seen.misses_owners() {
            let line = "uid N: a socket of another user, its process not visible without root";
            lines.push((Ink::Faint, line.into()));
        }
        lines
    }
}

fn summed(waits: &TimeWaits) -> Detail {
    let held = waits.held.iter().take(4).map(|(port, n)| format!("{n} hold port {port}"));
    let towards = waits.towards.iter().take(4);
    let towards = towards.map(|(peer, n)| format!("{n} of clients towards {peer}"));
    let all: Vec<String> = held.chain(towards).collect();
    let over = span(waits.longest);
    let line = format!("TIME-WAIT: {} in all, {}; over in {over}", waits.count, all.join(", "));
    (Ink::Plain, line)
}

fn counted(counters: &Counters) -> Option<Detail> {
    let say = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let all = [
        say(counters.listen_overflows, "times an accept queue was full"),
        say(counters.listen_drops, "connection attempts dropped by listeners"),
        say(counters.cookies_sent, "SYNs answered with cookies"),
        say(counters.udp_overflows, "datagrams dropped: buffer full"),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    let line = format!("Counted since this network began: {}", all.join(" · "));
    (!all.is_empty()).then_some((Ink::Plain, line))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sockeye_observe::owners::Owner;
    use sockeye_observe::snapshot::{Owned, Subject};
    use sockeye_observe::sockets::{
        Protocol, Socket, Timer, TimerKind, UnixKind, UnixSocket, UnixState,
    };

    use super::*;

    const SCREEN: Screen = Screen { width: 80, height: None, colour: false };

    fn socket(local: &str, peer: Option<&str>, state: State) -> Owned<Socket> {
        let socket = Socket {
            protocol: Protocol::Tcp,
            local: local.parse().unwrap(),
            peer: peer.map(|peer| peer.parse().unwrap()),
            state,
            receive_queue: 0,
            send_queue: 0,
            uid: 0,
            inode: Some(1),
            timer: None,
            drops: None,
            info: None,
        };
        let owners = vec![Owner { pid: 4711, program: "server".into() }];
        Owned { socket, owners, owner_count: 1 }
    }

    fn seen(sockets: Vec<Owned<Socket>>) -> Snapshot {
        Snapshot {
            sockets,
            unix: Vec::new(),
            time_waits: TimeWaits::default(),
            subject: None,
            counters: Counters::default(),
            owners_hidden: false,
        }
    }

    fn wanted(states: &[State]) -> Wanted {
        Wanted {
            protocols: Protocol::ALL.to_vec(),
            unix: false,
            listening: false,
            states: states.to_vec(),
            target: None,
        }
    }

    fn text(seen: &Snapshot) -> String {
        Table::of(seen, &wanted(&[]), false).text(seen, &SCREEN)
    }

    /// O3: a socket is a line; what holds it up is a second; a heading says the state and how many.
    #[test]
    fn lines() {
        let mut full = socket("127.0.0.1:9000", None, State::Listen);
        (full.socket.receive_queue, full.socket.send_queue) = (2, 1);
        full.socket.drops = Some(1);
        let mut busy = socket("127.0.0.1:9000", Some("127.0.0.1:51234"), State::Established);
        busy.socket.send_queue = 5;
        let remaining = Duration::from_millis(1500);
        busy.socket.timer = Some(Timer { kind: TimerKind::Retransmit, remaining, retries: 2 });
        let expected = "\
LISTEN  1
  tcp  127.0.0.1:9000                    server (4711)
         accept queue full: 2 wait, backlog 1 · 1 connection attempt dropped
ESTABLISHED  1
  tcp  127.0.0.1:9000 ↔ 127.0.0.1:51234  server (4711)
         5 B unacknowledged · sends again in 1.5 s (tried 2×)
";
        assert_eq!(text(&seen(vec![full, busy])), expected);
    }

    /// O3, C5: no line is wider than the screen, whatever addresses and names there are.
    #[test]
    fn never_wider() {
        let long = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535";
        let mut far = socket(long, Some(long), State::Established);
        far.owners[0].program =
            "\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b".into();
        far.owner_count = 3;
        let mut near = socket("127.0.0.1:1", Some(long), State::Established);
        // Letters of two columns: a name has fifteen bytes.
        near.owners[0].program = "語語語語語".into();
        let mut seen = seen(vec![far, near]);
        let peers = (1..9u16).map(|n| (long.parse().unwrap(), usize::from(n)));
        seen.time_waits = TimeWaits {
            count: 12,
            held: (1..9).map(|port| (port, 1000)).collect(),
            towards: peers.collect(),
            longest: Duration::from_secs(60),
        };
        let path = "語".repeat(35).into_bytes();
        let socket = UnixSocket {
            kind: UnixKind::Stream,
            state: UnixState::Listen,
            name: Some(path),
            inode: 1,
            peer: None,
            receive_queue: None,
            send_queue: None,
            uid: None,
        };
        seen.unix.push(Owned { socket, owners: Vec::new(), owner_count: 0 });
        let text = text(&seen);
        assert!(text.lines().all(|line| width(line) <= 80), "{text}");
        assert_eq!(width("語x"), 3);
        assert!(text.contains("+2") && !text.contains('\x1b'), "{text}");
        assert_eq!(text.matches(long).count(), 3 + 4, "{text}");
    }

    /// O3: TIME-WAIT is summed up, unless it alone is asked for.
    #[test]
    fn time_wait() {
        let waiting = socket("127.0.0.1:9000", Some("127.0.0.1:51234"), State::TimeWait);
        let other = socket("127.0.0.1:9000", None, State::Listen);
        assert!(text(&seen(vec![waiting.clone()])).contains("51234"));
        assert!(!text(&seen(vec![other, waiting])).contains("51234"));
    }

    /// O3: of many in TIME-WAIT at a named port a few are shown and the others counted, those that are
    /// gone not among them; all are where that state is asked for.
    #[test]
    fn many_in_time_wait() {
        let at = |count: u16| {
            let peers = (0..count).map(|n| format!("127.0.0.1:{}", 50_000 + n));
            let waiting = peers.map(|p| socket("127.0.0.1:9000", Some(&p), State::TimeWait));
            let listener = socket("127.0.0.1:9000", None, State::Listen);
            let mut seen = seen(std::iter::once(listener).chain(waiting).collect());
            seen.subject = Some(Subject::Port(9000));
            seen
        };
        let rows = |text: &str| text.matches("  tcp").count();
        let more = "  … and 22 more; --state time-wait shows all\n";
        let many = text(&at(30));
        assert!(many.contains("TIME-WAIT  30\n") && many.contains(more), "{many}");
        assert_eq!(rows(&many), 1 + limits::WAITS_SHOWN, "{many}");
        let few = text(&at(8));
        assert!(rows(&few) == 9 && !few.contains("more"), "{few}");
        let asked = wanted(&[State::TimeWait, State::Listen]);
        let all = Table::of(&at(30), &asked, false).text(&at(30), &SCREEN);
        assert!(rows(&all) == 31 && !all.contains("more"), "{all}");

        let mut later = Table::of(&at(30), &wanted(&[]), false);
        later.mark(&Table::of(&at(40), &wanted(&[]), false));
        let later = later.text(&at(30), &SCREEN);
        assert!(later.contains("TIME-WAIT  30\n") && later.contains(more), "{later}");
    }

    /// O3: that nothing is in a state is said before the counters; TIME-WAIT is summed up only where it was
    /// asked for.
    #[test]
    fn no_match() {
        let mut seen = seen(Vec::new());
        seen.time_waits.count = 33_000;
        seen.counters.listen_overflows = 3;
        let said = |states: &[State]| Table::of(&seen, &wanted(states), false).text(&seen, &SCREEN);
        let line = "no socket is in CLOSE-WAIT\nCounted since this network began: 3 times";
        let close = said(&[State::CloseWait]);
        assert!(close.starts_with(line) && !close.contains("TIME-WAIT"), "{close}");
        assert!(said(&[State::TimeWait]).contains("TIME-WAIT: 33000 in all"));
    }

    /// O3: what is new, changed or gone since the last look is marked; what is gone only once.
    #[test]
    fn marks() {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let of = |ports: &[(u16, u32)]| {
            let sockets = ports.iter().map(|(port, queue)| {
                let mut found = socket(&at(*port), Some("127.0.0.1:9000"), State::Established);
                found.socket.receive_queue = *queue;
                found
            });
            Table::of(&seen(sockets.collect()), &wanted(&[]), false)
        };
        let marks = |table: &Table| -> Vec<Mark> { table.rows.iter().map(|r| r.mark).collect() };
        let first = of(&[(1, 0), (2, 0), (3, 0)]);
        let mut second = of(&[(1, 0), (2, 7), (4, 0)]);
        second.mark(&first);
        assert_eq!(marks(&second), [Mark::Same, Mark::Changed, Mark::New, Mark::Gone]);
        let mut third = of(&[(1, 0), (2, 7), (4, 0)]);
        third.mark(&second);
        assert_eq!(marks(&third), [Mark::Same; 3]);
    }
}
