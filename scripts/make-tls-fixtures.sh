#!/bin/sh
# Certificates for the tests of TLS, in testdata/tls: a root, and a server 127.0.0.1 that it vouches for. The keys are made of
# fixed bytes (they protect nothing) and Ed25519 signs without chance, so that every run writes the same files.
# Needs OpenSSL 3.
set -eu
cd "$(dirname "$0")/../testdata/tls"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# PKCS #8 of an Ed25519 key (RFC 8410 section 7): a fixed prefix and 32 bytes.
key() {
    { printf '302e020100300506032b657004220420'; printf "$1%.0s" $(seq 32); } |
        sed 's/../\\x&/g' | xargs -0 printf '%b' | openssl pkey -inform DER -out "$2"
}
key 01 "$work/root.key"
key 02 server.key

cat > "$work/ca.cnf" <<EOF
[ca]
default_ca = ca_default
[ca_default]
database = $work/index.txt
new_certs_dir = $work
default_md = default
policy = policy
serial = $work/serial
[policy]
commonName = supplied
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:false
subjectAltName = IP:127.0.0.1
extendedKeyUsage = serverAuth
EOF
: > "$work/index.txt"
echo 01 > "$work/serial"
openssl req -new -key "$work/root.key" -subj '/CN=cogclip test root' -out "$work/root.csr"
openssl req -new -key server.key -subj '/CN=cogclip test server' -out "$work/server.csr"
sign() {
    openssl ca -batch -notext -config "$work/ca.cnf" -startdate 20200101000000Z -enddate 21200101000000Z "$@" 2> "$work/log" ||
        { cat "$work/log" >&2; exit 1; }
}
sign -selfsign -keyfile "$work/root.key" -extensions root -in "$work/root.csr" -out root.pem
sign -cert root.pem -keyfile "$work/root.key" -extensions server -in "$work/server.csr" -out server.pem
