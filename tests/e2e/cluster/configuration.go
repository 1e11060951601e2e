package main

import (
	"fmt"
	"os"
)

// Names of files in the cluster's folder.
const (
	adminKubeconfig       = "admin.kubeconfig"
	controllersKubeconfig = "controllers.kubeconfig"
	schedulerKubeconfig   = "scheduler.kubeconfig"
	webhookKubeconfig     = "webhook-client.kubeconfig"
	admissionFile         = "admission.yaml"
	auditPolicy           = "audit-policy.yaml"
	auditLog              = "audit.jsonl"
)

// Who was judged, how, and the annotations of admission; bodies would only be long. Reads are of no interest.
const auditPolicyText = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [get, list, watch]
- level: Metadata
`

// The API server shows a certificate to every webhook; those that do not ask for one are none the wiser. And there is one user whom
// the PodSecurity plugin does not judge, so that what others say of a pod in the same namespace can be told from what it says.
const admissionText = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ValidatingAdmissionWebhook
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: WebhookAdmissionConfiguration
    kubeConfigFile: %s
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    exemptions: {usernames: [portcullis:not-judged-by-pod-security]}
`

// The user "*" is every webhook.
const webhookKubeconfigText = `apiVersion: v1
kind: Config
users:
- name: "*"
  user: {client-certificate: %[1]s.crt, client-key: %[1]s.key}
`

const kubeconfigText = `apiVersion: v1
kind: Config
clusters:
- name: portcullis
  cluster: {server: %[1]q, certificate-authority: %[2]s.crt}
users:
- name: user
  user: {client-certificate: %[3]s.crt, client-key: %[3]s.key}
contexts:
- name: portcullis
  context: {cluster: portcullis, user: user}
current-context: portcullis
`

func (c *cluster) writeConfigurations(server string) error {
	kubeconfig := func(pair string) string { return fmt.Sprintf(kubeconfigText, server, c.path(clusterCA), c.path(pair)) }
	files := map[string]string{
		adminKubeconfig:       kubeconfig(adminPair),
		controllersKubeconfig: kubeconfig(controllersPair),
		schedulerKubeconfig:   kubeconfig(schedulerPair),
		webhookKubeconfig:     fmt.Sprintf(webhookKubeconfigText, c.path(webhookClientPair)),
		admissionFile:         fmt.Sprintf(admissionText, c.path(webhookKubeconfig)),
		auditPolicy:           auditPolicyText,
	}
	for name, text := range files {
		if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Upstream's defaults but for what a cluster without nodes and network cannot have.
func (c *cluster) apiServerFlags() []string {
	return []string{
		"--etcd-servers=unix://" + c.path("client.sock"),
		"--authorization-mode=Node,RBAC",
		"--allow-privileged",
		"--anonymous-auth=false",
		"--client-ca-file=" + c.path(clusterCA+".crt"),
		"--tls-cert-file=" + c.path(servingPair+".crt"),
		"--tls-private-key-file=" + c.path(servingPair+".key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.path(serviceAccounts+".key"),
		"--service-account-signing-key-file=" + c.path(serviceAccounts+".key"),
		"--service-cluster-ip-range=10.0.0.0/16",
		"--endpoint-reconciler-type=none",
		"--advertise-address=127.0.0.1",
		"--admission-control-config-file=" + c.path(admissionFile),
		"--audit-policy-file=" + c.path(auditPolicy),
		"--audit-log-path=" + c.path(auditLog),
		// Written before the request is answered, so that a test that has its answer finds it in the file.
		"--audit-log-mode=blocking-strict",
		// Tests send what they send as fast as they can.
		"--max-requests-inflight=0",
		"--max-mutating-requests-inflight=0",
		"--enable-priority-and-fairness=false",
	}
}

func (c *cluster) controllerManagerFlags() []string {
	return []string{
		"--kubeconfig=" + c.path(controllersKubeconfig),
		"--root-ca-file=" + c.path(clusterCA+".crt"),
		"--service-account-private-key-file=" + c.path(serviceAccounts+".key"),
		"--use-service-account-credentials",
		"--leader-elect=false",
		"--secure-port=0",
	}
}

func (c *cluster) schedulerFlags() []string {
	return []string{"--kubeconfig=" + c.path(schedulerKubeconfig), "--leader-elect=false", "--secure-port=0"}
}
