//! What a policy is asked about: the object of a request, or the pod that a workload would make.
//!
//! A Deployment that is accepted and whose pods are then refused is the commonest complaint about the standards. So a policy that is for the making of
//! pods is asked about the pod in a workload's template, too: as the object of a CREATE by the same user, named after the workload. What the API server
//! and other webhooks would add to the pod later (the service account's name, injected containers) is not in it; the pod itself is judged when it is made.
//! A template that an update does not change is not asked about again.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use super::exception::Faulty;
use super::rules::Deed;
use crate::field::{FieldPath, Segment};
use crate::pod::ContainerList;
use crate::review::{AdmissionRequest, GroupVersionKind, GroupVersionResource, Operation};
use crate::workload::Workload;

/// What is judged.
#[derive(Debug)]
pub(crate) struct Subject<'r> {
    pub(crate) request: &'r AdmissionRequest,
    pub(crate) object: Option<Cow<'r, Value>>,
    pub(crate) old_object: Option<&'r Value>,
    /// The kind that carries a pod, if this does.
    pub(crate) workload: Option<&'static Workload>,
    /// Whether it is the pod that a workload would make.
    pub(crate) is_template: bool,
    as_cel: OnceCell<Value>,
}

/// A part of a pod that an expression is evaluated for.
#[derive(Debug)]
pub(crate) struct Part<'s> {
    pub(crate) value: &'s Value,
    pub(crate) path: FieldPath,
}

impl<'r> Subject<'r> {
    /// What the request is about.
    pub(crate) fn direct(request: &'r AdmissionRequest) -> Self {
        let carries_pod = request.operation != Operation::Connect && request.operation != Operation::Delete;
        let workload = Workload::of_resource(&request.resource.group, &request.resource.resource).filter(|_| carries_pod);
        Self {
            request,
            object: request.object.as_ref().filter(|object| !object.is_null()).map(Cow::Borrowed),
            old_object: request.old_object.as_ref().filter(|object| !object.is_null()),
            // `scale` and `status` of a workload carry no template.
            workload: workload.filter(|workload| workload.is_pod() || request.sub_resource.is_empty()),
            is_template: false,
            as_cel: OnceCell::new(),
        }
    }

    /// Whether the request may make or change the template of a workload, for all that its head says.
    pub(crate) fn may_change_template(request: &AdmissionRequest) -> Option<&'static Workload> {
        let workload = Workload::of_resource(&request.resource.group, &request.resource.resource).filter(|workload| !workload.is_pod())?;
        let carries_template = request.sub_resource.is_empty() && !matches!(request.operation, Operation::Delete | Operation::Connect);
        carries_template.then_some(workload)
    }

    /// Whether the request makes or changes the template of a workload.
    pub(crate) fn changes_template(request: &AdmissionRequest) -> Option<&'static Workload> {
        let workload = Self::may_change_template(request)?;
        let new = request.object.as_ref().and_then(|object| workload.template_of(object))?;
        let old = request.old_object.as_ref().filter(|_| request.operation == Operation::Update);
        (old.and_then(|old| workload.template_of(old)) != Some(new)).then_some(workload)
    }

    /// The pod that the workload would make.
    pub(crate) fn template(request: &'r AdmissionRequest, workload: &'static Workload) -> Option<Self> {
        let template = workload.template_of(request.object.as_ref()?)?;
        Some(Self {
            request,
            object: Some(Cow::Owned(pod_of(template, request))),
            old_object: None,
            workload: Some(workload),
            is_template: true,
            as_cel: OnceCell::new(),
        })
    }

    /// What is done, as rules see it.
    pub(crate) fn pod_deed(request: &'r AdmissionRequest) -> Deed<'r> {
        Deed {
            operation: Operation::Create,
            group: "",
            version: "v1",
            resource: "pods",
            sub_resource: "",
            namespace: &request.namespace,
            name: "",
        }
    }

    /// The fields that lead to the pod in the author's object.
    fn root(&self) -> &'static [&'static str] {
        self.workload.map_or(&[], |workload| workload.template)
    }

    /// The pod, and its path in the author's object.
    fn pod(&self) -> Option<(&Value, FieldPath)> {
        let (object, workload) = (self.object.as_deref()?, self.workload?);
        let pod = if self.is_template { Some(object) } else { workload.template_of(object) };
        Some((pod?, FieldPath::of(self.root())))
    }

    /// The containers of the pod, in the order in which they are visited.
    pub(crate) fn containers(&self) -> Vec<Part<'_>> {
        ContainerList::ALL.iter().flat_map(|list| self.parts(list.field())).collect()
    }

    /// The volumes of the pod.
    pub(crate) fn volumes(&self) -> Vec<Part<'_>> {
        self.parts("volumes")
    }

    fn parts(&self, list: &'static str) -> Vec<Part<'_>> {
        let Some((pod, root)) = self.pod() else { return Vec::new() };
        let elements = pod.get("spec").and_then(|spec| spec.get(list)).and_then(Value::as_array).into_iter().flatten();
        elements.enumerate().map(|(index, value)| Part { value, path: root.clone().fields(&["spec", list]).index(index) }).collect()
    }

    /// The path of a field of the object that was judged, in the author's object.
    pub(crate) fn path(&self, fields: &[String]) -> FieldPath {
        let root = if self.is_template { FieldPath::of(self.root()) } else { FieldPath::default() };
        fields.iter().fold(root, |path, field| path.field(field.clone()))
    }

    /// The container that a path of the author's object leads into.
    pub(crate) fn container_at(&self, path: &FieldPath) -> Option<Faulty<'_>> {
        let (pod, root) = self.pod()?;
        let rest = path.segments().strip_prefix(root.segments())?;
        let [Segment::Field(spec), Segment::Field(list), Segment::Index(index), ..] = rest else { return None };
        let is_container = spec == "spec" && ContainerList::ALL.iter().any(|known| known.field() == list);
        let container = pod.get("spec")?.get(list.as_ref())?.get(index).filter(|_| is_container)?;
        let text = |field: &str| container.get(field).and_then(Value::as_str).unwrap_or_default();
        Some(Faulty { name: text("name"), image: text("image") })
    }

    /// `request`, as expressions see it.
    pub(crate) fn as_cel(&self) -> &Value {
        self.as_cel.get_or_init(|| if self.is_template { pod_request(self.request) } else { direct_request(self.request) })
    }
}

/// The pod of a template, as far as it is known.
fn pod_of(template: &Value, request: &AdmissionRequest) -> Value {
    let mut metadata = template.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    metadata.insert("namespace".to_owned(), request.namespace.clone().into());
    metadata.insert("generateName".to_owned(), format!("{}-", request.object_name()).into());
    let mut pod = template.as_object().cloned().unwrap_or_default();
    pod.insert("apiVersion".to_owned(), "v1".into());
    pod.insert("kind".to_owned(), "Pod".into());
    pod.insert("metadata".to_owned(), Value::Object(metadata));
    Value::Object(pod)
}

fn direct_request(request: &AdmissionRequest) -> Value {
    let asked_kind = request.request_kind.as_ref().unwrap_or(&request.kind);
    let asked_resource = request.request_resource.as_ref().unwrap_or(&request.resource);
    let asked_sub_resource = request.request_sub_resource.as_ref().unwrap_or(&request.sub_resource);
    let mut value = json!({
        "kind": kind(&request.kind),
        "resource": resource(&request.resource),
        "requestKind": kind(asked_kind),
        "requestResource": resource(asked_resource),
        "operation": request.operation.name(),
    });
    let texts = [("name", request.object_name()), ("subResource", &request.sub_resource), ("requestSubResource", asked_sub_resource)];
    complete(&mut value, request, &texts);
    value
}

fn pod_request(request: &AdmissionRequest) -> Value {
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    let mut value = json!({
        "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource, "operation": "CREATE",
    });
    complete(&mut value, request, &[]);
    value
}

/// Adds these texts, and what does not depend on the object. What is empty is left out, as the API server leaves it out, so that `has()` tells.
fn complete(value: &mut Value, request: &AdmissionRequest, texts: &[(&str, &str)]) {
    let Some(fields) = value.as_object_mut() else { return };
    let mut put = |field: &str, value: Value| _ = fields.insert(field.to_owned(), value);
    for (field, text) in texts.iter().chain([&("namespace", request.namespace.as_str())]).filter(|(_, text)| !text.is_empty()) {
        put(field, (*text).into());
    }
    put("userInfo", serde_json::to_value(&request.user_info).unwrap_or_else(|_| Value::Object(Map::new())));
    put("dryRun", request.dry_run.unwrap_or(false).into());
    if let Some(options) = &request.options {
        put("options", options.clone());
    }
}

fn kind(kind: &GroupVersionKind) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
}

fn resource(resource: &GroupVersionResource) -> Value {
    json!({"group": resource.group, "version": resource.version, "resource": resource.resource})
}
