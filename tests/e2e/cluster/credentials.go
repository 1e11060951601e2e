package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Names of files in the cluster's folder; each pair is NAME.crt and NAME.key.
const (
	clusterCA       = "ca"
	servingPair     = "apiserver"
	adminPair       = "admin"
	controllersPair = "controllers"
	schedulerPair   = "scheduler"
	// An authority of its own: what the API server shows to webhooks must open no other door.
	webhookClientCA   = "webhook-client-ca"
	webhookClientPair = "webhook-client"
	serviceAccounts   = "service-accounts"
)

// No test takes as long. Those that need a certificate to expire make it themselves.
const validity = 7 * 24 * time.Hour

type pair struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

type credentials struct {
	ca    *pair
	admin tls.Certificate
}

// Makes the cluster's certificates and keys, and writes them into a folder.
func writeCredentials(dir string) (*credentials, error) {
	ca, err := writePair(dir, clusterCA, authority("portcullis-cluster"), nil)
	if err != nil {
		return nil, err
	}
	webhookCA, err := writePair(dir, webhookClientCA, authority("portcullis-cluster-webhooks"), nil)
	if err != nil {
		return nil, err
	}
	serving := leaf("kube-apiserver", x509.ExtKeyUsageServerAuth)
	// The first address of the services' range is the API server's own.
	serving.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}
	serving.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	client := x509.ExtKeyUsageClientAuth
	leaves := []struct {
		name     string
		template *x509.Certificate
		by       *pair
	}{
		{servingPair, serving, ca},
		{adminPair, leaf("admin", client, "system:masters"), ca},
		{controllersPair, leaf("system:kube-controller-manager", client), ca},
		{schedulerPair, leaf("system:kube-scheduler", client), ca},
		{webhookClientPair, leaf("kube-apiserver", client), webhookCA},
		// Only its key is used.
		{serviceAccounts, leaf("service-accounts", client), ca},
	}
	for _, leaf := range leaves {
		if _, err := writePair(dir, leaf.name, leaf.template, leaf.by); err != nil {
			return nil, err
		}
	}
	admin, err := tls.LoadX509KeyPair(filepath.Join(dir, adminPair+".crt"), filepath.Join(dir, adminPair+".key"))
	return &credentials{ca: ca, admin: admin}, err
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
}

func leaf(user string, usage x509.ExtKeyUsage, groups ...string) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
}

// Signs a certificate, by itself where there is nobody else, and writes it and its key.
func writePair(dir, name string, template *x509.Certificate, by *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.NotBefore = time.Now().Add(-time.Minute)
	template.NotAfter = time.Now().Add(validity)
	if by == nil {
		by = &pair{certificate: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(dir, name+".key"), "EC PRIVATE KEY", keyDER); err != nil {
		return nil, err
	}
	return &pair{certificate: certificate, key: key}, nil
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
