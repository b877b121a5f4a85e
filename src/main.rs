//! The `cogclip` command.

fn main() {}
