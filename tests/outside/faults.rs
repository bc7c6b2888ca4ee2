//! The table of faults, row by row, as far as it needs no network namespace.
//!
//! Rows 14, 21 to 23, 33, 34 and 45 stand beside the clauses that they prove, in `life`.

mod calls;
mod descriptors;
mod hostile;
mod load;
mod panics;
mod peers;
mod time;
