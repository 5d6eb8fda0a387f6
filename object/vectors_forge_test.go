package object_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"golang.org/x/crypto/scrypt"

	"shardraid/erasure"
	"shardraid/manifest"
	"shardraid/vault"
)

const (
	manifestKind  = "shardraid-manifest-v1"
	moveKind      = "shardraid-move-v1"
	tombstoneKind = "shardraid-tombstone-v1"
	doomKind      = "shardraid-doom-v1"
	markerKind    = "shardraid-marker-v1"
	layoutKind    = "shardraid-layout-v1"
	cardKind      = "shardraid-card-v1"
)

// forge makes hostile vectors with the keys of the golden vault, by hand: the
// program itself refuses to write them.
type forge struct {
	t         testing.TB
	g         *golden
	custody   *openpgp.Entity
	owner     *openpgp.Entity
	stranger  *openpgp.Entity
	other     *vault.Vault // another one
	config    *packet.Config
	list      []hostile
	originals []hostile // what the forgeries were made from, unchanged
}

// forgeAll makes all hostile vectors anew.
func forgeAll(t testing.TB, g *golden) []hostile { return newForge(t, g).list }

func newForge(t testing.TB, g *golden) *forge {
	t.Helper()
	f := &forge{t: t, g: g}
	signed := must(g.vault.Marshal())(t)
	md, err := openpgp.ReadMessage(bytes.NewReader(signed), openpgp.EntityList{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := must(io.ReadAll(md.UnverifiedBody))(t)
	var doc struct {
		Created        int64
		Custody, Owner []byte
	}
	_, body, _ := bytes.Cut(all, []byte("\n"))
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(doc.Created, 0).Add(24 * time.Hour)
	f.config = &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, Curve: packet.Curve25519, DefaultHash: crypto.SHA512, DefaultCipher: packet.CipherAES256,
		S2KConfig: &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, Hash: crypto.SHA256, S2KCount: 65536},
		Time:      func() time.Time { return now },
	}
	f.custody = must(openpgp.ReadEntity(packet.NewReader(bytes.NewReader(doc.Custody))))(t)
	f.owner = must(openpgp.ReadEntity(packet.NewReader(bytes.NewReader(doc.Owner))))(t)
	f.stranger = must(openpgp.NewEntity("stranger", "", "", f.config))(t)
	f.other = must(vault.Create(now.Add(24*time.Hour), nil))(t)
	f.envelopes()
	f.manifests()
	f.records()
	f.markers()
	f.layouts()
	f.cards()
	f.copies()
	f.names()
	f.shards()
	return f
}

// must fails the test where there is an error.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// signed is what an encrypted record holds: signed packets in the clear.
func (f *forge) signed(kind string, body []byte, signers ...*openpgp.Entity) []byte {
	f.t.Helper()
	var out bytes.Buffer
	w := must(openpgp.Sign(&out, signers, nil, f.config))(f.t)
	f.write(w, []byte(kind+"\n"), body)
	return out.Bytes()
}

// unsigned is the content alone.
func (f *forge) unsigned(kind string, body []byte) []byte {
	var out bytes.Buffer
	w := must(packet.SerializeLiteral(closer{&out}, true, "", 0))(f.t)
	f.write(w, []byte(kind+"\n"), body)
	return out.Bytes()
}

// encrypt wraps packets as records are wrapped.
func (f *forge) encrypt(inner []byte, to ...*openpgp.Entity) []byte {
	f.t.Helper()
	var out bytes.Buffer
	key := make([]byte, 32)
	rand.Read(key)
	for _, e := range to {
		sub, ok := e.EncryptionKey(f.config.Now(), f.config)
		if !ok {
			f.t.Fatal("no encryption key")
		}
		if err := packet.SerializeEncryptedKeyWithHiddenOption(&out, sub.PublicKey, packet.CipherAES256, key, true, f.config); err != nil {
			f.t.Fatal(err)
		}
	}
	w := must(packet.SerializeSymmetricallyEncrypted(&out, packet.CipherAES256, false, packet.CipherSuite{}, key, f.config))(f.t)
	f.write(w, inner)
	return out.Bytes()
}

// compress puts packets into a compressed one.
func (f *forge) compress(inner []byte) []byte {
	var out bytes.Buffer
	w := must(packet.SerializeCompressed(closer{&out}, packet.CompressionZLIB, &packet.CompressionConfig{Level: 9}))(f.t)
	f.write(w, inner)
	return out.Bytes()
}

// lock locks to the golden words at a cost of 2^n.
func (f *forge) lock(plain []byte, n int) []byte {
	f.t.Helper()
	out := bytes.NewBuffer(make([]byte, 16))
	rand.Read(out.Bytes())
	key := must(scrypt.Key([]byte(f.g.words), out.Bytes(), 1<<n, 8, 1, 32))(f.t)
	out.WriteByte(byte(n))
	w := must(openpgp.SymmetricallyEncrypt(out, []byte(hex.EncodeToString(key)), nil, f.config))(f.t)
	f.write(w, plain)
	return out.Bytes()
}

func (f *forge) write(w io.WriteCloser, parts ...[]byte) {
	f.t.Helper()
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.t.Fatal(err)
	}
}

type closer struct{ io.Writer }

func (closer) Close() error { return nil }

// wire is the open part of a manifest as docs/format.md has it, with types
// loose enough for what is not valid.
type wire struct {
	Object      string        `json:"object"`
	Incarnation string        `json:"incarnation"`
	Features    []string      `json:"features"`
	Data        int           `json:"data"`
	Parity      int           `json:"parity"`
	Segments    []wireSegment `json:"segments"`
	Supersedes  []string      `json:"supersedes"`
}

type wireSegment struct {
	Length int64       `json:"length"`
	Nonce  []byte      `json:"nonce"`
	TagKey []byte      `json:"tag_key"`
	Shards []wireShard `json:"shards"`
}

type wireShard struct {
	Backend string `json:"backend,omitempty"`
	Copy    string `json:"copy,omitempty"`
	Tag     []byte `json:"tag"`
	Hash    string `json:"hash,omitempty"`
}

// draft is a manifest in the making.
type draft struct {
	wire
	line    func(string) string // changes the open part's line before it is sealed
	after   func(string) string // changes it after that
	head    func(string) string // changes the sealed head's line
	plain   func([]byte) []byte // changes the plaintext of the sealed part
	body    func([]byte) []byte // changes the whole body
	key     string
	size    int64
	content []byte
	sealKey [32]byte
}

// draft takes a golden manifest apart. Put together again it is the same.
func (f *forge) draft(s storedFile) *draft {
	f.t.Helper()
	body := must(f.g.vault.OpenRecord(manifestKind, s.data))(f.t)
	open, _, _ := bytes.Cut(body, []byte("\n"))
	d := &draft{sealKey: f.g.vault.SealedKey(s.name.Incarnation)}
	if err := strictJSON(open, &d.wire); err != nil {
		f.t.Fatal(err)
	}
	if again := must(json.Marshal(d.wire))(f.t); !bytes.Equal(again, open) {
		f.t.Fatalf("the open part\n%s is written as\n%s", open, again)
	}
	id := vault.ObjectID(must(hex.DecodeString(d.Object))(f.t))
	m := must(manifest.Open(f.g.vault, id, s.name.Incarnation, s.data))(f.t)
	d.key, d.size, d.content = m.Key, m.Size, m.Content
	return d
}

// bytes returns the body of the manifest.
func (d *draft) bytes(t testing.TB) []byte {
	open := string(must(json.Marshal(d.wire))(t))
	if d.line != nil {
		open = d.line(open)
	}
	head := string(must(json.Marshal(struct {
		Key  []byte `json:"key"`
		Size int64  `json:"size"`
	}{[]byte(d.key), d.size}))(t))
	if d.head != nil {
		head = d.head(head)
	}
	plain := append([]byte(head+"\n"), d.content...)
	plain = append(plain, make([]byte, erasure.Padded(len(plain))-len(plain))...)
	if d.plain != nil {
		plain = d.plain(plain)
	}
	block := must(aes.NewCipher(d.sealKey[:]))(t)
	aead := must(cipher.NewGCM(block))(t)
	nonce := make([]byte, 12)
	rand.Read(nonce)
	hash := sha256.Sum256([]byte(open))
	sealed := aead.Seal(nonce, nonce, plain, hash[:])
	if d.after != nil {
		open = d.after(open)
	}
	body := append([]byte(open+"\n"), sealed...)
	if d.body != nil {
		body = d.body(body)
	}
	return body
}

// swap replaces a text that is there.
func swap(t testing.TB, old, new string) func(string) string {
	return func(text string) string {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("%q is not in %.300s", old, text)
		}
		return strings.Replace(text, old, new, 1)
	}
}
