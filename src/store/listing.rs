//! The keys of a bucket that begin alike, page by page.
//!
//! Whatever the order in which a store lists, it must be one: of keys that only ever ascend none is listed twice, and a store
//! that goes round in circles is found out, with nothing to remember but the last key.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::cmp::Ordering;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::StoreOptions;
use super::connections::Connection;
use super::dialect::Dialect;
use super::failure::Failure;
use super::listing_page::{Asking, Listed, MAX_PAGE, Page};
use super::location::Bucket;
use super::request::{Request, Response, Verdict};
use super::tally::Tally;
use super::transport::{Call, Redirects};
use crate::error::{Error, Result};

const LISTING: &str = "listing";

/// Pages of one listing: a hundred million keys, which take hours.
const MAX_PAGES: u32 = 100_000;

/// Pages in a row on which nothing is. Azure and Google may send some where much has been deleted.
const MAX_EMPTY: u32 = 1_000;

/// Bytes of a key; the longest that stores take have 1,024 characters.
const MAX_KEY: usize = 4 << 10;

/// The keys of a bucket that begin with `bucket.key`.
pub(crate) struct Listing {
    dialect: Dialect,
    connection: Arc<Connection>,
    /// For messages.
    shown: String,
    prefix: String,
    flat: bool,
    encoded: bool,
    next: Next,
    pages: u32,
    empty: u32,
    /// The token of an earlier page, of the last whose number is a power of two: in a circle it comes again (Brent).
    earlier: String,
    order: Order,
}

/// What is to be asked next.
enum Next {
    First,
    Token(String),
    Nothing,
}

impl Listing {
    /// The keys that begin with `bucket.key`, which may be empty or end anywhere; those that have a '/' after it are left out if
    /// `flat`. Nothing is asked yet. `shown` is what is listed, for messages.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for an option that is not understood or a configuration that lacks something.
    pub(crate) fn new(bucket: &Bucket, flat: bool, shown: &str, options: &StoreOptions) -> Result<Self> {
        let connection = options.connections.bucket(bucket, shown, options)?;
        Ok(Self {
            dialect: bucket.cloud.into(),
            connection,
            shown: shown.to_owned(),
            prefix: bucket.key.clone(),
            flat,
            encoded: false,
            next: Next::First,
            pages: 0,
            empty: 0,
            earlier: String::new(),
            order: Order::new(),
        })
    }

    /// The keys of the next page, which may be none; `None` after the last. Folders, and what stands for one, are left out.
    ///
    /// They come in the order of the store: that of their bytes; on Azure that of UTF-16, and folder by folder (as if '/' came
    /// before all other characters) in accounts with a hierarchical namespace.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when listing is not allowed, could not be done after all retries, or gives what is no list;
    /// [`crate::ErrorKind::Limit`] when there is no end to it.
    pub(crate) async fn page(&mut self) -> Result<Option<Vec<String>>> {
        let token = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::First => None,
            Next::Token(token) => Some(token),
            Next::Nothing => return Ok(None),
        };
        if self.pages >= MAX_PAGES {
            return Err(Error::limit(format!(
                "{}: the list of keys has more than {MAX_PAGES} pages; list a longer prefix at a time",
                self.shown
            )));
        }
        self.pages = self.pages.saturating_add(1);
        let page = self.ask(token.as_deref()).await?;
        self.next = self.after(&page, token.as_deref())?;
        let mut keys = Vec::with_capacity(page.listed.len());
        for Listed { key, size, is_folder } in page.listed {
            self.check(&key)?;
            let stands_for_folder = is_folder || key.ends_with('/') && size.is_none_or(|size| size == 0);
            if !stands_for_folder {
                keys.push(key);
            }
        }
        Ok(Some(keys))
    }

    /// Asks for a page; percent-encoded, if it cannot be read otherwise, since XML cannot hold every key.
    async fn ask(&mut self, token: Option<&str>) -> Result<Page> {
        if !self.encoded && self.dialect != Dialect::Azure {
            if let Some(page) = self.ask_once(token, false).await? {
                return Ok(page);
            }
            self.encoded = true;
        }
        self.ask_once(token, self.encoded).await?.ok_or_else(|| {
            self.wrong("the server answers with something that is no list of keys; give its endpoint, or name the objects")
        })
    }

    /// The page; `None` when it is none.
    async fn ask_once(&self, token: Option<&str>, encoded: bool) -> Result<Option<Page>> {
        let asking = Asking { prefix: &self.prefix, flat: self.flat, encoded, token };
        let mut url = self.connection.endpoint.base.clone();
        url.set_query(Some(&asking.query(self.dialect)));
        let (headers, body) = (HeaderMap::new(), Vec::new());
        let request = Request { method: Method::GET, url, headers, body, sha256: None };
        let call = Call {
            shown: &self.shown,
            doing: LISTING,
            request: &request,
            auth: &self.connection.endpoint.auth,
            most: MAX_PAGE,
            tally: &Tally::default(),
            counted: false,
            hedge: false,
            redirects: Redirects::No,
            lost: None,
        };
        let judge = |response: Response, _| self.judge(&response);
        Box::pin(self.connection.transport.call(call, judge)).await
    }

    fn judge(&self, response: &Response) -> Verdict<Option<Page>> {
        if response.status == 200 && response.cut {
            return Verdict::Never(self.wrong(&format!(
                "the server answers with a page of more than {MAX_PAGE} bytes, although a thousand keys were asked for"
            )));
        }
        if response.status == 200 {
            let page = Page::parse(self.dialect, &response.body);
            // What begins well may end in an error.
            if page.is_some() || Failure::of(response).code.is_none() {
                return Verdict::Done(page);
            }
        }
        let failure = Failure::of(response);
        match failure.verdict(self.dialect, &self.shown, LISTING) {
            Verdict::Never(_)
                if matches!(response.status, 401 | 403) && !failure.is(&["RequestTimeTooSkewed"]) =>
            {
                Verdict::Never(self.denied(&failure))
            }
            Verdict::Never(error) if response.status == 404 && failure.code.is_none() => {
                Verdict::Never(error.and("the bucket, or the endpoint, is another"))
            }
            verdict @ (Verdict::Done(_) | Verdict::Again(..) | Verdict::Renew(_) | Verdict::Never(_)) => {
                verdict
            }
        }
    }

    fn denied(&self, failure: &Failure) -> Error {
        let right = match self.dialect {
            Dialect::S3 | Dialect::Web => "s3:ListBucket of the bucket",
            Dialect::Google => "storage.objects.list of the bucket",
            Dialect::Azure => "to list the container (a SAS: sp=l; the role Storage Blob Data Reader)",
        };
        Error::io(format!(
            "{}: listing the keys is not allowed ({}), which is another permission than reading an object; \
             ask for {right}, check the credentials, or name the objects one by one",
            self.shown,
            failure.named()
        ))
    }

    /// Where to go on after `page`, which was asked for with `token`.
    fn after(&mut self, page: &Page, token: Option<&str>) -> Result<Next> {
        let is_empty = page.listed.is_empty() && page.folders == 0;
        self.empty = if is_empty { self.empty.saturating_add(1) } else { 0 };
        let next = match (&page.token, page.truncated) {
            (_, Some(false)) | (None, None) => return Ok(Next::Nothing),
            (None, Some(true)) => {
                return Err(self.wrong(
                    "the server says that there are more keys, and not where they begin (NextContinuationToken): \
                     it does not know list-type=2",
                ));
            }
            (Some(next), _) => next,
        };
        if token == Some(next) || self.earlier == *next {
            return Err(
                self.wrong("the server lists in a circle: a page is said to be followed by an earlier one")
            );
        }
        if self.empty >= MAX_EMPTY {
            return Err(
                self.wrong(&format!("the server sends {MAX_EMPTY} pages in a row without a key, and no end"))
            );
        }
        if self.pages.is_power_of_two() {
            self.earlier.clone_from(next);
        }
        Ok(Next::Token(next.clone()))
    }

    /// Refuses a key that cannot be in this list, or not here.
    fn check(&mut self, key: &str) -> Result<()> {
        if !key.starts_with(&self.prefix) {
            return Err(
                self.wrong("the server lists keys that do not begin with what was asked for (prefix)")
            );
        }
        if key.len() > MAX_KEY {
            return Err(self.wrong(&format!("the server lists a key of more than {MAX_KEY} bytes")));
        }
        if !self.order.ascends(key) {
            return Err(self.wrong(
                "the server lists keys in no order, so that none can be told from one that was listed before \
                 (S3's directory buckets do); name the objects one by one",
            ));
        }
        Ok(())
    }

    fn wrong(&self, what: &str) -> Error {
        Error::io(format!("{}: listing failed: {what}", self.shown))
    }
}

/// Which orders the keys so far may have been in.
#[derive(Debug)]
struct Order {
    last: Option<String>,
    possible: Vec<fn(&str, &str) -> Ordering>,
}

impl Order {
    fn new() -> Self {
        let possible: Vec<fn(&str, &str) -> Ordering> = vec![
            // S3, Google.
            |a, b| a.cmp(b),
            // Azure.
            |a, b| a.encode_utf16().cmp(b.encode_utf16()),
            // Azure with a hierarchical namespace, and stores that keep files.
            |a, b| a.bytes().map(folders_first).cmp(b.bytes().map(folders_first)),
            |a, b| a.encode_utf16().map(folders_first).cmp(b.encode_utf16().map(folders_first)),
        ];
        Self { last: None, possible }
    }

    /// Whether there is still one in which all keys ascend, none of them twice.
    fn ascends(&mut self, key: &str) -> bool {
        if let Some(last) = &self.last {
            self.possible.retain(|order| order(last, key) == Ordering::Less);
        }
        self.last = Some(key.to_owned());
        !self.possible.is_empty()
    }
}

/// A character's rank, '/' before all others.
fn folders_first(c: impl Into<u32>) -> u32 {
    match c.into() {
        0x2F => 0,
        c => c.saturating_add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(keys: &[&str], expected: bool) {
        let mut order = Order::new();
        assert_eq!(keys.iter().all(|key| order.ascends(key)), expected, "{keys:?}");
    }

    #[test]
    fn lists_are_in_an_order() {
        check(&["", "A", "A-B", "A-B/d", "A.C", "A/d", "AB", "a"], true);
        // Of an account with a hierarchical namespace: github.com/Azure/azure-sdk-for-go/issues/24210.
        check(
            &[
                "A", "A/dat1", "A-B", "A-B/dat2", "A-B-C", "A-C", "A.C", "A.C/dat3", "AB", "AB/AB",
                "AB/dat4", "AB.txt", "ABC",
            ],
            true,
        );
        // UTF-16 has what is beyond its 16 bits before U+E000.
        check(&["\u{d7ff}", "🌍", "\u{ff5e}"], true);
        check(&["\u{d7ff}", "\u{ff5e}", "🌍"], true);
        check(&["a/🌍", "a/\u{ff5e}", "a-"], true);
        // Each pair is in an order, and all of them are in none.
        check(&["a-", "a/", "a-b"], false);
        check(&["a", "a"], false);
        check(&["b", "a"], false);
        check(&["a", "b", "a"], false);
    }
}
