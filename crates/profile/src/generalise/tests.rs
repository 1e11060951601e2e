use super::*;
use portcullis_abi::netkey::Endpoint;
use portcullis_api::FileAccess;
use proptest::{prelude::*, string::string_regex};

fn open(path: &str) -> Observation {
    Observation::Open(ObservedPath::new(path.as_bytes()).unwrap(), [FileAccess::Write].into())
}

/// The generalised path of an opened file.
fn path(path: &str) -> String {
    match generalise(&open(path)) {
        Rule::File(rule) => rule.path.to_string(),
        other => panic!("{other}"),
    }
}

#[test]
fn what_differs_from_start_to_start_becomes_a_wildcard() {
    for (seen, learned) in [
        ("/proc/1/oom_score_adj", "/proc/[0-9]*/oom_score_adj"),
        ("/proc/77/task/78/comm", "/proc/[0-9]*/task/[0-9]*/comm"),
        ("/proc/77/fd/2", "/proc/[0-9]*/fd/[0-9]*"),
        ("/dev/pts/0", "/dev/pts/[0-9]*"),
        (
            "/run/secrets/kubernetes.io/serviceaccount/..2026_11_22_07_12_36.123456789/token",
            "/run/secrets/kubernetes.io/serviceaccount/..????_??_??_??_??_??.[0-9]*/token",
        ),
        ("/data/550e8400-e29b-41d4-a716-446655440000.json", "/data/????????-????-????-????-????????????.json"),
        (
            "/var/cache/nginx/c/29/b7f54b2df7773722d382f4809d65029c",
            "/var/cache/nginx/[0-9a-f]/[0-9a-f][0-9a-f]/????????????????????????????????",
        ),
        ("/tmp/#1234", "/tmp/#[0-9]*"),
        ("/tmp/tmp.AbCdEfGhIj", "/tmp/tmp.??????????"),
        ("/tmp/tmpabcdefgh/x", "/tmp/tmp????????/x"),
        ("/tmp/phpabcdef", "/tmp/php??????"),
        ("/tmp/ccX1y2Z3.o", "/tmp/cc??????.o"),
        ("/data/files/tmpa_9_zz01", "/data/files/tmp????????"),
        ("/srv/site/tmp.AbCdEfGhIj", "/srv/site/tmp.??????????"),
        ("/tmp/upload.a8Xk2Q.part", "/tmp/upload.??????.part"),
        ("/tmp/hsperfdata_root/1", "/tmp/hsperfdata_root/[0-9]*"),
        ("/tmp/go-build3456789/b001/exe", "/tmp/go-build[0-9]*/b[0-9]*/exe"),
        ("/dev/shm/PostgreSQL.1234567", "/dev/shm/PostgreSQL.[0-9]*"),
        ("/var/tmp/worker-3.sock", "/var/tmp/worker-[0-9]*.sock"),
        ("/app/tmp/cache/worker-12", "/app/tmp/cache/worker-[0-9]*"),
        ("/data/state.json.tmp-82371", "/data/state.json.tmp-[0-9]*"),
        ("/var/lib/pg/base/pgsql_tmp/pgsql_tmp123.0", "/var/lib/pg/base/pgsql_tmp/pgsql_tmp[0-9]*.[0-9]*"),
    ] {
        assert_eq!(path(seen), learned);
    }
}

#[test]
fn what_a_program_counts_becomes_a_wildcard() {
    for (seen, learned) in [
        ("/var/lib/postgresql/data/base/5/16384", "/var/lib/postgresql/data/base/[0-9]*/[0-9]*"),
        ("/var/lib/postgresql/data/base/5/16384_fsm", "/var/lib/postgresql/data/base/[0-9]*/[0-9]*_fsm"),
        ("/var/lib/postgresql/data/base/5/16384.1", "/var/lib/postgresql/data/base/[0-9]*/[0-9]*.[0-9]*"),
        ("/var/lib/postgresql/data/base/5/t3_16401", "/var/lib/postgresql/data/base/[0-9]*/t[0-9]*_[0-9]*"),
        ("/var/lib/postgresql/data/base/5/pg_internal.init.77", "/var/lib/postgresql/data/base/[0-9]*/pg_internal.init.[0-9]*"),
        ("/var/lib/postgresql/data/pg_wal/00000001000000000000000A", "/var/lib/postgresql/data/pg_wal/????????????????????????"),
        ("/var/lib/postgresql/data/pg_wal/xlogtemp.77", "/var/lib/postgresql/data/pg_wal/xlogtemp.[0-9]*"),
        ("/var/lib/postgresql/data/pg_xact/000A", "/var/lib/postgresql/data/pg_xact/[0-9]*"),
        ("/bitnami/postgresql/data/base/5/1249", "/bitnami/postgresql/data/base/[0-9]*/[0-9]*"),
        ("/data/appendonlydir/appendonly.aof.2.incr.aof", "/data/appendonlydir/appendonly.aof.[0-9]*.incr.aof"),
        ("/data/temp-77.rdb", "/data/temp-[0-9]*.rdb"),
        ("/data/20261122/x.csv", "/data/[0-9]*/x.csv"),
        ("/var/lib/nginx/proxy/1/00/0000000001", "/var/lib/nginx/proxy/[0-9]*/[0-9]*/[0-9]*"),
        (
            "/var/cache/nginx/c/29/b7f54b2df7773722d382f4809d65029c.0000000007",
            "/var/cache/nginx/[0-9a-f]/[0-9a-f][0-9a-f]/????????????????????????????????.[0-9]*",
        ),
        ("/var/cache/nginx/c", "/var/cache/nginx/[0-9a-f]"),
        ("/var/log/nginx/access.log.1", "/var/log/nginx/access.log.[0-9]*"),
        ("/var/log/app/app-2026-11-25.log", "/var/log/app/app-[0-9]*-[0-9]*-[0-9]*.log"),
    ] {
        assert_eq!(path(seen), learned);
    }
}

#[test]
fn what_stays_from_start_to_start_stays_literal() {
    for seen in [
        "/var/log/nginx/access.log",
        "/data/file1",
        "/app/20261122/x.csv",
        "/var/lib/app/utf8.dat",
        "/var/cache/app/index",
        "/srv/v/beef",
        "/opt/app-1.2.3/state",
        "/usr/lib/python3.11/__pycache__/x.cpython-311.pyc",
        "/tmp/README",
        "/tmp/SocketFile",
        "/tmp/MyCache",
        "/tmp/storage",
        "/tmp/x.mp3",
        "/templates/page12",
        "/app/phpabcdef",
        "/data/template12",
        "/data/deadbeef",
        "/app/#12/x",
        "/..data/x",
        "/app/..2026_11_22/x",
        "/proc/sys/net/core/somaxconn",
        "/proc/7x/comm",
    ] {
        assert_eq!(path(seen), path_literal(seen), "{seen}");
        let wildcards = ["/proc/7x"];
        assert!(wildcards.iter().any(|odd| seen.starts_with(odd)) || !path(seen).contains(['*', '?']), "{seen}");
    }
}

fn path_literal(path: &str) -> String {
    ObservedPath::new(path.as_bytes()).unwrap().literal().to_string()
}

#[test]
fn code_stays_literal_wherever_it_is() {
    for seen in ["/tmp/tmpabcdefgh", "/proc/7/exe", "/data/550e8400-e29b-41d4-a716-446655440000", "/tmp/#12"] {
        let observed = ObservedPath::new(seen.as_bytes()).unwrap();
        for observation in [Observation::Exec(observed.clone()), Observation::Map(observed)] {
            assert_eq!(generalise(&observation), rule_for(&observation));
        }
    }
}

#[test]
fn addresses_and_ports_stay_exact_even_where_the_port_is_ephemeral() {
    let observation = Observation::Connect(Endpoint::v4(6, [10, 0, 0, 7], 49_152));
    assert_eq!(generalise(&observation).to_string(), "connect 10.0.0.7/32 49152/TCP");
}

#[test]
fn bytes_that_mean_something_in_patterns_are_escaped_around_a_wildcard() {
    assert_eq!(path("/tmp/[*]-12"), r"/tmp/\[\*\]-[0-9]*");
    let bytes = ObservedPath::new(b"/tmp/\xff-12").unwrap();
    assert_eq!(data_path(&bytes).as_str(), r"/tmp/\xff-[0-9]*");
}

/// Two names of one program, made at two times.
fn pairs() -> impl Strategy<Value = (String, String)> {
    let families = [
        "/proc/[1-9][0-9]{0,6}/comm",
        "/tmp/tmp\\.[A-Za-z0-9]{10}",
        "/tmp/tmp[a-z0-9_]{8}\\.txt",
        "/tmp/php[A-Za-z0-9]{6}",
        "/var/tmp/upload-[A-Z][0-9][a-z][A-Za-z0-9]{3}/part",
        "/dev/shm/PostgreSQL\\.[1-9][0-9]{1,9}",
        "/tmp/go-build[1-9][0-9]{5,9}/main",
        "/tmp/#[1-9][0-9]{0,8}",
        "/cache/[0-9a-f]{64}-d",
        "/cache/[0-9A-F]{40}",
        "/var/lib/pg/base/[1-9][0-9]{0,5}/[1-9][0-9]{3,6}_vm",
        "/var/lib/pg/base/[1-9][0-9]{0,5}/t[1-9][0-9]{0,2}_[1-9][0-9]{3,6}",
        "/var/lib/pg/pg_wal/0000000[0-9A-F]0000000[0-9A-F]000000[0-9A-F]{2}",
        "/data/appendonly\\.aof\\.[1-9][0-9]{0,3}\\.base\\.rdb",
        "/var/cache/nginx/[0-9a-f]/[0-9a-f]{2}/[0-9a-f]{32}\\.0[0-9]{9}",
        "/data/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\\.json",
        "/run/secrets/x/\\.\\.20[0-9]{2}_[01][0-9]_[0-3][0-9]_[0-2][0-9]_[0-5][0-9]_[0-5][0-9]\\.[1-9][0-9]{1,9}/token",
    ];
    let family = |regex: &str| string_regex(regex).unwrap();
    proptest::sample::select(families.to_vec()).prop_flat_map(move |regex| (family(regex), family(regex)))
}

/// A path that the pattern matches, with its wildcards filled as the names that they stand for are.
fn witness(pattern: &str) -> String {
    let text = pattern.replace(NUMBER, "4711").replace("[0-9a-f]", "c");
    let digits = if text.contains("_??_") { "20261122071236" } else { "0a1b2c3d4e5f6a7b8c9d" };
    let mut fill = digits.chars().cycle();
    text.chars().map(|c| if c == '?' { fill.next().unwrap() } else { c }).collect()
}

proptest! {
    #[test]
    fn two_names_of_one_kind_are_one_rule((one, other) in pairs()) {
        prop_assert_eq!(path(&one), path(&other));
        prop_assert!(path(&one).contains(['*', '?']));
    }

    #[test]
    fn a_witness_of_what_was_learned_teaches_nothing_new((one, _) in pairs()) {
        let learned = path(&one);
        prop_assert_eq!(path(&witness(&learned)), learned);
    }

    #[test]
    fn the_learned_pattern_matches_what_was_seen(bytes in proptest::collection::vec("[a-zA-Z0-9._#*?\\[\\]\\\\-]{1,40}", 1..5), tmp: bool) {
        let text = format!("{}/{}", if tmp { "/tmp" } else { "/data" }, bytes.join("/"));
        prop_assume!(ObservedPath::new(text.as_bytes()).is_ok());
        let general: PathPattern = path(&text).parse().unwrap();
        prop_assert!(general.pattern().matches(text.as_bytes()));
        let depth = |text: &str| text.matches('/').count();
        prop_assert_eq!(depth(general.as_str()), depth(&text), "never across directories");
    }
}
