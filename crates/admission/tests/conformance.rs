//! The checks against fixtures: this project's own, which cover every revision of every check with exact texts, and Pod Security Admission's.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/workloads.rs"]
mod workloads;

use fixtures::{Case, own, upstream};
use portcullis_admission::{
    CHECKS, Check, FieldPath, Level, NEWEST_MINOR, Pod, Standard, Version, Violation, WORKLOADS, applicable, evaluate, summarise,
};
use serde_json::Value;
use workloads::{prefix, wrap};

fn standard(level: Level, minor: u64) -> Standard {
    Standard { level, version: Version::Minor(minor) }
}

fn judge(standard: Standard, pod: &Value) -> Vec<Violation> {
    evaluate(standard, &Pod::read(Some(pod), &FieldPath::default()).unwrap())
}

/// Every own case, with its check and each minor version at which it holds.
fn for_each_case(mut test: impl FnMut(&'static Check, u64, &Case)) {
    for check in CHECKS {
        for revision in own(check) {
            let next =
                check.revisions.iter().map(|revision| revision.since).find(|since| *since > revision.since).unwrap_or(NEWEST_MINOR + 1);
            for minor in revision.since..next {
                for case in &revision.cases {
                    test(check, minor, case);
                }
            }
        }
    }
}

#[test]
fn every_revision_of_every_check_has_a_fixture_that_passes_and_one_that_fails() {
    for check in CHECKS {
        let cases = own(check);
        let fixtures: Vec<u64> = cases.iter().map(|revision| revision.since).collect();
        let revisions: Vec<u64> = check.revisions.iter().map(|revision| revision.since).collect();
        assert_eq!(fixtures, revisions, "{}", check.id);
        for revision in cases {
            for fails in [false, true] {
                let found = revision.cases.iter().any(|case| case.refusal.is_some() == fails);
                assert!(found, "{} v1.{} has no fixture that {}", check.id, revision.since, if fails { "fails" } else { "passes" });
            }
        }
    }
}

#[test]
fn fixtures_get_the_exact_verdict_and_texts_at_every_version_of_their_revision() {
    for_each_case(|check, minor, case| {
        let violations = judge(standard(check.level, minor), &case.pod);
        let place = format!("{} at v1.{minor}: {}", check.id, case.name);
        let Some((reason, detail)) = &case.refusal else {
            assert_eq!(violations, [], "{place}");
            return;
        };
        let violation = violations.iter().find(|violation| violation.check == check.id).unwrap_or_else(|| panic!("{place}: it passes"));
        assert_eq!((violation.reason.as_ref(), &violation.detail), (reason.as_str(), detail), "{place}");
        assert!(!violation.findings.is_empty(), "{place}: no field is named");
    });
}

#[test]
fn the_changes_that_a_verdict_proposes_make_the_pod_pass() {
    for_each_case(|check, minor, case| {
        let mut pod = case.pod.clone();
        for change in
            judge(standard(check.level, minor), &pod).iter().flat_map(|violation| &violation.findings).map(|finding| &finding.change)
        {
            // The same change may be proposed for several containers; then removing finds nothing the second time.
            change.apply(&mut pod);
        }
        let left = judge(standard(check.level, minor), &pod);
        assert_eq!(left, [], "{} at v1.{minor}: {}: {}", check.id, case.name, summarise(&left));
    });
}

#[test]
fn findings_show_the_value_that_is_at_their_path() {
    for_each_case(|check, minor, case| {
        for finding in judge(standard(check.level, minor), &case.pod).iter().flat_map(|violation| &violation.findings) {
            let path = finding.path.to_string();
            match value_at(&case.pod, &finding.path) {
                // A volume is shown by the name of its source.
                Some(Value::Object(volume)) if check.id == "restrictedVolumes" => {
                    assert!(volume.contains_key(finding.value.as_ref().and_then(Value::as_str).unwrap()), "{path}");
                }
                // A profile without a type has the empty one.
                None => assert!(finding.value.is_none() || finding.value == Some("".into()), "{path} is unset, not {:?}", finding.value),
                found => assert_eq!(found, finding.value.as_ref(), "{path}"),
            }
        }
    });
}

fn value_at<'v>(pod: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    use portcullis_admission::Segment;
    path.segments().iter().try_fold(pod, |value, segment| match segment {
        Segment::Field(name) => value.get(name.as_ref()),
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    })
}

#[test]
fn fixtures_get_the_same_verdict_in_the_template_of_every_workload() {
    for_each_case(|check, minor, case| {
        let standard = standard(check.level, minor);
        let direct = judge(standard, &case.pod);
        for workload in WORKLOADS {
            let object = wrap(workload, &case.pod);
            let wrapped = evaluate(standard, &workload.read_pod(&object).unwrap());
            let texts = |violations: &[Violation]| summarise(violations);
            assert_eq!(texts(&direct), texts(&wrapped), "{} in a {}", case.name, workload.kind);
            let paths = |violations: &[Violation], prefix: &str| -> Vec<String> {
                violations.iter().flat_map(|violation| &violation.findings).map(|finding| format!("{prefix}{}", finding.path)).collect()
            };
            assert_eq!(paths(&direct, &prefix(workload)), paths(&wrapped, ""), "{} in a {}", case.name, workload.kind);
        }
    });
}

/// The check of this lower-case id, or the one that overrides it at this standard.
fn acts_for(id: &str, standard: Standard) -> &'static str {
    let named = CHECKS.iter().find(|check| check.id.to_lowercase() == id).unwrap_or_else(|| panic!("no check is named {id}"));
    let minor = standard.version.effective_minor();
    let overrides = |check: &&Check| check.revision_at(minor).is_some_and(|revision| revision.overrides.contains(&named.id));
    let acting = if applicable(standard).any(|check| check.id == named.id) { Some(*named) } else { applicable(standard).find(overrides) };
    acting.unwrap_or_else(|| panic!("nothing checks {id} at {standard}")).id
}

#[test]
fn agrees_with_the_fixtures_of_pod_security_admission() {
    let Some(fixtures) = upstream() else {
        println!("fixtures: this project's own only; Pod Security Admission's are not beside the project (../shared/pss)");
        return;
    };
    assert!(!fixtures.is_empty(), "../shared/pss has no fixtures");
    println!("fixtures: {} files of Pod Security Admission's, and this project's own", fixtures.len());
    let deployment = WORKLOADS.iter().find(|workload| workload.kind == "Deployment").unwrap();
    for fixture in &fixtures {
        for minor in &fixture.minors {
            let standard = standard(fixture.level, *minor);
            let violations = judge(standard, &fixture.pod);
            let place = format!("{} at {standard}", fixture.path.display());
            match &fixture.violates {
                None => assert_eq!(violations, [], "{place}"),
                Some(id) => {
                    let acting = acts_for(id, standard);
                    assert!(violations.iter().any(|violation| violation.check == acting), "{place}: {}", summarise(&violations));
                }
            }
            let object = wrap(deployment, &fixture.pod);
            let wrapped = evaluate(standard, &deployment.read_pod(&object).unwrap());
            assert_eq!(summarise(&violations), summarise(&wrapped), "{place}, in a Deployment");
        }
    }
}
