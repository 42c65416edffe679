//! Why a resolver that checks signatures refuses a name: what it says is SERVFAIL, whatever is wrong.
//!
//! Nothing is verified here; the resolver did that. The records it would not believe are looked at for what can be put right
//! without cryptography: a time that is over, a DS record that fits no key, signatures that are not there.

use std::time::Duration;

use futures_util::future::{join, join_all};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::binary::BinEncodable;
use ring::digest;

use super::lookup::{Lookup, plain};
use super::message::{Question, exchange};

/// What is wrong with the signatures of a zone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Bogus {
    /// The zone, without the final dot.
    pub zone: String,
    /// What is wrong.
    pub cause: Cause,
    /// How long others keep the DS record above it, in seconds; from a resolver, what is left of it.
    pub kept: u32,
}

/// Why signatures do not hold.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// They ended, in seconds since 1970.
    Expired(u32),
    /// They begin later.
    Early(u32),
    /// The DS records above name keys that the zone does not have; their key tags, and those of the zone's keys.
    OtherKey {
        /// Key tags of the DS records.
        ds: Vec<u16>,
        /// Key tags of the zone's keys.
        keys: Vec<u16>,
    },
    /// There is a DS record above, and the zone is not signed.
    Unsigned,
    /// Nothing simpler: the records are not those that were signed.
    Changed,
}

/// The numbers of the record types, as the registry has them: the library knows them only if it verifies.
const DS: u16 = 43;
const RRSIG: u16 = 46;
const DNSKEY: u16 = 48;

impl Lookup {
    /// Why nobody believes the records of `host`; the zone highest up that is wrong. `None` if no zone above it has a DS record.
    pub async fn bogus(&self, host: &str, now: u32) -> Option<Bogus> {
        let host = Name::from_ascii(format!("{host}.")).ok()?;
        let zones = (1..=usize::from(host.num_labels())).map(|labels| host.trim_to(labels));
        let secure = zones.map(|zone| async move {
            let (ds, keys) = join(self.unchecked(&zone, DS.into()), self.unchecked(&zone, DNSKEY.into())).await;
            let answer = ds?;
            let kept = answer.answers.iter().map(|record| record.ttl).max().unwrap_or_default();
            let ds: Vec<Vec<u8>> = raw(answer.answers.iter(), &zone, DS);
            (!ds.is_empty()).then_some((zone, ds, keys, kept))
        });
        let mut closest = None;
        for (zone, ds, keys, kept) in join_all(secure).await.into_iter().flatten() {
            if let Some(cause) = keys.and_then(|keys| of_keys(&zone, &ds, &keys, now)) {
                return Some(Bogus { zone: plain(&zone), cause, kept });
            }
            closest = Some((zone, kept));
        }
        let ((zone, kept), answer) = (closest?, self.unchecked(&host, RecordType::A).await?);
        let records = answer.answers.iter().chain(&answer.authorities);
        let signatures: Vec<Signature> = records.filter_map(|record| signature(&data(record, RRSIG)?)).collect();
        let cause = if signatures.is_empty() {
            Cause::Unsigned
        } else {
            out_of_time(&signatures, now).unwrap_or(Cause::Changed)
        };
        Some(Bogus { zone: plain(&zone), cause, kept })
    }

    async fn unchecked(&self, name: &Name, kind: RecordType) -> Option<Message> {
        let question = Question { name: name.clone(), kind, recursive: true, unchecked: true, signed: true };
        let limit = self.each.min(Duration::from_secs(2));
        for server in &self.resolvers {
            if let Ok(message) = exchange(*server, &question, limit).await
                && matches!(message.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
            {
                return Some(message);
            }
        }
        None
    }
}

/// What is wrong with the keys of a zone.
fn of_keys(zone: &Name, ds: &[Vec<u8>], answer: &Message, now: u32) -> Option<Cause> {
    let keys = raw(answer.answers.iter(), zone, DNSKEY);
    if keys.is_empty() {
        return Some(Cause::Unsigned);
    }
    let owner = zone.to_lowercase().to_bytes().ok()?;
    let known = |ds: &&Vec<u8>| ds.get(3).is_some_and(|kind| algorithm(*kind).is_some());
    let fits = |ds: &Vec<u8>| keys.iter().any(|key| covers(ds, &owner, key) == Some(true));
    if ds.iter().filter(known).count() > 0 && !ds.iter().any(fits) {
        let tags = |records: &[Vec<u8>], tag: fn(&[u8]) -> Option<u16>| {
            let mut tags: Vec<u16> = records.iter().filter_map(|record| tag(record)).collect();
            tags.sort_unstable();
            tags
        };
        return Some(Cause::OtherKey { ds: tags(ds, |ds| number(ds, 0)), keys: tags(&keys, |key| Some(key_tag(key))) });
    }
    let signatures: Vec<Signature> =
        raw(answer.answers.iter(), zone, RRSIG).iter().filter_map(|r| signature(r)).collect();
    if signatures.is_empty() { Some(Cause::Unsigned) } else { out_of_time(&signatures, now) }
}

/// None of the signatures of some type counts now.
fn out_of_time(signatures: &[Signature], now: u32) -> Option<Cause> {
    let mut types: Vec<u16> = signatures.iter().map(|signature| signature.covers).collect();
    types.dedup();
    types.into_iter().find_map(|covers| {
        let of_type = || signatures.iter().filter(|signature| signature.covers == covers);
        let ended = of_type().map(|signature| signature.until).max().filter(|until| *until < now);
        let begins = of_type().map(|signature| signature.from).min().filter(|from| *from > now);
        ended.map(Cause::Expired).or(begins.map(Cause::Early))
    })
}

/// The times of an RRSIG record (RFC 4034, section 3.1).
#[derive(Clone, Copy, Debug)]
struct Signature {
    covers: u16,
    until: u32,
    from: u32,
}

fn signature(data: &[u8]) -> Option<Signature> {
    let time = |at: usize| data.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some(Signature { covers: number(data, 0)?, until: time(8)?, from: time(12)? })
}

/// Whether a DS record is that of a key (RFC 4034, section 5.1.4); `None` if nobody can say.
fn covers(ds: &[u8], owner: &[u8], key: &[u8]) -> Option<bool> {
    let digest = digest::digest(algorithm(*ds.get(3)?)?, &[owner, key].concat());
    Some(number(ds, 0)? == key_tag(key) && ds.get(4..)? == digest.as_ref())
}

fn algorithm(digest_type: u8) -> Option<&'static digest::Algorithm> {
    match digest_type {
        1 => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        2 => Some(&digest::SHA256),
        4 => Some(&digest::SHA384),
        _ => None,
    }
}

/// RFC 4034, appendix B.
fn key_tag(key: &[u8]) -> u16 {
    let sum = key.chunks(2).fold(0_u32, |sum, pair| {
        let (high, low) = (pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0));
        sum.wrapping_add(u32::from(u16::from_be_bytes([high, low])))
    });
    let folded = sum.wrapping_add(sum >> 16) & 0xFFFF;
    u16::try_from(folded).unwrap_or_default()
}

fn number(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn raw<'a>(records: impl Iterator<Item = &'a Record>, owner: &Name, kind: u16) -> Vec<Vec<u8>> {
    records.filter(|record| record.name == *owner).filter_map(|record| data(record, kind)).collect()
}

/// The bytes of a record of this type, which the library does not read itself.
fn data(record: &Record, kind: u16) -> Option<Vec<u8>> {
    match &record.data {
        RData::Unknown { code, rdata } if u16::from(*code) == kind => Some(rdata.anything.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 4034, section 5.4.
    #[test]
    fn a_ds_record_is_told_from_that_of_another_key() {
        let public = "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvx\
                      egXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==";
        let mut key = vec![1, 0, 3, 5];
        key.extend(STANDARD.decode(public).unwrap());
        assert_eq!(key_tag(&key), 60485);
        let owner = Name::from_ascii("dskey.example.com.").unwrap().to_bytes().unwrap();
        let mut ds = 60485_u16.to_be_bytes().to_vec();
        ds.extend([5, 1]);
        let digest: u128 = 0x2BB1_83AF_5F22_5881_79A5_3B0A_9863_1FAD;
        ds.extend(digest.to_be_bytes());
        ds.extend(0x1A29_2118_u32.to_be_bytes());
        assert_eq!(covers(&ds, &owner, &key), Some(true));
        ds[9] ^= 1;
        assert_eq!(covers(&ds, &owner, &key), Some(false));
        ds[3] = 99;
        assert_eq!(covers(&ds, &owner, &key), None);
    }

    #[test]
    fn a_zone_without_keys_is_not_signed() {
        let zone = Name::from_ascii("a.example.").unwrap();
        let none = Message::response(1, hickory_resolver::proto::op::OpCode::Query);
        assert_eq!(of_keys(&zone, &[vec![0, 1, 13, 2, 0]], &none, 30), Some(Cause::Unsigned));
    }

    #[test]
    fn one_signature_that_counts_is_enough_for_its_type() {
        let of = |covers, from, until| Signature { covers, from, until };
        assert_eq!(out_of_time(&[of(1, 10, 20), of(1, 10, 40)], 30), None);
        assert_eq!(out_of_time(&[of(1, 10, 20), of(1, 10, 25)], 30), Some(Cause::Expired(25)));
        assert_eq!(out_of_time(&[of(1, 10, 40), of(6, 10, 20)], 30), Some(Cause::Expired(20)));
        assert_eq!(out_of_time(&[of(1, 50, 90), of(1, 40, 90)], 30), Some(Cause::Early(40)));
    }

    proptest! {
        #[test]
        fn any_record_is_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..80)) {
            let whole = signature(&data).is_some();
            prop_assert_eq!(whole, data.len() >= 16);
            let _ = (key_tag(&data), covers(&data, &data, &data));
        }
    }
}
