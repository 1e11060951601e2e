//! Where manifests come from: files, folders, standard input.
//!
//! Folders are walked in the order of names, so that reports are the same every time; hidden entries are left out, and so are links to folders, which
//! could lead round in circles.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A text with manifests in it.
#[derive(Debug)]
pub struct Source {
    /// The path as it was given or found; `-` for standard input.
    pub name: String,
    /// Whether it was named, not found in a folder: then it has to be manifests.
    pub named: bool,
    /// What is in it.
    pub text: String,
}

/// Why there is no text.
#[derive(Debug, Error)]
#[error("cannot read {name}: {source}")]
pub struct SourceError {
    /// The path.
    pub name: String,
    source: io::Error,
}

const STDIN: &str = "-";
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// A path that was named, and what it leads to.
#[derive(Debug)]
pub struct Given {
    /// The path, as it was given; `-` for standard input.
    pub path: String,
    /// Every text there; none where a folder has no file that could hold manifests.
    pub sources: Vec<Result<Source, SourceError>>,
}

/// Reads everything that the paths name, path by path.
pub fn read(paths: &[PathBuf], stdin: &mut impl Read) -> Vec<Given> {
    paths.iter().map(|path| Given { path: path.display().to_string(), sources: sources(path, stdin) }).collect()
}

fn sources(path: &Path, stdin: &mut impl Read) -> Vec<Result<Source, SourceError>> {
    if path.as_os_str() == STDIN {
        let mut text = String::new();
        let read = stdin.read_to_string(&mut text);
        return vec![named(STDIN, true, read.map(|_| text))];
    }
    if !path.is_dir() {
        return vec![named(path, true, fs::read_to_string(path))];
    }
    let mut sources = Vec::new();
    walk(path, &mut sources);
    sources
}

fn walk(folder: &Path, sources: &mut Vec<Result<Source, SourceError>>) {
    let mut entries = match entries(folder) {
        Ok(entries) => entries,
        Err(error) => return sources.push(named(folder, false, Err(error))),
    };
    entries.sort_unstable();
    for path in entries {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        if path.is_dir() {
            if !path.is_symlink() {
                walk(&path, sources);
            }
        } else if path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| EXTENSIONS.contains(&extension)) {
            sources.push(named(&path, false, fs::read_to_string(&path)));
        }
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

fn named(path: impl AsRef<Path>, named: bool, text: io::Result<String>) -> Result<Source, SourceError> {
    let name = path.as_ref().display().to_string();
    match text {
        Ok(text) => Ok(Source { name, named, text }),
        Err(source) => Err(SourceError { name, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_folders_in_order_and_leaves_out_what_is_hidden_or_no_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        for name in ["b/c/3.json", "b/2.yml", "a.yaml", "z.yaml", "readme.md", ".hidden.yaml", ".git/x.yaml"] {
            fs::write(root.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("b/again")).unwrap();
        let found: Vec<String> = sources(root, &mut io::empty()).into_iter().map(|source| source.unwrap().text).collect();
        assert_eq!(found, ["a.yaml", "b/2.yml", "b/c/3.json", "z.yaml"]);
    }

    #[test]
    fn reads_standard_input_and_tells_what_it_cannot_read() {
        let given = read(&[PathBuf::from("-"), PathBuf::from("/nonexistent/x.yaml")], &mut "text".as_bytes());
        assert_eq!((given[0].path.as_str(), given[0].sources[0].as_ref().unwrap().text.as_str()), ("-", "text"));
        assert!(given[1].sources[0].as_ref().unwrap_err().to_string().starts_with("cannot read /nonexistent/x.yaml: "));
    }
}
