package vault

// Envelope closes the bodies of records so that only the vault opens them, and
// tells by the kind what each of them is. That of every real Vault is OpenPGP.
type Envelope interface {
	Seal(kind string, body []byte) ([]byte, error)
	// Open returns the body that Seal was given, or ErrRecord.
	Open(kind string, message []byte) ([]byte, error)
}

// WithEnvelope returns the vault with other envelopes for its records. It is
// for simulations, which seal millions of them: no program may call it.
func (v *Vault) WithEnvelope(e Envelope) *Vault {
	return &Vault{created: v.created, master: v.master, names: v.names, custody: v.custody, owner: v.owner, rand: v.rand, envelope: e}
}
