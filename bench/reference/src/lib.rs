//! What the reference servers and the load generator share: addresses, the ready line, limits.

use std::io::Write;
use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How an entry point of this package ends: any failure is printed and gives exit status 1.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The program's only argument, `ADDR:PORT`; port 0 lets the kernel choose.
///
/// # Errors
/// When there is no argument or it is not a numeric address with a port.
pub fn address_argument() -> Result<SocketAddr, Box<dyn std::error::Error>> {
    let text = std::env::args().nth(1).ok_or("usage: PROGRAM ADDR:PORT")?;
    Ok(text.parse().map_err(|cause| format!("{text}: {cause}"))?)
}

/// Prints `listening ADDR:PORT` with the real port, and flushes: whoever started us may connect.
///
/// # Errors
/// When stdout is closed.
pub fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening {address}")?;
    out.flush()
}

/// Raises the soft limit on open files to the hard one; ten thousand connections need it.
///
/// # Errors
/// When the kernel refuses (it never does up to the hard limit).
pub fn raise_file_limit() -> rustix::io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
}
