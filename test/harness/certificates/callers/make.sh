#!/bin/sh
# Makes the certificates beside it anew: of callers, honest and hostile, and of the listeners that they call. All callers
# have one key. They are for tests alone, hold for a hundred years unless they are expired, and are no secret.
set -eu
cd "$(dirname "$0")"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

# authority NAME SUBJECT
authority() {
  key "$1"
  openssl req -x509 -new -key "$1.key" -subj "$2" -days 36500 -sha256 -out "$1.pem" \
    -addext 'basicConstraints=critical,CA:true' -addext 'keyUsage=critical,keyCertSign,cRLSign'
}

# signed NAME SUBJECT EXTENSIONS [AUTHORITY [DAYS [KEY]]]
signed() {
  openssl req -new -utf8 -key "${6:-caller}.key" -subj "$2" -out request.tmp
  printf '%s\n' "$3" > extensions.tmp
  openssl x509 -req -in request.tmp -CA "${4:-ca}.pem" -CAkey "${4:-ca}.key" -CAcreateserial -days "${5:-36500}" \
    -sha256 -extfile extensions.tmp -out "$1.pem"
}

key caller
key server
authority ca '/CN=scopegate test callers'
authority foreign-ca '/CN=scopegate test callers'

# Of the listener: two, as before and after a renewal.
server='subjectAltName=IP:127.0.0.1,DNS:localhost
extendedKeyUsage=serverAuth'
signed server '/CN=scopegate' "$server" ca 36500 server
signed server-renewed '/CN=scopegate' "$server" ca 36500 server

for_clients='extendedKeyUsage=clientAuth'
billing="subjectAltName=DNS:billing.example.test,URI:spiffe://example.test/billing
$for_clients"
signed billing '/O=Example/CN=billing' "$billing"
signed reports '/O=Example/CN=reports' "subjectAltName=DNS:Reports.Example.Test,URI:spiffe://example.test/reports
$for_clients"

# The names of billing, from hands that are not to be believed.
signed foreign '/O=Example/CN=billing' "$billing" foreign-ca
signed expired '/O=Example/CN=billing' "$billing" ca -1
signed of-a-server '/O=Example/CN=billing' 'subjectAltName=DNS:billing.example.test,URI:spiffe://example.test/billing
extendedKeyUsage=serverAuth'
openssl req -x509 -new -key caller.key -subj '/O=Example/CN=billing' -days 36500 -sha256 -out self-signed.pem \
  -addext 'subjectAltName=DNS:billing.example.test,URI:spiffe://example.test/billing'

# Good certificates of others, whose names are made to be taken for those of billing.
signed name-in-subject '/CN=billing.example.test' "$for_clients"
signed uri-in-subject '/CN=spiffe:\/\/example.test\/billing' "$for_clients"
signed wildcard '/CN=wildcard' "subjectAltName=DNS:*.example.test,URI:spiffe://example.test/*
$for_clients"
signed subdomain '/CN=subdomain' "subjectAltName=DNS:a.billing.example.test,DNS:billing.example.test.evil.test,URI:spiffe://example.test/billing/a,URI:spiffe://example.test/Billing,URI:spiffe://example.test/billin%67
$for_clients"
signed other-kinds '/CN=other-kinds' "subjectAltName=email:billing@example.test,URI:dns:billing.example.test,URI:billing.example.test,DNS:spiffe,RID:1.2.3.4,dirName:dir
$for_clients
[dir]
O=Example
CN=billing"
signed comma-in-name '/CN=comma' "subjectAltName=@alt
$for_clients
[alt]
DNS.1=\"x, DNS:billing.example.test, URI:spiffe://example.test/billing\"
URI.1=\"spiffe://example.test/x, URI:spiffe://example.test/billing, DNS:billing.example.test\""
signed quote-in-name '/CN=quote' "subjectAltName=@alt
$for_clients
[alt]
DNS.1=x\\\", DNS:billing.example.test, URI:spiffe://example.test/billing, DNS:\\\"
DNS.2=\\\"billing.example.test\\\""

# der TAG VALUE: as hexadecimal, for what openssl would not write
der() { printf '%s%02x%s' "$1" "$(printf "$2" | wc -c)" "$(printf "$2" | od -An -v -tx1 | tr -d ' \n')"; }
names() { printf '30%02x%s' "$((${#1} / 2))" "$1"; }
signed nul-in-name '/CN=nul' "subjectAltName=DER:$(names "$(der 82 'billing.example.test\000.evil.test')$(der 86 'spiffe://example.test/billing\000x')")
$for_clients"
signed newline-in-name '/CN=newline' "subjectAltName=DER:$(names "$(der 82 'x\nDNS:billing.example.test')$(der 86 'spiffe://x\nURI:spiffe://example.test/billing')")
$for_clients"

signed newline-in-subject "/O=Example
CN=billing" "$for_clients"
signed comma-in-subject '/CN=billing,O=Example' "$for_clients"
signed comma-behind-subject '/O=Example/CN=x,CN=billing' "$for_clients"
signed plus-in-subject '/O=Example/CN=x\+CN=billing' "$for_clients"
signed backslash-in-subject '/O=Example/CN=x\\\\,CN=billing' "$for_clients"
signed parts-as-one '/O=Example+CN=billing' "$for_clients"
signed parts-reversed '/CN=billing/O=Example' "$for_clients"
signed longer-subject '/C=CH/O=Example/CN=billing' "$for_clients"
signed shorter-subject '/CN=billing' "$for_clients"
signed other-case '/O=example/CN=Billing' "$for_clients"
signed blank-behind '/O=Example/CN=billing ' "$for_clients"
signed spelled-out '/DC=test/O=Example, Inc. \+ "Söhne" <x>/OU=a=b;#c/CN=#1 ' "$for_clients"
rm -f -- *.tmp *.srl ca.key foreign-ca.key
