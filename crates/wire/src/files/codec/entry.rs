//! What is listed, as bytes (clause P-X5): a name, a kind and what the file has beside its content.

use super::{file_length, put_time, put_u32, put_u64, time};
use crate::field::{Reader, Short, put_bytes, put_count};
use crate::files::frames::{Excerpt, Flaw};
use crate::files::message::{Entry, Meta, Name, Node, Owner};

/// Appends what a Root and an Entry say of one.
pub(super) fn put_entry(entry: &Entry, out: &mut Vec<u8>) {
    put_bytes(entry.name.as_bytes(), out);
    match &entry.node {
        Node::File { size, group } => {
            out.extend_from_slice(&[
                1,
                u8::from(size.is_some()) | (u8::from(group.is_some()) << 1),
            ]);
            if let Some(size) = size {
                put_u64(*size, out);
            }
            if let Some(group) = group {
                put_u32(*group, out);
            }
        }
        Node::Directory => out.push(2),
        Node::Symlink { target, group } => {
            put_other(3, 6, *group, out);
            put_bytes(target, out);
        }
        Node::Link(group) => {
            out.push(4);
            put_u32(*group, out);
        }
        Node::Fifo { group } => put_other(5, 7, *group, out),
    }
    let Meta { mode, mtime, owner, xattrs, whole } = &entry.meta;
    out.extend_from_slice(&mode.to_be_bytes());
    put_time(*mtime, out);
    out.push(u8::from(owner.is_some()) | (u8::from(*whole) << 1));
    if let Some(Owner { uid, gid }) = owner {
        put_u32(*uid, out);
        put_u32(*gid, out);
    }
    put_count(xattrs.len(), out);
    for (name, value) in xattrs {
        put_bytes(name, out);
        put_bytes(value, out);
    }
}

/// The kind of a link or pipe: `alone`, or `grouped` and its group.
fn put_other(alone: u8, grouped: u8, group: Option<u32>, out: &mut Vec<u8>) {
    match group {
        None => out.push(alone),
        Some(group) => {
            out.push(grouped);
            put_u32(group, out);
        }
    }
}

/// Reads that.
pub(super) fn read_entry(f: &mut Reader<'_>) -> Result<Entry, Flaw> {
    let name = f.bytes()?;
    let name = Name::new(name).ok_or(Flaw::Name(Excerpt::of(name)))?;
    let node = read_node(f)?;
    let mode = f.u16()?;
    if mode > 0o7777 {
        return Err(Flaw::Has("more than permission bits as its mode"));
    }
    let mtime = time(f)?;
    let flags = f.u8()?;
    if flags > 3 {
        return Err(Flaw::Has("unknown flags"));
    }
    let (owned, whole) = (flags & 1 != 0, flags & 2 != 0);
    let owner = if owned { Some(Owner { uid: f.u32()?, gid: f.u32()? }) } else { None };
    let count = f.count(8)?;
    let xattrs = (0..count).map(|_| Ok((f.bytes()?.to_vec(), f.bytes()?.to_vec())));
    let xattrs: Vec<(Vec<u8>, Vec<u8>)> = xattrs.collect::<Result<_, Short>>()?;
    if xattrs.iter().any(|(name, _)| name.is_empty() || name.len() > 255 || name.contains(&0)) {
        return Err(Flaw::Has("an attribute without a proper name"));
    }
    Ok(Entry { name, node, meta: Meta { mode, mtime, owner, xattrs, whole } })
}

fn read_node(f: &mut Reader<'_>) -> Result<Node, Flaw> {
    Ok(match f.u8()? {
        1 => {
            let flags = f.u8()?;
            if flags > 3 {
                return Err(Flaw::Has("unknown flags"));
            }
            let size = if flags & 1 != 0 { Some(file_length(f)?) } else { None };
            let group = if flags & 2 != 0 { Some(f.u32()?) } else { None };
            Node::File { size, group }
        }
        2 => Node::Directory,
        3 => Node::Symlink { group: None, target: target(f)? },
        4 => Node::Link(f.u32()?),
        5 => Node::Fifo { group: None },
        6 => Node::Symlink { group: Some(f.u32()?), target: target(f)? },
        7 => Node::Fifo { group: Some(f.u32()?) },
        _ => return Err(Flaw::Has("an unknown kind of file")),
    })
}

/// Where a symbolic link points.
fn target(f: &mut Reader<'_>) -> Result<Vec<u8>, Flaw> {
    let target = f.bytes()?;
    if target.is_empty() || target.len() > 4095 || target.contains(&0) {
        return Err(Flaw::Has("a link that points nowhere"));
    }
    Ok(target.to_vec())
}
