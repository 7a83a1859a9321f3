#!/usr/bin/env python3
"""A scripted model hub for the tests of g4-pull.

  hub-server.py serve DIR      serves the files of DIR on two loopback ports (the hub and its storage, two origins);
                               writes DIR/ports when ready, DIR/log: one JSON line a request
  hub-server.py make FILE BYTES SEED [ARCH]   a valid GGUF of about that size

Hub addresses are those of the Hugging Face Hub.  The organisation says how the server behaves: "ok" well, each other
name misbehaves in the one way that its branch below shows.  A repository is a folder DIR/REPO; large files (".gguf",
".safetensors") have a SHA-256 and lie behind a redirect to the storage, small ones a git SHA-1.
"""
import base64, gzip, hashlib, json, os, random, re, struct, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
lock = threading.Lock()
counts = {}
known = {}


def count(key):
    """How often this was asked before."""
    with lock:
        counts[key] = counts.get(key, 0) + 1
        return counts[key] - 1


def digests(path):
    stamp = (path, os.path.getmtime(path), os.path.getsize(path))
    if stamp not in known:
        known[stamp] = digests_of(path)
    return known[stamp]


def digests_of(path):
    data = open(path, "rb").read()
    return hashlib.sha256(data).hexdigest(), hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(), len(data)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "hub"

    def log_message(self, *args):
        pass

    def note(self, status):
        line = {"port": self.server.role, "method": self.command, "path": self.path, "status": status,
                "range": self.headers.get("Range"), "if_range": self.headers.get("If-Range"),
                "auth": self.headers.get("Authorization"), "agent": self.headers.get("User-Agent")}
        with lock:
            with open(os.path.join(root, "log"), "a") as f:
                f.write(json.dumps(line) + "\n")

    def answer(self, status, body=b"", headers=(), length=None):
        self.note(status)
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers = [("Content-Type", "application/json"), *headers]
        elif isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        try:
            self.route()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def route(self):
        u = urlparse(self.path)
        path = unquote(u.path)
        if self.server.role == "storage":
            return self.storage(path, u.query)
        m = re.match(r"/api/models/([^/]+)/([^/]+)/(refs|revision|tree)(?:/(.*))?$", path)
        if m:
            return self.api(*m.groups(), parse_qs(u.query))
        m = re.match(r"/([^/]+)/([^/]+)/resolve/([^/]+)/(.*)$", path)
        if m:
            return self.resolve(*m.groups())
        if path.startswith("/plain/"):
            _, _, how, repo, name = path.split("/", 4)
            return self.storage("/" + "/".join((how, repo, name)), "")
        if path.startswith("/simple/"):
            return self.index(path)
        if path.startswith("/api/v1/models/"):
            return self.kaggle(path)
        if path == "/token":
            return self.token(parse_qs(u.query))
        if path.startswith("/v2/"):
            return self.registry(path)
        self.answer(404, {"error": "no such page"})

    # ---- the hub's listing ----------------------------------------------------------------------
    def api(self, org, repo, what, rest, query):
        refusals = {
            "gated": (401, "GatedRepo", "Access to model is restricted"),
            "missing": (401, "RepoNotFound", "Repository not found"),
            "norev": (404, "RevisionNotFound", "Invalid rev id"),
            "noentry": (404, "EntryNotFound", "Entry not found"),
        }
        if org in refusals and (org != "noentry" or what == "tree"):
            status, code, text = refusals[org]
            return self.answer(status, {"error": text}, [("X-Error-Code", code), ("X-Error-Message", text)])
        if org == "gated403" and self.headers.get("Authorization"):
            return self.answer(403, {"error": "x"}, [("X-Error-Code", "GatedRepo"), ("X-Error-Message", "you are not in the authorized list"),
                                                     ("X-Request-Id", "Root=1-test")])
        if org == "disabled":
            return self.answer(403, {"error": "x"}, [("X-Error-Message", "Access to this resource is disabled.")])
        if org == "badtoken" and self.headers.get("Authorization"):
            return self.answer(401, {"error": "x"}, [("X-Error-Message", "Invalid credentials in Authorization header")])
        if org == "private" and self.headers.get("Authorization") != "Bearer hf_secret":
            return self.answer(401, {"error": "Invalid username or password."})
        if org == "limited" and count(f"limited {repo}") < 2:
            return self.answer(429, {"error": "slow down"}, [("RateLimit", '"api";r=0;t=1')])
        if org == "mirror" or (org == "headonly"):
            return self.answer(404, "no such page")
        if org == "html":
            return self.answer(200, "<html>log in to the hotel's network</html>")
        if what == "refs":
            return self.answer(200, {"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}], "tags": []})
        if what == "revision":
            return self.answer(200, {"sha": COMMIT})
        entries = []
        for folder, _, names in os.walk(os.path.join(root, repo)):
            for name in sorted(names):
                full = os.path.join(folder, name)
                sha256, git, size = digests(full)
                e = {"type": "file", "path": os.path.relpath(full, os.path.join(root, repo)), "size": size, "oid": git}
                if name.endswith((".gguf", ".safetensors")):
                    e["lfs"] = {"oid": sha256, "size": size, "pointerSize": 130}
                entries.append(e)
        if not os.path.isdir(os.path.join(root, repo)):
            return self.answer(404, {"error": "x"}, [("X-Error-Code", "RepoNotFound")])
        half = len(entries) // 2  # two pages
        if "page" in query:
            return self.answer(200, entries[half:], [("X-HF-Warning", "beta; this is a test")])
        link = f"<http://127.0.0.1:{self.server.server_port}{self.path}&page=2>; rel=\"next\""
        if org == "foreignpage":
            link = "<http://127.0.0.1:1/next>; rel=\"next\""
            half = len(entries)
        self.answer(200, entries[:half], [("Link", link)])

    def resolve(self, org, repo, rev, name):
        full = os.path.join(root, repo, name)
        if not os.path.isfile(full):
            return self.answer(404, "x", [("X-Error-Code", "EntryNotFound")])
        sha256, git, size = digests(full)
        large = name.endswith((".gguf", ".safetensors"))
        head = [("X-Repo-Commit", COMMIT), ("X-Linked-Etag", f'"{sha256 if large else git}"'), ("X-Linked-Size", str(size))]
        if org == "othercommit":
            head[0] = ("X-Repo-Commit", "f" * 40)
        if org == "otheretag":
            head[1] = ("X-Linked-Etag", '"' + "a" * 64 + '"')
        if not large:
            return self.send_file(org, full, f'"{git}"', head)
        to = f"http://127.0.0.1:{ports['storage']}/{org}/{repo}/{name}?sig={count('sig ' + org + repo)}"
        if org == "loop":
            to = self.path
        if org == "tofile":
            to = "file:///etc/passwd"
        if org == "tohttp":
            to = "http://models.example/" + name
        self.answer(302, "x", head + [("Location", to)])

    # ---- the storage behind it --------------------------------------------------------------------
    def storage(self, path, query):
        _, org, repo, name = path.rstrip("/").split("/", 3)
        full = os.path.join(root, repo, name)
        if not os.path.isfile(full):
            return self.answer(404, "no such object")
        if org == "expire" and count("expire " + query) >= 2:
            return self.answer(403, "<Error>Request has expired</Error>")
        if org == "always403":
            return self.answer(403, "<Error>never</Error>")
        m = re.match(r"(once|always)(\d+)$", org)
        if m and (m[1] == "always" or count(f"{org} {repo}") < 1):
            return self.answer(int(m[2]), "no")
        if org == "busy" and count(f"busy {repo}") < 1:
            return self.answer(503, "busy", [("Retry-After", "1")])
        if org == "down":
            return self.answer(500, "broken")
        etag = '"%s"' % open(os.path.join(root, "etag")).read() if org == "etagfile" else '"v%d"' % (count(f"etag {repo}") if org == "etag" else min(count(f"etag1 {repo}"), 1) if org == "etag1" else 0)
        self.send_file(org, full, etag, stored(full) if org == "kaggle" else [("Content-Disposition", 'attachment; filename="../nice.gguf"')] if org == "disposition" else [])

    def send_file(self, org, full, etag, head):
        size = os.path.getsize(full)
        m = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range") or "")
        first = count(f"body {org} {full}")
        wrong = size // 2 if org == "corrupt" or (org == "corrupt1" and first < 1) or (org == "badside" and "mmproj" in full) \
            or (org == "badjson" and full.endswith("config.json")) else -1

        def read(a, n):
            with open(full, "rb") as f:
                f.seek(a)
                part = f.read(n)
            if a <= wrong < a + len(part):
                part = part[:wrong - a] + bytes([part[wrong - a] ^ 1]) + part[wrong - a + 1:]
            return part
        head = [("ETag", etag)] + head if org != "noetag" else head
        if org == "badhead" and self.command == "HEAD":
            return self.answer(405, "")
        if org == "weak":
            head = [("ETag", "W/" + etag)]
        if org == "gzip":
            return self.answer(200, gzip.compress(read(0, size), 1), head + [("Content-Encoding", "gzip")])
        if self.headers.get("If-Range") not in (None, etag):
            m = None
        if not m or org in ("norange", "norangetrunc"):
            if org == "norangetrunc" and first < 2 and self.command == "GET":
                self.send_some(200, read(0, size // 3), size, head)
                return
            if org == "nolength":
                self.note(200)
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(read(0, size))
                self.close_connection = True
                return
            return self.answer(200, read(0, size) if self.command != "HEAD" else b"", head, length=size)
        a, b = int(m[1]), min(int(m[2] or size - 1), size - 1)
        if org == "unsat" and first < 1:  # as docker-registry: the length of a whole body that never comes
            self.note(416)
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", str(size))
            self.end_headers()
            return time.sleep(30)
        if a >= size:
            return self.answer(416, "", [("Content-Range", f"bytes */{size}")])
        total, shown = size, a
        if org == "badrange" and a:
            shown = a - 1
        if org == "longrange" and a:
            b += 1
        if org == "othertotal" and a:
            total = size + 1
        if org == "othersize":
            total = size + 1
        head = head + [("Content-Range", f"bytes {shown}-{b}/{total}"), ("Accept-Ranges", "bytes")]
        part = read(a, b + 1 - a)
        if org == "trunc" and first % 2 == 0 and len(part) > 1000:
            return self.send_some(206, part[:len(part) // 2], len(part), head)
        if org == "stall" and first < 1:
            return self.send_some(206, part[:1000], len(part), head, pause=30)
        if org == "slow":
            return self.send_slowly(part, head)
        self.answer(206, part, head)

    def send_some(self, status, part, length, head, pause=0):
        """Less than was announced, then silence or the end of the connection."""
        self.note(status)
        self.send_response(status)
        for k, v in head:
            self.send_header(k, v)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(part)
        self.wfile.flush()
        time.sleep(pause)
        self.close_connection = True

    def send_slowly(self, part, head):
        """4 MiB at a time, so that a test can step in between."""
        self.note(206)
        self.send_response(206)
        for k, v in head:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        for i in range(0, len(part), 1 << 18):
            self.wfile.write(part[i:i + (1 << 18)])
            time.sleep(0.01)

    # ---- a package index ------------------------------------------------------------------------------
    def index(self, path):
        project = path.split("/")[2]
        folder = os.path.join(root, "wheels", project)
        if path.split("/", 3)[3]:
            full = os.path.join(root, "wheels", project, path.split("/", 3)[3])
            return self.send_file("ok", full, '"w"', [])
        if not os.path.isdir(folder):
            return self.answer(404, "not found")
        names = sorted(os.listdir(folder))
        if "json" in self.headers.get("Accept", "") and not project.endswith("-html"):
            files = [{"filename": n, "url": n, "hashes": {"sha256": digests(os.path.join(folder, n))[0]},
                      "size": os.path.getsize(os.path.join(folder, n)), "yanked": "yanked" in n} for n in names]
            return self.answer(200, {"meta": {"api-version": "1.0"}, "name": project, "files": files})
        page = "".join(f'<a href="{n}#sha256={digests(os.path.join(folder, n))[0]}">{n}</a><br>\n' for n in names)
        self.answer(200, f"<!DOCTYPE html><html><body>{page}</body></html>", [("Content-Type", "text/html")])

    # ---- Kaggle ------------------------------------------------------------------------------------------
    def kaggle(self, path):
        part = path.split("/")[4:]
        if part[-1] == "get":
            return self.answer(200, {"versionNumber": 3})
        if self.headers.get("Authorization") != "Bearer kaggle_secret":
            return self.answer(403, {"message": "accept the licence"})
        name = "/".join(part[6:]) or "model.tar.gz"
        self.answer(302, "", [("Location", f"http://127.0.0.1:{ports['storage']}/kaggle/kaggle/{name}")])


    # ---- a registry with tokens that are good for three requests ----------------------------------------
    def token(self, query):
        self.server.tokens = getattr(self.server, "tokens", 0) + 1
        self.answer(200, {"token": f"secret-{self.server.tokens}", "expires_in": 60})

    def registry(self, path):
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if not token.startswith("secret-") or count("token " + token) >= 3:
            return self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}, [
                ("WWW-Authenticate", f'Bearer realm="http://127.0.0.1:{self.server.server_port}/token",service="test",scope="repository:x:pull"')])
        full = os.path.join(root, "registry", path.split("/")[-1].replace(":", "-"))
        if not os.path.isfile(full):
            return self.answer(404, {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]})
        if "/manifests/" in path:
            return self.answer(200, open(full, "rb").read(), [("Docker-Content-Digest", "sha256:" + digests(full)[0])])
        if path.endswith("0"):  # some blobs lie elsewhere
            return self.answer(307, "", [("Location", f"http://127.0.0.1:{ports['storage']}/ok/registry/{os.path.basename(full)}")])
        self.send_file("ok", full, '"x"', [])


def stored(path):
    """x-goog-hash as an object's name wants it: both, one of them wrong, or no MD5, as objects of several parts have it."""
    data = open(path, "rb").read()
    crc = 0xffffffff
    for byte in data if "parts" in path else b"":
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    crc = "crc32c=" + base64.b64encode(((crc ^ 0xffffffff) ^ ("badparts" in path)).to_bytes(4, "big")).decode()
    md5 = "md5=" + base64.b64encode(hashlib.md5(data + (b"x" if "wrong" in path else b"")).digest()).decode()
    return [("x-goog-hash", crc)] if "parts" in path else [("x-goog-hash", md5), ("x-goog-hash", crc)]


def make(path, size, seed, arch="gemma3"):
    """magic, version, 1 tensor, 1 key; the tensor is F32 and fills the rest."""
    s = lambda t: struct.pack("<Q", len(t)) + t.encode()
    n = size // 128 * 32
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + s("general.architecture") + struct.pack("<I", 8) + s(arch)
    head += s("token_embd.weight") + struct.pack("<IQIQ", 1, n, 0, 0)
    head += b"\0" * (-len(head) % 32)
    with open(path, "wb") as f:
        f.write(head)
        r = random.Random(seed)
        left = 4 * n
        while left:
            piece = r.randbytes(min(left, 1 << 20))
            f.write(piece)
            left -= len(piece)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
        sys.exit()
    root = sys.argv[2]
    ports = {}
    servers = []
    for role in ("hub", "storage"):
        server = Server(("127.0.0.1", 0), Handler)
        server.role = role
        ports[role] = server.server_port
        servers.append(server)
    with open(os.path.join(root, "ports.tmp"), "w") as f:
        f.write(f"hub={ports['hub']} storage={ports['storage']}\n")
    os.rename(os.path.join(root, "ports.tmp"), os.path.join(root, "ports"))
    threading.Thread(target=servers[0].serve_forever, daemon=True).start()
    servers[1].serve_forever()
