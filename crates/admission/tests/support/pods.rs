//! Pods by the thousand: every field that a check reads, with values that pass, that do not, and that are absent.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// How often a field is present.
const PRESENT: f64 = 0.35;

/// An object of which each field is there or not.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let fields: Vec<_> =
        fields.into_iter().map(|(name, value)| weighted(PRESENT, value).prop_map(move |value| value.map(|value| (name, value)))).collect();
    fields
        .prop_map(|fields| fields.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into())
        .boxed()
}

fn one_of(values: &'static [&'static str]) -> BoxedStrategy<Value> {
    select(values).prop_map(Value::from).boxed()
}

fn boolean() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn list(element: BoxedStrategy<Value>, most: usize) -> BoxedStrategy<Value> {
    vec(element, 0..=most).prop_map(Value::from).boxed()
}

fn profile() -> BoxedStrategy<Value> {
    object(vec![("type", one_of(&["RuntimeDefault", "Localhost", "Unconfined", ""]))])
}

fn shared_security() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    vec![
        ("appArmorProfile", profile()),
        ("seccompProfile", profile()),
        (
            "seLinuxOptions",
            object(vec![
                ("type", one_of(&["container_t", "container_engine_t", "spc_t", ""])),
                ("user", one_of(&["", "u"])),
                ("role", one_of(&["", "r"])),
                ("level", one_of(&["s0"])),
            ]),
        ),
        ("windowsOptions", object(vec![("hostProcess", boolean())])),
        ("runAsNonRoot", boolean()),
        ("runAsUser", select(&[0, 1, 1000][..]).prop_map(Value::from).boxed()),
    ]
}

fn handler() -> BoxedStrategy<Value> {
    let action = || object(vec![("host", one_of(&["", "127.0.0.1", "example.org"]))]);
    object(vec![("httpGet", action()), ("tcpSocket", action()), ("exec", Just(json!({"command": ["x"]})).boxed())])
}

fn container() -> BoxedStrategy<Value> {
    let capability = || one_of(&["ALL", "NET_BIND_SERVICE", "CHOWN", "SYS_ADMIN", "CAP_CHOWN", "all"]);
    let mut security = shared_security();
    security.extend([
        ("privileged", boolean()),
        ("allowPrivilegeEscalation", boolean()),
        ("procMount", one_of(&["Default", "Unmasked"])),
        ("capabilities", object(vec![("add", list(capability(), 3)), ("drop", list(capability(), 2))])),
    ]);
    let fields = object(vec![
        ("securityContext", object(security)),
        ("ports", list(object(vec![("hostPort", select(&[0, 80, 8080][..]).prop_map(Value::from).boxed())]), 2)),
        ("livenessProbe", handler()),
        ("readinessProbe", handler()),
        ("startupProbe", handler()),
        ("lifecycle", object(vec![("postStart", handler()), ("preStop", handler())])),
    ]);
    (select(&["a", "b", "c", "d"][..]), fields)
        .prop_map(|(name, mut fields)| {
            fields["name"] = name.into();
            fields["image"] = "registry.example/app".into();
            fields
        })
        .boxed()
}

fn volume() -> BoxedStrategy<Value> {
    let sources = &["emptyDir", "secret", "image", "hostPath", "nfs", "gitRepo", "futureSource"][..];
    (select(&["v", "w"][..]), weighted(0.9, select(sources)))
        .prop_map(|(name, source)| {
            let mut volume = json!({ "name": name });
            if let Some(source) = source {
                volume[source] = json!({});
            }
            volume
        })
        .boxed()
}

fn annotations() -> BoxedStrategy<Value> {
    let value = || one_of(&["runtime/default", "docker/default", "localhost/p", "unconfined", ""]);
    object(vec![
        ("seccomp.security.alpha.kubernetes.io/pod", value()),
        ("container.seccomp.security.alpha.kubernetes.io/a", value()),
        ("container.apparmor.security.beta.kubernetes.io/a", value()),
    ])
}

/// A pod, `metadata` and `spec`, that the checks can read.
pub(crate) fn pod() -> BoxedStrategy<Value> {
    let sysctl = select(&["kernel.shm_rmid_forced", "net.ipv4.tcp_rmem", "net.ipv4.tcp_notsent_lowat", "kernel.msgmax"][..])
        .prop_map(|name| json!({ "name": name, "value": "1" }))
        .boxed();
    let mut security = shared_security();
    security.push(("sysctls", list(sysctl, 2)));
    let spec = object(vec![
        ("securityContext", object(security)),
        ("containers", list(container(), 2)),
        ("initContainers", list(container(), 2)),
        ("ephemeralContainers", list(container(), 1)),
        ("volumes", list(volume(), 3)),
        ("hostNetwork", boolean()),
        ("hostPID", boolean()),
        ("hostIPC", boolean()),
        ("hostUsers", boolean()),
        ("os", object(vec![("name", one_of(&["linux", "windows"]))])),
    ]);
    (annotations(), spec)
        .prop_map(|(annotations, spec)| json!({ "metadata": { "name": "p", "annotations": annotations }, "spec": spec }))
        .boxed()
}
