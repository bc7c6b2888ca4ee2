//! Where a command's output is read to, with room for the header of the frame that it becomes.

use sockeye_limits as limits;
use sockeye_net::Pages;
use sockeye_wire::HEADER;

use crate::job::Source;

/// A frame's place: its header, then what was read, which begins where a page does, as in a pipe.
#[derive(Default)]
pub(super) struct Buffer(Pages);

impl Buffer {
    /// Reads once: how much that was, 0 at the end, where the source is gone; without one it never
    /// returns. Cancel-safe.
    pub(super) async fn fill(&mut self, source: &mut Option<Source>) -> usize {
        let Some(reading) = source else { return std::future::pending().await };
        if self.0.is_empty() {
            self.0 = Pages::behind(HEADER, limits::FRAME_DATA_MAX);
        }
        // An output that fails has ended.
        let n = reading.read(&mut self.0).await.unwrap_or(0);
        if n == 0 {
            *source = None;
        }
        n
    }

    pub(super) fn frame(&mut self, header: [u8; HEADER], n: usize) -> &[u8] {
        self.0.with_header(&header, n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// P7: what is read begins at the start of a page, its header stands right before it, and the
    /// end is told once.
    #[tokio::test]
    async fn pages() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut source = Some(Source::pipe(reader.into()).unwrap());
        let mut buffer = Buffer::default();
        for text in ["first", "second"] {
            writer.write_all(text.as_bytes()).unwrap();
            let n = buffer.fill(&mut source).await;
            let frame = buffer.frame(*b"12345", n);
            assert_eq!(frame, [b"12345", text.as_bytes()].concat());
            assert_eq!(frame[HEADER..].as_ptr().addr() % 4096, 0);
        }
        drop(writer);
        assert_eq!(buffer.fill(&mut source).await, 0);
        assert!(source.is_none());
    }
}
