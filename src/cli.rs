//! The command line: what was typed becomes a job, a job becomes an exit code. The only module that prints, reads the
//! environment or knows clap.

mod args;
mod array_job;
mod batch;
mod cutline;
mod doctor;
mod exit;
mod info;
#[cfg(any(feature = "lambda", feature = "serve"))]
mod job;
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(feature = "pictures")]
mod picture;
mod preview;
mod progress;
mod report;
mod rows;
#[cfg(feature = "serve")]
mod serve;
mod stores;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::CommandFactory;

use crate::clip::described::Described;
use crate::clip::selection::Selected;
use crate::clip::split::Output;
use crate::clip::{Cog, naming, warnings};
use crate::cutline::Cutline;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::options::ClipOptions;
use crate::plan::Plan;
use crate::sink;
use crate::source::Source;
use crate::validate;
use args::{Args, Command};

/// What is said when publishing took too long to wait for.
const NOT_KNOWN: &str = "whether the output was published is not known; look whether it is there";

/// How long what was begun at a store is given to be aborted, before its own rules must remove it.
const LONGEST_GOODBYE: Duration = Duration::from_secs(10);

/// Runs the command line; the exit codes are listed in `cogclip --help`.
#[must_use]
pub fn main() -> ExitCode {
    let args = match args::parse() {
        Ok(args) => args,
        Err(error) => return exit::of_clap(&error),
    };
    let ends_itself = args.command.ends_itself();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(64)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(cause) => return exit::of(&Error::io("the runtime could not start").caused_by(cause)),
    };
    let done = runtime.block_on(async {
        let done = {
            let mut job = std::pin::pin!(run(args));
            tokio::select! {
                done = &mut job => done,
                code = interrupted(), if !ends_itself => stopped(job, code).await,
            }
        };
        // Dropping the job removes what it had put aside: temporary files at once, uploads now. A further signal does not wait
        // for that.
        tokio::select! {
            () = sink::settled() => {}
            () = tokio::time::sleep(LONGEST_GOODBYE) => {}
            _ = interrupted() => {}
        }
        done
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    match done {
        Ok(code) => code,
        Err(error) => exit::of(&error),
    }
}

/// What is left of a job after a signal: an output that is being published is let finish, since half-way nobody knows what
/// became of it.
async fn stopped(
    mut job: std::pin::Pin<&mut impl Future<Output = Result<ExitCode>>>,
    code: ExitCode,
) -> Result<ExitCode> {
    if sink::stop() {
        let told = tokio::select! {
            // That it was stopped is no news; what was published before is.
            done = &mut job => match done {
                Ok(code) => return Ok(code),
                Err(error) => error.to_string(),
            },
            () = tokio::time::sleep(LONGEST_GOODBYE) => NOT_KNOWN.to_owned(),
            _ = interrupted() => NOT_KNOWN.to_owned(),
        };
        note(&format!("cogclip: interrupted: {told}"));
    } else {
        note("cogclip: interrupted; nothing further was published");
    }
    Ok(code)
}

/// Waits for a request to stop; returns the exit code that shells expect: 128 and the signal's number.
#[cfg(unix)]
async fn interrupted() -> ExitCode {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => ExitCode::from(130),
        _ = terminate.recv() => ExitCode::from(143),
        _ = hang_up.recv() => ExitCode::from(129),
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
        Command::Batch(batch) => batch::run(*batch).await,
        #[cfg(feature = "serve")]
        Command::Serve(serve) => serve::run(*serve).await,
        #[cfg(feature = "lambda")]
        Command::Lambda(lambda) => lambda::run(*lambda).await,
        Command::Plan(plan) => plan_command(*plan).await,
        Command::Info(info) => {
            let cog =
                Cog::open_image(&info.src, info.image.ifd, &info.store.options(), &Limits::default()).await?;
            print(&if info.json { format!("{:#}\n", info::json(&cog)) } else { info::text(&cog) })?;
            Ok(ExitCode::SUCCESS)
        }
        #[cfg(feature = "pictures")]
        Command::Preview(command) => preview::run(&command).await,
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
        Command::Doctor(doctor) => doctor::run(&doctor).await,
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

async fn clip_command(mut clip: args::ClipCommand) -> Result<ExitCode> {
    let started = Instant::now();
    let bar = Arc::new(progress(&clip));
    clip.store.tell(Arc::clone(&bar) as _);
    clip.check()?;
    let mut options = clip.cutline.apply(clip.what.options()?, &clip.store).await?;
    options.check_copied = clip.verifies();
    let cog = Cog::open_image(&clip.src, clip.image.ifd, &clip.store.options(), &options.limits).await?;
    let opened = started.elapsed();
    let selection = clip.cutline.selection(&options.limits)?;
    let selected = selection.read(&cog, &clip.store.options(), &options, clip.split).await?;
    if clip.split {
        return split(clip, cog, selected, options, &bar).await;
    }
    let (mut cog, planned) = planned(cog, selected, &options, clip.page().is_some()).await?;
    let Some((plan, placed)) = planned else {
        if clip.json {
            print(&format!("{:#}\n", report::skipped(&cog)))?;
        } else if !clip.quiet {
            note(&format!("{}: no overlap; nothing was written", cog.uri()));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let described = match &clip.stac {
        Some(place) => Some(Described::begin(place, &clip.dst, &clip.sink_options()).await?),
        None => None,
    };
    #[cfg(feature = "pictures")]
    let page = picture::OfClip::begin(&clip).await?;
    let report = cog.clip(plan, &clip.dst, &options, &clip.sink_options(), &*bar).await;
    bar.finish();
    let report = report?;
    if let Some(described) = described {
        described.publish(cog.uri(), cog.header(), &report).await?;
    }
    #[cfg(feature = "pictures")]
    if let (Some(page), Some(placed)) = (page, placed) {
        page.publish(&mut cog, &clip.dst, (&report, opened), &placed, &options).await?;
    }
    #[cfg(not(feature = "pictures"))]
    drop(placed);
    warn(&clip, cog.remarks().into_iter().chain(warnings::of(&report)));
    if clip.json {
        print(&format!("{:#}\n", report::json(&cog, &clip.dst, &report, opened)))?;
    } else if !clip.quiet && !clip.logs_json() {
        note(&report::text(&cog, &clip.dst, &report));
    }
    Ok(ExitCode::SUCCESS)
}

/// One output a feature.
async fn split(
    clip: args::ClipCommand,
    mut cog: Cog,
    selected: Selected,
    options: ClipOptions,
    bar: &progress::Progress,
) -> Result<ExitCode> {
    let (template, id_field) = (clip.dst.clone(), clip.cutline.id_field.clone());
    let (work, sink) = (Arc::new(options.clone()), Arc::new(clip.sink_options()));
    let outputs;
    let skipped;
    (cog, outputs, skipped) = blocking(move || {
        let (mut outputs, mut skipped) = (Vec::new(), Vec::new());
        for (number, feature) in selected.layer.features.iter().enumerate() {
            let name = naming::described(feature, id_field.as_deref());
            let planned = (|| match selected.alone(number, &work)? {
                Some(cutline) => cog.plan(&cutline, &work),
                None => Ok(None),
            })();
            match planned.map_err(|error| error.at(&name))? {
                Some(plan) => {
                    let destination = naming::destination(&template, feature, id_field.as_deref())?;
                    let (options, sink) = (Arc::clone(&work), Arc::clone(&sink));
                    outputs.push(Output { name, plan, destination, options, sink });
                }
                None => skipped.push(name),
            }
        }
        Ok((cog, outputs, skipped))
    })
    .await?;
    let report = cog.split(outputs, &options, bar).await;
    bar.finish();
    let report = report?;
    warn(&clip, cog.remarks().into_iter().chain(report::split_warnings(&report)));
    if clip.json {
        print(&format!("{:#}\n", report::split_json(&cog, &report, &skipped)))?;
    } else if !clip.quiet && !clip.logs_json() {
        note(&report::split_text(&cog, &report, &skipped));
    }
    Ok(ExitCode::SUCCESS)
}

fn progress(clip: &args::ClipCommand) -> progress::Progress {
    progress::Progress::new(progress::Show {
        quiet: clip.quiet,
        terminal: std::io::stderr().is_terminal(),
        verbose: clip.verbose,
        json: clip.logs_json(),
    })
}

fn warn(clip: &args::ClipCommand, warnings: impl Iterator<Item = String>) {
    for warning in warnings {
        if clip.logs_json() {
            note_json(&serde_json::json!({ "level": "warning", "message": warning }).to_string());
        } else {
            note(&format!("warning: {warning}"));
        }
    }
}

async fn plan_command(plan: args::PlanCommand) -> Result<ExitCode> {
    let options = plan.cutline.apply(plan.what.options()?, &plan.store).await?;
    let cog = Cog::open_image(&plan.src, plan.image.ifd, &plan.store.options(), &options.limits).await?;
    for warning in cog.remarks() {
        note(&format!("warning: {warning}"));
    }
    let selection = plan.cutline.selection(&options.limits)?;
    let selected = selection.read(&cog, &plan.store.options(), &options, false).await?;
    #[cfg(feature = "pictures")]
    let pictures = picture::OfPlan::begin(&plan).await?;
    let (mut cog, made) = planned(cog, selected, &options, plan.is_drawn()).await?;
    let Some((made, placed)) = made else {
        print(&if plan.json { format!("{:#}\n", report::skipped(&cog)) } else { "no overlap\n".to_owned() })?;
        return Ok(ExitCode::SUCCESS);
    };
    let requests = cog.requests(&made, &options).await?;
    #[cfg(feature = "pictures")]
    if let Some(placed) = placed {
        pictures.publish((&cog, &made, &requests), &placed, &options).await?;
    }
    #[cfg(not(feature = "pictures"))]
    drop(placed);
    print(&if plan.json {
        format!("{:#}\n", report::plan_json(&cog, &made, &requests))
    } else {
        report::plan_text(&cog, &made, &requests)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The plan, and beside it the cutline in the raster's CRS if the plan `is_drawn`; `None` when nothing overlaps, and that is to be
/// skipped.
async fn planned(
    cog: Cog,
    selected: Selected,
    options: &ClipOptions,
    is_drawn: bool,
) -> Result<(Cog, Option<(Plan, Option<Cutline>)>)> {
    let work = options.clone();
    blocking(move || {
        let cutline = selected.united(&work)?;
        let Some(plan) = cog.plan(&cutline, &work)? else { return Ok((cog, None)) };
        let placed = is_drawn.then(|| cog.placed(&cutline, &work)).transpose()?;
        Ok((cog, Some((plan, placed))))
    })
    .await
}

/// Plans on a thread of its own: burning a large cutline takes a while, and signals must be heard.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::io("planning was cancelled").caused_by(error)),
    }
}

/// Prints to standard output. A reader that went away is no failure.
fn print(text: &str) -> Result<()> {
    print_bytes(text.as_bytes())
}

/// As [`print`], of what may be no text.
fn print_bytes(bytes: &[u8]) -> Result<()> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("standard output could not be written").caused_by(cause))
        }
        _ => Ok(()),
    }
}

/// Prints a line of JSON to standard error.
fn note_json(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", exit::one_line_of_json(text));
}

/// Prints a line to standard error.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", exit::one_line(text));
}
