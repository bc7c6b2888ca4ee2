//! The `chargen` service (RFC 864): lines of 72 printable characters, each begun one further on.

use sockeye_limits as limits;

use crate::responder::{Flow, Reply, Responder};

const FIRST: u8 = b' ';
const COUNT: usize = 95;
const WIDTH: usize = 72;

/// Lines without end on a stream; on datagrams as much as was sent.
#[derive(Default)]
pub(super) struct Chargen {
    line: usize,
}

impl Chargen {
    fn next_line(&mut self) -> [u8; WIDTH + 2] {
        let mut text = [0; WIDTH + 2];
        for (column, byte) in text[..WIDTH].iter_mut().enumerate() {
            // COUNT is 95, so the sum stays within printable ASCII.
            *byte = FIRST + ((self.line + column) % COUNT) as u8;
        }
        text[WIDTH..].copy_from_slice(b"\r\n");
        self.line = (self.line + 1) % COUNT;
        text
    }
}

impl Responder for Chargen {
    fn open(&mut self, reply: &mut Reply) -> Flow {
        self.resume(reply)
    }

    fn respond(&mut self, _input: &mut [u8], _reply: &mut Reply) -> Flow {
        Flow::Again
    }

    fn resume(&mut self, reply: &mut Reply) -> Flow {
        for _ in 0..limits::CHARGEN_LINES {
            reply.push(&self.next_line());
        }
        Flow::Again
    }

    fn datagram(&mut self, input: &mut [u8], reply: &mut Reply) {
        for piece in input.chunks_mut(WIDTH + 2) {
            let line = self.next_line();
            piece.copy_from_slice(&line[..piece.len()]);
        }
        reply.in_place(input.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V2: the first lines of RFC 864's pattern, and a datagram of the length that was asked.
    #[test]
    fn pattern() {
        let mut chargen = Chargen::default();
        let mut reply = Reply::default();
        assert_eq!(chargen.open(&mut reply), Flow::Again);
        let text = String::from_utf8(reply.own().to_vec()).unwrap();
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert!(lines.iter().all(|line| line.len() == WIDTH));
        assert!(lines[0].starts_with(" !\"#$%&'()*+,-./0123456789"));
        assert_eq!(lines[1][..WIDTH - 1], lines[0][1..]);
        assert_eq!(lines[0], lines[COUNT]);

        let mut input = [0; 100];
        chargen.datagram(&mut input, &mut reply);
        assert_eq!(reply.in_place_len(), 100);
        assert_eq!(&input[WIDTH..WIDTH + 2], b"\r\n");
    }
}
