//! The table of settings: for each what it does, given its value and the kernel.

use super::{PortRange, Release, Setting};

/// What a meaning is made from.
pub(super) struct Seen<'a> {
    /// The value as text.
    value: &'a str,
    kernel: Release,
}

impl Seen<'_> {
    /// The number at that place of the value.
    fn number(&self, at: usize) -> u64 {
        self.value.split(' ').nth(at).and_then(|word| word.parse().ok()).unwrap_or(0)
    }
}

/// A row of the table.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What it does.
    meaning: fn(&Seen<'_>) -> String,
    /// What is said where the kernel does not have it; nothing where this is empty.
    absent: fn(Release) -> &'static str,
}

impl Row {
    pub(super) fn setting(&self, kernel: Release, value: Option<String>) -> Option<Setting> {
        let meaning = match &value {
            Some(value) => (self.meaning)(&Seen { value, kernel }),
            None => (self.absent)(kernel).to_owned(),
        };
        (!meaning.is_empty()).then_some(Setting { name: self.name, value, meaning })
    }
}

const fn row(name: &'static str, meaning: fn(&Seen<'_>) -> String) -> Row {
    Row { name, meaning, absent: |_| "" }
}

/// In the order of a connection's life.
pub(super) const ROWS: &[Row] = &[
    row("net.ipv4.ip_local_port_range", port_range),
    row("net.ipv4.ip_unprivileged_port_start", |seen| {
        format!("ports below {} are for root or CAP_NET_BIND_SERVICE", seen.value)
    }),
    row("net.core.somaxconn", somaxconn),
    row("net.ipv4.tcp_max_syn_backlog", syn_backlog),
    row("net.ipv4.tcp_syncookies", cookies),
    row("net.ipv4.tcp_abort_on_overflow", |seen| {
        match seen.number(0) {
        0 => "a SYN that finds the accept queue full is dropped, and so is the end of a handshake: the \
              client sends again, and gets in if the server catches up"
            .into(),
        _ => "a handshake that ends when the accept queue is full is reset, so that its client sees an \
              error; a SYN that comes then is dropped as always"
            .into(),
    }
    }),
    row("net.ipv4.tcp_syn_retries", syn_retries),
    row("net.ipv4.tcp_retries2", |seen| {
        format!(
            "an established connection whose data nobody acknowledges fails with ETIMEDOUT after the \
             time of {} retransmissions with doubling pauses (15: more than 15 minutes); \
             TCP_USER_TIMEOUT of a socket (--set user-timeout=30s) overrides it",
            seen.value
        )
    }),
    row("net.ipv4.tcp_keepalive_time", |seen| {
        format!(
            "seconds of silence before the first probe, on sockets with SO_KEEPALIVE only ({} here; \
             --set keepalive=30s for one socket)",
            hours(seen.number(0))
        )
    }),
    row("net.ipv4.tcp_fin_timeout", fin_timeout),
    row("net.ipv4.tcp_tw_reuse", reuse),
    Row {
        name: "net.ipv4.tcp_tw_recycle",
        meaning: |_| {
            "refuses clients behind one address translator by their timestamps: leave it 0; it is \
             gone since Linux 4.12"
                .into()
        },
        absent: |kernel| {
            if kernel.is_since(4, 12) {
                "gone since Linux 4.12: advice to set it is out of date (it broke clients behind \
                 address translators)"
            } else {
                ""
            }
        },
    },
    row("net.ipv4.tcp_max_tw_buckets", |seen| {
        format!(
            "at most {} sockets are in TIME-WAIT at a time; those beyond skip it, which is counted \
             (TCPTimeWaitOverflow) and lets old packets meet new connections: do not lower it",
            seen.value
        )
    }),
    row("net.core.rmem_max", |seen| buffer_limit(seen, "SO_RCVBUF")),
    row("net.core.wmem_max", |seen| buffer_limit(seen, "SO_SNDBUF")),
    row("net.core.rmem_default", |seen| {
        format!(
            "a UDP socket that sets no SO_RCVBUF holds {} bytes of datagrams and their overhead; \
             what does not fit is dropped and counted",
            seen.value
        )
    }),
    row("net.ipv4.tcp_rmem", |seen| memory(seen, "receive", "SO_RCVBUF")),
    row("net.ipv4.tcp_wmem", |seen| memory(seen, "send", "SO_SNDBUF")),
];

fn port_range(seen: &Seen<'_>) -> String {
    let ports = PortRange::parse(seen.value).map_or(0, PortRange::count);
    format!(
        "a connect(2) without a bind(2) takes its port from here: {ports} connections at a time \
         towards one address and port, those in TIME-WAIT included; then it fails with EADDRNOTAVAIL"
    )
}

fn somaxconn(seen: &Seen<'_>) -> String {
    let default = if seen.kernel.is_since(5, 4) { "4096 since Linux 5.4" } else { "128" };
    format!(
        "listen(2) silently cuts a larger backlog to {} (default {default}); one connection more \
         than the backlog waits in the accept queue",
        seen.value
    )
}

fn syn_backlog(seen: &Seen<'_>) -> String {
    let cookies = super::read("net.ipv4.tcp_syncookies").unwrap_or_default();
    if !seen.kernel.is_since(4, 4) {
        return format!("at most {} handshakes are open for each listener", seen.value);
    }
    if cookies == "0" {
        return format!(
            "as tcp_syncookies is 0: with more than three quarters of {} handshakes open a listener \
             drops SYNs of hosts that it does not know",
            seen.value
        );
    }
    "not looked at while tcp_syncookies is on: a listener has as many handshakes open as its backlog \
     says, then it answers with cookies"
        .into()
}

fn cookies(seen: &Seen<'_>) -> String {
    match seen.number(0) {
        0 => "off: a listener with as many open handshakes as its backlog says drops every further \
              SYN, so a flood keeps clients out"
            .into(),
        1 => "on: a listener with as many open handshakes as its backlog says answers further SYNs \
              with a cookie and keeps nothing of them, so clients get in during a flood"
            .into(),
        _ => "every SYN is answered with a cookie, flood or not; that is for tests (1 is the default)"
            .into(),
    }
}

/// Since Linux 6.5 the first tries come at even pauses, and do not count for the setting.
fn syn_retries(seen: &Seen<'_>) -> String {
    let even = super::read("net.ipv4.tcp_syn_linear_timeouts");
    let even: u64 = even.and_then(|n| n.parse().ok()).unwrap_or(0);
    let more = if even > 0 {
        format!(" ({even} of them a second apart, by tcp_syn_linear_timeouts)")
    } else {
        String::new()
    };
    format!(
        "connect(2) to a host that is silent sends its SYN {} times again{more} before ETIMEDOUT; a \
         program's own timeout ends it sooner",
        seen.number(0).saturating_add(even)
    )
}

fn fin_timeout(seen: &Seen<'_>) -> String {
    format!(
        "seconds that a connection which its program has closed waits for the peer's FIN \
         (FIN-WAIT-2): {}. It does not shorten TIME-WAIT, which is 60 s on Linux and no setting",
        seen.value
    )
}

fn reuse(seen: &Seen<'_>) -> String {
    let delay = match super::read("net.ipv4.tcp_tw_reuse_delay") {
        Some(delay) => format!("{delay} ms"),
        None => "a second".into(),
    };
    let server = "it never helps bind(2): a server needs SO_REUSEADDR";
    match seen.number(0) {
        0 => format!("off: an outgoing connection never takes over a port in TIME-WAIT; {server}"),
        1 => format!(
            "an outgoing connection may take over a port that is in TIME-WAIT towards the same \
             address for {delay} or more, if both ends use timestamps; {server}"
        ),
        _ => format!(
            "on loopback alone an outgoing connection may take over a port that is in TIME-WAIT \
             towards the same address for {delay} or more, if both ends use timestamps; {server}"
        ),
    }
}

fn buffer_limit(seen: &Seen<'_>, option: &str) -> String {
    let doubled = seen.number(0).saturating_mul(2);
    format!(
        "the most that {option} can ask for; the kernel doubles what is asked (for its own overhead), \
         so getsockopt(2) shows up to {doubled}"
    )
}

fn memory(seen: &Seen<'_>, what: &str, option: &str) -> String {
    format!(
        "a TCP {what} buffer begins with {} bytes and grows by itself to at most {}, unless {option} \
         sets it: then it no longer grows",
        seen.number(1),
        seen.number(2)
    )
}

/// Seconds as people say them.
fn hours(seconds: u64) -> String {
    match seconds {
        s if s >= 3600 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s >= 60 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(name: &str, value: Option<&str>, kernel: (u32, u32)) -> Option<String> {
        let kernel = Release { major: kernel.0, minor: kernel.1 };
        let row = ROWS.iter().find(|row| row.name == name).unwrap();
        row.setting(kernel, value.map(str::to_owned)).map(|setting| setting.meaning)
    }

    /// O5: what is said depends on the kernel and the value, and is said of no other.
    #[test]
    fn conditions() {
        let recycle = |kernel| meaning("net.ipv4.tcp_tw_recycle", None, kernel);
        assert!(recycle((4, 12)).unwrap().contains("gone since Linux 4.12"));
        assert_eq!(recycle((4, 11)), None);
        let most = |kernel| meaning("net.core.somaxconn", Some("128"), kernel).unwrap();
        assert!(most((6, 1)).contains("default 4096") && most((5, 3)).contains("default 128"));
        let range = meaning("net.ipv4.ip_local_port_range", Some("32768 60999"), (6, 1)).unwrap();
        assert!(range.contains("28232 connections"), "{range}");
        let twice = meaning("net.core.rmem_max", Some("1000"), (6, 1)).unwrap();
        assert!(twice.contains("up to 2000"), "{twice}");
        for value in ["", "x", "-1", "18446744073709551615"] {
            for row in ROWS {
                let kernel = Release { major: 6, minor: 1 };
                assert!(row.setting(kernel, Some(value.into())).is_some(), "{}", row.name);
            }
        }
    }
}
