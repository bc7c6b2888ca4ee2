//! Numbers that nobody can guess.
#![allow(unsafe_code)]

use std::io;

/// Bytes from the system's randomness: getrandom(2). So few never come in part.
///
/// # Errors
/// As getrandom(2), but never `EINTR`.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    const { assert!(N <= 256, "more than the kernel promises to give at once") }
    let mut bytes = [0; N];
    loop {
        // SAFETY: the kernel writes at most `N` bytes, and there are so many.
        let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), N, 0) };
        if usize::try_from(got) == Ok(N) {
            return Ok(bytes);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No two are the same.
    #[test]
    fn another_each_time() {
        let many: std::collections::HashSet<[u8; 8]> = (0..64).map(|_| random().unwrap()).collect();
        assert_eq!(many.len(), 64);
    }
}
