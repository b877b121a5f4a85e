//! Every store does the same: one suite of reading, one of listing, one of writing, one of copying within it and one of clipping, run against each
//! of them through the public interface and the binary, and looked at by means that are not ours.
//!
//! A local directory, a web server, Google's XML interface (`google_server`) and S3 (`s3s_server`) run in this process. Azurite
//! and moto are started by `scripts/emulators`; without it, their tests are ignored.
#![allow(clippy::panic, clippy::print_stdout, reason = "clippy sees helpers of tests as no tests")]

mod azurite;
mod backend;
mod clipping;
mod copying;
mod google;
pub(crate) mod listener;
mod listing;
mod local;
mod metadata_services;
mod moto;
pub(crate) mod raw_http;
mod reading;
pub(crate) mod resource;
mod s3;
mod tls;
mod web;
mod writing;

/// One test for each case of a suite.
macro_rules! cases {
    ($suite:ident, $backend:expr, $attribute:tt, $($case:ident)*) => {
        mod $suite {
            $(
                #[test]
                #$attribute
                fn $case() {
                    let backend = $backend;
                    crate::conformance::backend::run(stringify!($case), &backend, |backend| {
                        Box::pin(crate::conformance::$suite::$case(backend))
                    });
                }
            )*
        }
    };
}

macro_rules! reading {
    ($backend:expr, $attribute:tt) => {
        cases!(reading, $backend, $attribute,
            head_and_meta any_range past_the_end at_the_end empty_object odd_keys missing_object replaced_object
            concurrent_ranges denied_reading);
    };
}

macro_rules! listing {
    ($backend:expr, $attribute:tt) => {
        cases!(listing, $backend, $attribute,
            pages_of_keys listed_keys_are_opened prefixes_of_odd_keys folders_are_not_walked_in_vain
            listed_fragments nothing_listed denied_listing);
    };
}

macro_rules! writing {
    ($backend:expr, $attribute:tt) => {
        cases!(writing, $backend, $attribute,
            every_size content_type existing_is_refused_early existing_is_refused_late overwriting aborting
            dropping small_race large_race odd_destinations denied_writing);
    };
}

macro_rules! copying {
    ($backend:expr, $attribute:tt) => {
        cases!(copying, $backend, $attribute,
            copies_of_every_length copies_in_two_sections copies_of_odd_keys copies_of_a_changed_source);
    };
}

macro_rules! clipping {
    ($backend:expr, $attribute:tt) => {
        cases!(clipping, $backend, $attribute, same_bytes_as_local user_metadata);
    };
}

// `cfg(all())` is always true: these run in this process.
mod on_local {
    reading!(crate::conformance::local::Local::start(), [cfg(all())]);
    listing!(crate::conformance::local::Local::start(), [cfg(all())]);
    writing!(crate::conformance::local::Local::start(), [cfg(all())]);
    copying!(crate::conformance::local::Local::start(), [cfg(all())]);
    clipping!(crate::conformance::local::Local::start(), [cfg(all())]);
}

mod on_web {
    reading!(crate::conformance::web::Web::start(), [cfg(all())]);
    clipping!(crate::conformance::web::Web::start(), [cfg(all())]);
}

mod on_web_by_http2 {
    reading!(crate::conformance::web::Web::start_http2(), [cfg(all())]);
    clipping!(crate::conformance::web::Web::start_http2(), [cfg(all())]);
}

mod on_google {
    reading!(crate::conformance::google::Google::start(), [cfg(all())]);
    listing!(crate::conformance::google::Google::start(), [cfg(all())]);
    writing!(crate::conformance::google::Google::start(), [cfg(all())]);
    copying!(crate::conformance::google::Google::start(), [cfg(all())]);
    clipping!(crate::conformance::google::Google::start(), [cfg(all())]);
}

mod on_s3s {
    reading!(crate::conformance::s3::S3s::start(), [cfg(all())]);
    listing!(crate::conformance::s3::S3s::start(), [cfg(all())]);
    writing!(crate::conformance::s3::S3s::start(), [cfg(all())]);
    copying!(crate::conformance::s3::S3s::start(), [cfg(all())]);
    clipping!(crate::conformance::s3::S3s::start(), [cfg(all())]);
}

mod on_moto {
    reading!(crate::conformance::moto::Moto::start(), [ignore = "needs scripts/emulators"]);
    listing!(crate::conformance::moto::Moto::start(), [ignore = "needs scripts/emulators"]);
    writing!(crate::conformance::moto::Moto::start(), [ignore = "needs scripts/emulators"]);
    copying!(crate::conformance::moto::Moto::start(), [ignore = "needs scripts/emulators"]);
    clipping!(crate::conformance::moto::Moto::start(), [ignore = "needs scripts/emulators"]);
}

mod on_azurite {
    reading!(crate::conformance::azurite::Azurite::start(), [ignore = "needs scripts/emulators"]);
    listing!(crate::conformance::azurite::Azurite::start(), [ignore = "needs scripts/emulators"]);
    writing!(crate::conformance::azurite::Azurite::start(), [ignore = "needs scripts/emulators"]);
    copying!(crate::conformance::azurite::Azurite::start(), [ignore = "needs scripts/emulators"]);
    clipping!(crate::conformance::azurite::Azurite::start(), [ignore = "needs scripts/emulators"]);
}
