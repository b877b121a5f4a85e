//! Which of the places where keys for AWS can be is the one that counts.
//!
//! The order is that of the AWS SDKs ("Standardized credential providers" of the AWS SDKs and Tools Reference Guide): keys that
//! were given, the environment, a web identity, the profile, the container, the instance. A profile that was given as a key wins
//! over the environment, as `--profile` of the AWS CLI does; one that AWS_PROFILE names does not
//! (botocore, `create_credential_resolver`).

use std::fmt::Write;
use std::path::PathBuf;

use sha1::{Digest, Sha1};
use url::Url;

use super::aws_config::{Files, Settings};
use super::aws_fetch::{Keys, Role, Source, Sso, keys, process_words};
use super::keys::{Given, flag, is_region, web_url};
use super::text_file::expand;
use crate::error::{Error, Result};

/// Where the credential service of a task of ECS is.
const ECS: &str = "http://169.254.170.2";
/// Where the metadata service of EC2 is.
const IMDS: &str = "http://169.254.169.254";
const IMDS_6: &str = "http://[fd00:ec2::254]";

/// What the user and the files say of AWS.
pub(crate) struct Aws<'a> {
    pub(crate) given: Given<'a>,
    pub(crate) files: Files,
    /// The settings of the profile; none when there is no default one.
    pub(crate) profile: Settings,
    name: String,
    pub(crate) region: String,
}

impl<'a> Aws<'a> {
    /// Reads the files and finds the profile and the region.
    ///
    /// # Errors
    /// Those of [`Files::load`]; [`crate::ErrorKind::Usage`] for a profile that is not there or a region that can be none.
    pub(crate) fn load(given: Given<'a>) -> Result<Self> {
        let files = Files::load(given)?;
        let named = given.any("aws_profile").or_else(|| given.variable("AWS_DEFAULT_PROFILE"));
        let name = named.unwrap_or("default").to_owned();
        let profile = match files.profiles.get(&name) {
            Some(profile) => profile.clone(),
            None if name == "default" => Settings::new(),
            None => return Err(missing(&files, &name)),
        };
        let pair = given.pair("aws_region").or_else(|| given.pair("aws_default_region"));
        let environment =
            || given.environment("aws_region").or_else(|| given.environment("aws_default_region"));
        let region = pair.or_else(environment).or_else(|| profile.get("region").map(String::as_str));
        let region = region.unwrap_or("us-east-1").to_owned();
        if !is_region(&region) {
            return Err(Error::usage(
                "the region (aws_region, AWS_REGION, AWS_DEFAULT_REGION, or region of the profile) must be a name of \
                 letters, digits and '-', such as eu-central-1",
            ));
        }
        Ok(Self { given, files, profile, name, region })
    }

    /// Whether a setting of the environment or of the profile is true.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when it is neither true nor false.
    pub(crate) fn flag(&self, key: &str, setting: &str) -> Result<bool> {
        if let Some(value) = self.given.flag(key)? {
            return Ok(value);
        }
        let Some(value) = self.profile.get(setting) else { return Ok(false) };
        flag(value)
            .ok_or_else(|| Error::usage(format!("profile {}: {setting} must be true or false", self.name)))
    }

    /// The endpoint of a service from the environment or the profile, unless these are to be ignored.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for what is not a URL of http or https.
    pub(crate) fn configured_endpoint(&self, variable: &str, service: &str) -> Result<Option<Url>> {
        if self.flag("aws_ignore_configured_endpoint_urls", "ignore_configured_endpoint_urls")? {
            return Ok(None);
        }
        for name in [variable, "AWS_ENDPOINT_URL"] {
            if let Some(value) = self.given.variable(name) {
                return web_url(value, name).map(Some);
            }
        }
        let of_service = self.files.service(&self.profile, service);
        let value = of_service.get("endpoint_url").or_else(|| self.profile.get("endpoint_url"));
        value.map(|value| web_url(value, "endpoint_url of the profile")).transpose()
    }

    /// Where keys come from. Nothing is asked yet.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for half a pair of keys, or a profile that lacks something;
    /// [`crate::ErrorKind::Unsupported`] for one that asks for a code.
    pub(crate) fn source(&self) -> Result<Source> {
        let given = self.given;
        if let Some(keys) = self.given_keys()? {
            return Ok(Source::Static(keys));
        }
        if given.pair("aws_profile").is_none() {
            if let Some(keys) = self.environment_keys()? {
                return Ok(Source::Static(keys));
            }
            if let Some(source) = self.web_identity()? {
                return Ok(source);
            }
        }
        if let Some(source) = self.of_profile(&self.name, &mut Vec::new())? {
            return Ok(source);
        }
        // A web identity that was given as keys beside a profile without credentials.
        if let Some(source) = self.web_identity()? {
            return Ok(source);
        }
        if let Some(source) = self.container()? {
            return Ok(source);
        }
        self.instance()
    }

    fn given_keys(&self) -> Result<Option<Keys>> {
        let (id, secret) = (self.given.pair("aws_access_key_id"), self.given.pair("aws_secret_access_key"));
        if id.is_none() && secret.is_none() {
            return Ok(None);
        }
        // One of the two may be in the environment; a token there belongs to the key there.
        let token = self
            .given
            .pair("aws_session_token")
            .or_else(|| id.is_none().then(|| self.given.environment("aws_session_token")).flatten());
        let id = id.or_else(|| self.given.environment("aws_access_key_id"));
        let secret = secret.or_else(|| self.given.environment("aws_secret_access_key"));
        both(id, secret, token, "the store options").map(Some)
    }

    fn environment_keys(&self) -> Result<Option<Keys>> {
        let id = self.given.environment("aws_access_key_id");
        let secret = self.given.environment("aws_secret_access_key");
        if id.is_none() && secret.is_none() {
            return Ok(None);
        }
        let token = self.given.environment("aws_session_token");
        let token = token.or_else(|| self.given.variable("AWS_SECURITY_TOKEN"));
        both(id, secret, token, "the environment").map(Some)
    }

    fn web_identity(&self) -> Result<Option<Source>> {
        let (Some(file), Some(arn)) =
            (self.given.any("aws_web_identity_token_file"), self.given.any("aws_role_arn"))
        else {
            return Ok(None);
        };
        let session = self.given.any("aws_role_session_name").map(str::to_owned);
        let role = self.role(arn, session, &Settings::new())?;
        Ok(Some(Source::WebIdentity { token_file: expand(self.given, file), role }))
    }

    /// What a profile says; `visited` are those that led here by source_profile.
    fn of_profile(&self, name: &str, visited: &mut Vec<String>) -> Result<Option<Source>> {
        let Some(profile) = self.files.profiles.get(name) else {
            return if visited.is_empty() { Ok(None) } else { Err(missing(&self.files, name)) };
        };
        let get = |setting: &str| profile.get(setting).map(String::as_str).filter(|value| !value.is_empty());
        let own_keys = || {
            let (id, secret) = (get("aws_access_key_id"), get("aws_secret_access_key"));
            if id.is_none() && secret.is_none() {
                return Ok(None);
            }
            both(id, secret, get("aws_session_token"), &format!("profile {name}"))
                .map(|keys| Some(Source::Static(keys)))
        };
        // As the source of a role, a profile's own keys count before its own role: it may even name itself.
        if !visited.is_empty()
            && let Some(source) = own_keys()?
        {
            return Ok(Some(source));
        }
        if visited.iter().any(|seen| seen == name) {
            return Err(Error::usage(format!("profile {name} leads back to itself by source_profile")));
        }
        if let Some(arn) = get("role_arn") {
            let session = get("role_session_name").map(str::to_owned);
            let role = self.role(arn, session, profile)?;
            if let Some(file) = get("web_identity_token_file") {
                return Ok(Some(Source::WebIdentity { token_file: expand(self.given, file), role }));
            }
            if get("mfa_serial").is_some() {
                return Err(Error::unsupported(format!(
                    "profile {name} asks for a code (mfa_serial), which cannot be given here; export temporary keys with \
                     `aws configure export-credentials`"
                )));
            }
            let source = match (get("source_profile"), get("credential_source")) {
                (Some(source), None) => {
                    visited.push(name.to_owned());
                    self.of_profile(source, visited)?.ok_or_else(|| {
                        Error::usage(format!(
                            "profile {source}, the source of profile {name}, has no credentials"
                        ))
                    })?
                }
                (None, Some(place)) => self.credential_source(place, name)?,
                (Some(_), Some(_)) => {
                    return Err(Error::usage(format!(
                        "profile {name} has both source_profile and credential_source"
                    )));
                }
                (None, None) => {
                    return Err(Error::usage(format!(
                        "profile {name} has a role_arn, but neither source_profile, credential_source nor \
                         web_identity_token_file"
                    )));
                }
            };
            return Ok(Some(Source::Role { source: Box::new(source), role }));
        }
        if get("sso_session").is_some() || get("sso_start_url").is_some() {
            return self.sso(name, profile).map(Some);
        }
        if let Some(source) = own_keys()? {
            return Ok(Some(source));
        }
        if let Some(line) = get("credential_process") {
            let words = process_words(line, name)?;
            return Ok(Some(Source::Process { words, profile: name.to_owned() }));
        }
        Ok(None)
    }

    fn credential_source(&self, place: &str, name: &str) -> Result<Source> {
        let found = match place {
            "Environment" => self.environment_keys()?.map(Source::Static),
            "EcsContainer" => self.container()?,
            "Ec2InstanceMetadata" => Some(self.instance()?),
            _ => {
                return Err(Error::usage(format!(
                    "profile {name}: credential_source must be Environment, EcsContainer or Ec2InstanceMetadata"
                )));
            }
        };
        found.ok_or_else(|| {
            Error::usage(format!(
                "profile {name}: there are no credentials where credential_source says: {place}"
            ))
        })
    }

    fn role(&self, arn: &str, session: Option<String>, profile: &Settings) -> Result<Role> {
        let sts = match self.given.pair("aws_endpoint_url_sts") {
            Some(value) => web_url(value, "aws_endpoint_url_sts")?,
            None => match self.configured_endpoint("AWS_ENDPOINT_URL_STS", "sts")? {
                Some(url) => url,
                None => service_url("sts", &self.region)?,
            },
        };
        let seconds = profile.get("duration_seconds").map(|value| value.parse::<u32>());
        let seconds = seconds.transpose().map_err(|_cause| {
            Error::usage(format!("profile {}: duration_seconds must be a whole number", self.name))
        })?;
        Ok(Role {
            arn: arn.to_owned(),
            session,
            external_id: profile.get("external_id").cloned(),
            seconds,
            sts,
            region: self.region.clone(),
        })
    }

    fn sso(&self, name: &str, profile: &Settings) -> Result<Source> {
        let session = profile.get("sso_session");
        let settings = match session {
            Some(session) => self.files.sso_sessions.get(session).ok_or_else(|| {
                Error::usage(format!("profile {name}: there is no section [sso-session {session}]"))
            })?,
            None => profile,
        };
        let need = |settings: &Settings, setting: &str| {
            let value = settings.get(setting).filter(|value| !value.is_empty()).cloned();
            value.ok_or_else(|| Error::usage(format!("profile {name}: {setting} is missing")))
        };
        let start = need(settings, "sso_start_url")?;
        let region = need(settings, "sso_region")?;
        if !is_region(&region) {
            return Err(Error::usage(format!("profile {name}: sso_region can be no region")));
        }
        let portal = match self.given.url("aws_endpoint_url_sso")? {
            Some(url) => url,
            None => service_url("portal.sso", &region)?,
        };
        let hash = Sha1::digest(session.unwrap_or(&start).as_bytes());
        let file = hash.iter().fold(String::new(), |mut name, byte| {
            // It cannot fail on a text.
            _ = write!(name, "{byte:02x}");
            name
        });
        let home = self.given.home().ok_or_else(|| {
            Error::usage(format!(
                "profile {name}: the sign-in is kept in the home folder, and HOME is not known"
            ))
        })?;
        let token_file =
            PathBuf::from(home).join(".aws").join("sso").join("cache").join(format!("{file}.json"));
        Ok(Source::Sso(Sso {
            profile: name.to_owned(),
            portal,
            account: need(profile, "sso_account_id")?,
            role: need(profile, "sso_role_name")?,
            token_file,
        }))
    }

    fn container(&self) -> Result<Option<Source>> {
        let given = self.given;
        let token_file = given.any("aws_container_authorization_token_file").map(|path| expand(given, path));
        let token = given.any("aws_container_authorization_token").map(str::to_owned);
        let url = if let Some(path) = given.any("aws_container_credentials_relative_uri") {
            let base = given.url("aws_container_endpoint")?.map_or_else(|| Url::parse(ECS), Ok);
            let joined = base.and_then(|base| base.join(path)).ok().filter(|_| path.starts_with('/'));
            let host = given.url("aws_container_endpoint")?;
            let expected = host.as_ref().map_or(Some("169.254.170.2"), Url::host_str);
            // `//host/path` would be another host.
            joined.filter(|url| url.host_str() == expected)
        } else if let Some(url) = given.any("aws_container_credentials_full_uri") {
            Url::parse(url).ok().filter(may_have_token)
        } else {
            return Ok(None);
        };
        let url = url.ok_or_else(|| {
            Error::usage(
                "the URL of the container's credentials (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, a path, or \
                 AWS_CONTAINER_CREDENTIALS_FULL_URI, https or an address of the machine or its container service) cannot be \
                 used",
            )
        })?;
        Ok(Some(Source::Container { url, token, token_file }))
    }

    fn instance(&self) -> Result<Source> {
        if self.given.flag("aws_ec2_metadata_disabled")? == Some(true) {
            return Ok(Source::Nothing);
        }
        let of_profile = || {
            let value = self.profile.get("ec2_metadata_service_endpoint");
            value.map(|value| web_url(value, "ec2_metadata_service_endpoint of the profile")).transpose()
        };
        let endpoint = match self.given.url("aws_metadata_endpoint")? {
            Some(url) => Some(url),
            None => of_profile()?,
        };
        let endpoint = if let Some(url) = endpoint {
            url
        } else {
            let mode = self.given.choice("aws_ec2_metadata_service_endpoint_mode")?;
            let of_profile = self.profile.get("ec2_metadata_service_endpoint_mode").map(String::as_str);
            let is_6 = mode.or(of_profile).is_some_and(|mode| mode.eq_ignore_ascii_case("IPv6"));
            web_url(if is_6 { IMDS_6 } else { IMDS }, "aws_metadata_endpoint")?
        };
        let fallback = self.given.flag("aws_imdsv1_fallback")? == Some(true);
        Ok(Source::Instance { endpoint, fallback })
    }
}

fn missing(files: &Files, name: &str) -> Error {
    let searched: Vec<String> = files.searched.iter().map(|path| path.display().to_string()).collect();
    let searched =
        if searched.is_empty() { "no file: HOME is not known".to_owned() } else { searched.join(" or ") };
    Error::usage(format!("there is no profile {name} in {searched}"))
}

fn both(id: Option<&str>, secret: Option<&str>, token: Option<&str>, whose: &str) -> Result<Keys> {
    match (id, secret) {
        (Some(id), Some(secret)) => keys(id, secret, token, whose),
        (Some(_), None) => {
            Err(Error::usage(format!("{whose}: an access key without its secret (aws_secret_access_key)")))
        }
        _ => Err(Error::usage(format!("{whose}: a secret without its access key (aws_access_key_id)"))),
    }
}

/// Whether the token of a container may be sent there: TLS, this machine, or the addresses of ECS and EKS
/// (AWS SDKs and Tools Reference Guide, "Container credential provider").
fn may_have_token(url: &Url) -> bool {
    let known = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];
    super::exchange::is_private(url)
        || (url.scheme() == "http" && url.host_str().is_some_and(|host| known.contains(&host)))
}

/// `https://SERVICE.REGION.amazonaws.com` in the partition of the region.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a region of which no host name can be made.
pub(crate) fn service_url(service: &str, region: &str) -> Result<Url> {
    let url = Url::parse(&format!("https://{service}.{region}.{}", suffix(region)));
    url.map_err(|cause| Error::usage("no host name can be made of the region").caused_by(cause))
}

/// The domain of a region's partition.
pub(crate) fn suffix(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "amazonaws.com.cn",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ if region.starts_with("eusc-") => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}
