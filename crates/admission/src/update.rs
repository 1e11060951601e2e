//! Which updates have to be judged.
//!
//! Running pods may predate a stricter standard; refusing their every update would break finalizers, labels and status. So an update is judged only if
//! it could bring in something new: as in Pod Security Admission a container added or removed, an image changed, an ephemeral container added, or a
//! seccomp annotation changed. Of workloads an update is judged if their pod template changed: a Deployment that could not be created today can still
//! be scaled down.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::checks::{SECCOMP_CONTAINER_ANNOTATION_PREFIX, SECCOMP_POD_ANNOTATION};
use crate::pod::{Container, ContainerList, Pod};
use crate::workload::Workload;

/// Whether the template of a workload differs from the one before.
pub(crate) fn changes_template(workload: &Workload, old: &Value, new: &Value) -> bool {
    workload.template_of(old) != workload.template_of(new)
}

/// Whether an update of a pod changes what a check may care about and the API server lets change.
pub(crate) fn is_significant(old: &Pod<'_>, new: &Pod<'_>) -> bool {
    let annotation_changed = |key: &str| old.annotation(key).unwrap_or_default() != new.annotation(key).unwrap_or_default();
    let container_changed = |old: &Container<'_>, new: &Container<'_>| {
        old.image != new.image || annotation_changed(&format!("{SECCOMP_CONTAINER_ANNOTATION_PREFIX}{}", new.name))
    };
    let list_changed = |list: ContainerList| {
        old.in_list(list).count() != new.in_list(list).count()
            || old.in_list(list).zip(new.in_list(list)).any(|(old, new)| container_changed(old, new))
    };
    // By name, for nobody says that there are few. Of two with one name, which the API server does not take, the first counts.
    let mut namesakes = BTreeMap::new();
    for old in old.in_list(ContainerList::Ephemeral) {
        namesakes.entry(old.name).or_insert(old);
    }
    let ephemeral_changed = |new: &Container<'_>| namesakes.get(new.name).is_none_or(|old| container_changed(old, new));
    annotation_changed(SECCOMP_POD_ANNOTATION)
        || list_changed(ContainerList::Regular)
        || list_changed(ContainerList::Init)
        || new.in_list(ContainerList::Ephemeral).any(ephemeral_changed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::field::FieldPath;

    fn significant(old: &Value, new: &Value) -> bool {
        let read = |pod| Pod::read(Some(pod), &FieldPath::default()).unwrap();
        is_significant(&read(old), &read(new))
    }

    fn pod() -> Value {
        json!({"metadata": {"annotations": {}}, "spec": {
            "containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}], "initContainers": [{"name": "i", "image": "x"}]}})
    }

    fn changed(pointer: &str, value: Value) -> Value {
        let mut pod = pod();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = pod.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(list) => list.push(value),
            Value::Object(object) => _ = object.insert(key.to_owned(), value),
            _ => panic!("{pointer} leads nowhere"),
        }
        pod
    }

    #[test]
    fn judges_updates_that_could_bring_in_something_new() {
        for new in [
            changed("/spec/containers/0/image", json!("y")),
            changed("/spec/initContainers/0/image", json!("y")),
            changed("/spec/containers/2", json!({"name": "c"})),
            changed("/spec/initContainers/1", json!({"name": "j"})),
            changed("/spec/initContainers", json!([])),
            changed("/spec/ephemeralContainers", json!([{"name": "e", "image": "x"}])),
            changed("/metadata/annotations", json!({ SECCOMP_POD_ANNOTATION: "unconfined" })),
            changed("/metadata/annotations", json!({ "container.seccomp.security.alpha.kubernetes.io/b": "unconfined" })),
        ] {
            assert!(significant(&pod(), &new), "{new}");
        }
    }

    #[test]
    fn lets_pass_updates_that_could_not() {
        for new in [
            pod(),
            changed("/metadata/labels", json!({"a": "b"})),
            changed("/metadata/finalizers", json!([])),
            changed("/metadata/annotations", json!({"container.apparmor.security.beta.kubernetes.io/a": "unconfined"})),
            changed("/metadata/annotations", json!({"container.seccomp.security.alpha.kubernetes.io/none": "unconfined"})),
            changed("/spec/activeDeadlineSeconds", json!(1)),
        ] {
            assert!(!significant(&pod(), &new), "{new}");
        }
    }

    #[test]
    fn finds_an_ephemeral_container_by_its_name() {
        let old = changed("/spec/ephemeralContainers", json!([{"name": "d", "image": "x"}, {"name": "e", "image": "x"}]));
        let moved = changed("/spec/ephemeralContainers", json!([{"name": "e", "image": "x"}]));
        assert!(!significant(&old, &moved));
        assert!(significant(&old, &changed("/spec/ephemeralContainers", json!([{"name": "e", "image": "y"}]))));
    }
}
