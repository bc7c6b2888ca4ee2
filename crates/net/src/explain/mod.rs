//! Socket errors explained: for each one sentence of cause, with evidence where the system gives some,
//! and one of remedy.
//!
//! `table` has those whose words are always the same; `in_use` looks who holds an address and
//! `reach` why a connection cannot be made. `page` makes docs/errors.md of them.

mod in_use;
mod page;
mod reach;
mod table;

use std::io;

use rustix::io::Errno;

use crate::endpoint::Endpoint;
use crate::error::Operation;
use crate::shown;

pub use page::markdown;

/// A cause and a remedy: a sentence each, without a full stop.
pub(crate) type Explained = (String, String);

/// The cause and the remedy of an error of `operation` on `endpoint`.
pub(crate) fn explain(operation: Operation, endpoint: &str, error: &io::Error) -> Explained {
    let Some(errno) = error.raw_os_error().map(Errno::from_raw_os_error) else {
        return plain(error);
    };
    let endpoint: Option<Endpoint> = endpoint.parse().ok();
    let endpoint = endpoint.as_ref();
    looked_up(operation, errno, endpoint)
        .or_else(|| table::find(operation, errno, endpoint).map(table::Case::explained))
        .unwrap_or_else(|| plain(error))
}

/// Errors that need a look at the system.
fn looked_up(operation: Operation, errno: Errno, endpoint: Option<&Endpoint>) -> Option<Explained> {
    let unix = endpoint.and_then(Endpoint::unix_name).is_some();
    match (operation, errno) {
        (Operation::Connect, Errno::ADDRINUSE | Errno::ADDRNOTAVAIL) => {
            Some(reach::no_port(endpoint))
        }
        (_, Errno::ADDRINUSE) => Some(in_use::explain(endpoint)),
        (Operation::Bind, Errno::ACCESS) if !unix => reach::privileged_port(),
        (Operation::Connect, Errno::CONNREFUSED) if unix => Some(reach::refused_unix(endpoint)),
        (Operation::Connect, Errno::TIMEDOUT | Errno::AGAIN) => Some(reach::no_answer(endpoint)),
        _ => None,
    }
}

fn plain(error: &io::Error) -> Explained {
    let text = shown::line(&error.to_string());
    (text, "Run again with -v for the steps before it".into())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// O4, C4, fault 26: what is said of a datagram that is too long is what the kernel does; and a
    /// Unix peer that is gone has no port and sends no ICMP.
    #[test]
    fn datagrams() {
        for (at, most) in [("127.0.0.1:0", 65_507), ("[::1]:0", 65_527)] {
            let Ok(socket) = UdpSocket::bind(at) else { continue };
            let itself = socket.local_addr().unwrap();
            assert_eq!(socket.send_to(&vec![0; most], itself).unwrap(), most);
            let error = socket.send_to(&vec![0; most + 1], itself).unwrap_err();
            let (cause, _) = explain(Operation::Send, &format!("udp://{itself}"), &error);
            assert!(cause.contains(&most.to_string()), "{cause}");
        }
        let (near, far) = UnixDatagram::pair().unwrap();
        let of = |error: &io::Error| explain(Operation::Send, "unixgram:/s", error).0;
        let cause = of(&near.send(&vec![0; 64 << 20]).unwrap_err());
        assert!(cause.contains("send buffer") && !cause.contains("65507"), "{cause}");
        drop(far);
        let cause = of(&near.send(b"x").unwrap_err());
        assert!(cause.contains("refused") && !cause.contains("ICMP"), "{cause}");
    }
}
