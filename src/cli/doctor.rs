//! `cogclip doctor`: what the store of a destination can do, seen by trying.

use std::process::ExitCode;

use serde_json::json;

use super::args::DoctorCommand;
use super::{exit, print};
use crate::error::{ErrorKind, Result};
use crate::sink;

/// Tries and prints what holds.
pub(super) async fn run(doctor: &DoctorCommand) -> Result<ExitCode> {
    let options = doctor.options();
    let findings = sink::probe(&doctor.dst, &options).await?;
    let amiss = findings.iter().any(|finding| !finding.holds && finding.needed);
    print(&if doctor.json {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({ "what": finding.what, "holds": finding.holds, "needed": finding.needed, "note": finding.note })
            })
            .collect();
        let dst = crate::store::redact(&doctor.dst);
        format!(
            "{:#}\n",
            json!({ "version": env!("CARGO_PKG_VERSION"), "destination": dst, "findings": findings })
        )
    } else {
        let line = |finding: &sink::Finding| {
            let mark = match (finding.holds, finding.needed) {
                (true, _) => "ok  ",
                (false, true) => "FAIL",
                (false, false) => "no  ",
            };
            let note = if finding.note.is_empty() { String::new() } else { format!(": {}", finding.note) };
            format!("{mark}  {}{note}\n", finding.what)
        };
        findings.iter().map(line).collect()
    })?;
    Ok(if amiss { exit::code(ErrorKind::Io) } else { ExitCode::SUCCESS })
}
