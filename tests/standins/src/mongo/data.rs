//! Documents on disk: one file each, written beside its place and renamed, so that a killed process leaves the old or
//! the new document and never half of one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bson::{Bson, Document, doc};
use ring::digest;

/// All collections of all databases.
pub(super) struct Data {
    root: PathBuf,
    collections: BTreeMap<String, BTreeMap<String, Document>>,
}

impl Data {
    /// Reads what an earlier process left below `dbpath`.
    pub(super) fn open(dbpath: &Path) -> io::Result<Self> {
        let root = dbpath.join("standin");
        fs::create_dir_all(&root)?;
        let mut collections = BTreeMap::new();
        for directory in fs::read_dir(&root)? {
            let directory = directory?;
            let mut documents = BTreeMap::new();
            for file in fs::read_dir(directory.path())? {
                let file = file?;
                let name = file.file_name().to_string_lossy().into_owned();
                if name.ends_with(NEW) {
                    fs::remove_file(file.path())?;
                    continue;
                }
                let document = Document::from_reader(fs::read(file.path())?.as_slice()).map_err(io::Error::other)?;
                documents.insert(name, document);
            }
            collections.insert(directory.file_name().to_string_lossy().into_owned(), documents);
        }
        Ok(Self { root, collections })
    }

    /// Every namespace, `database.collection`.
    pub(super) fn namespaces(&self) -> Vec<String> {
        let name = |directory: &String| directory.replace("%2F", "/").replace("%25", "%");
        self.collections.iter().filter(|(_, documents)| !documents.is_empty()).map(|(name_, _)| name(name_)).collect()
    }

    /// The documents with this `_id`, or all.
    pub(super) fn find(&self, namespace: &str, id: Option<&Bson>) -> Vec<Document> {
        let Some(documents) = self.collections.get(&directory(namespace)) else { return Vec::new() };
        match id {
            Some(id) => documents.get(&key(id)).cloned().into_iter().collect(),
            None => documents.values().cloned().collect(),
        }
    }

    /// Puts a document in the place of the one with the same `_id`.
    pub(super) fn put(&mut self, namespace: &str, document: Document) -> io::Result<()> {
        let name = key(document.get("_id").unwrap_or(&Bson::Null));
        let directory = directory(namespace);
        let place = self.root.join(&directory);
        fs::create_dir_all(&place)?;
        let new = place.join(format!("{name}{NEW}"));
        fs::write(&new, document.to_vec().map_err(io::Error::other)?)?;
        fs::rename(&new, place.join(&name))?;
        self.collections.entry(directory).or_default().insert(name, document);
        Ok(())
    }

    /// Removes a document; whether it was there.
    pub(super) fn remove(&mut self, namespace: &str, id: &Bson) -> io::Result<bool> {
        let directory = directory(namespace);
        let name = key(id);
        let Some(documents) = self.collections.get_mut(&directory) else { return Ok(false) };
        if !documents.contains_key(&name) {
            return Ok(false);
        }
        fs::remove_file(self.root.join(directory).join(&name))?;
        documents.remove(&name);
        Ok(true)
    }
}

/// File names for namespaces and ids that may hold anything.
fn directory(namespace: &str) -> String {
    namespace.replace('%', "%25").replace('/', "%2F")
}

fn key(id: &Bson) -> String {
    // An `_id` that cannot be encoded cannot have arrived over the wire either.
    let bytes = doc! { "_id": id.clone() }.to_vec().unwrap_or_default();
    hex(digest::digest(&digest::SHA256, &bytes).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const NEW: &str = ".new";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_survive_and_halves_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut data = Data::open(directory.path()).unwrap();
        data.put("rc.a/b", doc! { "_id": "x", "n": 1 }).unwrap();
        data.put("rc.a/b", doc! { "_id": "x", "n": 2 }).unwrap();
        data.put("rc.a/b", doc! { "_id": 5 }).unwrap();
        fs::write(directory.path().join("standin/rc.a%2Fb/half.new"), "x").unwrap();
        let mut data = Data::open(directory.path()).unwrap();
        assert_eq!(data.find("rc.a/b", Some(&"x".into())), [doc! { "_id": "x", "n": 2 }]);
        assert!(data.remove("rc.a/b", &"x".into()).unwrap());
        assert!(!data.remove("rc.a/b", &"x".into()).unwrap());
        assert_eq!(Data::open(directory.path()).unwrap().find("rc.a/b", None), [doc! { "_id": 5 }]);
    }
}
