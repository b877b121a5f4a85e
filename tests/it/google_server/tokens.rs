//! Who may ask: tokens of a service account (RFC 7523; Google's "Using OAuth 2.0 for Server to Server Applications").

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::conformance::listener::{Answer, Asked, answer, body, decode, with};

const KEY: &str = include_str!("test-key-not-a-secret.pem");
const KEY_ID: &str = "0123456789abcdef0123456789abcdef01234567";
const KNOWN: &str = "reader@tests.invalid";
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A user's permission, as `gcloud auth application-default login` keeps it: name and value of each field.
const USER: [(&str, &str); 3] = [
    ("client_id", "tests.apps.invalid"),
    ("client_secret", "GOCSPX-not-a-secret"),
    ("refresh_token", "1//not-a-secret"),
];

/// The tokens that are or were alive.
pub(super) struct Tokens {
    public: UnparsedPublicKey<Vec<u8>>,
    url: String,
    life: Duration,
    /// Until when each token lives: from when it was issued or, when the account has signed it itself, seen first.
    alive: HashMap<String, Instant>,
    expired: usize,
}

impl Tokens {
    pub(super) fn new(life: Duration) -> Self {
        let der = KEY.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        Self {
            public: UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public),
            url: String::new(),
            life,
            alive: HashMap::new(),
            expired: 0,
        }
    }

    pub(super) fn set_url(&mut self, url: &str) {
        url.clone_into(&mut self.url);
    }

    pub(super) fn service_account(&self, email: &str) -> String {
        json!({
            "type": "service_account",
            "project_id": "tests",
            "private_key_id": KEY_ID,
            "private_key": KEY,
            "client_email": email,
            "client_id": "1",
            "token_uri": format!("{}/token", self.url),
        })
        .to_string()
    }

    pub(super) fn user(&self) -> String {
        let mut file = json!({ "type": "authorized_user", "token_uri": format!("{}/token", self.url) });
        for (name, value) in USER {
            file[name] = value.into();
        }
        file.to_string()
    }

    pub(super) fn seen(&self) -> usize {
        self.alive.len()
    }

    pub(super) fn expired(&self) -> usize {
        self.expired
    }

    /// The token endpoint.
    pub(super) fn issue(&mut self, asked: &Asked) -> Answer {
        let form = std::str::from_utf8(&asked.body).unwrap_or_default();
        let field = |name: &str| {
            let value = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
            Some(decode(&value.replace('+', " ")))
        };
        let refused = |why: &str| {
            let text = json!({"error": "invalid_grant", "error_description": why}).to_string();
            with(body(answer(400), text), "content-type", "application/json")
        };
        if asked.method != "POST" {
            return refused("POST is expected");
        }
        match field("grant_type").as_deref() {
            Some(JWT_GRANT) => match self.claims(&field("assertion").unwrap_or_default()) {
                Err(why) => return refused(why),
                Ok(claims) if claims["aud"] != format!("{}/token", self.url) => {
                    return refused("the audience is another");
                }
                Ok(_) => {}
            },
            Some("refresh_token")
                if USER.iter().all(|(name, value)| field(name).as_deref() == Some(*value)) => {}
            _ => return refused("the grant is unknown"),
        }
        let token = format!("ya29.tests-{}-{:x}", self.alive.len(), random());
        self.alive.insert(token.clone(), Instant::now() + self.life);
        // It says an hour: how the client takes a refusal is what is tested.
        let text = json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"});
        with(body(answer(200), text.to_string()), "content-type", "application/json")
    }

    /// The claims of a JWT that the known account has signed and that is in its time.
    fn claims(&self, jwt: &str) -> Result<Value, &'static str> {
        let (message, signature) = jwt.rsplit_once('.').ok_or("no JWT")?;
        let (header, claims) = message.split_once('.').ok_or("no JWT")?;
        let part = |text: &str| -> Option<Value> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
        };
        let (header, claims) = (part(header).ok_or("no header")?, part(claims).ok_or("no claims")?);
        if header["alg"] != "RS256" || header["kid"] != KEY_ID {
            return Err("another algorithm or key");
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_broken| "no signature")?;
        self.public.verify(message.as_bytes(), &signature).map_err(|_wrong| "the signature is wrong")?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let (from, until) = (claims["iat"].as_u64().unwrap_or(u64::MAX), claims["exp"].as_u64().unwrap_or(0));
        if from > now + 60 || until <= now || until - from > 3600 {
            return Err("it is not valid now, or for longer than an hour");
        }
        if claims["iss"] == KNOWN { Ok(claims) } else { Err("another account") }
    }

    /// Whether data may be had for this token; else status and error code.
    pub(super) fn check(&mut self, bearer: Option<&str>) -> Result<(), (u16, &'static str)> {
        let Some(bearer) = bearer.filter(|bearer| !bearer.is_empty()) else {
            return Err((403, "AccessDenied"));
        };
        match self.alive.get(bearer) {
            Some(until) if Instant::now() < *until => return Ok(()),
            Some(_) => {
                self.expired += 1;
                return Err((401, "AuthenticationRequired"));
            }
            None => {}
        }
        // Signed by the account itself: for a scope, or for this service.
        let claims = self.claims(bearer).map_err(|_why| (401, "AuthenticationRequired"))?;
        let scope = claims["scope"].as_str().unwrap_or_default();
        let scoped = scope.contains("/auth/devstorage.") || scope.contains("/auth/cloud-platform");
        let meant = claims["aud"] == "https://storage.googleapis.com/";
        if !scoped && !meant {
            return Err((403, "AccessDenied"));
        }
        self.alive.insert(bearer.to_owned(), Instant::now() + self.life);
        Ok(())
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).unwrap();
    u64::from_be_bytes(bytes)
}
