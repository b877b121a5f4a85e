//! The `cogclip` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    cogclip::cli::main()
}
