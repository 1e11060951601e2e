//! Any text is profiles, policies or manifests, or is refused with places; and profiles that were read and are written again read as the same.
//!
//! Each text is read by all three readers: the profiles' and the policies' of this crate, and the one that the command line has for manifests. Run it
//! in `crates/api`, with what there is of such files, in documentation and tests too, as seeds:
//!
//! ```text
//! mkdir -p fuzz/corpus/yaml
//! find ../.. -name target -prune -o -name '*.yaml' -size -8k -exec cp --backup=t -t fuzz/corpus/yaml {} +
//! awk '/^ *```yaml/ || /= r#"/ {n++; on=1; sub(/.*r#"/, ""); if (/```/) next} /^ *```$/ || /^"#;/ {on=0}
//!     on {print > sprintf("fuzz/corpus/yaml/block-%03d", n)}' ../../docs/*.md src/yaml/*.rs
//! cargo +nightly fuzz run yaml -- -timeout=10 -dict=fuzz/words.dict
//! ```

#![no_main]

#[path = "../../../../cli/src/document.rs"]
#[allow(dead_code, unreachable_pub, reason = "this needs a part of it")]
mod document;

use libfuzzer_sys::fuzz_target;
use portcullis_api::{LoadError, load, load_policies, to_yaml};

/// The file's name, as problems tell it.
const FILE: &str = "file";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match load(FILE, text) {
        Ok(profiles) => profiles.iter().for_each(|profile| {
            let written = to_yaml(profile).unwrap();
            let read = load(FILE, &written).unwrap_or_else(|error| panic!("{error}\n{written}"));
            // What the server adds to the metadata is not written.
            let [read] = &*read else { panic!("one profile became {}", read.len()) };
            assert_eq!((&read.metadata.name, &read.metadata.namespace), (&profile.metadata.name, &profile.metadata.namespace));
            assert_eq!(read.spec, profile.spec, "{written}");
            assert_eq!(to_yaml(read).unwrap(), written);
        }),
        Err(error) => places(text, &error),
    }
    if let Err(error) = load_policies(FILE, text) {
        places(text, &error);
    }
    match document::parse(text) {
        Ok(documents) => documents.iter().for_each(|document| _ = document.lines.of(&portcullis_admission::FieldPath::default())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

/// Every problem has a message, and a line that the text has.
fn places(text: &str, error: &LoadError) {
    let lines = u64::try_from(text.matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count()).unwrap() + 1;
    assert!(!error.problems().is_empty());
    for problem in error.problems() {
        assert!(problem.file == FILE && !problem.message.is_empty());
        assert!((1..=lines).contains(&problem.line) && problem.column >= 1, "{problem}");
    }
}
