//! What is said where no socket is as it was asked for.

use anyhow::anyhow;
use sockeye_observe::snapshot::{Snapshot, Subject, Target, Wanted};
use sockeye_observe::sockets::Protocol;

use crate::cli::usage::Failure;

/// True where there is none.
pub(super) fn empty(seen: &Snapshot) -> bool {
    seen.sockets.is_empty() && seen.unix.is_empty()
}

/// Says that what was named has no socket.
pub(super) fn failure(seen: &Snapshot, wanted: &Wanted) -> Option<Failure> {
    if !empty(seen) {
        return None;
    }
    let hidden =
        if seen.owners_hidden { "; the processes of others are visible to root alone" } else { "" };
    let filtered = wanted.listening || !wanted.states.is_empty();
    let such = if filtered { " of that kind" } else { "" };
    let text = match (seen.subject?, wanted.target?) {
        (Subject::Port(port), _) => format!("no socket{such} has port {port}"),
        (Subject::Pid(pid), Target::Number(_)) => {
            format!("no socket{such} has port {pid}, and no process {pid} has sockets{hidden}")
        }
        (Subject::Pid(pid), Target::Pid(_)) => {
            format!("process {pid} has no socket{such}{hidden}")
        }
    };
    Some(Failure::Failed(anyhow!("{text}. `sockeye ports` without a number shows all there are.")))
}

/// The same as a line of the table: `no socket is in CLOSE-WAIT`.
pub(super) fn line(subject: Option<Subject>, wanted: &Wanted) -> String {
    let kind = match wanted.protocols[..] {
        [Protocol::Tcp] if !wanted.unix => "TCP socket",
        [Protocol::Udp] if !wanted.unix => "UDP socket",
        _ => "socket",
    };
    let whose = match subject {
        None => String::new(),
        Some(Subject::Port(port)) => format!(" with port {port}"),
        Some(Subject::Pid(pid)) => format!(" of process {pid}"),
    };
    let states: Vec<&str> = wanted.states.iter().map(|state| state.name()).collect();
    let states = states.join(" or ");
    match (wanted.listening, states.is_empty()) {
        (false, true) => format!("there is no {kind}{whose}"),
        (true, true) => format!("no {kind}{whose} waits for others"),
        (false, false) => format!("no {kind}{whose} is in {states}"),
        (true, false) => format!("no {kind}{whose} that waits for others is in {states}"),
    }
}

#[cfg(test)]
mod tests {
    use sockeye_observe::sockets::State;

    use super::*;

    /// O3: whatever was asked for, the line says it.
    #[test]
    fn lines() {
        use State::{CloseWait, LastAck};
        let port = Some(Subject::Port(9000));
        let tcp = [Protocol::Tcp];
        for (protocols, listening, states, subject, said) in [
            (&Protocol::ALL[..], false, &[CloseWait][..], None, "no socket is in CLOSE-WAIT"),
            (
                &tcp,
                false,
                &[CloseWait, LastAck],
                None,
                "no TCP socket is in CLOSE-WAIT or LAST-ACK",
            ),
            (&[Protocol::Udp], true, &[], None, "no UDP socket waits for others"),
            (&tcp, false, &[], Some(Subject::Pid(7)), "there is no TCP socket of process 7"),
            (
                &tcp,
                true,
                &[LastAck],
                port,
                "no TCP socket with port 9000 that waits for others is in LAST-ACK",
            ),
        ] {
            let (protocols, states) = (protocols.to_vec(), states.to_vec());
            let wanted = Wanted { protocols, unix: false, listening, states, target: None };
            assert_eq!(line(subject, &wanted), said);
        }
    }
}
