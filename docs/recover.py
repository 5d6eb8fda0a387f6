#!/usr/bin/env python3
"""Bring files back from a shardraid remote without shardraid. format.md says what is read, recovery.md how to use this.

  recover.py [options] list FOLDER...         print "KEY<TAB>SIZE" for each object that can be brought back
  recover.py [options] get KEY OUT FOLDER...  write the content of KEY to the file OUT
  recover.py [options] all OUT FOLDER...      write each object into the folder OUT, under git-annex's file name

Needs Python 3.9, python3-cryptography 38 and gpg 2.2, or newer. Each FOLDER is a copy of one backend, made by "rclone copy
section:path FOLDER"; up to m may be missing, empty or damaged. The keys come from the .vault files there, or from --keys FILE:
a recovery file, remote.log or a card in it, .git/annex/creds/UUID-vaultkey. --fingerprint FPR takes, and trusts, only that
vault. The passphrase is read from the file that SHARDRAID_PASSPHRASE_FILE names, else from the terminal.
"""
import argparse, atexit, collections, getpass, glob, hashlib, hmac, itertools, json, os, re, signal, subprocess, sys, tempfile
from base64 import b32decode, b32encode, b64decode
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LIMIT = (8 << 20) + (64 << 10)  # of a record, as stored and as decrypted
ROOT = {"marker": ("vault backend", "layout"), "layout": ("epoch ids yaml", "previous nonce types least_data least_parity")}
# What fields of JSON look like, as Python prints them.
SHAPE = {"object": "[0-9a-f]{64}", "incarnation": "[0-9a-f]{32}", "supersedes": r"\[('[0-9a-f]{32}'(, )?)*\]",
         "features": r"\[.*\]", "nonce": "[A-Za-z0-9+/]{16}", "tag_key": "[A-Za-z0-9+/]{43}=", "tag": "[A-Za-z0-9+/]{22}==",
         "backend": "[a-z2-7]{13}", "copy": "[a-z2-7]{12}[acegikmoqsuwy246]", "hash": "(?s).{,200}", "epoch": r"\d+",
         "key": "[A-Za-z0-9+/]*={0,2}", "data": r"\d+", "parity": r"\d+", "length": r"\d+", "size": r"\d+", "created": r"\d+"}
FILE = re.compile(r"([a-z2-7]{25}[aeimquy4])\.(?:([mvtd])|s\.([a-z2-7]{8}))\.[a-z2-7]{12}[acegikmoqsuwy246]")

def require(true, text):
    if not true:
        raise ValueError(text)
    return true
def attempt(work, what, *rest):
    """work(what, *rest), or None and a line on stderr: whatever is wrong with one copy, the others may be good."""
    try:
        return work(what, *rest)
    except Exception as error:
        print("recover: %s: %s" % (os.fsdecode(what), str(error) or type(error).__name__), file=sys.stderr)

def read(path, limit=LIMIT):
    with open(path, "rb") as file:
        return file.read(limit)  # what is longer is cut, and fails its checks
def files(folder, pattern):
    return sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
def mac(key, data):
    return hmac.new(key, data, "sha256").digest()
def hkdf(secret, salt, info):
    return mac(mac(salt, secret), b"shardraid/1 " + info + b"\x01")
def padded(n):
    e = max(n, 1024).bit_length() - 1
    return -(-max(n, 1024) >> e - e.bit_length()) << e - e.bit_length()

def parse(text):
    return json.loads(text, object_pairs_hook=lambda p: require(len(p) == len(dict(p)) and dict(p), "a field is written twice"))
def fields(value, needed, optional=""):  # value, if it is a JSON object with the fields needed and no unknown ones
    names = set(needed.split())
    require(type(value) is dict and names <= set(value) <= names | set(optional.split()), "missing or unknown fields")
    for name in set(value) & set(SHAPE):
        require(re.fullmatch(SHAPE[name], str(value[name])), "a wrong field: " + name)
    return value

# MUL[a] is the table of b -> a*b in the field of section 6, for bytes.translate.
MUL, double = [bytes(256)], bytes(b << 1 & 255 ^ (0x1D if b & 0x80 else 0) for b in range(256))
for a in range(1, 256):
    MUL.append(bytes(x ^ (b if a & 1 else 0) for b, x in enumerate(MUL[a >> 1].translate(double))))

def interpolate(shards, i):
    """Shard i from k others. V * T^-1 makes shard j the value at j of a polynomial of degree below k: Lagrange finds it."""
    total = 0
    for j in shards:
        above = below = 1
        for other in set(shards) - {j}:
            above, below = MUL[above][i ^ other], MUL[below][j ^ other]
        product = shards[j].translate(MUL[MUL[above][MUL[below].index(1)]])
        total ^= int.from_bytes(product, "little")  # the fast way to XOR
    return total.to_bytes(len(shards[j]), "little")

class Remote:
    """The keys of a remote (section 9), a gpg with a keyring of its own, and the objects in the folders. Ids are in hex."""
    def __init__(self, trusted, folders):
        self.trusted, self.folders, self.ids = trusted, folders, set()
        self.clock = 4 * 10**9  # late enough for every key, until the vault tells the right time; no date proves anything
        self.home = tempfile.mkdtemp(prefix="rec", dir="/tmp")  # mode 0700; short, for the socket of gpg's agent
        atexit.register(subprocess.run, ["sh", "-c", 'gpgconf --homedir "$0" --kill all; rm -rf "$0"', self.home])

    def file(self, name, data):
        with open(os.path.join(self.home, name), "wb") as file:
            file.write(data)
        return file.name
    def add_key(self, key):
        return self.gpg(["--import"], key)[1]["IMPORT_OK"][0][1]  # its fingerprint

    def gpg(self, arguments, data, user=False):
        """What gpg writes, with the vault's or the user's keys; its status lines by first word; the maker of the signature."""
        command = ["gpg", "--batch", "-vv", "--max-output", str(LIMIT), "--status-file", self.file("status", b"")]
        if not user:
            command += ["--no-options", "--homedir", self.home, "--trust-model=always", "--faked-system-time", str(self.clock)]
        done = subprocess.run(command + arguments, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        status = collections.defaultdict(list)
        for line in read(os.path.join(self.home, "status")).decode("utf-8", "replace").splitlines():
            status[line.split()[1]].append(line.split()[2:])
        status["tags"] = [int(tag) for tag in re.findall(rb"(?m)^# off=\d+ ctb=\w+ tag=(\d+)", done.stderr) if tag != b"8"]
        good = len(status["GOODSIG"]) == len(status["VALIDSIG"]) == 1 and not {"BADSIG", "ERRSIG", "EXPSIG"} & set(status)
        return done.stdout, status, status["VALIDSIG"][0][-1] if good else None

    def open(self, data, kind, signer):
        """The body of a record or signed document."""
        out, status, signed_by = self.gpg(["--decrypt"], data)
        tags = [1, 18] * (kind not in ("card", "vault")) + [4, 11, 2]
        require(data[:1] >= b"\x80" and status["tags"] == tags, "not one whole message of the expected form")
        require(tags[0] == 4 or status["DECRYPTION_OKAY"] and status["DECRYPTION_KEY"][0][1] == self.custody, "not decrypted")
        require(signed_by == signer, "no good signature by the right key")
        require(out.startswith(b"shardraid-%s-v1\n" % kind.encode()), "not of the kind " + kind)
        return out.partition(b"\n")[2]

    def unwrap(self, data):
        """What is locked to the passphrase (then a packet with tag 3 follows salt and n), or encrypted to the user's key."""
        self.proven = data[16] <= 20 and data[17] in (0x8C, 0xC3) and data[19] == 4
        options = ["--decrypt"]
        if self.proven:
            n, path = 1 << data[16], os.environ.get("SHARDRAID_PASSPHRASE_FILE")
            words = (read(path).decode() if path else getpass.getpass("Passphrase: ")).split()
            key = hashlib.scrypt(" ".join(words).encode(), salt=data[:16], n=n, r=8, p=1, maxmem=n * 1024 + (1 << 20), dklen=32)
            options = ["--pinentry-mode=loopback", "--passphrase-fd=0", "--decrypt", self.file("locked", data[17:])]
            data = key.hex().encode()
        out, status, _ = self.gpg(options, data, user=not self.proven)
        require(status["DECRYPTION_OKAY"], "the passphrase does not open it" if self.proven else "no GPG key of yours opens it")
        return out

    def load(self, document, fingerprint):
        """Take the keys from a signed vault document: it holds the key that proves it, but not which fingerprint is right."""
        vault = parse(self.gpg(["--decrypt"], document)[0].partition(b"\n")[2])
        self.clock = fields(vault, "created master names custody owner")["created"] + 86400
        self.custody, self.owner = self.add_key(b64decode(vault["custody"])), self.add_key(b64decode(vault["owner"]))
        require(parse(self.open(document, "vault", self.owner)) == vault, "a forged vault")
        require(self.owner == fingerprint and self.trusted in (None, fingerprint), "this is the vault " + self.owner)
        self.master, self.names = b64decode(vault["master"]), b64decode(vault["names"])

    def load_card(self, text, document=None):
        """Take the keys from the vault document, or from what the card wraps, if the card is good."""
        outer = fields(parse(b64decode(text)), "owner card")
        owner = self.add_key(b64decode(outer["owner"]))
        card = parse(self.open(b64decode(outer["card"]), "card", owner))
        creator = fields(card, "serial mode", "recipients wrapped creator").get("creator", {"signature": "", "key": ""})
        require(document or "wrapped" in card, "this card holds no vault; with mode local it is in .git/annex/creds only")
        document = document or self.unwrap(b64decode(card["wrapped"]))
        if not self.proven and self.trusted != owner:
            path, signed = self.file("signature", b64decode(creator["signature"])), b64decode(outer["owner"])
            _, status, signer = self.gpg(["--verify", path, "-"], b"shardraid-creator-v1\n" + signed, user=True)
            certified = {"TRUST_FULLY", "TRUST_ULTIMATE"} & set(status)
            known = signer == creator["key"] and (certified or self.gpg(["--list-secret-keys", signer], b"", user=True)[0])
            require(known, "no GPG key of yours, or certified, vouches for it; if it is right, say --fingerprint " + owner)
        self.load(document, owner)

    def load_file(self, path):
        data = read(path)
        pem = re.search(rb"-BEGIN SHARDRAID RECOVERY-----\s+(?:[\w-]+:.*\s+)*([\w+/=\s]+)-----END SHARDRAID RECOVERY-", data)
        data = b64decode(pem[1]) if pem else data
        if re.match(rb"[0-9A-F]{40}\n", data):
            self.load(b64decode(data.split(b"\n")[1]), data[:40].decode())
        elif data.isascii():
            lines = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in data.decode().splitlines() if " vault=" in line]
            newest = max(lines, key=lambda line: float(line["timestamp"].rstrip("s")), default={"vault": data.decode().strip()})
            self.load_card(re.sub("&([0-9]+);", lambda match: chr(int(match[1])), newest["vault"]))
        else:
            kind, card, document, rest = self.unwrap(data).split(b"\n")
            require(kind + rest == b"shardraid-bundle-v1", "not a bundle")
            self.load_card(card, b64decode(document))
        for name in [name for folder in self.folders for name in files(folder, "*.marker") + files(folder, "*.layout")]:
            attempt(self.read_root, name, name[-6:])
        return require(self.ids, "no folder has a marker or layout of this vault")

    def read_root(self, path, kind):
        value = fields(parse(self.open(read(path), kind, self.owner)), *ROOT[kind])
        self.ids.update(value["ids"].values() if kind == "layout" else [value["backend"]])
    def object_id(self, key):
        return mac(hkdf(self.master, bytes(32), b"object id"), key).hex()
    def places(self, object_id):
        """The directories where an object may be, with the backend ids. Which folder is which backend shows by what is there."""
        for folder, backend in itertools.product(self.folders, sorted(self.ids)):
            secret = hkdf(self.names, backend.encode(), b"directory")
            name = b32encode(mac(secret, bytes.fromhex(object_id))[:20]).decode().lower()
            yield os.path.join(folder, name[:2], name[2:]), backend

    def look(self, object_id):
        """{incarnation: {kind of record, or (segment, shard): {path: backend id}}}: all that manifests and moves can name."""
        found = collections.defaultdict(lambda: collections.defaultdict(dict))
        for place, backend in self.places(object_id):
            cipher = Cipher(algorithms.AES(hkdf(self.names, backend.encode(), b"incarnation")), modes.ECB()).decryptor()
            for match in filter(None, map(FILE.fullmatch, map(os.path.basename, files(place, "*")))):
                what = match[2] or divmod(int.from_bytes(b32decode(match[3].upper()), "big"), 256)
                found[cipher.update(b32decode(match[1].upper() + "======")).hex()][what][os.path.join(place, match[0])] = backend
        return found

    def record(self, path, kind):  # its first line, as JSON and as it is, and the rest
        head, _, rest = self.open(read(path), kind, self.custody).partition(b"\n")
        return parse(head), head, rest

    def manifest(self, path, object_id, incarnation):
        """The open part and what was sealed, checked as section 8 demands."""
        part, head, rest = self.record(path, "manifest")
        require(part["features"] == [], "needs a newer version of this script")
        fields(part, "object incarnation features data parity segments supersedes")
        require(incarnation not in part["supersedes"], "it replaces itself")
        k, n, lengths = part["data"], part["data"] + part["parity"], [segment["length"] for segment in part["segments"]]
        require(1 <= k < n <= 255 and all(1 <= length <= 1 << 25 for length in lengths), "impossible numbers")
        for segment in part["segments"]:
            shards = fields(segment, "length nonce tag_key shards")["shards"]
            stored = [fields(s, "tag backend copy", "hash")["backend"] for s in shards if len(s) > 1 or not fields(s, "tag")]
            require(len(shards) == n and k <= len(stored) == len(set(stored)), "impossible shards")
            segment["size"] = -(-(segment["length"] + 16) // k)
        seal = AESGCM(hkdf(self.master, bytes.fromhex(incarnation), b"sealed"))
        line, content = seal.decrypt(rest[:12], rest[12:], hashlib.sha256(head).digest()).split(b"\n", 1)
        key, size = map(fields(parse(line), "key size").get, ("key", "size"))
        require(part["object"] == object_id == self.object_id(b64decode(key)) and part["incarnation"] == incarnation, "misplaced")
        inlined, left = 0 if lengths else size, size - sum(lengths[:-1])
        require(left > 0 and lengths[-1] == padded(left) if lengths else 0 <= size <= 1 << 20, "lengths and size disagree")
        require(len(line) + 1 + len(content) == padded(len(line) + 1 + inlined) and not any(content[inlined:]), "wrong padding")
        return dict(part, key=b64decode(key), size=size, content=content[:inlined])

    def candidates(self, object_id):
        """The manifests of the incarnations that are not removed, the best first (section 11)."""
        found = []
        for incarnation, paths in sorted(self.look(object_id).items(), key=lambda item: -len(item[1]["m"]))[:256]:
            part = next(filter(None, (attempt(self.manifest, path, object_id, incarnation) for path in paths["m"])), None)
            wanted = {"object": object_id, "incarnation": incarnation}, b""
            buried = {paths["t"][path] for path in paths["t"] if (attempt(self.record, path, "tombstone") or ())[::2] == wanted}
            if part and len(buried) <= part["parity"]:
                whole = all(sum((i, j) in paths for j in range(255)) >= part["data"] for i in range(len(part["segments"])))
                found.append(dict(part, paths=paths, buried=bool(buried), whole=whole))
        replaced = {old for each in found if each["whole"] and not each["buried"] for old in each["supersedes"]}
        return sorted(found, key=lambda each: (not each["whole"], each["incarnation"] in replaced, each["incarnation"]))

    def segment(self, part, number):
        """A segment's content and padding."""
        segment, k, incarnation = part["segments"][number], part["data"], bytes.fromhex(part["incarnation"])
        bound = incarnation + (256 * number + (number == len(part["segments"]) - 1)).to_bytes(5, "big")
        cipher, good = AESGCM(hkdf(self.master, incarnation, b"content")), []
        def load(path, j):
            data = read(path, segment["size"] + 1)
            tag = AESGCM(b64decode(segment["tag_key"])).encrypt(j.to_bytes(12, "big"), b"", data)
            require(len(data) == segment["size"] and tag == b64decode(segment["shards"][j]["tag"]), "a damaged shard")
            return data
        def unseal(_, shards):
            sealed = b"".join(shards.get(i) or interpolate(shards, i) for i in range(k))
            return cipher.decrypt(b64decode(segment["nonce"]), sealed[:segment["length"] + 16], bound)
        for j, path in [(j, path) for j in range(len(segment["shards"])) for path in part["paths"][number, j]]:
            shard = attempt(load, path, j)
            # The first k do, unless one is false though its tag is right. Then all sets are tried, up to a limit.
            for others in itertools.islice(itertools.combinations(good, k - 1), 1000 if shard else 0):
                plain = attempt(unseal, "segment %d" % number, dict(others + ((j, shard),)))
                if plain:
                    return plain
            good += [(j, shard)] if shard else []
        raise ValueError("segment %d: %d shards of %d needed are good" % (number, len(good), k))

    def write(self, out, part):
        with open(out + ".part", "wb") as file:
            file.write(part["content"])
            for number in range(len(part["segments"])):
                file.write(self.segment(part, number)[:part["size"] - file.tell()])
        os.replace(out + ".part", out)
        return True
    def restore(self, key, out):
        if os.path.isdir(out) or out.endswith("/"):
            os.makedirs(out, exist_ok=True)
            out = os.path.join(out, os.fsdecode(key).replace("&", "&a").replace("%", "&s").replace(":", "&c").replace("/", "%"))
        return require(any(attempt(self.write, out, part) for part in self.candidates(self.object_id(key))), "not brought back")

    def objects(self):
        """{key: its line in the list, or None if too little is left}"""
        found, seen = {}, set()
        def visit(path):
            object_id = self.record(path, "manifest" if ".m." in os.path.basename(path) else "tombstone")[0]["object"]
            seen.update(place for place, _ in self.places(object_id))
            for each in self.candidates(object_id)[:1]:
                found[each["key"]] = b"%s\t%d\n" % (each["key"], each["size"]) if each["whole"] else None
        for path in [path for folder in self.folders for path in files(folder, "??/" + "?" * 30 + "/*.[mt].*")]:
            if os.path.dirname(path) not in seen:
                attempt(visit, path)
        return found

def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--keys")
    parser.add_argument("--fingerprint")
    parser.add_argument("command", choices=["list", "get", "all"])
    parser.add_argument("words", nargs="+")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # not without removing the keyring
    own = {"list": 0, "all": 1, "get": 2}[options.command]
    remote = Remote(options.fingerprint, options.words[own:])
    copies = [path for folder in remote.folders for path in files(folder, "*.vault")]
    if not any(attempt(remote.load_file, path) for path in ([options.keys] if options.keys else copies)):
        return "recover: no vault could be opened; say --keys FILE for another source"
    lines = {os.fsencode(options.words[0]): b""} if options.command == "get" else remote.objects()
    out = os.path.join(options.words[0], "") if options.command == "all" else options.words[own - 1]
    work = remote.restore if own else lambda key, _: sys.stdout.buffer.write(require(lines[key], "too little is left of it"))
    return not all([attempt(work, key, out) for key in sorted(lines)])

if __name__ == "__main__":
    sys.exit(main())
