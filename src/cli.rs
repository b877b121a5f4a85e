//! The command line: what was typed becomes a job, a job becomes an exit code. The only module that prints, reads the
//! environment or knows clap.

mod args;
mod exit;
mod info;
mod progress;
mod report;

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::clip::Cog;
use crate::cutline::Cutline;
use crate::error::{Error, Result};
use crate::fetch;
use crate::geo::Crs;
use crate::limits::{Limits, within};
use crate::options::ClipOptions;
use crate::plan::Plan;
use crate::source::Source;
use crate::validate;
use args::{Args, Command, CutlineArgs, CutlineInput};

/// Runs the command line; the exit codes are listed in `cogclip --help`.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::of_clap(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(cause) => return exit::of(&Error::io("the runtime could not start").caused_by(cause)),
    };
    // A signal drops the job, and dropping it removes what it had put aside.
    let done = runtime.block_on(async {
        tokio::select! {
            done = run(args) => done,
            code = interrupted() => Ok(code),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    match done {
        Ok(code) => code,
        Err(error) => exit::of(&error),
    }
}

/// Waits for a request to stop; returns the exit code that shells expect: 128 and the signal's number.
#[cfg(unix)]
async fn interrupted() -> ExitCode {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => ExitCode::from(130),
        _ = terminate.recv() => ExitCode::from(143),
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn interrupted() -> ExitCode {
    match tokio::signal::ctrl_c().await {
        Ok(()) => ExitCode::from(130),
        Err(_) => std::future::pending().await,
    }
}

async fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Clip(clip) => clip_command(*clip).await,
        Command::Plan(plan) => plan_command(*plan).await,
        Command::Info(info) => {
            let cog =
                Cog::open_image(&info.src, info.image.ifd, &info.store.options(), &Limits::default()).await?;
            print(&if info.json { format!("{:#}\n", info::json(&cog)) } else { info::text(&cog) })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Validate(info) => {
            let source = Source::open(&info.src, &info.store.options())?;
            let findings = validate::validate(&source, &Limits::default()).await?;
            let valid = findings.errors.is_empty();
            print(&if info.json {
                format!("{:#}\n", info::findings_json(&source, &findings))
            } else {
                info::findings_text(&source, &findings)
            })?;
            // A file that is no COG is a file that breaks that format.
            Ok(if valid { ExitCode::SUCCESS } else { exit::code(crate::ErrorKind::Format) })
        }
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "cogclip", &mut out);
            print(&String::from_utf8_lossy(&out))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            let mut out = Vec::new();
            clap_mangen::Man::new(Args::command())
                .render(&mut out)
                .map_err(|cause| Error::io("the manual page could not be made").caused_by(cause))?;
            print(&String::from_utf8_lossy(&out))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn clip_command(clip: args::ClipCommand) -> Result<ExitCode> {
    let started = std::time::Instant::now();
    let options = clip.what.options()?;
    let store = clip.store.options();
    let cutline = cutline(&clip.cutline, &clip.store, &options.limits).await?;
    let mut cog = Cog::open_image(&clip.src, clip.image.ifd, &store, &options.limits).await?;
    let opened = started.elapsed();
    let plan;
    (cog, plan) = planned(cog, cutline, options.clone()).await?;
    let Some(plan) = plan else {
        if clip.json {
            print(&format!("{:#}\n", report::skipped(&cog)))?;
        } else if !clip.quiet {
            note(&format!("{}: no overlap; nothing was written", cog.uri()));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let json_log = clip.log_format == Some(args::LogFormat::Json);
    let bar = progress::Progress::new(progress::Show {
        quiet: clip.quiet,
        terminal: std::io::stderr().is_terminal(),
        verbose: clip.verbose,
        json: json_log,
    });
    let report = cog.clip(plan, &clip.dst, &options, &clip.sink_options(), &bar).await;
    bar.finish();
    let report = report?;
    for warning in cog.remarks().into_iter().chain(report::warnings(&report)) {
        note(&if json_log {
            serde_json::json!({ "level": "warning", "message": warning }).to_string()
        } else {
            format!("warning: {warning}")
        });
    }
    if clip.json {
        print(&format!("{:#}\n", report::json(&cog, &clip.dst, &report, opened)))?;
    } else if !clip.quiet && !json_log {
        note(&report::text(&cog, &clip.dst, &report));
    }
    Ok(ExitCode::SUCCESS)
}

async fn plan_command(plan: args::PlanCommand) -> Result<ExitCode> {
    let options = plan.what.options()?;
    let cutline = cutline(&plan.cutline, &plan.store, &options.limits).await?;
    let mut cog = Cog::open_image(&plan.src, plan.image.ifd, &plan.store.options(), &options.limits).await?;
    for warning in cog.remarks() {
        note(&format!("warning: {warning}"));
    }
    let made;
    (cog, made) = planned(cog, cutline, options.clone()).await?;
    let Some(made) = made else {
        print(&if plan.json { format!("{:#}\n", report::skipped(&cog)) } else { "no overlap\n".to_owned() })?;
        return Ok(ExitCode::SUCCESS);
    };
    let requests = cog.requests(&made, &options.limits).await?;
    print(&if plan.json {
        format!("{:#}\n", report::plan_json(&cog, &made, &requests))
    } else {
        report::plan_text(&cog, &made, &requests)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Plans on a thread of its own: burning a large cutline takes a while, and signals must be heard.
async fn planned(cog: Cog, cutline: Cutline, options: ClipOptions) -> Result<(Cog, Option<Plan>)> {
    let work = move || {
        let plan = cog.plan(&cutline, &options);
        plan.map(|plan| (cog, plan))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::io("planning was cancelled").caused_by(error)),
    }
}

/// Reads the cutline and settles its CRS.
async fn cutline(args: &CutlineArgs, store: &args::StoreArgs, limits: &Limits) -> Result<Cutline> {
    let (cutline, place) = match args.input()? {
        CutlineInput::Bounds(bounds) => (Cutline::from_bounds(bounds, None)?, "--bbox".to_owned()),
        CutlineInput::Inline(text) => (Cutline::from_geojson(&text, limits)?, "--cutline".to_owned()),
        CutlineInput::StandardInput => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .take(limits.cutline_bytes.saturating_add(1))
                .read_to_end(&mut bytes)
                .map_err(|cause| Error::io("standard input could not be read").caused_by(cause))?;
            within(bytes.len() as u64, limits.cutline_bytes, "the cutline")?;
            (parsed(&bytes, "standard input", limits)?, "standard input".to_owned())
        }
        CutlineInput::Location(uri) => {
            let source = Source::open(&uri, &store.options())?;
            let bytes = fetch::whole(&source, limits).await?;
            (parsed(&bytes, source.uri(), limits)?, source.uri().to_owned())
        }
    };
    match args.cutline_crs.as_deref() {
        Some("source") => Ok(cutline.with_crs(None)),
        Some(crs) => Ok(cutline.with_crs(Some(Crs::parse(crs)?))),
        None if cutline.crs.is_some() => Ok(cutline),
        None => Err(Error::usage(format!(
            "{place} names no CRS; say which with --cutline-crs (EPSG:n, a PROJ string, or source for coordinates in \
             the raster's own CRS)"
        ))),
    }
}

fn parsed(bytes: &[u8], place: &str, limits: &Limits) -> Result<Cutline> {
    let text = std::str::from_utf8(bytes)
        .map_err(|cause| Error::format(format!("{place}: the cutline is not UTF-8 text")).caused_by(cause))?;
    Cutline::from_geojson(text, limits).map_err(|error| error.at(place))
}

/// Prints to standard output. A reader that went away is no failure.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("standard output could not be written").caused_by(cause))
        }
        _ => Ok(()),
    }
}

/// Prints a line to standard error.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", exit::one_line(text));
}
