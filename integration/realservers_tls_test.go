package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// certify makes the server a certificate that is valid for so long from now
// on, or has not been for so long. The script's programs trust it.
func (s *realServer) certify(ts *testscript.TestScript, valid time.Duration) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	until := time.Now().Add(valid)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(until.Unix()), Subject: pkix.Name{CommonName: s.name},
		NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	pemOf := func(kind string, data []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}) }
	writeFile(ts, s.etc+"/cert.pem", "%s", pemOf("CERTIFICATE", cert))
	writeFile(ts, s.etc+"/key.pem", "%s", pemOf("PRIVATE KEY", secret))
	ts.Setenv("RCLONE_CA_CERT", s.etc+"/cert.pem")
}
