//! The request for a transfer (clause P-X2): written, read, and what makes one invalid.

use sockeye_limits as limits;

use crate::field::{Reader, Short, put_bytes, put_count};

/// Which way files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server: the client is the sender.
    Push,
    /// From the server to the client.
    Pull,
}

/// Where a source goes at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Into the destination, a directory, under its own name.
    Into,
    /// Into the destination if that is a directory, else under the destination's name.
    Auto,
    /// Under the destination's name, whatever is there.
    Exact,
}

/// A pattern as in gitignore(5) that takes files into a transfer or leaves them out; the last one
/// that fits decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// True where what fits is taken.
    pub include: bool,
    /// The pattern: not empty, UTF-8, no NUL.
    pub pattern: String,
}

/// How files are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Owner, hard links, extended attributes, set-user-ID and named pipes too.
    pub archive: bool,
    /// What is not listed is removed at the destination.
    pub delete: bool,
    /// Files that look equal (length and time of change) are compared by their content.
    pub checksum: bool,
    /// A file is durable (fsync(2)) before it has its name.
    pub fsync: bool,
    /// Nothing is written.
    pub dry_run: bool,
    /// The sender leaves out what `.gitignore` files name.
    pub gitignore: bool,
    /// Directories are left unfinished: others write into them at the same time, and one more
    /// transfer comes behind them.
    pub partial: bool,
}

/// A request for a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Which way files go.
    pub way: Way,
    /// Where a source goes.
    pub placement: Placement,
    /// How.
    pub options: Options,
    /// The server's paths: the sources, or the one destination. Not empty, no NUL, at most 4095
    /// bytes each.
    pub paths: Vec<Vec<u8>>,
    /// How many sources a client will send; the number of paths where it receives.
    pub sources: u32,
    /// Which files are taken.
    pub filters: Vec<Filter>,
    /// Of several connections with the same sources, the files of this one: a number from 0 and
    /// how many there are.
    pub part: (u32, u32),
}

const BITS: usize = 7;

impl Options {
    fn bits(self) -> u8 {
        let Options { archive, delete, checksum, fsync, dry_run, gitignore, partial } = self;
        let all = [archive, delete, checksum, fsync, dry_run, gitignore, partial];
        all.into_iter().enumerate().fold(0, |bits, (n, set)| bits | (u8::from(set) << n))
    }

    fn of(bits: u8) -> Option<Options> {
        let has = |n: u8| bits & (1 << n) != 0;
        (bits >> BITS == 0).then(|| Options {
            archive: has(0),
            delete: has(1),
            checksum: has(2),
            fsync: has(3),
            dry_run: has(4),
            gitignore: has(5),
            partial: has(6),
        })
    }
}

/// What is wrong with a request; `None` where nothing is.
fn fault(transfer: &Transfer) -> Option<&'static str> {
    let Transfer { way, paths, sources, filters, part, .. } = transfer;
    let bad_path = |path: &Vec<u8>| path.is_empty() || path.len() > 4095 || path.contains(&0);
    if paths.is_empty() || paths.len() > limits::TRANSFER_SOURCES {
        return Some("no paths, or too many");
    }
    if paths.iter().any(bad_path) {
        return Some("a path that is empty, too long or holds a NUL byte");
    }
    if *way == Way::Push && paths.len() != 1 {
        return Some("more than one destination");
    }
    if *way == Way::Pull && *sources as usize != paths.len() {
        return Some("another number of sources than paths");
    }
    if *sources == 0 || *sources as usize > limits::TRANSFER_SOURCES {
        return Some("no sources, or too many");
    }
    if filters.len() > limits::TRANSFER_FILTERS {
        return Some("too many patterns");
    }
    if filters.iter().any(|filter| filter.pattern.is_empty() || filter.pattern.contains('\0')) {
        return Some("a pattern that is empty or holds a NUL byte");
    }
    let (number, of) = *part;
    if number >= of || of > limits::TRANSFER_STREAMS {
        return Some("a part that does not exist");
    }
    None
}

/// The payload of a Transfer frame; the error says what is wrong with the request.
pub(crate) fn encode(transfer: &Transfer) -> Result<Vec<u8>, &'static str> {
    if let Some(fault) = fault(transfer) {
        return Err(fault);
    }
    let way = match transfer.way {
        Way::Push => 1,
        Way::Pull => 2,
    };
    let placement = match transfer.placement {
        Placement::Into => 1,
        Placement::Auto => 2,
        Placement::Exact => 3,
    };
    let mut out = vec![way, placement, transfer.options.bits()];
    for number in [transfer.sources, transfer.part.0, transfer.part.1] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    put_count(transfer.paths.len(), &mut out);
    for path in &transfer.paths {
        put_bytes(path, &mut out);
    }
    put_count(transfer.filters.len(), &mut out);
    for filter in &transfer.filters {
        out.push(u8::from(filter.include));
        put_bytes(filter.pattern.as_bytes(), &mut out);
    }
    if out.len() > limits::RUN_BYTES { Err("too many bytes") } else { Ok(out) }
}

/// Reads the payload of a Transfer frame; the error says what it has that it must not have.
pub(crate) fn decode(payload: &[u8]) -> Result<Transfer, &'static str> {
    let mut fields = Reader::new(payload);
    let transfer = read(&mut fields)?;
    if !fields.is_empty() {
        return Err("bytes behind its last field");
    }
    match fault(&transfer) {
        Some(fault) => Err(fault),
        None => Ok(transfer),
    }
}

fn read(fields: &mut Reader<'_>) -> Result<Transfer, &'static str> {
    let short = |_: Short| "a field that is cut short";
    let way = match fields.u8().map_err(short)? {
        1 => Way::Push,
        2 => Way::Pull,
        _ => return Err("an unknown way"),
    };
    let placement = match fields.u8().map_err(short)? {
        1 => Placement::Into,
        2 => Placement::Auto,
        3 => Placement::Exact,
        _ => return Err("an unknown placement"),
    };
    let options = Options::of(fields.u8().map_err(short)?).ok_or("unknown options")?;
    let sources = fields.u32().map_err(short)?;
    let part = (fields.u32().map_err(short)?, fields.u32().map_err(short)?);
    let count = fields.count(4).map_err(short)?;
    let paths = (0..count).map(|_| Ok(fields.bytes()?.to_vec()));
    let paths = paths.collect::<Result<_, Short>>().map_err(short)?;
    let count = fields.count(5).map_err(short)?;
    let filters = (0..count).map(|_| read_filter(fields)).collect::<Result<_, _>>()?;
    Ok(Transfer { way, placement, options, paths, sources, filters, part })
}

fn read_filter(fields: &mut Reader<'_>) -> Result<Filter, &'static str> {
    let short = |_: Short| "a field that is cut short";
    let include = match fields.u8().map_err(short)? {
        0 => false,
        1 => true,
        _ => return Err("an unknown kind of pattern"),
    };
    let pattern = str::from_utf8(fields.bytes().map_err(short)?);
    let pattern = pattern.map_err(|_| "a pattern that is not UTF-8")?.to_owned();
    Ok(Filter { include, pattern })
}
