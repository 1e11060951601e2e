//! Expressions as published policies have them, each with an object that passes and one that does not.

use serde_json::{Value as Json, json};

/// A pod with this spec.
pub(crate) fn pod(spec: Json) -> Json {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec})
}

/// A pod with one container, which has these fields beside its name and image.
fn with(fields: Json) -> Json {
    let mut container = json!({"name": "web", "image": "registry.example.com/web@sha256:00"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    pod(json!({"containers": [container]}))
}

fn labelled(labels: Json) -> Json {
    json!({"metadata": {"name": "web", "labels": labels}, "spec": {"containers": []}})
}

/// Expression, an object that passes, an object that does not.
pub(crate) fn corpus() -> Vec<(&'static str, Json, Json)> {
    let plain = with(json!({}));
    let privileged = with(json!({"securityContext": {"privileged": true}}));
    let latest = with(json!({"image": "registry.example.com/web:latest"}));
    let docker = with(json!({"image": "docker.io/nginx"}));
    let host_path = |path: &str| pod(json!({"containers": [], "volumes": [{"name": "v", "hostPath": {"path": path}}]}));
    let drops = with(json!({"securityContext": {"capabilities": {"drop": ["ALL"]}}}));
    let adds = |name: &str| with(json!({"securityContext": {"capabilities": {"add": [name]}}}));
    let limits = |cpu: &str, memory: &str| with(json!({"resources": {"limits": {"cpu": cpu, "memory": memory}}}));
    let replicas = |count: i64| json!({"metadata": {"name": "web"}, "spec": {"replicas": count}});
    vec![
        (
            "!has(object.spec.hostNetwork) || object.spec.hostNetwork == false",
            plain.clone(),
            pod(json!({"containers": [], "hostNetwork": true})),
        ),
        ("object.spec.?hostPID.orValue(false) == false", plain.clone(), pod(json!({"containers": [], "hostPID": true}))),
        (
            "object.spec.?hostNetwork.orValue(false) == false && object.spec.?hostIPC.orValue(false) == false",
            plain.clone(),
            pod(json!({"hostIPC": true})),
        ),
        (
            "object.spec.containers.all(c, !has(c.securityContext) || !has(c.securityContext.privileged) || !c.securityContext.privileged)",
            plain.clone(),
            privileged.clone(),
        ),
        (
            "object.spec.containers.all(container, container.?securityContext.?privileged.orValue(false) == false)",
            plain.clone(),
            privileged.clone(),
        ),
        (
            "(object.spec.containers + object.spec.?initContainers.orValue([]) + object.spec.?ephemeralContainers.orValue([])).all(c, !c.?securityContext.?privileged.orValue(false))",
            plain.clone(),
            pod(json!({"containers": [], "initContainers": [{"securityContext": {"privileged": true}}]})),
        ),
        ("object.spec.containers.all(c, !c.image.endsWith(':latest'))", plain.clone(), latest.clone()),
        ("object.spec.containers.all(c, c.image.contains('@sha256:'))", plain.clone(), latest.clone()),
        ("object.spec.containers.all(c, c.image.matches('^registry\\\\.example\\\\.com/.+'))", plain.clone(), docker.clone()),
        (
            "object.spec.containers.all(c, ['registry.example.com/', 'ghcr.io/'].exists(r, c.image.startsWith(r)))",
            plain.clone(),
            docker.clone(),
        ),
        (
            "object.spec.containers.all(c, params.data.registries.split(',').exists(r, c.image.startsWith(r + '/')))",
            plain.clone(),
            docker.clone(),
        ),
        ("object.spec.containers.all(c, c.image.split('/')[0] in ['registry.example.com', 'ghcr.io'])", plain.clone(), docker.clone()),
        ("object.spec.containers.all(c, c.image.split('@')[0].split('/').size() > 1)", plain.clone(), with(json!({"image": "nginx"}))),
        ("object.spec.containers.all(c, c.image.find('[^/:@]+$') != 'latest')", plain.clone(), latest.clone()),
        ("object.spec.?volumes.orValue([]).all(v, !has(v.hostPath))", plain.clone(), host_path("/")),
        (
            "object.spec.?volumes.orValue([]).all(v, !has(v.hostPath) || v.hostPath.path in ['/var/log', '/tmp'])",
            host_path("/tmp"),
            host_path("/etc"),
        ),
        (
            "object.spec.?volumes.orValue([]).all(v, v.?hostPath.path.optMap(p, params.allowed.exists(a, a.endsWith('/**') ? p.startsWith(a.substring(0, a.size() - 2)) : p == a)).orValue(true))",
            host_path("/var/log/nginx"),
            host_path("/var/lib"),
        ),
        (
            "object.spec.?volumes.orValue([]).all(v, ['configMap', 'emptyDir', 'secret', 'projected'].exists(k, k in v))",
            pod(json!({"volumes": [{"name": "a", "emptyDir": {}}]})),
            host_path("/"),
        ),
        ("object.spec.containers.all(c, 'ALL' in c.?securityContext.?capabilities.?drop.orValue([]))", drops.clone(), plain.clone()),
        (
            "object.spec.containers.all(c, c.?securityContext.?capabilities.?drop.orValue([]).exists_one(d, d == 'ALL'))",
            drops.clone(),
            plain.clone(),
        ),
        (
            "object.spec.containers.all(c, sets.contains(['NET_BIND_SERVICE'], c.?securityContext.?capabilities.?add.orValue([])))",
            adds("NET_BIND_SERVICE"),
            adds("SYS_ADMIN"),
        ),
        (
            "!object.spec.containers.exists(c, sets.intersects(c.?securityContext.?capabilities.?add.orValue([]), ['SYS_ADMIN', 'NET_RAW']))",
            adds("CHOWN"),
            adds("NET_RAW"),
        ),
        (
            "object.spec.containers.all(c, has(c.resources) && has(c.resources.limits) && 'memory' in c.resources.limits)",
            limits("1", "1Gi"),
            plain.clone(),
        ),
        ("object.spec.containers.all(c, c.?resources.?limits[?'memory'].hasValue())", limits("1", "1Gi"), plain.clone()),
        (
            "object.spec.containers.all(c, quantity(c.resources.limits.memory).compareTo(quantity('2Gi')) <= 0)",
            limits("1", "1Gi"),
            limits("1", "4Gi"),
        ),
        (
            "object.spec.containers.all(c, isQuantity(c.resources.limits.cpu) && !quantity(c.resources.limits.cpu).isGreaterThan(quantity('2')))",
            limits("1500m", "1Gi"),
            limits("3", "1Gi"),
        ),
        (
            "object.spec.containers.map(c, quantity(c.?resources.?limits.?memory.orValue('0')).asApproximateFloat()).sum() < 2e9",
            limits("1", "1Gi"),
            limits("1", "4Gi"),
        ),
        ("object.metadata.?labels.orValue({}).exists(k, k == 'app')", labelled(json!({"app": "web"})), labelled(json!({"tier": "web"}))),
        (
            "has(object.metadata.labels) && 'app.kubernetes.io/name' in object.metadata.labels",
            labelled(json!({"app.kubernetes.io/name": "x"})),
            plain.clone(),
        ),
        ("object.metadata.?labels[?'team'].orValue('') != ''", labelled(json!({"team": "a"})), labelled(json!({"team": ""}))),
        (
            "['app', 'team'].all(l, l in object.metadata.?labels.orValue({}))",
            labelled(json!({"app": "a", "team": "b"})),
            labelled(json!({"app": "a"})),
        ),
        (
            "object.metadata.?labels.orValue({}).all(k, v, v.matches('^[a-z0-9-]*$'))",
            labelled(json!({"a": "b-1"})),
            labelled(json!({"a": "B"})),
        ),
        ("!format.dns1123Label().validate(object.metadata.name).hasValue()", plain.clone(), json!({"metadata": {"name": "a.b"}})),
        ("object.metadata.name.size() <= 8", plain.clone(), json!({"metadata": {"name": "a-long-name"}})),
        ("object.spec.replicas <= int(params.data.maximum)", replicas(4), replicas(5)),
        ("object.spec.replicas >= 2 && object.spec.replicas < 10", replicas(2), replicas(1)),
        ("object.spec.replicas % 2 == 1", replicas(3), replicas(4)),
        ("params == null || object.spec.replicas <= 4", replicas(4), replicas(5)),
        ("request.operation == 'CREATE' && object.spec.replicas > 0", replicas(1), replicas(0)),
        ("request.userInfo.username.startsWith('system:serviceaccount:') && object.spec.replicas == 1", replicas(1), replicas(2)),
        ("'system:authenticated' in request.userInfo.groups && object.spec.replicas == 1", replicas(1), replicas(2)),
        ("namespaceObject.metadata.labels['environment'] != 'production' || object.spec.replicas > 1", replicas(2), replicas(1)),
        (
            "namespaceObject.metadata.?labels[?'environment'].orValue('') == 'production' ? object.spec.replicas > 1 : true",
            replicas(2),
            replicas(1),
        ),
        ("!(request.kind.kind == 'Pod' && object.spec.replicas > 3)", replicas(3), replicas(4)),
        ("oldObject == null && object.spec.replicas == 1", replicas(1), replicas(2)),
        (
            "object.spec.?automountServiceAccountToken.orValue(true) == false",
            pod(json!({"automountServiceAccountToken": false})),
            plain.clone(),
        ),
        ("object.spec.?serviceAccountName.orValue('default') != 'default'", pod(json!({"serviceAccountName": "web"})), plain.clone()),
        (
            "object.spec.?securityContext.?runAsNonRoot.orValue(false) || object.spec.containers.all(c, c.?securityContext.?runAsNonRoot.orValue(false))",
            pod(json!({"securityContext": {"runAsNonRoot": true}, "containers": [{}]})),
            plain.clone(),
        ),
        (
            "object.spec.containers.all(c, c.?securityContext.?runAsUser.orValue(0) > 0)",
            with(json!({"securityContext": {"runAsUser": 1000}})),
            plain.clone(),
        ),
        (
            "object.spec.containers.all(c, c.?securityContext.?allowPrivilegeEscalation.orValue(true) == false)",
            with(json!({"securityContext": {"allowPrivilegeEscalation": false}})),
            plain.clone(),
        ),
        (
            "object.spec.containers.all(c, c.?securityContext.?seccompProfile.?type.orValue('') in ['RuntimeDefault', 'Localhost'])",
            with(json!({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}})),
            plain.clone(),
        ),
        (
            "object.spec.containers.all(c, c.?ports.orValue([]).all(p, !has(p.hostPort) || p.hostPort == 0))",
            with(json!({"ports": [{"containerPort": 80}]})),
            with(json!({"ports": [{"hostPort": 80}]})),
        ),
        (
            "object.spec.containers.all(c, c.?ports.orValue([]).map(p, p.containerPort).all(p, p > 1023 || p == 80))",
            with(json!({"ports": [{"containerPort": 80}]})),
            with(json!({"ports": [{"containerPort": 22}]})),
        ),
        (
            "object.spec.containers.filter(c, has(c.livenessProbe)).size() == size(object.spec.containers)",
            with(json!({"livenessProbe": {}})),
            plain.clone(),
        ),
        (
            "object.spec.containers.all(c, has(c.readinessProbe) ? (has(c.livenessProbe) ? c.readinessProbe != c.livenessProbe : true) : false)",
            with(json!({"readinessProbe": {"a": 1}})),
            plain.clone(),
        ),
        (
            "object.spec.containers.map(c, c.name).distinct().size() == object.spec.containers.size()",
            plain.clone(),
            pod(json!({"containers": [{"name": "a"}, {"name": "a"}]})),
        ),
        (
            "object.spec.containers.all(i, c, i == 0 || c.name > object.spec.containers[i - 1].name)",
            pod(json!({"containers": [{"name": "a"}, {"name": "b"}]})),
            pod(json!({"containers": [{"name": "b"}, {"name": "a"}]})),
        ),
        (
            "object.spec.containers.all(c, c.?env.orValue([]).all(e, !e.name.lowerAscii().contains('password') || has(e.valueFrom)))",
            with(json!({"env": [{"name": "PASSWORD", "valueFrom": {}}]})),
            with(json!({"env": [{"name": "DB_PASSWORD", "value": "x"}]})),
        ),
        (
            "object.spec.?tolerations.orValue([]).all(t, t.?operator.orValue('Equal') != 'Exists' || has(t.key))",
            pod(json!({"tolerations": [{"key": "a", "operator": "Exists"}]})),
            pod(json!({"tolerations": [{"operator": "Exists"}]})),
        ),
        ("!has(object.spec.nodeName) || object.spec.nodeName == ''", plain.clone(), pod(json!({"nodeName": "n1"}))),
        (
            "object.spec.?externalIPs.orValue([]).all(ip, cidr('192.0.2.0/24').containsIP(ip))",
            pod(json!({"externalIPs": ["192.0.2.7"]})),
            pod(json!({"externalIPs": ["198.51.100.7"]})),
        ),
        (
            "object.spec.?loadBalancerSourceRanges.orValue([]).all(r, isCIDR(r) && cidr(r).prefixLength() >= 16)",
            pod(json!({"loadBalancerSourceRanges": ["10.0.0.0/16"]})),
            pod(json!({"loadBalancerSourceRanges": ["0.0.0.0/0"]})),
        ),
        ("object.spec.?type.orValue('ClusterIP') != 'NodePort'", plain.clone(), pod(json!({"type": "NodePort"}))),
        (
            "object.spec.?rules.orValue([]).all(r, r.?host.orValue('').endsWith('.example.com'))",
            pod(json!({"rules": [{"host": "a.example.com"}]})),
            pod(json!({"rules": [{"host": "example.org"}]})),
        ),
        (
            "isURL(object.spec.url) && url(object.spec.url).getScheme() == 'https' && url(object.spec.url).getHostname().endsWith('.example.com')",
            pod(json!({"url": "https://a.example.com:8443/x"})),
            pod(json!({"url": "http://a.example.com"})),
        ),
        (
            "semver(object.spec.version, true).isGreaterThan(semver('1.2.0'))",
            pod(json!({"version": "v1.10"})),
            pod(json!({"version": "1.2.0-rc.1"})),
        ),
        (
            "object.spec.?schedule.orValue('').split(' ').size() == 5",
            pod(json!({"schedule": "0 * * * *"})),
            pod(json!({"schedule": "@hourly"})),
        ),
        ("duration(object.spec.ttl) <= duration('24h')", pod(json!({"ttl": "90m"})), pod(json!({"ttl": "25h"}))),
        (
            "timestamp(object.spec.until) > timestamp('2026-01-01T00:00:00Z')",
            pod(json!({"until": "2026-06-01T00:00:00+02:00"})),
            pod(json!({"until": "2025-06-01T00:00:00Z"})),
        ),
        (
            "object.spec.?rules.orValue([]).all(r, !('*' in r.verbs && '*' in r.resources))",
            pod(json!({"rules": [{"verbs": ["get"], "resources": ["*"]}]})),
            pod(json!({"rules": [{"verbs": ["*"], "resources": ["*"]}]})),
        ),
        (
            "object.spec.?subjects.orValue([]).all(s, s.name != 'system:anonymous' && !s.name.startsWith('system:unauth'))",
            pod(json!({"subjects": [{"name": "a"}]})),
            pod(json!({"subjects": [{"name": "system:anonymous"}]})),
        ),
        (
            "object.spec.?template.?spec.?containers.orValue([]).all(c, c.image != '')",
            pod(json!({"template": {"spec": {"containers": [{"image": "a"}]}}})),
            pod(json!({"template": {"spec": {"containers": [{"image": ""}]}}})),
        ),
    ]
}
