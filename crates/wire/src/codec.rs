//! Messages as payloads: written and read, whoever may say them when.

use sockeye_limits as limits;

use crate::VERSION;
use crate::decoder::is_printable;
use crate::error::{Misuse, Side};
use crate::field::{Reader, Short};
use crate::files;
use crate::frame::{Kind, header, magic};
use crate::message::{Ended, Failure, FailureKind, Status, ToClient, ToServer};
use crate::run;
use crate::signal::Signal;

/// Appends a Hello.
pub(crate) fn put_hello(
    side: Side,
    program: &str,
    said: bool,
    out: &mut Vec<u8>,
) -> Result<(), Misuse> {
    if said {
        return Err(Misuse::HelloTwice);
    }
    let length = program.len();
    if !(1..=limits::HELLO_PROGRAM).contains(&length) || !program.bytes().all(is_printable) {
        return Err(Misuse::ProgramName);
    }
    out.extend_from_slice(magic(side));
    out.extend_from_slice(&VERSION.to_be_bytes());
    // At most 64.
    out.push(u8::try_from(length).unwrap_or(u8::MAX));
    out.extend_from_slice(program.as_bytes());
    Ok(())
}

/// Appends an Ended frame (clause P-F13).
pub(crate) fn put_ended(ended: &Ended, out: &mut Vec<u8>) {
    let status = match ended.status {
        Status::Exited(code) => [1, code, 0],
        Status::Signaled { signal, core } => [2, signal, u8::from(core)],
        Status::TimedOut => [3, 0, 0],
        Status::OutputLimit => [4, 0, 0],
    };
    out.extend_from_slice(&header(Kind::Ended, status.len() + 3 * 8));
    out.extend_from_slice(&status);
    for number in [ended.stdout_bytes, ended.stderr_bytes, ended.duration_us] {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Appends a Failed frame (clause P-F14), its text cut between two characters if it is too long.
pub(crate) fn put_failure(failure: &Failure, out: &mut Vec<u8>) {
    let text = &failure.text;
    let mut length = text.len().min(limits::FAILURE_TEXT);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    out.extend_from_slice(&header(Kind::Failed, 1 + length));
    out.push(failure.kind.code());
    out.extend_from_slice(&text.as_bytes()[..length]);
}

/// A frame's message for a server; the error says what its payload has.
pub(crate) fn to_server(kind: Kind, payload: &[u8]) -> Result<ToServer<'_>, &'static str> {
    let mut fields = Reader::new(payload);
    Ok(match kind {
        Kind::Run => ToServer::Run(Box::new(run::decode(payload)?)),
        Kind::Transfer => ToServer::Transfer(Box::new(files::decode(payload)?)),
        Kind::Stdin => ToServer::Stdin(payload),
        Kind::StdinEnd => ToServer::StdinEnd,
        Kind::Signal => {
            let code = fields.u8().unwrap_or(0);
            ToServer::Signal(Signal::from_code(code).ok_or("an unknown signal")?)
        }
        // The bounds let eight bytes pass, no fewer.
        Kind::Resize => ToServer::Resize(run::window(&mut fields).map_err(|_| "no size")?),
        _ => return Err("nothing for a server"),
    })
}

/// A frame's message for a client; the error says what its payload has.
pub(crate) fn to_client(kind: Kind, payload: &[u8]) -> Result<ToClient<'_>, &'static str> {
    let mut fields = Reader::new(payload);
    // The bounds let no payload pass that is too short for its numbers.
    let short = |_: Short| "a field that is cut short";
    Ok(match kind {
        Kind::Started => ToClient::Started { pid: fields.u32().map_err(short)? },
        Kind::Stdout => ToClient::Stdout(payload),
        Kind::Stderr => ToClient::Stderr(payload),
        Kind::StdinClosed => ToClient::StdinClosed,
        Kind::Ready => ToClient::Ready,
        Kind::Ended => {
            let bytes = [fields.u8(), fields.u8(), fields.u8()];
            let [Ok(form), Ok(value), Ok(core)] = bytes else { return Err(short(Short)) };
            ToClient::Ended(Ended {
                status: status(form, value, core).ok_or("an unknown status")?,
                stdout_bytes: fields.u64().map_err(short)?,
                stderr_bytes: fields.u64().map_err(short)?,
                duration_us: fields.u64().map_err(short)?,
            })
        }
        Kind::Failed => {
            let code = fields.u8().map_err(short)?;
            let kind = FailureKind::from_code(code).ok_or("an unknown reason")?;
            let text = str::from_utf8(fields.rest());
            let text = text.map_err(|_| "text that is not UTF-8")?.to_owned();
            ToClient::Failed(Failure { kind, text })
        }
        _ => return Err("nothing for a client"),
    })
}

fn status(form: u8, value: u8, core: u8) -> Option<Status> {
    match (form, value, core) {
        (1, code, 0) => Some(Status::Exited(code)),
        (2, signal @ 1..=64, 0 | 1) => Some(Status::Signaled { signal, core: core == 1 }),
        (3, 0, 0) => Some(Status::TimedOut),
        (4, 0, 0) => Some(Status::OutputLimit),
        _ => None,
    }
}
