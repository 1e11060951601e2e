package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// How often the API server is asked whether it is ready. There is nothing to wait on but its answer.
const readinessInterval = 50 * time.Millisecond

// How long everything may take to start, on a machine that is busy with other things.
const startTimeout = 3 * time.Minute

// What is printed when the cluster is ready.
type ready struct {
	Server     string `json:"server"`
	Kubeconfig string `json:"kubeconfig"`
	AuditLog   string `json:"auditLog"`
	WebhookCA  string `json:"webhookClientCA"`
	Version    string `json:"version"`
}

type cluster struct {
	dir      string
	etcd     *embed.Etcd
	children []*exec.Cmd
	// Gets the reason when a component ends that nobody asked to.
	ended chan error
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) start(ctx context.Context, controllers, scheduler bool) (*ready, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c.ended = make(chan error, 4)
	credentials, err := writeCredentials(c.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot make the certificates: %w", err)
	}
	if err := c.startEtcd(ctx); err != nil {
		return nil, fmt.Errorf("cannot start etcd: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	server := "https://" + listener.Addr().String()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := c.writeConfigurations(server); err != nil {
		return nil, err
	}
	if err := c.spawn("kube-apiserver", c.apiServerFlags(), file); err != nil {
		return nil, err
	}
	version, err := c.awaitReady(ctx, server, credentials)
	if err != nil {
		return nil, err
	}
	if controllers {
		if err := c.spawn("kube-controller-manager", c.controllerManagerFlags()); err != nil {
			return nil, err
		}
	}
	if scheduler {
		if err := c.spawn("kube-scheduler", c.schedulerFlags()); err != nil {
			return nil, err
		}
	}
	return &ready{
		Server:     server,
		Kubeconfig: c.path(adminKubeconfig),
		AuditLog:   c.path(auditLog),
		WebhookCA:  c.path(webhookClientCA + ".crt"),
		Version:    version,
	}, nil
}

func (c *cluster) startEtcd(ctx context.Context) error {
	config := embed.NewConfig()
	config.Dir = c.path("etcd")
	config.UnsafeNoFsync = true
	config.LogLevel = "warn"
	config.LogOutputs = []string{c.path("etcd.log")}
	client, peer := url.URL{Scheme: "unix", Path: c.path("client.sock")}, url.URL{Scheme: "unix", Path: c.path("peer.sock")}
	config.ListenClientUrls, config.ListenPeerUrls = []url.URL{client}, []url.URL{peer}
	// etcd wants these to have a host and a port; nobody ever calls them, for there are no other members.
	advertised := url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = []url.URL{advertised}, []url.URL{advertised}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	c.etcd = etcd
	select {
	case <-etcd.Server.ReadyNotify():
		return nil
	case err := <-etcd.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Starts this program again as a component, which writes its log to DIR/NAME.log.
func (c *cluster) spawn(name string, flags []string, files ...*os.File) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(c.path(name + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	child := exec.Command(self, append([]string{name}, flags...)...)
	child.Stdout, child.Stderr, child.ExtraFiles = log, log, files
	// A group of its own, so that a terminal's Ctrl-C reaches this process alone, which ends the others.
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := child.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	c.children = append(c.children, child)
	go func() {
		err := child.Wait()
		c.ended <- fmt.Errorf("%s ended (%v): see %s", name, err, log.Name())
	}()
	return nil
}

// Waits until /readyz says ok, and asks for the version.
func (c *cluster) awaitReady(ctx context.Context, server string, credentials *credentials) (string, error) {
	roots := x509.NewCertPool()
	roots.AddCert(credentials.ca.certificate)
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{credentials.admin}, MinVersion: tls.VersionTLS13}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	get := func(path string) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server+path, nil)
		if err != nil {
			return "", err
		}
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s answers %s: %s", path, response.Status, body)
		}
		return string(body), err
	}
	tick := time.NewTicker(readinessInterval)
	defer tick.Stop()
	for {
		_, err := get("/readyz")
		if err == nil {
			return version(get("/version"))
		}
		select {
		case <-tick.C:
		case ended := <-c.ended:
			return "", ended
		case <-ctx.Done():
			return "", fmt.Errorf("the API server did not get ready: %w", err)
		}
	}
}

func version(text string, err error) (string, error) {
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &version)
	}
	return version.GitVersion, err
}

// Ends all components at once: nothing of what they hold is wanted any more.
func (c *cluster) stop() {
	for _, child := range c.children {
		_ = child.Process.Kill()
	}
	for range c.children {
		<-c.ended
	}
	if c.etcd != nil {
		c.etcd.Close()
	}
}
