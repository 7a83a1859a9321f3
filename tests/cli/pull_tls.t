#!/bin/sh
# g4-pull over TLS with a certificate of one's own, through a proxy, with netrc, and with a registry's tokens: what is
# trusted, what is sent, and to whom.
top_dir=$PWD
. "$top_dir/tests/pull-lib.sh"
command -v openssl >/dev/null || { echo '1..0 # SKIP openssl is not installed'; exit; }
served=$tmp/served
gguf "$served/small/s.gguf" 500000 5
small=$served/small/s.gguf
start_hub
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null

# ---- TLS, netrc ------------------------------------------------------------------------
cat >tls.py <<'END'
import http.server, json, os, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do_HEAD(self): self.do_GET()
    def do_GET(self):
        with open("tls.log", "a") as f:
            f.write(json.dumps({"path": self.path, "auth": self.headers.get("Authorization")}) + "\n")
        if self.path.startswith("/private/") and self.headers.get("Authorization") != "Basic dXNlcjpuZXRyY19zZWNyZXQ=":
            return self.reply(401, b"login", [("WWW-Authenticate", "Basic realm=x")])
        if self.path.startswith("/away/"):
            return self.reply(302, b"", [("Location", "http://127.0.0.1:%s/plain/ok/small/s.gguf" % sys.argv[1])])
        self.reply(200, open("served/small/s.gguf", "rb").read(), [("ETag", '"t"')])
    def reply(self, status, body, head):
        self.send_response(status)
        for k, v in head: self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
open("tls.tmp", "w").write(str(server.server_port))
os.rename("tls.tmp", "tls.port")
server.serve_forever()
END
python3 tls.py "$hub" >tls.err 2>&1 &
pids="$pids $!"
wait_for test -e tls.port
tls=https://localhost:$(cat tls.port)
fails 'a certificate that nobody vouches for' "$tls/s.gguf" 4 network 'certificate' --retry 0
gets '--cacert' "$tls/s.gguf" "$small" --cacert cert.pem; empty_store
for v in CURL_CA_BUNDLE SSL_CERT_FILE REQUESTS_CA_BUNDLE; do
    export $v="$tmp/cert.pem"
    gets "$v" "$tls/s.gguf" "$small"
    unset $v
    empty_store
done
export CURL_CA_BUNDLE="$tmp/cert.pem"
fails 'another host than the certificate names' "https://127.0.0.2:$(cat tls.port)/s.gguf" 4 network 'cannot reach' --retry 0
fails 'from https to http' "$tls/away/s.gguf" 4 network 'from https to plain http'
echo 'machine localhost login user password netrc_secret' >"$HOME/.netrc"
chmod 644 "$HOME/.netrc"
fails 'a netrc that others can read' "$tls/private/s.gguf" 2 usage 'can be read by others' --netrc
chmod 600 "$HOME/.netrc"
fails 'without --netrc' "$tls/private/s.gguf" 3 gated 'needs a login'
gets 'with --netrc' "$tls/private/s.gguf" "$small" --netrc
is 'its password is in no output' "$(cat out err | grep -c netrc_secret)" 0
empty_store
mv "$HOME/.netrc" "$tmp/other.netrc"
NETRC=$tmp/other.netrc gets 'NETRC' "$tls/private/s.gguf" "$small" --netrc
empty_store
gets 'a password in the address' "https://user:netrc_secret@localhost:$(cat tls.port)/private/s.gguf" "$small"
is 'is in no output, and not in the store' "$(cat out err | grep -c netrc_secret)$(grep -rl netrc_secret "$G4_STORE")" 0
empty_store

# ---- a proxy -----------------------------------------------------------------------------
cat >proxy.py <<'END'
import http.client, http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do_HEAD(self): self.do_GET()
    def do_GET(self):
        open("proxy.log", "a").write(self.path + "\n")
        if self.headers.get("Proxy-Authorization") != "Basic dTpw":
            return self.reply(407, b"", [("Proxy-Authenticate", "Basic realm=p")])
        host = self.path.split("/")[2]
        c = http.client.HTTPConnection(host.replace("models.example", "127.0.0.1:" + sys.argv[1]))
        c.request(self.command, "/" + self.path.split("/", 3)[3], headers={k: v for k, v in self.headers.items() if not k.startswith("Proxy")})
        r = c.getresponse()
        self.reply(r.status, r.read(), [(k, v) for k, v in r.getheaders() if k not in ("Content-Length", "Date", "Server")], r.getheader("Content-Length"))
    def reply(self, status, body, head, length=None):
        self.send_response(status)
        for k, v in head: self.send_header(k, v)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
open("proxy.tmp", "w").write(str(server.server_port))
os.rename("proxy.tmp", "proxy.port")
server.serve_forever()
END
python3 proxy.py "$hub" >proxy.err 2>&1 &
pids="$pids $!"
wait_for test -e proxy.port
far=http://models.example/plain/ok/small/s.gguf
gets 'a proxy' "$far" "$small" --insecure-http --proxy "http://u:p@127.0.0.1:$(cat proxy.port)"
is 'was asked' "$(sort -u proxy.log)" "$far"
is 'its password is in no output' "$(cat out err | grep -c 'u:p@')" 0
empty_store
http_proxy=http://u:p@127.0.0.1:$(cat proxy.port) gets 'http_proxy' "$far" "$small" --insecure-http; empty_store
fails 'a proxy that wants a password' "$far" 4 network 'proxy wants a user name' --insecure-http --retry 0 --proxy "http://127.0.0.1:$(cat proxy.port)"
: >proxy.log
http_proxy=http://127.0.0.1:$(cat proxy.port) no_proxy=127.0.0.1 gets 'no_proxy' "http://127.0.0.1:$hub/plain/ok/small/s.gguf" "$small"
is 'leaves the proxy alone' "$(cat proxy.log)" ''
empty_store

# ---- a registry's tokens ----------------------------------------------------------------------
mkdir -p "$served/registry"
gguf "$served/registry/blob" 40000000 9
# Blobs whose digest ends in 0 lie behind a redirect: one is found by trying.
i=0
while hex=$(sha "$served/registry/blob") && [ "${hex%0}" = "$hex" ]; do
    i=$((i + 1))
    printf '%04d' $i | dd of="$served/registry/blob" bs=1 seek=39000000 conv=notrunc 2>/dev/null
done
mv "$served/registry/blob" "$served/registry/sha256-$hex"
blob=$served/registry/sha256-$hex
printf '{"schemaVersion":2,"config":{},"layers":[{"mediaType":"application/vnd.docker.ai.gguf.v3","digest":"sha256:%s","size":%s}]}' \
    "$hex" "$(stat -c %s "$blob")" >"$served/registry/e2b"
forget
gets 'a token, and where a redirect leads' "oci:127.0.0.1:$hub/ai/gemma:e2b" "$blob"
is 'the token never left its origin' "$(asked 'select(.port == "storage") | .auth' | sort -u)" null
is 'it is in no output, and not in the store' "$(cat out err | grep -c secret-)$(grep -rl secret- "$G4_STORE/manifests")" 0
empty_store
mv "$blob" "$served/registry/b"
printf 'x' | dd of="$served/registry/b" bs=1 seek=39000100 conv=notrunc 2>/dev/null
while hex=$(sha "$served/registry/b") && [ "${hex%0}" != "$hex" ]; do
    printf y | dd of="$served/registry/b" bs=1 seek=39000200 conv=notrunc 2>/dev/null
done
mv "$served/registry/b" "$served/registry/sha256-$hex"
blob=$served/registry/sha256-$hex
printf '{"schemaVersion":2,"config":{},"layers":[{"mediaType":"application/vnd.docker.ai.gguf.v3","digest":"sha256:%s","size":%s}]}' \
    "$hex" "$(stat -c %s "$blob")" >"$served/registry/e4b"
forget
gets 'tokens that are over after three requests' "oci:127.0.0.1:$hub/ai/gemma:e4b" "$blob"
ok 'are renewed' test "$(asked 'select(.path | startswith("/token")) | .path' | wc -l)" -ge 2
done_testing
