//! What may be seen: a model of the answers that knows nothing of sockets.

use super::plan::{End, Event, Fate, Talk, Way, What};
use crate::harness::bytes::answer;

/// How a stream ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By the peer's FIN.
    Fin,
    /// By an error.
    Broken,
    /// By the client itself.
    Left,
}

/// What a client of a stream saw.
pub(super) struct Seen {
    pub(super) got: Vec<u8>,
    pub(super) ended: Ended,
}

/// Judges a stream: `event` is what happened to it on its way, `killed` that its server's worker may
/// have been killed.
pub(super) fn stream(
    service: &str,
    talk: &Talk,
    request: &[u8],
    seen: &Seen,
    event: Option<Event>,
    killed: bool,
) -> Result<(), String> {
    let whole = answer(service, request);
    let (got, ended) = (seen.got.len(), seen.ended);
    if !whole.starts_with(&seen.got) {
        return Err(format!("{got} bytes are no beginning of the answer"));
    }
    let (most, end) = match event.map(|event| (event.what, event.way, event.after)) {
        Some((What::Fin, _, after)) => (after, Ended::Fin),
        Some((What::Reset | What::Kill, Way::ToClient, after)) => (after, Ended::Broken),
        Some((What::Reset | What::Kill, Way::ToServer, after)) => (after, Ended::Broken),
        Some((What::Stall(_), ..)) | None => (whole.len(), Ended::Fin),
    };
    let told = format!("{got} bytes and {ended:?}, where {most} and {end:?} were to come");
    if got > most {
        return Err(told);
    }
    let right = match (talk.end, ended) {
        (End::Reset(enough) | End::Close(enough), Ended::Left) => got >= enough,
        (_, Ended::Left) => false,
        _ if killed => true,
        // A reset overtakes what is on its way.
        _ if end == Ended::Broken => ended == end,
        _ => ended == end && got == most,
    };
    if right { Ok(()) } else { Err(told) }
}

/// The order in which the datagrams of these fates come out, by their numbers.
pub(super) fn arrivals(fates: &[Fate]) -> Vec<usize> {
    let (mut out, mut late) = (Vec::new(), Vec::new());
    for (number, fate) in fates.iter().enumerate() {
        match fate {
            Fate::Drop => {}
            Fate::Late => {
                late.push(number);
                continue;
            }
            Fate::Pass => out.push(number),
            Fate::Twice => out.extend([number, number]),
        }
        out.append(&mut late);
    }
    out.append(&mut late);
    out
}

/// How a client process ended.
pub(super) struct Exited {
    /// None after a signal.
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

/// What a command is to give.
pub(super) struct Due {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
}

/// Judges a remote command: `cut` that its connection was, `killed` that its client was. True where
/// it has to have run.
pub(super) fn command(due: &Due, seen: &Exited, cut: bool, killed: bool) -> Result<bool, String> {
    let told = format!("status {:?}, {} bytes, {:?}", seen.code, seen.stdout.len(), seen.stderr);
    if !due.stdout.starts_with(&seen.stdout) {
        return Err(format!("the output is no beginning of the command's: {told}"));
    }
    if seen.code == Some(due.code) && seen.stdout == due.stdout {
        return Ok(true);
    }
    if killed && seen.code.is_none() {
        return Ok(false);
    }
    if cut && seen.code == Some(255) {
        return sentence(&seen.stderr).then_some(false).ok_or(told);
    }
    Err(format!("not status {} with {} bytes: {told}", due.code, due.stdout.len()))
}

/// Judges a copy by what is there afterwards. True where it was told to be whole.
pub(super) fn copy(
    old: Option<&[u8]>,
    new: &[u8],
    there: Option<&[u8]>,
    seen: &Exited,
    troubled: bool,
) -> Result<bool, String> {
    let told = format!("status {:?}, {:?}", seen.code, seen.stderr);
    let whole = there == Some(new);
    if !whole && there != old {
        return Err(format!("the file is neither the old nor the new one: {told}"));
    }
    match seen.code {
        Some(0) if whole => Ok(true),
        Some(0) => Err("success, and the file is the old one".into()),
        Some(_) if troubled && seen.stderr.contains("sockeye: ") => Ok(false),
        None if troubled => Ok(false),
        _ => Err(format!("failed for no reason: {told}")),
    }
}

/// One line, by us.
fn sentence(text: &str) -> bool {
    text.starts_with("sockeye: ") && text.ends_with('\n') && text.matches('\n').count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model itself says no to what must not be.
    #[test]
    fn refuses() {
        let talk = Talk { length: 4, piece: 4, end: End::Finish, trouble: None };
        let seen = |got: &[u8], ended| Seen { got: got.to_vec(), ended };
        let judge = |seen: Seen, event| stream("upper", &talk, b"abcd", &seen, event, false);
        assert!(judge(seen(b"ABCD", Ended::Fin), None).is_ok());
        assert!(judge(seen(b"ABC", Ended::Fin), None).is_err());
        assert!(judge(seen(b"ABCD", Ended::Broken), None).is_err());
        assert!(judge(seen(b"ABxD", Ended::Fin), None).is_err());
        let cut = |way, what| Some(Event { way, after: 2, what });
        assert!(judge(seen(b"AB", Ended::Fin), cut(Way::ToServer, What::Fin)).is_ok());
        assert!(judge(seen(b"A", Ended::Fin), cut(Way::ToServer, What::Fin)).is_err());
        assert!(judge(seen(b"ABC", Ended::Broken), cut(Way::ToClient, What::Reset)).is_err());
        assert!(judge(seen(b"AB", Ended::Fin), cut(Way::ToClient, What::Reset)).is_err());
        let exited = |code, text: &str| Exited { code, stdout: vec![], stderr: text.into() };
        let due = Due { code: 3, stdout: vec![] };
        assert_eq!(command(&due, &exited(Some(3), ""), false, false), Ok(true));
        assert!(command(&due, &exited(Some(255), "sockeye: x\n"), false, false).is_err());
        assert_eq!(command(&due, &exited(Some(255), "sockeye: x\n"), true, false), Ok(false));
        assert!(command(&due, &exited(Some(255), ""), true, false).is_err());
        assert!(command(&due, &exited(Some(0), ""), true, false).is_err());
        let done = exited(Some(0), "");
        assert_eq!(copy(Some(b"a"), b"b", Some(b"b"), &done, false), Ok(true));
        assert!(copy(Some(b"a"), b"b", Some(b"a"), &done, true).is_err());
        assert!(copy(Some(b"a"), b"b", None, &exited(None, ""), true).is_err());
        assert_eq!(arrivals(&[Fate::Late, Fate::Twice, Fate::Drop, Fate::Late]), [1, 1, 0, 3]);
    }
}
