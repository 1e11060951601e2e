//! Any body is a review or is refused, and any review has an answer: the request's uid, no longer than the API server takes, and the same each time.
//!
//! ```text
//!  bytes ─► UnopenedRequest ─► open ─► admit, by `restricted` and by shipped policies ─► the answer, as JSON
//! ```
//!
//! It is what the server does with a body, without a socket: what is longer than the server reads is not judged. Run it in `crates/admission`, with
//! seeds from the fixtures and the words of reviews:
//!
//! ```text
//! mkdir -p fuzz/corpus/review
//! SEEDS=fuzz/corpus/review cargo +nightly fuzz run review -- -dict=fuzz/words.dict
//! ```

#![no_main]

#[path = "../../tests/support/fixtures.rs"]
#[allow(dead_code, reason = "this needs a part of it")]
mod fixtures;
mod review {
    pub(crate) mod limits;
    pub(crate) mod seeds;
}

use std::sync::LazyLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use portcullis_admission::policy::{Library, PolicySet, Surroundings};
use portcullis_admission::review::{AdmissionReviewResponse, UnopenedRequest};
use portcullis_admission::{
    AdmissionRequest, Exemptions, Level, NamespaceLookup, Settings, Standard, Standards, Templates, Version, admit, needs_namespace,
    needs_objects,
};
use serde_json::{Value, json};

/// The longest body that the server reads.
const MAX_BYTES: usize = 7 * 1024 * 1024;

/// Policies that look at a pod in different ways: its containers, their images, and the request itself.
const POLICIES: [&str; 3] = [
    include_str!("../../../../policies/capabilities/policy.yaml"),
    include_str!("../../../../policies/image-registries/policy.yaml"),
    include_str!("../../../../policies/no-exec-in-production/policy.yaml"),
];

struct Judge {
    settings: Settings,
    policies: PolicySet,
    namespace: Value,
}

static JUDGE: LazyLock<Judge> = LazyLock::new(|| {
    let restricted = Standard { level: Level::Restricted, version: Version::Latest };
    let defaults = Standards { enforce: restricted, audit: restricted, warn: restricted };
    let resources = POLICIES.iter().flat_map(|text| portcullis_api::load_policies("policies", text).unwrap());
    let library = Library::of_files(resources, Timestamp::UNIX_EPOCH);
    assert!(library.entries().iter().all(|entry| entry.problems.is_empty()), "{:?}", library.entries());
    Judge {
        settings: Settings { defaults, exemptions: Exemptions::default(), templates: Templates::Enforce },
        policies: library.snapshot(),
        namespace: json!({"metadata": {"name": "shop", "labels": {"environment": "production"}}}),
    }
});

fuzz_target!(init: review::seeds::write(), |body: &[u8]| {
    if body.len() > MAX_BYTES {
        return;
    }
    let Ok(request) = UnopenedRequest::read(body) else { return };
    let (judge, head) = (&*JUDGE, request.head().clone());
    let namespace = NamespaceLookup::from(judge.settings.defaults);
    let is_open = needs_objects(&head, &judge.settings, &namespace, &judge.policies);
    let Ok(request) = request.open() else { return };
    let first = answer(&request);
    assert!(is_open || first == answer(&head), "what is not opened makes no difference");
    review::limits::hold(&request.uid, &first);
    assert_eq!(first, answer(&request), "the same request has the same answer");
});

/// The answer as the server sends it.
fn answer(request: &AdmissionRequest) -> Value {
    let judge = &*JUDGE;
    // What the server asks before it judges.
    let _ = (needs_namespace(request, &judge.settings), judge.policies.concerns(request), judge.policies.evaluates(request));
    let namespace = NamespaceLookup::from(judge.settings.defaults);
    let surroundings = Surroundings { namespace: Ok(Some(&judge.namespace)), now: Timestamp::UNIX_EPOCH, deadline: None };
    let decision = admit(request, &judge.settings, &namespace, &judge.policies, &surroundings);
    let review = AdmissionReviewResponse::from(decision.into_response(request.uid.clone()));
    serde_json::from_slice(&serde_json::to_vec(&review).unwrap()).unwrap()
}
