//! The service's description of itself: OpenAPI 3.1.

use serde_json::{Map, Value, json};

use super::{Callers, ServeOptions, metrics, refusal};
use crate::error::ErrorKind;

/// Statuses of a job that fails, and when.
const FAILURES: [(&str, &str); 12] = [
    (
        "400",
        "The body is no job: no JSON object, an option that is unknown or has a wrong value, something that must be said first",
    ),
    (
        "403",
        "The job names what the service may not read or write; or, without a token, the request is not for this machine by its name",
    ),
    ("404", "There is nothing at a location of the job, or nothing that may be seen"),
    ("408", "The body took too long to come"),
    ("409", "The destination exists, or the source changed while it was read"),
    ("413", "The body is too long"),
    ("415", "The body is not said to be application/json"),
    (
        "422",
        "The raster or the cutline is malformed or not supported, a limit would be exceeded, or the two do not overlap",
    ),
    ("500", "A fault of the service"),
    ("502", "A store failed, after all retries"),
    ("503", "All places are taken, or the service is stopping: nothing was published"),
    ("504", "The job took too long: nothing was published, or the error says that it is not known"),
];

/// All kinds of errors, as they are compared with what is documented.
const KINDS: [ErrorKind; 8] = [
    ErrorKind::Usage,
    ErrorKind::Format,
    ErrorKind::Unsupported,
    ErrorKind::Io,
    ErrorKind::Limit,
    ErrorKind::Changed,
    ErrorKind::NoOverlap,
    ErrorKind::Exists,
];

/// The document. `properties` are the options of a job.
pub(super) fn document(options: &ServeOptions, properties: Map<String, Value>) -> Value {
    let is_private = matches!(options.callers, Callers::Tokens(_));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cogclip",
            "description": "Clips Cloud Optimized GeoTIFFs by polygons, from store to store.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": {
            "/clip": { "post": job(
                "clip",
                "Clips a raster and publishes the output, whole or not at all",
                "Clip",
                ("ClipReport", "The output is published; or, with on_empty skip, nothing overlaps and nothing was written"),
                is_private,
            ) },
            "/plan": { "post": job(
                "plan",
                "Says what a clip would fetch and write; reads the header only",
                "Plan",
                ("PlanReport", "The plan; or, with on_empty skip, that nothing overlaps"),
                is_private,
            ) },
            "/healthz": { "get": {
                "operationId": "healthz",
                "summary": "Whether the service lives",
                "responses": { "200": answer("Status", "It does") },
            } },
            "/readyz": { "get": {
                "operationId": "readyz",
                "summary": "Whether the service takes jobs",
                "responses": { "200": answer("Status", "It does"), "503": failure("503", "It is stopping") },
            } },
            "/metrics": { "get": {
                "operationId": "metrics",
                "summary": "Figures for Prometheus",
                "responses": { "200": {
                    "description": "OpenMetrics 1.0",
                    "content": { metrics::MEDIA_TYPE: { "schema": { "type": "string" } } },
                } },
            } },
            "/openapi.json": { "get": {
                "operationId": "openapi",
                "summary": "This document",
                "responses": { "200": {
                    "description": "OpenAPI 3.1",
                    "content": { "application/json": { "schema": { "type": "object", "required": ["openapi"] } } },
                } },
            } },
        },
        "components": { "schemas": {
            "Clip": clip_job(properties.clone(), &["src", "dst"]),
            "Plan": clip_job(properties, &["src"]),
            "ClipReport": report(&["done", "skipped"], json!({
                "output": { "type": "object", "description": "Location, size, ETag and, where it is known, SHA-256 of the output" },
                "warnings": { "type": "array", "items": { "type": "string" } },
            })),
            "PlanReport": report(&["planned", "skipped"], json!({
                "ranges": { "type": "array", "items": { "type": "object" }, "description": "The ranges of bytes that would be fetched" },
            })),
            "Status": {
                "type": "object",
                "required": ["status"],
                "properties": { "status": { "const": "ok" } },
            },
            "Error": {
                "type": "object",
                "required": ["exit_code", "kind", "error"],
                "properties": {
                    "exit_code": { "type": "integer", "minimum": 2, "maximum": 9, "description": "That of the command line" },
                    "kind": { "enum": kinds() },
                    "error": { "type": "string", "description": "What was found, where, and what to do" },
                },
            },
        } },
    });
    if matches!(options.callers, Callers::Local) {
        document["paths"]["/metrics"]["get"]["responses"]["403"] =
            failure("403", "The request names this machine neither by an address nor as localhost");
    }
    if is_private {
        document["components"]["securitySchemes"] =
            json!({ "token": { "type": "http", "scheme": "bearer" } });
        document["paths"]["/metrics"]["get"]["security"] = json!([{ "token": [] }]);
        document["paths"]["/metrics"]["get"]["responses"]["401"] = unauthorized();
    }
    document
}

fn kinds() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name()).chain(refusal::KINDS).collect()
}

fn job(name: &str, summary: &str, body: &str, (report, done): (&str, &str), is_private: bool) -> Value {
    let mut responses: Map<String, Value> =
        FAILURES.iter().map(|(status, when)| ((*status).to_owned(), failure(status, when))).collect();
    responses.insert("200".to_owned(), answer(report, done));
    let mut out = json!({
        "operationId": name,
        "summary": summary,
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{body}") } } },
        },
    });
    if is_private {
        responses.insert("401".to_owned(), unauthorized());
        out["security"] = json!([{ "token": [] }]);
    }
    out["responses"] = responses.into();
    out
}

fn answer(schema: &str, when: &str) -> Value {
    let content =
        json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
    json!({ "description": when, "content": content })
}

fn failure(status: &str, when: &str) -> Value {
    let mut out = answer("Error", when);
    if status == "503" {
        out["headers"] = json!({ "Retry-After": { "required": true, "schema": { "type": "string" }, "description": "Seconds" } });
    }
    out
}

fn unauthorized() -> Value {
    let mut out = answer("Error", "There is no token, or a wrong one");
    out["headers"] = json!({ "WWW-Authenticate": { "required": true, "schema": { "const": "Bearer" } } });
    out
}

/// A job: the places, a cutline or a box, and any other option of `clip`.
fn clip_job(mut properties: Map<String, Value>, required: &[&str]) -> Value {
    let place = |what: &str| json!({ "type": "string", "minLength": 1, "description": what });
    properties.insert(
        "src".to_owned(),
        place("The raster: an http(s)://, s3://, gs:// or az:// URL; #ifd=N chooses one image of many"),
    );
    properties.insert("dst".to_owned(), place("The output: an s3://, gs:// or az:// URL"));
    json!({
        "type": "object",
        "required": required,
        "oneOf": [{ "required": ["cutline"] }, { "required": ["bbox"] }],
        "properties": properties,
        "additionalProperties": false,
    })
}

fn report(statuses: &[&str], more: Value) -> Value {
    let mut properties = json!({
        "version": { "type": "string", "description": "Of cogclip" },
        "status": { "enum": statuses },
        "source": {
            "type": "object",
            "required": ["uri", "ifd"],
            "properties": { "uri": { "type": "string" }, "ifd": { "type": "integer" } },
        },
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut properties, more) {
        all.extend(more);
    }
    json!({ "type": "object", "required": ["version", "status", "source"], "properties": properties })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use bytes::Bytes;
    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    use super::*;
    use crate::batch::Item;
    use crate::batch::manifest::Row;
    use crate::clip::selection::{Polygons, Selection};
    use crate::error::{Error, Result};
    use crate::jobs::{Jobs, Turn};
    use crate::observe::Observer;
    use crate::options::ClipOptions;
    use crate::serve::{AllowList, Documented, Service, Tokens};
    use crate::sink::SinkOptions;

    const TOKEN: &str = "a-token-for-tests-only";

    /// Does what the name of the source says.
    struct Told;

    impl Jobs for Told {
        fn item(&self, job: &Row, _plan: bool) -> Result<Item> {
            let text = |name: &str| job.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let selection = Selection {
                polygons: Polygons::Bbox("0,0,1,1".to_owned()),
                crs: None,
                layer: None,
                conditions: Vec::new(),
                fids: BTreeSet::new(),
            };
            let (options, sink) = (ClipOptions::default(), SinkOptions::default());
            Ok(Item { src: text("src"), ifd: None, dst: text("dst"), selection, options, sink, stac: None })
        }

        fn clip<'a>(&'a self, item: Item, _: &'a dyn Observer, turn: Turn) -> BoxFuture<'a, Result<Value>> {
            self.plan(item, turn)
        }

        fn plan(&self, item: Item, _turn: Turn) -> BoxFuture<'_, Result<Value>> {
            async move {
                match item.src.rsplit('/').next().unwrap() {
                    "done" => Ok(json!({})),
                    "absent" => Err(Error::io("").absent()),
                    "exists" => Err(Error::exists("")),
                    "format" => Err(Error::format("")),
                    "store" => Err(Error::io("")),
                    "slow" => futures::future::pending().await,
                    other => panic!("this is the fault that is asked for: {other}"),
                }
            }
            .boxed()
        }
    }

    impl Documented for Told {
        fn options(&self) -> Map<String, Value> {
            Map::new()
        }
    }

    fn service(callers: Callers) -> Service {
        let options = ServeOptions {
            sources: AllowList::new(&["s3://in/"]).unwrap(),
            destinations: AllowList::new(&["s3://out/"]).unwrap(),
            callers,
            max_body: 1000,
            ..ServeOptions::default()
        };
        Service::new(options, Box::new(|_| {}), |_| Ok(Arc::new(Told))).unwrap()
    }

    /// A request by who has the token, unless `changes` say otherwise.
    fn request(method: &str, path: &str, changes: &[(&str, &str)], body: Body) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path).body(body).unwrap();
        let bearer = format!("Bearer {TOKEN}");
        let all =
            [("authorization", bearer.as_str()), ("content-type", "application/json"), ("host", "127.0.0.1")];
        for (name, value) in all.iter().chain(changes) {
            let name = axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request
    }

    /// The status, which the document has, of an answer that is as the document says.
    async fn asked(service: &Service, document: &Value, request: Request<Body>) -> String {
        let (method, path) =
            (request.method().as_str().to_ascii_lowercase(), request.uri().path().to_owned());
        let response = TowerToHyperService::new(service.router()).call(request).await.unwrap();
        let status = response.status().as_str().to_owned();
        let said = &document["paths"][&path][&method]["responses"][&status];
        assert!(said.is_object(), "{method} {path}: {status} is not in the document");
        for (name, header) in said["headers"].as_object().into_iter().flatten() {
            let value = response.headers().get(name.as_str()).map(|value| value.to_str().unwrap());
            assert!(value.is_some(), "{method} {path}: {status} without {name}");
            assert!(header["schema"]["const"].is_null() || header["schema"]["const"] == value.unwrap());
        }
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let schema = &said["content"][&kind]["schema"];
        assert!(schema.is_object(), "{method} {path}: {status} is {kind}");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        if schema["$ref"] == "#/components/schemas/Error" {
            let error: Value = serde_json::from_slice(&body).unwrap();
            let known = &document["components"]["schemas"]["Error"]["properties"];
            assert!(known["kind"]["enum"].as_array().unwrap().contains(&error["kind"]), "{error}");
            let code = error["exit_code"].as_u64().unwrap();
            assert!((2..=9).contains(&code) && error["error"].is_string(), "{error}");
            assert_eq!(error.as_object().unwrap().len(), 3, "{error}");
        }
        status
    }

    /// The statuses that the document has of each operation.
    fn documented(document: &Value) -> BTreeSet<(String, String)> {
        let paths = document["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(move |(method, what)| (format!("{method} {path}"), what))
        });
        operations
            .flat_map(|(operation, what)| {
                let statuses = what["responses"].as_object().unwrap().keys();
                statuses.map(move |status| (operation.clone(), status.clone())).collect::<Vec<_>>()
            })
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn every_status_of_every_path_is_answered_and_none_beside() {
        let service = service(Callers::Tokens(Tokens::new(TOKEN).unwrap()));
        let document: Value = serde_json::from_str(&service.0.document).unwrap();
        let mut seen = BTreeSet::new();
        let mut say = |method: &str, path: &str, expected: &str, got: String| {
            assert_eq!(got, expected, "{method} {path}");
            seen.insert((format!("{} {path}", method.to_ascii_lowercase()), got));
        };
        let job = |src: &str| json!({ "src": src, "dst": "s3://out/a.tif" }).to_string();
        for path in ["/clip", "/plan"] {
            for (src, expected) in [
                ("s3://in/done", "200"),
                ("s3://other/done", "403"),
                ("/etc/passwd", "403"),
                ("s3://in/absent", "404"),
                ("s3://in/exists", "409"),
                ("s3://in/format", "422"),
                ("s3://in/fault", "500"),
                ("s3://in/store", "502"),
                // Time passes as nothing else happens.
                ("s3://in/slow", "504"),
            ] {
                let got = asked(&service, &document, request("POST", path, &[], job(src).into())).await;
                say("post", path, expected, got);
            }
            let never = Body::from_stream(futures::stream::pending::<std::io::Result<Bytes>>());
            for (changes, body, expected) in [
                (&[][..], Body::from("[]"), "400"),
                (&[("authorization", "Bearer not-the-token")], job("s3://in/done").into(), "401"),
                (&[], never, "408"),
                (&[], Body::from(vec![b' '; 1001]), "413"),
                (&[("content-type", "text/plain")], job("s3://in/done").into(), "415"),
            ] {
                say(
                    "post",
                    path,
                    expected,
                    asked(&service, &document, request("POST", path, changes, body)).await,
                );
            }
            let taken = service.0.places.try_acquire_many(72).unwrap();
            let got =
                asked(&service, &document, request("POST", path, &[], job("s3://in/done").into())).await;
            say("post", path, "503", got);
            drop(taken);
        }
        for (path, changes, expected) in [
            ("/healthz", &[][..], "200"),
            ("/readyz", &[], "200"),
            ("/openapi.json", &[], "200"),
            ("/metrics", &[], "200"),
            ("/metrics", &[("authorization", "Bearer not-the-token")], "401"),
        ] {
            let got = asked(&service, &document, request("GET", path, changes, Body::empty())).await;
            say("get", path, expected, got);
        }
        service.0.draining.cancel();
        for path in ["/clip", "/plan"] {
            let got =
                asked(&service, &document, request("POST", path, &[], job("s3://in/done").into())).await;
            say("post", path, "503", got);
        }
        say(
            "get",
            "/readyz",
            "503",
            asked(&service, &document, request("GET", "/readyz", &[], Body::empty())).await,
        );
        say(
            "get",
            "/healthz",
            "200",
            asked(&service, &document, request("GET", "/healthz", &[], Body::empty())).await,
        );
        assert_eq!(seen, documented(&document));
    }

    #[tokio::test]
    async fn without_a_token_who_names_another_machine_is_refused() {
        let service = service(Callers::Local);
        let document: Value = serde_json::from_str(&service.0.document).unwrap();
        for (host, expected) in [("127.0.0.1:8080", "200"), ("localhost", "200"), ("evil.example", "403")] {
            let changes = [("host", host)];
            let job = json!({ "src": "s3://in/done", "dst": "s3://out/a.tif" }).to_string();
            for request in [
                request("POST", "/clip", &changes, job.clone().into()),
                request("POST", "/plan", &changes, job.into()),
                request("GET", "/metrics", &changes, Body::empty()),
            ] {
                let path = request.uri().path().to_owned();
                assert_eq!(asked(&service, &document, request).await, expected, "{path} at {host}");
            }
        }
    }
}
