//! The `cogclip` command.

use std::process::ExitCode;

// musl's own makes threads wait for one another: docs/static.md has the figures.
#[cfg(all(target_env = "musl", not(musl_allocator)))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cogclip::cli::main()
}
