//! Links the unwinder of the C compiler into the program.
//!
//! As a shared library it costs each start of the program, and so each remote command twice, a
//! seventh of a millisecond: to find, map and relocate it, and for its look at the processor.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_gnu = variable("CARGO_CFG_TARGET_OS") == "linux"
        && variable("CARGO_CFG_TARGET_ENV") == "gnu"
        && variable("CARGO_CFG_TARGET_FEATURE").split(',').all(|feature| feature != "crt-static");
    // Another machine's compiler is not asked: there the library stays shared.
    if !is_gnu || variable("HOST") != variable("TARGET") || !has_static_unwinder() {
        return;
    }
    let directory = PathBuf::from(variable("OUT_DIR"));
    // Found before the compiler's own: a linker script that names the static parts.
    let script = directory.join("libgcc_s.so");
    if std::fs::write(script, "INPUT(-lgcc_eh -lgcc)\n").is_ok() {
        println!("cargo:rustc-link-search=native={}", directory.display());
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// True where the compiler that links has the library; without it, it only repeats the name.
fn has_static_unwinder() -> bool {
    let asked = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    asked.is_ok_and(|answer| {
        let path = String::from_utf8_lossy(&answer.stdout);
        Path::new(path.trim()).is_absolute()
    })
}
