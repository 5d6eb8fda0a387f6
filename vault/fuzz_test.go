package vault

import "testing"

func FuzzOpenRecord(f *testing.F) {
	v, card := newVault(f)
	good, err := v.SealRecord("a-v1", []byte("body"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, message []byte) {
		if body, err := v.OpenRecord("a-v1", message); err == nil && string(body) != "body" {
			t.Errorf("forged: %q", body)
		}
		if _, err := card.Verify("a-v1", message); err == nil {
			t.Error("forged signature")
		}
	})
}
