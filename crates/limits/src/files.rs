//! Limits of transfers.

use std::time::Duration;

/// The least segment of a file that is proved by itself, in bytes.
pub const FILE_SEGMENT: u64 = 1024 * 1024;

/// The most segments of one file; their proofs (32 bytes each) fit one frame.
pub const FILE_SEGMENTS: u64 = 16 * 1024;

/// The longest content that goes in one message with its hash, in bytes.
pub const FILE_SMALL: usize = 128 * 1024;

/// The most files that are listed and not settled: what both ends hold of files at a time.
pub const FILES_AHEAD: usize = 4096;

/// So many files without an answer are listed before contents go on: the receiver has enough to look
/// at meanwhile, and no content waits long for its turn.
pub const FILES_ASKED: usize = 512;

/// The most sources, or paths, of one transfer.
pub const TRANSFER_SOURCES: usize = 65_536;

/// The most patterns of one transfer.
pub const TRANSFER_FILTERS: usize = 4096;

/// `--streams`: the most connections of one transfer.
pub const TRANSFER_STREAMS: u32 = 16;

/// The most directories in one another.
pub const TREE_DEPTH: usize = 16 * 1024;

/// The most chunks in one message about an older file.
pub const BASIS_CHUNKS: usize = 8192;

/// The most chunks of one older file; they are cut longer where it is long.
pub const BASIS_ALL: usize = 512 * 1024;

/// The longest entry of a listing in bytes, with its extended attributes.
pub const ENTRY_BYTES: usize = 1024 * 1024;

/// The most extended attributes of files that are listed and not settled, in bytes: a receiver holds
/// them until it stores the file. The entry that reaches it may go beyond it.
pub const ATTRIBUTES_AHEAD: usize = 8 * 1024 * 1024;

/// The longest `.gitignore` file that counts, in bytes; it goes in one frame where the receiver removes.
pub const IGNORE_FILE: usize = 1024 * 1024;

/// The most text of `.gitignore` files of directories in one another, in bytes: both ends hold what it
/// means as long as the directories are open.
pub const IGNORE_OPEN: usize = 2 * 1024 * 1024;

/// The most of it with that of directories which are left and have files that are not settled: a
/// receiver may have to remove what is in their place. The text that reaches it may go beyond it. It is
/// more than [`IGNORE_OPEN`], so that a sender that waits for room gets it.
pub const IGNORE_AHEAD: usize = 4 * 1024 * 1024;

/// What each attribute counts for there beside its name and its value, in bytes: the memory that
/// keeps the two.
pub const ATTRIBUTE_COST: usize = 64;

/// The most further names (hard links) of files that are listed and not settled: they wait for these,
/// each about 300 bytes of memory.
pub const LINKS_AHEAD: usize = 16 * 1024;

/// The shortest file whose older version is used, in bytes: below, sending it whole is quicker.
pub const DELTA_LEAST: u64 = 1024 * 1024;

/// How many directories of a tree are held open.
pub const OPEN_DIRECTORIES: usize = 128;

/// How many files are held open between their answer and their content: older versions whose chunks
/// were told, and what interrupted transfers left.
pub const FILES_HELD: usize = 64;

/// So many chunks of an older version count among [`FILES_HELD`] as one file more: 20 KiB.
pub const CHUNKS_OF_ONE: usize = 1024;

/// So many proofs of an interrupted file do: 8 KiB.
pub const MARKS_OF_ONE: usize = 256;

/// The most proofs that a receiver may have told of files whose content has not come: of those that it
/// holds, and of one more.
pub const MARKS_HELD: u64 = FILE_SEGMENTS + (FILES_HELD * MARKS_OF_ONE) as u64;

/// The same of chunks.
pub const CHUNKS_HELD: usize = BASIS_ALL + FILES_HELD * CHUNKS_OF_ONE;

/// What may wait of a receiver's words at a sender that is busy sending, in bytes. An honest receiver
/// has no more on its way than [`FILES_HELD`] allows and the chunks of one file beyond it; notes that
/// find no room are dropped.
pub const RECEIVER_AHEAD: usize = 16 * 1024 * 1024;

/// How often a name for a temporary file is tried. Names are random: one that is taken is met by nothing
/// but somebody's doing, as is one that is taken away before its file is locked.
pub const TEMPORARY_TRIES: usize = 64;

/// The most files with several names (hard links) in one transfer, each about 100 bytes of memory
/// and its name. A sender lists those beyond as files of their own, name by name.
pub const FILE_GROUPS: usize = 1024 * 1024;

/// How long what an interrupted transfer left is kept for the next one, in seconds: a week.
pub const PARTIAL_KEPT: i64 = 7 * 24 * 60 * 60;

/// So many things in a row that found no room end a transfer to a full or read-only destination.
pub const FULL_FAILURES: u32 = 4;

/// How many answers are gathered before they are sent, so that contents come while more is listed.
pub const ANSWERS_GATHERED: u32 = 512;

/// How many pieces of what is to be sent wait between the disk and a connection.
pub const TRANSFER_BATCHES: usize = 8;

/// What may wait of a sender's words between a connection and the disk, in bytes.
pub const SENDER_AHEAD: usize = 2 * 1024 * 1024;

/// How many payloads of a sender keep their memory for the next ones: as many as [`SENDER_AHEAD`] lets
/// wait where each is as long as it may be.
pub const PAYLOADS_SPARE: usize = SENDER_AHEAD / super::FRAME_DATA_MAX;

/// A frame of a transfer that has begun is whole within this time, and what we send is taken: a
/// peer needs 4 KiB a second for that.
pub const TRANSFER_FRAME_TIME: Duration = Duration::from_secs(64);

/// While a file whose length is known comes, at least so many bytes of it (of holes and of what is
/// taken from an older file, too) come in each [`TRANSFER_FRAME_TIME`] that is spent waiting behind a
/// piece of it, or its sender is given up. That is 1 KiB a second; our own sender has never less than
/// twice as much on its way at once, and a slow line of 64 kbit/s carries eight times as much.
pub const TRANSFER_LEAST: u64 = 64 * 1024;

/// `--limit`: the least for each connection in bytes a second, 64 kbit/s. With less a frame would not
/// be whole in [`TRANSFER_FRAME_TIME`].
pub const TRANSFER_RATE_LEAST: u64 = 8 * 1024;

/// How long nothing may go either way: a side may have a large file to read or to make durable, or
/// waits for its own standard input. A peer that is gone is found by its socket (tcp(7), keepalive).
pub const TRANSFER_SILENCE: Duration = Duration::from_secs(8 * 3600);

/// The longest hole in one message, in bytes: the receiver hashes its zeros before it listens again.
pub const HOLE_BYTES: u64 = 64 * 1024 * 1024;

/// Up to this many sources of one transfer are granted to its thread one by one (Landlock); of
/// more, the directories that hold them.
pub const CONFINED_SOURCES: usize = 256;

/// How many small files wait for the thread that helps to store them, each with its content of at most
/// [`FILE_SMALL`] bytes and its directory.
pub const SMALL_AHEAD: usize = 8;

/// How many names of what failed the summary of a transfer repeats.
pub const FAILURES_REPEATED: usize = 10;

/// How often `--json` tells how far a transfer is.
pub const PROGRESS_TIME: Duration = Duration::from_secs(1);
