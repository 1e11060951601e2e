//! Figures that are kept in the repository: a JSON file, and a table of it in a document.

use std::{fs, io};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    document::{self, in_repository},
    error::Error,
};

/// Figures that are kept. Without a file, they are the default.
pub trait Recorded: Default + Serialize + DeserializeOwned {
    /// The file, relative to the repository.
    const RECORD: &str;
    /// The document with the table, relative to the repository.
    const DOCUMENT: &str;
    /// The command that makes both anew.
    const UPDATE: &str;

    /// The figures as Markdown.
    fn table(&self) -> String;

    /// What is recorded in the repository; nothing where there is no record.
    ///
    /// # Errors
    /// Where the file cannot be read or is no record.
    fn load() -> Result<Self, Error> {
        let text = match fs::read_to_string(in_repository(Self::RECORD)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.map_err(failed("read", Self::RECORD))?,
        };
        serde_json::from_str(&text).map_err(|error| failed("understand", Self::RECORD)(io::Error::other(error)))
    }

    /// Records, and puts the table into the document.
    ///
    /// # Errors
    /// Where a file cannot be written, or the document has no place for the table.
    fn save(&self) -> Result<(), Error> {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        fs::write(in_repository(Self::RECORD), text).map_err(failed("write", Self::RECORD))?;
        fs::write(in_repository(Self::DOCUMENT), self.documented()?).map_err(failed("write", Self::DOCUMENT))
    }

    /// The document as it should be.
    ///
    /// # Errors
    /// Where it cannot be read, or has no place for the table.
    fn documented(&self) -> Result<String, Error> {
        let document = fs::read_to_string(in_repository(Self::DOCUMENT)).map_err(failed("read", Self::DOCUMENT))?;
        document::with_part(&document, Self::UPDATE, &self.table())
            .map_err(|error| failed("change", Self::DOCUMENT)(io::Error::other(error)))
    }
}

fn failed(action: &str, path: &str) -> impl FnOnce(io::Error) -> Error {
    let doing = format!("{action} {path}");
    move |source| Error::Io { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{applications, mutation, verifier};

    fn is_shown<R: Recorded>() {
        let document = fs::read_to_string(in_repository(R::DOCUMENT)).unwrap();
        assert!(R::load().unwrap().documented().unwrap() == document, "{} is stale: run {}", R::DOCUMENT, R::UPDATE);
    }

    /// The figures themselves are compared by the tests that take them.
    #[test]
    fn documents_show_what_is_recorded() {
        is_shown::<verifier::Record>();
        is_shown::<mutation::Record>();
        is_shown::<applications::record::Record>();
    }
}
