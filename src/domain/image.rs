//! References to container images, in the full form `host/path:tag`.

use super::text_type;

/// A fully qualified image reference: registry host, path and tag, optionally with a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRef(String);

impl ImageRef {
    /// Reads a reference as `docker pull` does: without a registry it is Docker Hub's, without a path `library/`.
    ///
    /// A tag is required, since `latest` changes under a running deployment.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let text = text.trim();
        let wrong = |why: &str| ImageError { text: text.into(), why: why.into() };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
        if text.is_empty() || !text.chars().all(allowed) {
            return Err(wrong("it may hold letters, digits and . _ - / : @ only"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (path, tag) = match name.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, tag),
            _ => return Err(wrong("it has no tag")),
        };
        if tag.is_empty() || tag.len() > 128 {
            return Err(wrong("its tag is empty or too long"));
        }
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(wrong("its digest is not `sha256:` and 64 hexadecimal digits"));
        }
        let full = match path.split_once('/') {
            None => format!("docker.io/library/{path}"),
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => path.into(),
            Some(_) => format!("docker.io/{path}"),
        };
        let (host, repository) = full.split_once('/').ok_or_else(|| wrong("it has no name"))?;
        let part = |p: &str| !p.is_empty() && !p.chars().any(|c| c.is_ascii_uppercase() || c == ':');
        if host.is_empty() || !repository.split('/').all(part) {
            return Err(wrong("its name has an empty or upper-case part"));
        }
        let digest = digest.map(|d| format!("@{d}")).unwrap_or_default();
        Ok(Self(format!("{full}:{tag}{digest}")))
    }

    /// `host/path` without tag and digest.
    pub fn repository(&self) -> &str {
        let name = self.0.split('@').next().unwrap_or(&self.0);
        name.rsplit_once(':').map_or(name, |(path, _)| path)
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        let name = self.0.split('@').next().unwrap_or(&self.0);
        name.rsplit_once(':').map_or("", |(_, tag)| tag)
    }
}

text_type!(ImageRef, ImageError);

/// The text is not an image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an image reference: {why}")]
pub struct ImageError {
    text: String,
    why: String,
}

impl ImageError {
    /// What to type instead.
    pub fn hint(&self) -> String {
        "write it with a tag, such as `docker.io/library/postgres:17`".into()
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_made_full() {
        for (text, full) in [
            ("mongo:7.0", "docker.io/library/mongo:7.0"),
            ("matrixdotorg/synapse:v1", "docker.io/matrixdotorg/synapse:v1"),
            ("ghcr.io/element-hq/synapse:v1.163.2", "ghcr.io/element-hq/synapse:v1.163.2"),
            ("127.0.0.1:5000/x:1", "127.0.0.1:5000/x:1"),
        ] {
            let image = ImageRef::parse(text).unwrap();
            assert_eq!(image.as_str(), full);
            assert_eq!(format!("{}:{}", image.repository(), image.tag()), full);
        }
        let bad = ["", "mongo", "Mongo:7", "a b:1", "x:", "host.io/:1", "mongo:7@sha256:12", "127.0.0.1:5000/x"];
        let refused = bad.map(|bad| {
            let error = ImageRef::parse(bad).unwrap_err();
            format!("{bad:?}: {error}")
        });
        insta::assert_snapshot!(refused.join("\n"));
    }
}
