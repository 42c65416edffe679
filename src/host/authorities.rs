//! Certificate authorities that a person trusts beside the public ones, read from a PEM file.
//!
//! The file is read where the answer is proven: what goes into a container, and into the hash by which a change is
//! noticed, is the certificates themselves and not the path. Everything around them is left out, so nothing that stands
//! in such a file (comments, marks of secrets) can reach a rendered file.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::fs;

/// At least one certificate, and the file they came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// The user's file.
    pub path: PathBuf,
    /// The certificates and nothing else, as PEM.
    pub pem: String,
}

impl Authorities {
    /// Reads a PEM file of certificates.
    pub fn read(path: &Path) -> Result<Self, AuthoritiesError> {
        let problem = |problem| AuthoritiesError { path: path.into(), problem };
        let bytes = fs::read(path).map_err(|error| problem(Problem::Unreadable(error)))?;
        let bytes = bytes.ok_or_else(|| problem(Problem::Absent))?;
        let pem = certificates(&bytes).map_err(problem)?;
        Ok(Self { path: path.into(), pem })
    }
}

/// A file that cannot be used for trust.
#[derive(Debug, thiserror::Error)]
#[error("the file with authorities, `{}`, {problem}", path.display())]
pub struct AuthoritiesError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("is not there")]
    Absent,
    #[error("has no certificate in it: nothing between `-----BEGIN CERTIFICATE-----` and its end")]
    Empty,
    #[error("has a private key in it, and every container that trusts the file would be given it")]
    Key,
    #[error("is damaged: certificate number {0} cannot be read")]
    NotACertificate(usize),
    #[error("cannot be read")]
    Unreadable(#[source] fs::FileError),
}

impl AuthoritiesError {
    /// What to do instead.
    pub fn hint(&self) -> String {
        let path = self.path.display();
        match &self.problem {
            Problem::Absent | Problem::Unreadable(_) => format!("check the path with `ls -l {path}`"),
            Problem::Key => format!("write the certificates alone into a file: `openssl x509 -in {path} -out ca.pem`"),
            Problem::Empty | Problem::NotACertificate(_) => {
                format!("`openssl x509 -in {path} -noout -subject` shows what it holds; it must be PEM")
            }
        }
    }
}

fn certificates(bytes: &[u8]) -> Result<String, Problem> {
    if String::from_utf8_lossy(bytes).contains("PRIVATE KEY-----") {
        return Err(Problem::Key);
    }
    let mut pem = String::new();
    for (index, certificate) in CertificateDer::pem_slice_iter(bytes).enumerate() {
        let der = certificate.map_err(|_| Problem::NotACertificate(index + 1))?;
        X509Certificate::from_der(&der).map_err(|_| Problem::NotACertificate(index + 1))?;
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(&der).as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    if pem.is_empty() { Err(Problem::Empty) } else { Ok(pem) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &str) -> Result<Authorities, AuthoritiesError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, bytes).unwrap();
        Authorities::read(&path)
    }

    fn authority() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["ca.example".into()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem().replace("\r\n", "\n"), key.serialize_pem())
    }

    #[test]
    fn only_the_certificates_are_taken() {
        let (one, two) = (authority().0, authority().0);
        let read = read(&format!("# ours @secret:as_token@\n{one}\nsubject=CN\n{two}")).unwrap();
        assert_eq!(read.pem, format!("{one}{two}"));
    }

    #[test]
    fn every_refusal_says_what_is_wrong_with_the_file() {
        let (certificate, key) = authority();
        let damaged = certificate.replacen("MII", "AAA", 1);
        let errors = [
            read("").unwrap_err(),
            read(&format!("{certificate}{key}")).unwrap_err(),
            read(&format!("{certificate}{damaged}")).unwrap_err(),
            read("-----BEGIN CERTIFICATE-----\nAAAA").unwrap_err(),
            Authorities::read(Path::new("/srv/absent.pem")).unwrap_err(),
            Authorities::read(Path::new("/")).unwrap_err(),
        ];
        let told = errors.map(|error| {
            let told = format!("{error}\n  hint: {}", error.hint());
            told.replace(&error.path.display().to_string(), "FILE")
        });
        insta::assert_snapshot!(told.join("\n"));
    }
}
