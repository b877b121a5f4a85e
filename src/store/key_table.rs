//! Every key of the configuration, with its names and its meaning: docs/stores.md is made from it.

use Of::{Azure, Client, Google, S3, Web};
use Value::{Choice, Duration, Flag, Header, Key32, Number, Payer, Region, Secret, Text, Url, Void};

/// Whom a key concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    S3,
    Google,
    Azure,
    /// `http://` and `https://`.
    Web,
    /// Connections to any of them.
    Client,
}

/// What its value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text,
    /// Text that a header can carry: printable ASCII.
    Secret,
    /// true or false.
    Flag,
    /// http:// or https://.
    Url,
    /// Letters, digits and '-'.
    Region,
    /// `30s`, `500ms`, `2m`.
    Duration,
    Number,
    Choice(&'static [&'static str]),
    /// `Name: value`.
    Header,
    /// 32 bytes in base64.
    Key32,
    /// requester, true or false.
    Payer,
    /// Anything: it has no effect here.
    Void,
}

/// A key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) of: Of,
    /// The first is the one that messages and documentation use. Those that begin with `aws_`, `google_` and `azure_` are
    /// variables of the environment too, in capitals.
    pub(crate) names: &'static [&'static str],
    pub(crate) value: Value,
    #[cfg_attr(not(test), expect(dead_code, reason = "docs/stores.md is held to it by a test"))]
    pub(crate) meaning: &'static str,
}

const fn key(of: Of, names: &'static [&'static str], value: Value, meaning: &'static str) -> Key {
    Key { of, names, value, meaning }
}

#[rustfmt::skip]
pub(crate) const KEYS: &[Key] = &[
    key(S3, &["aws_access_key_id", "access_key_id"], Secret, "Access key."),
    key(S3, &["aws_secret_access_key", "secret_access_key"], Secret, "Secret key of the access key."),
    key(S3, &["aws_session_token", "aws_token", "session_token", "token"], Secret, "Token of temporary keys."),
    key(S3, &["aws_profile", "profile"], Text, "Profile of ~/.aws/config and ~/.aws/credentials. As a key it wins over keys of the environment; AWS_PROFILE does not, as in the AWS CLI."),
    key(S3, &["aws_config_file"], Text, "Path of the configuration file; ~/.aws/config if not given."),
    key(S3, &["aws_shared_credentials_file"], Text, "Path of the credentials file; ~/.aws/credentials if not given."),
    key(S3, &["aws_ca_bundle", "ca_bundle"], Text, "File of root certificates (PEM) that are trusted for S3 and the services of AWS, and no others; else ca_bundle of the profile, SSL_CERT_FILE, or the system's."),
    key(S3, &["aws_region", "region"], Region, "Region of the bucket; us-east-1 if not given."),
    key(S3, &["aws_default_region", "default_region"], Region, "Region, where aws_region is not given."),
    key(S3, &["aws_endpoint_url_s3"], Url, "Endpoint of S3; wins over aws_endpoint."),
    key(S3, &["aws_endpoint", "aws_endpoint_url", "endpoint_url", "endpoint"], Url, "Endpoint of what speaks like S3 (MinIO, Ceph, R2, …)."),
    key(S3, &["aws_virtual_hosted_style_request", "virtual_hosted_style_request"], Flag, "The bucket is part of the host name (true: default without an endpoint) or of the path (false: default with one)."),
    key(S3, &["aws_use_fips_endpoint"], Flag, "Endpoints with validated cryptography."),
    key(S3, &["aws_use_dualstack_endpoint"], Flag, "Endpoints that have IPv6 too."),
    key(S3, &["aws_ignore_configured_endpoint_urls"], Flag, "Endpoints of the environment and of the configuration file do not count."),
    key(S3, &["aws_skip_signature", "skip_signature", "aws_no_sign_request", "no_sign_request"], Flag, "Requests are anonymous: for public buckets."),
    key(S3, &["aws_request_payer", "request_payer"], Payer, "requester: who reads pays."),
    key(S3, &["aws_unsigned_payload", "unsigned_payload"], Flag, "The body is not part of the signature."),
    key(S3, &["checksum", "aws_checksum_algorithm", "checksum_algorithm"], Choice(&["md5", "sha256", "crc64nvme", "none"]), "Checksum that is sent with what is written; md5 if not given."),
    key(S3, &["contiguous_parts"], Flag, "The store wants the parts of an upload numbered without gaps; large outputs take more memory then."),
    key(S3, &["aws_conditional_put", "conditional_put"], Choice(&["etag", "disabled"]), "disabled: the store does not know If-None-Match, and whether an object exists is asked before."),
    key(S3, &["aws_server_side_encryption", "server_side_encryption"], Choice(&["AES256", "aws:kms", "aws:kms:dsse", "sse-c"]), "Encryption of what is written, by the store."),
    key(S3, &["aws_sse_kms_key_id", "sse_kms_key_id"], Secret, "KMS key for aws:kms and aws:kms:dsse; the bucket's if not given."),
    key(S3, &["aws_sse_bucket_key_enabled", "sse_bucket_key_enabled"], Flag, "One data key for the bucket (aws:kms)."),
    key(S3, &["aws_sse_customer_key_base64", "sse_customer_key_base64"], Key32, "Key of sse-c: 32 bytes in base64. It reads and writes."),
    key(S3, &["aws_role_arn", "role_arn"], Text, "Role that is taken with the web identity token."),
    key(S3, &["aws_role_session_name", "role_session_name"], Text, "Name of the session of that role."),
    key(S3, &["aws_web_identity_token_file", "web_identity_token_file"], Text, "File with the web identity token (EKS IRSA, OIDC of CI services)."),
    key(S3, &["aws_endpoint_url_sts", "endpoint_url_sts", "sts_endpoint"], Url, "Endpoint of STS, which roles are asked of."),
    key(S3, &["aws_endpoint_url_sso", "sso_endpoint"], Url, "Endpoint of the portal of IAM Identity Center."),
    key(S3, &["aws_container_credentials_relative_uri", "container_credentials_relative_uri"], Text, "Path of the credentials of an ECS task."),
    key(S3, &["aws_container_credentials_full_uri", "container_credentials_full_uri"], Text, "URL of the credentials of a container (EKS Pod Identity)."),
    key(S3, &["aws_container_authorization_token"], Secret, "Token for that URL."),
    key(S3, &["aws_container_authorization_token_file", "container_authorization_token_file"], Text, "File with the token for that URL."),
    key(S3, &["aws_container_endpoint", "container_endpoint"], Url, "Where the path of an ECS task is; http://169.254.170.2 if not given."),
    key(S3, &["aws_metadata_endpoint", "metadata_endpoint", "aws_ec2_metadata_service_endpoint"], Url, "Metadata service of EC2; http://169.254.169.254 if not given."),
    key(S3, &["aws_ec2_metadata_service_endpoint_mode"], Choice(&["IPv4", "IPv6"]), "Which of its addresses is used."),
    key(S3, &["aws_ec2_metadata_disabled"], Flag, "The metadata service of EC2 is not asked."),
    key(S3, &["aws_imdsv1_fallback", "imdsv1_fallback"], Flag, "Its old version is used where it refuses tokens."),
    key(S3, &["aws_s3_express", "s3_express"], Flag, "Not supported: directory buckets."),
    key(S3, &["aws_bucket", "aws_bucket_name", "bucket_name", "bucket"], Void, "No effect: the URL names the bucket."),
    key(S3, &["aws_copy_if_not_exists", "copy_if_not_exists"], Void, "No effect: nothing is copied."),
    key(S3, &["aws_disable_tagging", "disable_tagging"], Void, "No effect: nothing is tagged."),
    key(S3, &["aws_disable_bulk_delete", "disable_bulk_delete"], Void, "No effect: objects are deleted one by one."),

    key(Google, &["google_service_account", "service_account", "google_service_account_path", "service_account_path"], Text, "Path of the JSON key of a service account."),
    key(Google, &["google_service_account_key", "service_account_key"], Text, "JSON key of a service account itself."),
    key(Google, &["google_application_credentials", "application_credentials"], Text, "Path of credentials: a service account, a user's (gcloud auth application-default login), or a workload identity federation."),
    key(Google, &["google_bearer_token", "bearer_token"], Secret, "OAuth token; it is not renewed."),
    key(Google, &["google_skip_signature", "skip_signature"], Flag, "Requests are anonymous: for public buckets."),
    key(Google, &["google_base_url", "base_url"], Url, "Endpoint; https://storage.googleapis.com if not given."),
    key(Google, &["google_user_project", "google_cloud_quota_project", "user_project"], Secret, "Project that pays for requests to a requester-pays bucket."),
    key(Google, &["google_metadata_host"], Text, "Host, or host:port, of the metadata service; metadata.google.internal if not given."),
    key(Google, &["google_bucket", "google_bucket_name", "bucket", "bucket_name"], Void, "No effect: the URL names the bucket."),

    key(Azure, &["azure_storage_account_name", "account_name", "azure_storage_account"], Text, "Storage account; an abfss:// URL may name it. A key or SAS that is given with one account is not sent to another."),
    key(Azure, &["azure_storage_account_key", "azure_storage_access_key", "azure_storage_key", "azure_storage_master_key", "master_key", "account_key", "access_key"], Secret, "Key of the account, in base64."),
    key(Azure, &["azure_storage_connection_string", "connection_string"], Text, "Account, key or SAS, and endpoint in one."),
    key(Azure, &["azure_storage_sas_token", "azure_storage_sas_key", "sas_key", "sas_token"], Secret, "Shared access signature."),
    key(Azure, &["azure_storage_token", "bearer_token", "token"], Secret, "OAuth token; it is not renewed."),
    key(Azure, &["azure_storage_client_id", "azure_client_id", "client_id"], Text, "Client of a service principal, a workload identity or a managed identity."),
    key(Azure, &["azure_storage_client_secret", "azure_client_secret", "client_secret"], Secret, "Secret of the service principal."),
    key(Azure, &["azure_storage_tenant_id", "azure_storage_authority_id", "azure_tenant_id", "azure_authority_id", "tenant_id", "authority_id"], Text, "Tenant."),
    key(Azure, &["azure_storage_authority_host", "azure_authority_host", "authority_host"], Url, "Who hands out tokens; https://login.microsoftonline.com if not given."),
    key(Azure, &["azure_federated_token_file", "federated_token_file"], Text, "File with the token of a workload identity (AKS)."),
    key(Azure, &["azure_client_certificate_path"], Void, "Not supported: use a secret or a workload identity."),
    key(Azure, &["azure_use_azure_cli", "use_azure_cli"], Flag, "Asks `az account get-access-token`."),
    key(Azure, &["azure_credential_type", "credential_type"], Choice(&["auto", "bearer_token", "access_key", "client_secret", "workload_identity", "sas_token", "azure_cli", "managed_identity"]), "Which of the credentials is used; auto if not given."),
    key(Azure, &["azure_msi_endpoint", "azure_identity_endpoint", "identity_endpoint", "msi_endpoint"], Url, "Where a managed identity is asked for."),
    key(Azure, &["azure_object_id", "object_id"], Text, "Object of a managed identity."),
    key(Azure, &["azure_msi_resource_id", "msi_resource_id"], Text, "Resource of a managed identity."),
    key(Azure, &["azure_storage_endpoint", "azure_endpoint", "endpoint"], Url, "Endpoint; https://ACCOUNT.blob.core.windows.net if not given. Needed for an abfss:// URL whose host is none of Azure's."),
    key(Azure, &["azure_storage_use_emulator", "use_emulator"], Flag, "Azurite at http://127.0.0.1:10000, or where AZURITE_BLOB_STORAGE_URL says."),
    key(Azure, &["azure_skip_signature", "skip_signature"], Flag, "Requests are anonymous: for public containers."),
    key(Azure, &["azure_storage_encryption_key", "encryption_key"], Key32, "Customer-provided key: 32 bytes in base64. It reads and writes."),
    key(Azure, &["azure_use_fabric_endpoint", "use_fabric_endpoint"], Flag, "Endpoint of OneLake: https://ACCOUNT.blob.fabric.microsoft.com."),
    key(Azure, &["azure_fabric_token_service_url", "fabric_token_service_url"], Void, "Not supported: tokens of a Fabric notebook."),
    key(Azure, &["azure_fabric_workload_host", "fabric_workload_host"], Void, "Not supported, as above."),
    key(Azure, &["azure_fabric_session_token", "fabric_session_token"], Void, "Not supported, as above."),
    key(Azure, &["azure_fabric_cluster_identifier", "fabric_cluster_identifier"], Void, "Not supported, as above."),
    key(Azure, &["azure_container_name", "container_name"], Void, "No effect: the URL names the container."),
    key(Azure, &["azure_disable_tagging", "disable_tagging"], Void, "No effect: nothing is tagged."),

    key(Web, &["http_user"], Text, "User of basic authentication; the URL may name it."),
    key(Web, &["http_password"], Text, "Password of basic authentication."),
    key(Web, &["http_bearer_token"], Secret, "Token of bearer authentication."),
    key(Web, &["http_header"], Header, "A further header, `Name: value`; may be given several times. Like all of these it is sent to the URL's own server only, not to where that redirects."),
    key(Web, &["http_origin"], Url, "Server that the four keys above are for, such as https://host:8443; may be given several times. Others are asked without them. If not given, they are for the first web server that is read, and one on another host is an error."),
    key(Web, &["allow_redirects"], Flag, "true: redirections to other hosts are followed; those within a host are in any case."),

    key(Client, &["allow_http"], Flag, "No effect: an http:// endpoint is taken as it is."),
    key(Client, &["allow_invalid_certificates"], Flag, "Certificates are not checked: for tests."),
    key(Client, &["disable_system_certificates"], Flag, "The system's root certificates are not trusted, Mozilla's are."),
    key(Client, &["connect_timeout"], Duration, "How long connecting may take."),
    key(Client, &["read_timeout"], Duration, "How long a connection may be silent."),
    key(Client, &["timeout"], Duration, "How long one try of a request may take in all; there is no limit if not given."),
    key(Client, &["default_content_type"], Void, "No effect: what is written has the content type of its format."),
    key(Client, &["user_agent"], Secret, "Name that is told to servers."),
    key(Client, &["http1_only"], Flag, "HTTP/1.1 only."),
    key(Client, &["http2_only"], Flag, "HTTP/2 only."),
    key(Client, &["http2_keep_alive_interval"], Duration, "Time between pings of HTTP/2."),
    key(Client, &["http2_keep_alive_timeout"], Duration, "How long a ping may stay unanswered."),
    key(Client, &["http2_keep_alive_while_idle"], Flag, "Pings go on without requests."),
    key(Client, &["http2_max_frame_size"], Number, "Bytes of a frame of HTTP/2."),
    key(Client, &["pool_idle_timeout"], Duration, "How long unused connections are kept."),
    key(Client, &["pool_max_idle_per_host"], Number, "How many unused connections are kept."),
    key(Client, &["proxy_url"], Url, "Proxy for all requests; wins over HTTPS_PROXY and HTTP_PROXY."),
    key(Client, &["proxy_ca_certificate"], Text, "Certificate of the proxy, PEM."),
    key(Client, &["proxy_excludes"], Text, "Hosts without proxy, as in NO_PROXY: names with all below them, addresses, networks, host:port, or * for all."),
    key(Client, &["randomize_addresses"], Flag, "The addresses of a host are tried in random order."),
];
