//! The `sockeye` program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    sockeye::main()
}
