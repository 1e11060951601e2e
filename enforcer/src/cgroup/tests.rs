use super::*;
use portcullis_matcher::Builder;
use proptest::prelude::*;

const UID: &str = "0b6e2d0c-5a1f-4c0e-9d3a-1f2e3d4c5b6a";
const STATIC: &str = "6fa0f1e2d3c4b5a697887766554433ff";
const ID: &str = "3f4b9c0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3";

/// Every way in which a container's cgroup is named, as its path with `UID`, `U_I_D` and `ID` in it, its runtime, and whose pod it is.
const FORMS: &[(&str, &str, Runtime)] = &[
    (
        "containerd, systemd",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/cri-containerd-ID.scope",
        Runtime::Containerd,
    ),
    ("containerd, systemd, guaranteed", "/kubepods.slice/kubepods-podU_I_D.slice/cri-containerd-ID.scope", Runtime::Containerd),
    ("containerd, cgroupfs", "/kubepods/besteffort/podUID/ID", Runtime::Unnamed),
    ("containerd, cgroupfs, guaranteed", "/kubepods/podUID/ID", Runtime::Unnamed),
    ("CRI-O, systemd", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_I_D.slice/crio-ID.scope", Runtime::CriO),
    ("CRI-O, cgroupfs", "/kubepods/burstable/podUID/crio-ID", Runtime::CriO),
    ("Docker, systemd", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/docker-ID.scope", Runtime::Docker),
    ("Docker, cgroupfs", "/kubepods/burstable/podUID/ID", Runtime::Unnamed),
    (
        "kind, in the node's container",
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podU_I_D.slice/cri-containerd-ID.scope",
        Runtime::Containerd,
    ),
    (
        "kind, seen from the host",
        "/system.slice/docker-0123.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_I_D.slice/cri-containerd-ID.scope",
        Runtime::Containerd,
    ),
    ("kind, cgroupfs", "/kubelet/kubepods/burstable/podUID/ID", Runtime::Unnamed),
    (
        "a root of its own, systemd",
        "/a.slice/a-b.slice/a-b-kubepods.slice/a-b-kubepods-podU_I_D.slice/cri-containerd-ID.scope",
        Runtime::Containerd,
    ),
    ("a root of its own, cgroupfs", "/a/b/kubepods/podUID/ID", Runtime::Unnamed),
];

/// What is no container's.
const OTHERS: &[&str] = &[
    "/",
    "/kubepods",
    "/kubepods.slice/kubepods-burstable.slice",
    "/system.slice/docker-ID.scope",
    "/docker/ID",
    "/system.slice/cri-containerd-ID.scope",
    "/user.slice/user-1000.slice/session-1.scope",
    "/system.slice/kubelet.service",
    "/kubepods/burstable/podUID/crio-conmon-ID",
    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/crio-conmon-ID.scope",
];

fn path(form: &str, uid: &str) -> String {
    form.replace("U_I_D", &uid.replace('-', "_")).replace("UID", uid).replace("ID", ID)
}

#[test]
fn every_form_names_its_pod_its_container_and_its_runtime() {
    for (what, form, runtime) in FORMS {
        for uid in [UID, STATIC] {
            let path = path(form, uid);
            let read = read(path.as_bytes()).unwrap_or_else(|| panic!("{what}: {path}"));
            assert_eq!((read.pod.to_string().as_str(), read.part), (uid, Part::Container(*runtime, ID)), "{what}");
        }
    }
}

#[test]
fn the_parent_of_every_form_is_its_pod() {
    for (what, form, _) in FORMS {
        let path = path(form, UID);
        let (pod, _) = path.rsplit_once('/').unwrap();
        assert_eq!(read(pod.as_bytes()), Some(OfPod { pod: UID.parse().unwrap(), part: Part::Pod }), "{what}");
    }
}

#[test]
fn what_lies_below_a_container_is_that_containers_whatever_it_is_called() {
    for (what, form, runtime) in FORMS {
        for below in ["container", "kubepods/podffffffffffffffffffffffffffffffff/x", "crio-conmon-x"] {
            let path = format!("{}/{below}", path(form, UID));
            let read = read(path.as_bytes()).unwrap();
            assert_eq!((read.pod.to_string().as_str(), read.part), (UID, Part::Below(*runtime, ID)), "{what}");
        }
    }
}

#[test]
fn what_is_no_container_is_none() {
    for form in OTHERS {
        let path = path(form, UID);
        let part = read(path.as_bytes()).map(|read| read.part);
        assert!(matches!(part, None | Some(Part::Monitor(ID))), "{path}: {part:?}");
    }
}

#[test]
fn a_slice_that_is_not_in_the_slice_of_its_name_is_no_pods() {
    for wrong in [
        format!("/kubepods.slice/other-pod{STATIC}.slice/x"),
        format!("/xkubepods.slice/xkubepods-pod{STATIC}.slice/x"),
        format!("/kubepods.slice/kubepods-pod{UID}.slice/x"),
        format!("/burstable/pod{UID}/x"),
        format!("/kubepods/podX{UID}/x"),
    ] {
        assert_eq!(read(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn the_table_finds_every_container_and_nothing_else() {
    let mut builder = Builder::new(u32::max);
    for (pattern, value) in patterns().unwrap() {
        builder.add(&pattern, value).unwrap();
    }
    let table = builder.build().unwrap();
    for (what, form, _) in FORMS {
        for uid in [UID, STATIC] {
            assert_eq!(table.accept_of(path(form, uid).as_bytes()), UNKNOWN_POD, "{what}");
        }
    }
    for form in OTHERS {
        let accepted = table.accept_of(path(form, UID).as_bytes());
        assert!(accepted == 0 || accepted == NO_CONTAINER, "{form}: {accepted}");
    }
}

#[test]
fn the_end_of_every_forms_pod_is_one_of_its_tails() {
    for (what, form, _) in FORMS {
        for uid in [UID, STATIC] {
            let path = path(form, uid);
            let (pod, _) = path.rsplit_once('/').unwrap();
            let uid: PodUid = uid.parse().unwrap();
            assert!(uid.tails().contains(&tail(pod.as_bytes()).unwrap()), "{what}");
        }
    }
}

#[test]
fn two_pods_share_no_tail() {
    let (one, other): (PodUid, PodUid) = (UID.parse().unwrap(), UID.replace("0b6e", "1b6e").parse().unwrap());
    assert!(one.tails().iter().all(|tail| !other.tails().contains(tail)));
}

#[test]
fn a_uid_is_as_the_api_has_it() {
    for bad in ["", "0b6e2d0c", &UID.to_uppercase(), &UID.replace('-', "_"), "../../etc/passwd-------------------------"] {
        assert!(bad.parse::<PodUid>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_names_make_it_panic(names in proptest::collection::vec("(kubepods|burstable|pod|crio-|conmon-|-|_|\\.slice|\\.scope|[0-9a-f]{32}|é)*", 0..8)) {
        let _ = read(format!("/{}", names.join("/")).as_bytes());
    }
}
