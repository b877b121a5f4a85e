//! One request to a store, until there is an answer worth having: paced, tried again, hedged, redirected.
//!
//! What is tried again is the whole of it, signature and body included, so that resets, stalls and short bodies are all covered.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Clock};

use futures::future::select;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION,
    TRANSFER_ENCODING,
};
use reqwest::{Method, Version};
use tokio::time::{Instant, sleep_until, timeout};

use super::StoreOptions;
use super::auth::Auth;
use super::body::{Progress, Upload, length, take};
use super::client::{HttpClient, duration};
use super::fault::{Asked, Fault, seconds};
use super::hedge::{Hedges, NEVER_BELOW};
use super::pace::{Pace, Permit};
use super::redirect;
pub(crate) use super::redirect::Redirects;
use super::request::{Request, Response, Tried, Verdict};
use super::retry::{End, Retries, Tokens};
use super::retry_after::asked;
use super::tally::Tally;
use crate::error::{Error, Result};
use crate::observe::Event;

/// The most that is taken of the body of an answer that is no success: stores' error documents have a few hundred bytes.
const MOST_OF_A_REFUSAL: u64 = 64 << 10;

/// The way to one server: its client, how many requests it gets at once, and how often they are tried again. Clones share it.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Inner>);

struct Inner {
    client: HttpClient,
    options: StoreOptions,
    /// The idle timeout, before the request leaves and after.
    connecting: Duration,
    idle: Duration,
    /// For the whole of a try: the key `timeout`.
    whole: Option<Duration>,
    pace: Pace,
    tokens: Tokens,
    hedges: Hedges,
}

/// One request, and how it is to be made.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The location for messages.
    pub(crate) shown: &'a str,
    /// "reading" or "writing".
    pub(crate) doing: &'static str,
    pub(crate) request: &'a Request,
    pub(crate) auth: &'a Auth,
    /// Bytes of the body of a 2xx that are taken.
    pub(crate) most: u64,
    pub(crate) tally: &'a Tally,
    /// Whether its requests count in the tally.
    pub(crate) counted: bool,
    /// Whether it may be asked for twice when it takes long.
    pub(crate) hedge: bool,
    pub(crate) redirects: Redirects,
    /// Is set when a try may have been carried out without our knowing.
    pub(crate) lost: Option<&'a AtomicBool>,
}

/// What came of one try.
struct Outcome<T> {
    verdict: Verdict<T>,
    /// Whether it may have been carried out, if it failed.
    unknown: bool,
    /// When it was signed.
    since: Clock,
}

impl Transport {
    /// The way to `server`, which is its name in events. The keys `timeout` and `read_timeout` are what [`HttpClient::new`] has found
    /// to be times.
    pub(crate) fn new(client: HttpClient, options: &StoreOptions, server: String) -> Self {
        let key = |name| duration(options, name).ok().flatten();
        let idle = key("read_timeout").unwrap_or(options.idle_timeout);
        let connect = key("connect_timeout").unwrap_or(options.connect_timeout);
        Self(Arc::new(Inner {
            client,
            options: options.clone(),
            connecting: idle.max(connect),
            idle,
            whole: key("timeout"),
            pace: Pace::new(options, server),
            tokens: Tokens::of(options),
            hedges: Hedges::default(),
        }))
    }

    /// Makes the call, as often as `judge` and the options want it.
    ///
    /// # Errors
    /// What `judge` makes of an answer; [`crate::ErrorKind::Io`] when there is none, or one that cannot be used.
    pub(crate) async fn call<T>(
        &self,
        call: Call<'_>,
        judge: impl Fn(Response, Tried) -> Verdict<T>,
    ) -> Result<T> {
        let inner = &*self.0;
        let mut tried = Tried::default();
        let mut permit = Some(inner.pace.permit().await);
        // The wait for the first turn is nobody's failure.
        let mut retries = Retries::new(&inner.options);
        let began = Instant::now();
        let mut renewed = false;
        loop {
            tried.tries = tried.tries.saturating_add(1);
            let turn = match permit.take() {
                Some(turn) => turn,
                None => inner.pace.permit().await,
            };
            let outcome = inner.attempt(&call, tried, turn, &judge).await;
            // What the judge refuses for good has been understood: it was not carried out.
            let refused = matches!(outcome.verdict, Verdict::Never(_));
            if let Some(lost) = call.lost.filter(|_| outcome.unknown && !refused) {
                lost.store(true, Ordering::Relaxed);
            }
            let told = |error: Error| match tried.tries {
                0 | 1 => error,
                often => error.and(format_args!("after {often} tries in {}", seconds(began.elapsed()))),
            };
            let (error, wait) = match outcome.verdict {
                Verdict::Done(answer) => {
                    if tried.tries == 1 {
                        inner.tokens.give();
                    }
                    return Ok(answer);
                }
                Verdict::Never(error) => return Err(told(error)),
                Verdict::Renew(error) => {
                    if renewed || !call.auth.renew(outcome.since).await {
                        return Err(told(error));
                    }
                    renewed = true;
                    (error, Duration::ZERO)
                }
                Verdict::Again(error, asked) => {
                    renewed = false;
                    let wait = match retries.wait(asked) {
                        Ok(wait) => wait,
                        Err(End::Asked(asked)) => {
                            return Err(told(error).and(format_args!(
                                "and the server wants to be left alone for {}, which is longer than retries may last",
                                seconds(asked)
                            )));
                        }
                        Err(End::Tries | End::Time) => return Err(told(error)),
                    };
                    if !inner.tokens.take() {
                        return Err(told(error).and(
                            "and it is not tried again: the server has failed too often lately; try again later",
                        ));
                    }
                    (error, wait)
                }
            };
            tried.unknown |= outcome.unknown;
            Tally::count(&call.tally.retries);
            inner.options.observer.event(&Event::Retried {
                uri: call.shown.to_owned(),
                reason: without(&error.to_string(), call.shown),
                tries: tried.tries,
                wait: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            });
            tokio::time::sleep(wait).await;
        }
    }
}

impl Inner {
    /// One try: one request, or two if the first takes long.
    async fn attempt<T>(
        &self,
        call: &Call<'_>,
        tried: Tried,
        permit: Permit<'_>,
        judge: &impl Fn(Response, Tried) -> Verdict<T>,
    ) -> Outcome<T> {
        if !self.may_hedge(call) {
            return self.once(call, tried, permit, judge).await;
        }
        self.hedges.begin();
        let began = Instant::now();
        let mut first = pin!(self.once(call, tried, permit, judge));
        // What is slow may be known only while this one is under way.
        loop {
            let slow = self.hedges.slow();
            let left = slow.map_or(NEVER_BELOW, |slow| slow.saturating_sub(began.elapsed()));
            if slow.is_some() && left.is_zero() {
                break;
            }
            if let Ok(outcome) = timeout(left, first.as_mut()).await {
                return outcome;
            }
        }
        // A server that is at its limit is not asked for more.
        let Some(permit) = self.pace.try_permit().filter(|_| self.hedges.take()) else { return first.await };
        Tally::count(&call.tally.hedges);
        self.options.observer.event(&Event::Hedged { uri: call.shown.to_owned() });
        let second = pin!(self.once(call, tried, permit, judge));
        // Neither says which of the two it was.
        let (outcome, other) = select(first, second).await.factor_first();
        better(outcome, other).await
    }

    fn may_hedge(&self, call: &Call<'_>) -> bool {
        self.options.hedge && call.hedge && is_read(&call.request.method)
    }

    /// One request, judged.
    async fn once<T>(
        &self,
        call: &Call<'_>,
        tried: Tried,
        permit: Permit<'_>,
        judge: &impl Fn(Response, Tried) -> Verdict<T>,
    ) -> Outcome<T> {
        let mut since = Clock::now();
        let began = Instant::now();
        let exchange = self.exchange(call, &mut since);
        let answered = match self.whole {
            Some(whole) => timeout(whole, exchange).await.unwrap_or_else(|_| Err(asks(call).late(whole))),
            None => exchange.await,
        };
        let response = match answered {
            Ok(response) => response,
            Err(Fault { error, again, unknown }) => {
                let verdict = if again { Verdict::Again(error, None) } else { Verdict::Never(error) };
                return Outcome { verdict, unknown, since };
            }
        };
        let status = response.status;
        let wait = asked(&response.headers);
        match status {
            429 | 503 => permit.refused(wait),
            ..500 => permit.succeeded(),
            _ => {}
        }
        let verdict = match judge(response, tried) {
            Verdict::Again(error, judged) => Verdict::Again(error, wait.or(judged)),
            Verdict::Done(answer) => {
                if self.may_hedge(call) {
                    self.hedges.took(began.elapsed());
                }
                Verdict::Done(answer)
            }
            last @ (Verdict::Renew(_) | Verdict::Never(_)) => last,
        };
        // A refusal (4xx) is known not to have been carried out; S3 can fail after it has said 200.
        Outcome { verdict, unknown: !(400..500).contains(&status), since }
    }

    /// The whole answer to one request, where redirects lead.
    async fn exchange(&self, call: &Call<'_>, signed: &mut Clock) -> Result<Response, Fault> {
        let never = Fault::never;
        let mut request = call.request.clone();
        if !is_read(&request.method) && (request.method != Method::DELETE || !request.body.is_empty()) {
            // Before it is signed: Azure signs it. S3 takes no body without, and no chunked one.
            request.headers.insert(CONTENT_LENGTH, HeaderValue::from(length(&request.body)));
        }
        call.auth.sign(&mut request).await.map_err(never)?;
        // Credentials that were fetched until now are those that a refusal is about.
        *signed = Clock::now();
        if is_read(&request.method) && !request.headers.contains_key(ACCEPT_ENCODING) {
            // A compressed answer would have other offsets. After it is signed: proxies change it.
            request.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let mut hops = 0;
        let mut from = None;
        loop {
            let response = self.send(call, &request).await?;
            let status = response.status().as_u16();
            let leads_on = matches!(status, 301 | 302 | 303 | 307 | 308);
            if call.redirects == Redirects::No || !leads_on || !is_read(&request.method) {
                return self.whole(call, &request.method, response).await;
            }
            hops += 1;
            if hops > redirect::MOST {
                let shown = call.shown;
                let most = redirect::MOST;
                return Err(never(Error::io(format!(
                    "{shown}: more than {most} redirects; they may not end"
                ))));
            }
            let location = field(response.headers(), &LOCATION);
            let to = redirect::target(call.shown, &request.url, location, call.redirects).map_err(never)?;
            drop(response);
            self.options.addresses.check_redirect(call.shown, &to).map_err(never)?;
            if !redirect::same_host(&request.url, &to) {
                // A guard judges each address itself, and more strictly, before it is connected to.
                if !self.options.addresses.is_guarded() {
                    let here = match from {
                        Some(place) => place,
                        None => redirect::place(&request.url).await,
                    };
                    let there = redirect::place(&to).await;
                    redirect::check_place(call.shown, &to, here, there, call.redirects).map_err(never)?;
                    from = Some(here.max(there));
                }
                request.headers = redirect::strip(&request.headers);
            }
            request.url = to;
        }
    }

    /// Sends it, and waits for the head of the answer.
    async fn send(&self, call: &Call<'_>, request: &Request) -> Result<reqwest::Response, Fault> {
        let asks = asks(call);
        let mut url = request.url.clone();
        if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
            let error = Error::usage(format!("{}: that is not a URL that can be asked for", call.shown));
            return Err(Fault::never(error));
        }
        let client = self.client.of(&url).map_err(Fault::never)?;
        let mut wire = reqwest::Request::new(request.method.clone(), url);
        *wire.headers_mut() = request.headers.clone();
        let progress = Arc::new(Progress::new());
        let upload = Upload::new(request.body.clone(), Arc::clone(&progress));
        *wire.body_mut() = Some(reqwest::Body::wrap(upload));
        if call.counted {
            Tally::count(&call.tally.requests);
        }
        let mut answer = pin!(client.execute(wire));
        loop {
            let began = progress.began();
            let idle = if began { self.idle } else { self.connecting };
            let late = async {
                match progress.deadline(idle) {
                    Some(deadline) => sleep_until(deadline).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                head = answer.as_mut() => return head.map_err(|cause| asks.of(cause)),
                () = progress.beginning(), if !began => {}
                () = late => if progress.deadline(idle).is_some_and(|deadline| deadline <= Instant::now()) {
                    return Err(asks.stalled(idle));
                }
            }
        }
    }

    /// The answer with its body, of which there is a most.
    async fn whole(
        &self,
        call: &Call<'_>,
        method: &Method,
        response: reqwest::Response,
    ) -> Result<Response, Fault> {
        let asks = asks(call);
        let status = response.status();
        let headers = response.headers().clone();
        let encoded = headers.get_all(CONTENT_ENCODING).iter().any(is_encoding);
        if status.is_success() && encoded {
            return Err(Fault::never(Error::unsupported(format!(
                "{}: the server sends it compressed (Content-Encoding), so that its bytes cannot be asked for by range; \
                 store it without that header, or download and unpack it first",
                call.shown
            ))));
        }
        // A part of a file says its range, with which its length is compared.
        let is_whole_file = status.is_success() && status != 206 && call.counted && *method == Method::GET;
        if is_whole_file && has_no_length(&response) {
            return Err(Fault::never(Error::io(format!(
                "{}: the server does not say how long its answer is, so that one that breaks off could not be told from a \
                 whole one; use a server that supports ranges or sends Content-Length",
                call.shown
            ))));
        }
        let most = if status.is_success() { call.most } else { MOST_OF_A_REFUSAL };
        let body = take(response, method, most, self.idle).await;
        let (body, cut) = body.map_err(|broken| asks.broken(broken, self.idle))?;
        Ok(Response { status: status.as_u16(), headers, body, cut })
    }
}

/// That of two outcomes which succeeded; if neither did, that which says most.
async fn better<T>(outcome: Outcome<T>, other: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    if matches!(outcome.verdict, Verdict::Done(_)) {
        return outcome;
    }
    let other = other.await;
    match (&outcome.verdict, &other.verdict) {
        (_, Verdict::Done(_)) => other,
        (Verdict::Never(_), _) => outcome,
        _ => other,
    }
}

fn asks<'a>(call: &Call<'a>) -> Asked<'a> {
    Asked { shown: call.shown, doing: call.doing }
}

fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// Whether the body ends only with the connection (RFC 9112, 6.3, rule 8): HTTP/2 marks the end of each.
fn has_no_length(response: &reqwest::Response) -> bool {
    response.version() < Version::HTTP_2
        && response.content_length().is_none()
        && !response.headers().contains_key(TRANSFER_ENCODING)
}

/// Whether a Content-Encoding changes the bytes. `aws-chunked` is what some stores that speak like S3 keep of the way in which an
/// object was uploaded; it does not.
fn is_encoding(value: &HeaderValue) -> bool {
    let Ok(value) = value.to_str() else { return true };
    value.split(',').map(str::trim).any(|one| {
        !one.is_empty() && !one.eq_ignore_ascii_case("identity") && !one.eq_ignore_ascii_case("aws-chunked")
    })
}

/// A message without the location that leads it.
fn without(message: &str, shown: &str) -> String {
    let rest = message.strip_prefix(shown).and_then(|rest| rest.strip_prefix(": "));
    rest.unwrap_or(message).to_owned()
}

fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
#[path = "transport_body_tests.rs"]
mod body_tests;
#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
