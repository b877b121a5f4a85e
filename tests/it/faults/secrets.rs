//! What no run may print, in whatever form. All of it is made up.

use super::run::Done;

pub(crate) const ACCESS_KEY: &str = "AKIAPLANTED0ACCESS0K";
pub(crate) const SECRET_KEY: &str = "plantedSecretKey/with+odd=characters/0123";
pub(crate) const SESSION_TOKEN: &str = "plantedSessionToken//IQoJb3JpZ2luX2Vj+Eplanted==";
pub(crate) const CUSTOMER_KEY: &[u8; 32] = b"planted-sse-c-key-32-bytes-long!";
pub(crate) const POD_TOKEN: &str = "plantedPodToken0123456789";
pub(crate) const BEARER: &str = "ya29.plantedGoogleBearerToken-0123";
pub(crate) const SAS: &str =
    "sv=2024-11-04&ss=b&srt=co&sp=rwdlac&se=2099-01-01T00%3A00%3A00Z&sig=plantedSasSignature%2Bab%3D";
pub(crate) const ACCOUNT_KEY: &[u8] = b"planted azure account key, as many bytes as Azure's have: 64....";
pub(crate) const IDENTITY_HEADER: &str = "plantedIdentityHeader0123";
pub(crate) const USER: &str = "planteduser";
pub(crate) const PASSWORD: &str = "plantedPassw0rd";
pub(crate) const PRESIGNED: &str =
    "X-Amz-Credential=PLANTEDCREDENTIAL%2F20260101&X-Amz-Signature=plantedpresignedsignature0011223344";
pub(crate) const FIRST_TOKEN: &str = "plantedFirstToken0123456789";
pub(crate) const SECOND_TOKEN: &str = "plantedSecondToken0123456789";

/// Every secret as it is, percent-encoded, and in base64, also of a longer text in which it stands.
pub(crate) fn forms() -> Vec<String> {
    let mut secrets: Vec<String> = [
        ACCESS_KEY,
        SECRET_KEY,
        SESSION_TOKEN,
        POD_TOKEN,
        BEARER,
        SAS,
        "plantedSasSignature+ab=",
        IDENTITY_HEADER,
        PASSWORD,
        USER,
        PRESIGNED,
        "PLANTEDCREDENTIAL",
        "plantedpresignedsignature0011223344",
        FIRST_TOKEN,
        SECOND_TOKEN,
    ]
    .map(str::to_owned)
    .to_vec();
    secrets.push(String::from_utf8(CUSTOMER_KEY.to_vec()).unwrap());
    secrets.push(String::from_utf8(ACCOUNT_KEY.to_vec()).unwrap());
    secrets.push(format!("{USER}:{PASSWORD}"));
    // The word that stands in all of them: whatever is cut off of a secret, this part of it is too.
    for word in ["planted", "Planted", "PLANTED"] {
        secrets.push(word.to_owned());
    }
    let mut forms = Vec::new();
    for secret in &secrets {
        forms.push(secret.clone());
        forms.push(percent_encoded(secret));
        for shift in 0..3 {
            // The characters that depend on nothing but the secret, wherever it stands in what is encoded.
            let padded = [vec![b' '; shift], secret.as_bytes().to_vec()].concat();
            let first = (shift * 8).div_ceil(6);
            let text: String = base64(&padded).chars().take(padded.len() * 8 / 6).skip(first).collect();
            forms.push(text.replace('+', "-").replace('/', "_"));
            forms.push(text);
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Those of `forms` that `done` prints, and those of the `signatures` that were sent.
pub(crate) fn printed(done: &Done, forms: &[String], signatures: &[String]) -> Vec<String> {
    let shown = [done.stdout.as_str(), done.stderr.as_str()];
    let is_shown = |form: &&String| shown.iter().any(|text| text.contains(form.as_str()));
    forms.iter().chain(signatures).filter(is_shown).cloned().collect()
}

/// The signatures and tokens of what the server heard.
pub(crate) fn signatures(heard: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for text in heard {
        for mark in ["Signature=", "SharedKey account:", "Bearer ", "Basic ", "sig="] {
            found.extend(text.split(mark).skip(1).map(|rest| {
                let end = rest.find([',', '&', '\n', ' ']).unwrap_or(rest.len());
                rest[..end].to_owned()
            }));
        }
    }
    found.retain(|text| text.len() >= 16);
    found.sort();
    found.dedup();
    found
}

/// RFC 4648, section 4.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain(&[0, 0]).take(3).fold(0, |bits, &byte| bits << 8 | usize::from(byte));
        for i in 0..4 {
            let digit = DIGITS[bits >> (18 - 6 * i) & 63];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn percent_encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[test]
fn forms_are_those_that_others_compute() {
    // RFC 4648, section 10.
    assert_eq!(
        ["f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes())),
        ["Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
    );
    let forms = forms();
    // Python's base64.b64encode(b"user: planted") and b"x: planted.", and urllib.parse.quote(…, safe="").
    for (text, holds) in
        [("dXNlcjogcGxhbnRlZA==", true), ("eDogcGxhbnRlZC4=", true), ("dXNlcjogcGxhbnQ=", false)]
    {
        assert_eq!(forms.iter().any(|form| text.contains(form.as_str())), holds, "{text}");
    }
    assert!(forms.contains(&"plantedSecretKey%2Fwith%2Bodd%3Dcharacters%2F0123".to_owned()));
}
