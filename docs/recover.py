#!/usr/bin/env python3
"""Bring files back from a shardraid remote without shardraid. format.md says what is read, recovery.md how to use this.

Needs Python 3.9, python3-cryptography 38 and gpg 2.2, or newer. Each FOLDER holds the files of one backend, as fetched by
"rclone copy section:path FOLDER"; up to m of them may be missing, empty or damaged. A passphrase comes from the file named
by SHARDRAID_PASSPHRASE_FILE, else from the terminal. Without an option the keys come from the .vault files in the FOLDERs.

    recover.py [option] list FOLDER...         print "KEY<TAB>SIZE" for each object that can be brought back
    recover.py [option] get KEY OUT FOLDER...  write the content of KEY to the file OUT
    recover.py [option] all OUT FOLDER...      write each object into the folder OUT, under git-annex's file name
    recover.py [option] layout FOLDER...       print the newest layout: it tells where all backends are
"""
import argparse, base64, collections, functools, getpass, glob, hashlib, hmac, itertools, json, os, re, signal, struct
import subprocess, sys, tempfile
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LIMIT = (8 << 20) + (64 << 10)  # of a record, as stored and as decrypted
# The last letter of a name holds fewer than 5 bits.
FILE = re.compile(r"([a-z2-7]{25}[aeimquy4])\.(?:([mvtd])|s\.([a-z2-7]{8}))\.[a-z2-7]{12}[acegikmoqsuwy246]")

class Failure(Exception):
    """Something that was stored is not valid, or not here."""

BROKEN = (Failure, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, InvalidTag, struct.error)

def require(true, text):
    if not true:
        raise Failure(text)

def attempt(work, what, *rest):
    """work(what, *rest), or None and a line on stderr."""
    try:
        return work(what, *rest)
    except BROKEN as error:
        print("recover: %s: %s" % (os.fsdecode(what), str(error) or type(error).__name__), file=sys.stderr)

def read(path):
    with open(path, "rb") as file:
        data = file.read(LIMIT + 1)
    require(len(data) <= LIMIT, "too long")
    return data

def unbase64(text):
    return base64.b64decode(text, validate=True)

def unbase32(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))

def fields(value, needed, optional=""):
    """The JSON object value, if it has the fields needed and no unknown ones."""
    names = set(needed.split())
    require(type(value) is dict and names <= set(value) <= names | set(optional.split()), "missing or unknown fields")
    return value

def mac(key, data):
    return hmac.new(key, data, "sha256").digest()

def hkdf(secret, salt, info):
    return mac(mac(salt, secret), b"shardraid/1 " + info + b"\x01")

def padded(n):
    e = max(n, 1024).bit_length() - 1
    return -(-max(n, 1024) >> e - e.bit_length()) << e - e.bit_length()

# Reed-Solomon (section 6). A matrix is a list of rows, a row is bytes. MUL[a] is the table of b -> a*b for bytes.translate.

DOUBLE = bytes(b << 1 ^ (0x11D if b & 0x80 else 0) for b in range(256))
MUL = [bytes(256)]
for a in range(1, 256):
    MUL.append(bytes(x ^ (b if a & 1 else 0) for b, x in enumerate(MUL[a >> 1].translate(DOUBLE))))

def combine(factors, rows):
    """The sum of factor * row. Tables and big integers make it fast for long rows, which shards are."""
    total = 0
    for factor, row in zip(factors, rows):
        total ^= int.from_bytes(row.translate(MUL[factor]), "little")
    return total.to_bytes(len(rows[0]), "little")

def invert(rows):
    n = len(rows)
    rows = [row + bytes(i == j for j in range(n)) for i, row in enumerate(rows)]
    for c in range(n):
        pivot = next(r for r in range(c, n) if rows[r][c])
        inverse = MUL[MUL[rows[pivot][c]].index(1)]
        rows[c], rows[pivot] = rows[pivot].translate(inverse), rows[c]
        rows = [row if r == c else combine((1, row[c]), (row, rows[c])) for r, row in enumerate(rows)]
    return [row[n:] for row in rows]

@functools.lru_cache(4)
def coding_matrix(k, n):
    rows = [bytes(itertools.accumulate([1] + [r] * (k - 1), lambda x, y: MUL[x][y])) for r in range(n)]
    top = invert(rows[:k])
    return [combine(row, top) for row in rows]

def decode(shards, k, n):
    """Join k shards, given as {number: bytes}, to the sealed segment and its zeros."""
    if max(shards) >= k:
        inverse, have = invert([coding_matrix(k, n)[j] for j in shards]), list(shards.values())
        shards = {i: shards.get(i) or combine(inverse[i], have) for i in range(k)}
    return b"".join(shards[i] for i in range(k))

@functools.lru_cache(1)
def passphrase():
    path = os.environ.get("SHARDRAID_PASSPHRASE_FILE")
    return " ".join((read(path).decode() if path else getpass.getpass("Passphrase: ")).split()).encode()

class Vault:
    """The keys of a remote (section 9), and a gpg with a keyring in the folder home."""

    def __init__(self, home, trusted):
        self.home, self.trusted = home, trusted
        self.clock = 4 * 10**9  # late enough for every key; no date proves anything

    def file(self, name, data):
        with open(os.path.join(self.home, name), "wb") as file:
            file.write(data)
        return file.name

    def gpg(self, arguments, data, user=False):
        """What gpg writes, with the vault's keys or the user's; its status lines by first word; whose one good signature it saw."""
        status = self.file("status", b"")
        command = ["gpg", "--batch", "-vv", "--max-output", str(LIMIT), "--status-file", status]
        if not user:
            command += ["--no-options", "--homedir", self.home, "--trust-model=always", "--faked-system-time", str(self.clock)]
        done = subprocess.run(command + arguments, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        lines = collections.defaultdict(list)
        for line in read(status).decode("utf-8", "replace").splitlines():
            lines[line.split()[1]].append(line.split()[2:])
        lines["tags"] = re.findall(rb"(?m)^# off=\d+ ctb=\w+ tag=(\d+)", done.stderr)
        good = len(lines["GOODSIG"]) == len(lines["VALIDSIG"]) == 1 and not {"BADSIG", "ERRSIG", "EXPSIG"} & set(lines)
        return done.stdout, lines, lines["VALIDSIG"][0][-1] if good else None

    def add_key(self, key):
        """Import a key, give its fingerprint."""
        found = {words[1] for words in self.gpg(["--import"], key)[1]["IMPORT_OK"]}
        require(len(found) == 1, "gpg cannot import a key")
        return found.pop()

    def open(self, data, kind, signer, encrypted=True):
        """The body of a record or signed document. Without a signer it is not to be believed yet."""
        out, status, signed_by = self.gpg(["--decrypt"], data)
        require(status["tags"] == [b"1", b"18"] * encrypted + [b"4", b"11", b"2"], "not one message of the expected form")
        if encrypted:
            require(status["DECRYPTION_OKAY"] and status["GOODMDC"], "does not decrypt")
            require([words[1] for words in status["DECRYPTION_KEY"]] == [self.custody], "encrypted to a strange key")
        require(signer in (None, signed_by), "no good signature by the right key")
        head, _, body = out.partition(b"\n")
        require(head == kind.encode(), "not of the kind " + kind)
        return body

    def unwrap(self, data):
        """What is encrypted to the user's key, or locked to the passphrase: then it begins with salt, n, and tag 3."""
        if data[16] > 20 or data[17] not in (0x8C, 0xC3) or data[19] != 4:
            out, status, _ = self.gpg(["--decrypt"], data, user=True)
        else:
            n = 1 << data[16]
            key = hashlib.scrypt(passphrase(), salt=data[:16], n=n, r=8, p=1, maxmem=n * 1024 + (1 << 20), dklen=32).hex()
            options = ["--pinentry-mode=loopback", "--passphrase-fd=0", "--decrypt", self.file("locked", data[17:])]
            out, status, _ = self.gpg(options, key.encode())
            require(status["tags"][:2] == [b"3", b"18"], "not locked to a passphrase")
        require(status["DECRYPTION_OKAY"], "neither your GPG key nor the passphrase opens it")
        return out

    def load(self, document, fingerprint):
        """Take the keys from a signed vault document."""
        body = self.open(document, "shardraid-vault-v1", None, encrypted=False)
        vault = fields(json.loads(body), "created master names custody owner")
        self.clock = vault["created"] + 86400
        self.custody, self.owner = self.add_key(unbase64(vault["custody"])), self.add_key(unbase64(vault["owner"]))
        require(self.open(document, "shardraid-vault-v1", self.owner, encrypted=False) == body, "a forged vault")
        require(self.owner == fingerprint and self.trusted in (None, fingerprint), "this is the vault " + self.owner)
        self.master, self.names = unbase64(vault["master"]), unbase64(vault["names"])

    def load_card(self, text, document=None):
        """Take the keys from the vault document, or from what the card wraps, if the card is good."""
        outer = fields(json.loads(unbase64(text)), "owner card")
        owner = self.add_key(unbase64(outer["owner"]))
        card = json.loads(self.open(unbase64(outer["card"]), "shardraid-card-v1", owner, encrypted=False))
        fields(card, "serial mode", "recipients wrapped creator")
        if card["mode"] == "recipients" and self.trusted != owner:
            path = self.file("signature", unbase64(card["creator"]["signature"]))
            signed = b"shardraid-creator-v1\n" + unbase64(outer["owner"])
            known = self.gpg(["--verify", path, "-"], signed, user=True)[2] == card["creator"]["key"]
            require(known, "no GPG key you know vouches for it; if %s is right, say --fingerprint %s" % (owner, owner))
        self.load(document or self.unwrap(unbase64(card["wrapped"])), owner)

    def load_bundle(self, data):
        kind, card, document, rest = data.split(b"\n")
        require(kind + rest == b"shardraid-bundle-v1", "not a bundle")
        self.load_card(card, unbase64(document))

    def load_file(self, path, form):
        data = read(path)
        if form == "card":
            self.load_card(newest_card(data.decode()))
        elif form == "creds":
            self.load(unbase64(data.split(b"\n")[1]), data.split(b"\n")[0].decode())
        else:
            text = re.sub(rb".*-----BEGIN SHARDRAID RECOVERY-----|-----END.*|[\w-]+:.*", b"", data)
            self.load_bundle(self.unwrap(unbase64(b"".join(text.split())) if form == "recovery" else data))

def newest_card(text):
    """text itself, or the newest card in a remote.log."""
    found = re.findall(r"(?m)^\S+ (?:.* )?vault=(\S+)(?= )", text)  # git-annex sorts a line's fields; timestamp is the last
    return text.strip()
