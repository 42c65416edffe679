//! The commands on documents: by `_id` or all of a collection, which is as much as its one client uses.

use bson::{Bson, Document, doc};

use super::commands::{Failure, Server};

impl Server {
    pub(super) fn find(&self, namespace: &str, command: &Document) -> Result<Document, Failure> {
        let filter = command.get_document("filter").cloned().unwrap_or_default();
        let found = self.data.find(namespace, id_of(&filter)?);
        let found: Vec<_> = found.into_iter().map(Bson::Document).collect();
        Ok(doc! { "cursor": { "firstBatch": found, "id": 0_i64, "ns": namespace } })
    }

    pub(super) fn list_databases(&self) -> Document {
        let names: std::collections::BTreeSet<String> =
            self.data.namespaces().iter().filter_map(|name| Some(name.split_once('.')?.0.to_owned())).collect();
        doc! { "databases": names.into_iter().map(|name| Bson::Document(doc! { "name": name })).collect::<Vec<_>>() }
    }

    pub(super) fn list_collections(&self, db: &str) -> Document {
        let prefix = format!("{db}.");
        let names = self.data.namespaces().into_iter().filter_map(|name| Some(name.strip_prefix(&prefix)?.to_owned()));
        let batch: Vec<_> = names.map(|name| Bson::Document(doc! { "name": name, "type": "collection" })).collect();
        doc! { "cursor": { "firstBatch": batch, "id": 0_i64, "ns": format!("{db}.$cmd.listCollections") } }
    }

    pub(super) fn insert(&mut self, namespace: &str, command: &Document) -> Result<Document, Failure> {
        let mut inserted = 0;
        for document in list(command, "documents")? {
            let Some(id) = document.get("_id").cloned() else {
                return Err(Failure::new(2, "BadValue", "the stand-in wants an _id (drivers make one)"));
            };
            if !self.data.find(namespace, Some(&id)).is_empty() {
                let text =
                    format!("E11000 duplicate key error collection: {namespace} index: _id_ dup key: {{ _id: {id} }}");
                return Ok(
                    doc! { "n": inserted, "writeErrors": [{ "index": inserted, "code": 11000, "errmsg": text }] },
                );
            }
            self.data.put(namespace, document.clone())?;
            inserted += 1;
        }
        Ok(doc! { "n": inserted })
    }

    pub(super) fn update(&mut self, namespace: &str, command: &Document) -> Result<Document, Failure> {
        let (mut matched, mut upserted) = (0, Vec::new());
        for update in list(command, "updates")? {
            let filter = update.get_document("q").cloned().unwrap_or_default();
            let id = id_of(&filter)?.ok_or_else(|| unsupported("an update without _id"))?.clone();
            let mut document = update.get_document("u").cloned().unwrap_or_default();
            if document.keys().any(|key| key.starts_with('$')) {
                return Err(unsupported("an update operator"));
            }
            document.insert("_id", id.clone());
            let there = !self.data.find(namespace, Some(&id)).is_empty();
            if there || update.get_bool("upsert").ok() == Some(true) {
                self.data.put(namespace, document)?;
                matched += 1;
            }
            if !there && matched > 0 {
                upserted.push(Bson::Document(doc! { "index": 0, "_id": id }));
            }
        }
        Ok(doc! { "n": matched, "nModified": matched, "upserted": upserted })
    }

    pub(super) fn delete(&mut self, namespace: &str, command: &Document) -> Result<Document, Failure> {
        let mut removed = 0;
        for delete in list(command, "deletes")? {
            let filter = delete.get_document("q").cloned().unwrap_or_default();
            let id = id_of(&filter)?.ok_or_else(|| unsupported("a delete without _id"))?;
            removed += i32::from(self.data.remove(namespace, id)?);
        }
        Ok(doc! { "n": removed })
    }
}

fn id_of(filter: &Document) -> Result<Option<&Bson>, Failure> {
    match (filter.len(), filter.get("_id")) {
        (0, _) => Ok(None),
        (1, Some(id)) if id.as_document().is_none() => Ok(Some(id)),
        _ => Err(unsupported("a filter other than by _id")),
    }
}

fn list<'a>(command: &'a Document, name: &str) -> Result<Vec<&'a Document>, Failure> {
    let missing =
        || Failure::new(40414, "Location40414", &format!("BSON field '{name}' is missing but a required field"));
    Ok(command.get_array(name).map_err(|_| missing())?.iter().filter_map(Bson::as_document).collect())
}

fn unsupported(what: &str) -> Failure {
    Failure::new(238, "NotImplemented", &format!("the stand-in does not know {what}"))
}
