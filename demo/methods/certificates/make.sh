#!/bin/sh
# Makes the certificates beside it anew. They are for the demo alone, hold for a hundred years, and are no secret.
set -eu
cd "$(dirname "$0")"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

# signed NAME SUBJECT EXTENSIONS: by the demo's own authority, whose key is gone afterwards
signed() {
  key "$1"
  openssl req -new -key "$1.key" -subj "$2" -out request.tmp
  printf '%s\n' "$3" > extensions.tmp
  openssl x509 -req -in request.tmp -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -sha256 \
    -extfile extensions.tmp -out "$1.pem"
}

key ca
openssl req -x509 -new -key ca.key -subj '/CN=scopegate demo authority' -days 36500 -sha256 -out ca.pem \
  -addext 'basicConstraints=critical,CA:true' -addext 'keyUsage=critical,keyCertSign,cRLSign'
signed server '/CN=authorization server' 'subjectAltName=IP:127.0.0.1,DNS:localhost'
signed client '/CN=legacy client' 'extendedKeyUsage=clientAuth'
key self-signed
openssl req -x509 -new -key self-signed.key -subj '/CN=self-signed legacy client' -days 36500 -sha256 -out self-signed.pem
rm -f -- *.tmp *.srl ca.key
