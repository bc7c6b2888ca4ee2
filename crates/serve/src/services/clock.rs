//! The services that tell the wall clock: `daytime` (RFC 867) and `time` (RFC 868).

use jiff::Timestamp;

/// Seconds from 1900, when RFC 868 begins to count, to 1970, when Unix does.
const FROM_1900_TO_1970: i64 = 2_208_988_800;

/// One line, in the form that RFC 867 shows: `Saturday, November 21, 2026 07:45:07-UTC`.
pub(super) fn daytime() -> Vec<u8> {
    daytime_at(Timestamp::now()).into_bytes()
}

fn daytime_at(now: Timestamp) -> String {
    now.strftime("%A, %B %d, %Y %H:%M:%S-UTC\r\n").to_string()
}

/// Four bytes, the most significant first; they begin anew in 2036.
pub(super) fn time() -> Vec<u8> {
    time_at(Timestamp::now()).to_vec()
}

fn time_at(now: Timestamp) -> [u8; 4] {
    // The field is 32 bits wide by definition and wraps.
    ((now.as_second() + FROM_1900_TO_1970) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V2: the examples of RFC 868 and the form of RFC 867.
    #[test]
    fn forms() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        // RFC 868: 2,208,988,800 is 00:00 1 Jan 1970; 2,398,291,200 is 00:00 1 Jan 1976.
        assert_eq!(time_at(at(0)), 2_208_988_800_u32.to_be_bytes());
        assert_eq!(time_at(at(189_302_400)), 2_398_291_200_u32.to_be_bytes());
        assert_eq!(daytime_at(at(0)), "Thursday, January 01, 1970 00:00:00-UTC\r\n");
    }
}
