//! For tests: the bodies of the fuzz targets, which panic where something is wrong.

use sockeye_wire::files::{Hash, Name, Time, segment};

use crate::receive::journal::{BOOT, HEADER, Version, header, name, understand};

#[cfg(test)]
mod tests;

/// A journal is believed only for the version of the file that it names, and never says more than
/// there are bytes. The input is size, seconds and length of the file (8 bytes each), then the
/// journal; where that begins with 0, what follows are marks behind a right header.
pub fn journal(data: &[u8]) {
    let Some((numbers, bytes)) = data.split_first_chunk::<24>() else { return };
    let number = |at: usize| numbers[at..at + 8].iter().fold(0, |n, b| n << 8 | u64::from(*b));
    let (size, length) = (number(0), number(16));
    let mtime = Time { seconds: number(8).cast_signed(), nanoseconds: 5 };
    let (Some(of), Some(another)) = (Name::new(b"file"), Name::new(b"fil")) else { return };
    let version = Version { size, mtime };
    let right = header(&of, version);
    let journal = match bytes.split_first() {
        Some((0, marks)) => [&right[..], marks].concat(),
        _ => bytes.to_vec(),
    };
    let said = name(&journal);
    let found = understand(&journal, &of, version, length);
    let starts = |n: usize| journal.len() >= HEADER && journal[..n] == right[..n];
    assert_eq!(found.is_some(), starts(HEADER - BOOT), "believed or not by its header");
    let Some((marks, same_boot)) = found else { return };
    assert_eq!(said.as_ref(), Some(&of), "another name than is believed");
    assert_eq!(same_boot, starts(HEADER), "trusted without a look at the disk");
    check_marks(&marks, &journal[HEADER..], size, length);
    let again = [&right[..], &marks.concat()].concat();
    assert_eq!(understand(&again, &of, version, length), Some((marks, true)));
    let later = Version { mtime: Time { seconds: mtime.seconds ^ 1, ..mtime }, ..version };
    assert_eq!(understand(&journal, &of, later, length), None, "of another version");
    let longer = Version { size: size ^ 1, ..version };
    assert_eq!(understand(&journal, &of, longer, length), None, "of another length");
    assert_eq!(understand(&journal, &another, version, length), None, "of another file");
}

fn check_marks(marks: &[Hash], written: &[u8], size: u64, length: u64) {
    assert!(written.starts_with(&marks.concat()), "marks that nobody wrote");
    let bytes = u128::from(segment(size)) * marks.len() as u128;
    assert!(bytes <= u128::from(length), "more than there is of the file");
    assert!(marks.is_empty() || bytes < u128::from(size), "a mark for the end");
}
