package object_test

import (
	"bytes"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"shardraid/manifest"
)

// base is a golden manifest that forgeries are made from.
func (f *forge) base(file string) (m *manifest.Manifest, at storedFile) {
	f.t.Helper()
	list, files := f.g.manifests(f.t, file)
	if len(list) == 0 {
		f.t.Fatalf("%s has no manifest", file)
	}
	return list[len(list)-1], files[len(files)-1]
}

func (f *forge) add(h hostile) {
	h.Name = h.What + "-" + h.Name
	f.list = append(f.list, h)
}

func (f *forge) original(h hostile) { f.originals = append(f.originals, h) }

// envelopes are faults of the OpenPGP message around the manifest of one
// byte.
func (f *forge) envelopes() {
	m, at := f.base("one-byte")
	body := must(f.g.vault.OpenRecord(manifestKind, at.data))(f.t)
	inner := f.signed(manifestKind, body, f.custody)
	good := f.encrypt(inner, f.custody)
	like := hostile{What: "manifest", Object: m.Object, Incarnation: m.Incarnation, Expect: "refused", Layer: "openpgp"}
	add := func(name, fault string, data []byte) {
		h := like
		h.Name, h.Fault, h.Data = name, fault, data
		f.add(h)
	}
	packets, outer := split(f, inner), split(f, good)
	for _, same := range [][]byte{good, slices.Concat(outer...), f.encrypt(slices.Concat(packets...), f.custody)} {
		like.Data = same
		f.original(like)
	}

	add("unsigned", "the message has no signature", f.encrypt(f.unsigned(manifestKind, body), f.custody))
	add("signed-by-stranger", "a key that is not of this vault signed it", f.encrypt(f.signed(manifestKind, body, f.stranger), f.custody))
	add("signed-by-owner", "the owner key signed it, not the custody key", f.encrypt(f.signed(manifestKind, body, f.owner), f.custody))
	add("signed-twice", "a stranger signed it as well", f.encrypt(f.signed(manifestKind, body, f.custody, f.stranger), f.custody))
	add("signed-by-both-keys", "the owner key signed it as well", f.encrypt(f.signed(manifestKind, body, f.custody, f.owner), f.custody))
	add("signature-of-other-bytes", "one bit of the content differs from what was signed", f.encrypt(flipAt(inner, bytes.Index(inner, body)+len(body)-1), f.custody))
	add("signature-flipped", "one bit of the signature is flipped", f.encrypt(flipAt(inner, len(inner)-1), f.custody))
	add("signature-missing", "a signature is announced and not there", f.encrypt(slices.Concat(packets[0], packets[1]), f.custody))
	add("signature-not-announced", "the packet that announces the signature is missing", f.encrypt(slices.Concat(packets[1], packets[2]), f.custody))
	add("content-missing", "the signature has no content", f.encrypt(slices.Concat(packets[0], packets[2]), f.custody))

	add("encrypted-to-stranger", "it is encrypted to another key", f.encrypt(inner, f.stranger))
	add("two-recipients", "it has a second session key, of a stranger", f.encrypt(inner, f.custody, f.stranger))
	add("session-key-twice", "its session key is there twice", slices.Concat(outer[0], outer[0], outer[1]))
	add("session-key-missing", "it has no session key", outer[1])
	add("data-missing", "it has a session key and no data", outer[0])
	add("not-encrypted", "it is signed and not encrypted", inner)
	add("encrypted-twice", "what is encrypted is an encrypted message", f.encrypt(good, f.custody))
	add("passphrase", "it is encrypted to a passphrase", f.lock(inner, 1)[17:])

	add("trailing-byte", "a byte follows it", append(slices.Clone(good), 0))
	add("twice", "the same message follows it", slices.Concat(good, good))
	add("packet-before", "a marker packet precedes it", append([]byte{0xca, 3, 'P', 'G', 'P'}, good...))
	add("cut-by-one", "its last byte is missing", good[:len(good)-1])
	add("cut-in-half", "its second half is missing", good[:len(good)/2])
	add("no-bytes", "it is empty", []byte{})
	add("mdc-flipped", "the last bit of its integrity code is flipped", flipAt(good, len(good)-1))
	add("mdc-missing", "its data packet has no integrity protection (tag 9)", f.withoutMDC(inner))
	add("session-key-flipped", "one bit of its session key is flipped", flipAt(good, len(outer[0])-1))
	add("armored", "it is armored", f.armor(good))
	add("bomb", "its content unpacks to 9 MiB", f.encrypt(f.compress(f.signed(manifestKind, append(slices.Clone(body), make([]byte, 9<<20)...), f.custody)), f.custody))

	seal := func(kind string) []byte { return must(f.g.vault.SealRecord(kind, body))(f.t) }
	add("kind-unknown", "its kind line is of a version 2", seal("shardraid-manifest-v2"))
	add("kind-of-tombstone", "its kind line is a tombstone's", seal(tombstoneKind))
	add("kind-missing", "it has no kind line", f.encrypt(f.signedBare(body), f.custody))
	add("kind-in-capitals", "its kind line is in capitals", seal("SHARDRAID-MANIFEST-V1"))
	add("kind-with-space", "a space follows its kind", seal(manifestKind+" "))
	add("kind-with-cr", "a carriage return follows its kind", seal(manifestKind+"\r"))
}

// signedBare signs a body without a kind line.
func (f *forge) signedBare(body []byte) []byte {
	kind, rest, _ := bytes.Cut(body, []byte("\n")) // signed puts the line feed back
	return f.signed(string(kind), rest, f.custody)
}

// withoutMDC is the old data packet, which go-crypto does not write.
func (f *forge) withoutMDC(inner []byte) []byte {
	var out bytes.Buffer
	key := bytes.Repeat([]byte{7}, 32)
	sub, _ := f.custody.EncryptionKey(f.config.Now(), f.config)
	if err := packet.SerializeEncryptedKeyWithHiddenOption(&out, sub.PublicKey, packet.CipherAES256, key, true, f.config); err != nil {
		f.t.Fatal(err)
	}
	stream, prefix := packet.NewOCFBEncrypter(newAES(f.t, key), bytes.Repeat([]byte{9}, 16), packet.OCFBResync)
	data := slices.Clone(inner)
	stream.XORKeyStream(data, data)
	data = append(prefix, data...)
	out.Write([]byte{0xc0 | 9, 0xff, byte(len(data) >> 24), byte(len(data) >> 16), byte(len(data) >> 8), byte(len(data))})
	out.Write(data)
	return out.Bytes()
}

func (f *forge) armor(message []byte) []byte {
	var out bytes.Buffer
	f.write(must(armor.Encode(&out, "PGP MESSAGE", nil))(f.t), message)
	return out.Bytes()
}

// split returns the packets of a message, each as it was or with another
// spelling of its length.
func split(f *forge, message []byte) (packets [][]byte) {
	r := packet.NewOpaqueReader(bytes.NewReader(message))
	for {
		p, err := r.Next()
		if err != nil {
			return packets
		}
		var out bytes.Buffer
		if err := p.Serialize(&out); err != nil {
			f.t.Fatal(err)
		}
		packets = append(packets, out.Bytes())
	}
}

func flipAt(data []byte, i int) []byte {
	data = slices.Clone(data)
	data[i] ^= 1
	return data
}
