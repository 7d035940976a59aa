#!/bin/sh
# Makes the certificates beside it anew. They are for tests alone, hold for a hundred years, and are no secret.
set -eu
cd "$(dirname "$0")"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

# signed NAME SUBJECT EXTENSIONS: by the test's own authority
signed() {
  key "$1"
  openssl req -new -key "$1.key" -subj "$2" -out request.tmp
  printf '%s\n' "$3" > extensions.tmp
  openssl x509 -req -in request.tmp -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -sha256 \
    -extfile extensions.tmp -out "$1.pem"
}

# self_signed NAME SUBJECT
self_signed() {
  key "$1"
  openssl req -x509 -new -key "$1.key" -subj "$2" -days 36500 -sha256 -out "$1.pem"
}

# Some servers take RSA alone.
self_signed_rsa() {
  openssl genrsa -out "$1.key" 2048
  openssl req -x509 -new -key "$1.key" -subj "$2" -days 36500 -sha256 -out "$1.pem"
}

key ca
openssl req -x509 -new -key ca.key -subj '/CN=scopegate test authority' -days 36500 -sha256 -out ca.pem \
  -addext 'basicConstraints=critical,CA:true' -addext 'keyUsage=critical,keyCertSign,cRLSign'
signed server '/CN=authorization server' 'subjectAltName=IP:127.0.0.1,DNS:localhost'
client='subjectAltName=DNS:client.example.test,URI:spiffe://example.test/client,email:client@example.test
extendedKeyUsage=clientAuth'
signed client '/O=scopegate/CN=mtls-client' "$client"
signed client-renewed '/O=scopegate/CN=mtls-client' "$client"
signed stranger '/O=elsewhere/CN=stranger' 'extendedKeyUsage=clientAuth'
self_signed self-signed '/CN=self-signed'
self_signed self-signed-other '/CN=self-signed'
self_signed_rsa self-signed-rsa '/CN=self-signed'
rm -f -- *.tmp *.srl ca.key
