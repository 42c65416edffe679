//! Record types: from the words of a zone file to the bytes of an answer.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::name::Name;
use super::wire::Writer;

/// Type numbers of RFC 1035, 2782, 3596, 6891 and 8659, and the query types of RFC 1035 §3.2.3.
pub mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
    pub const CAA: u16 = 257;
}

/// The number of a type named in a zone file.
#[must_use]
pub fn kind_of(word: &str) -> Option<u16> {
    Some(match word.to_ascii_uppercase().as_str() {
        "A" => kind::A,
        "NS" => kind::NS,
        "CNAME" => kind::CNAME,
        "SOA" => kind::SOA,
        "MX" => kind::MX,
        "TXT" => kind::TXT,
        "AAAA" => kind::AAAA,
        "SRV" => kind::SRV,
        "CAA" => kind::CAA,
        "ANY" => kind::ANY,
        _ => return None,
    })
}

/// Start of authority (RFC 1035 §3.3.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    pub mname: Name,
    pub rname: Name,
    /// serial, refresh, retry, expire, minimum
    pub numbers: [u32; 5],
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rdata {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(Name),
    Ns(Name),
    Mx(u16, Name),
    Srv([u16; 3], Name),
    Txt(Vec<Vec<u8>>),
    Caa(u8, Vec<u8>, Vec<u8>),
    Soa(Soa),
}

impl Rdata {
    /// Reads the words after the type.
    ///
    /// # Errors
    /// If they do not fit the type.
    pub fn parse(kind: u16, words: &[String]) -> Result<Self, String> {
        let word = |at: usize| words.get(at).map(String::as_str).ok_or_else(|| format!("value {} is missing", at + 1));
        let most = |count: usize| {
            if words.len() > count { Err(format!("{:?} is one word too many", words[count])) } else { Ok(()) }
        };
        match kind {
            kind::A => most(1).and(Ok(Self::A(word(0)?.parse().map_err(|_| "not an IPv4 address")?))),
            kind::AAAA => most(1).and(Ok(Self::Aaaa(word(0)?.parse().map_err(|_| "not an IPv6 address")?))),
            kind::CNAME => most(1).and(Ok(Self::Cname(Name::parse(word(0)?)?))),
            kind::NS => most(1).and(Ok(Self::Ns(Name::parse(word(0)?)?))),
            kind::MX => most(2).and(Ok(Self::Mx(number(word(0)?)?, Name::parse(word(1)?)?))),
            kind::SRV => most(4)
                .and(Ok(Self::Srv([number(word(0)?)?, number(word(1)?)?, number(word(2)?)?], Name::parse(word(3)?)?))),
            kind::TXT => {
                word(0)?;
                Ok(Self::Txt(words.iter().flat_map(|text| strings(text.as_bytes())).collect()))
            }
            kind::CAA => most(3).and(Ok(Self::Caa(number(word(0)?)?, tag(word(1)?)?, word(2)?.as_bytes().to_vec()))),
            kind::SOA => {
                most(7)?;
                let mut numbers = [0; 5];
                for (at, slot) in numbers.iter_mut().enumerate() {
                    *slot = number(word(at + 2)?)?;
                }
                Ok(Self::Soa(Soa { mname: Name::parse(word(0)?)?, rname: Name::parse(word(1)?)?, numbers }))
            }
            other => Err(format!("type {other} cannot stand in a zone")),
        }
    }

    /// The number of this record's type.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self {
            Self::A(_) => kind::A,
            Self::Aaaa(_) => kind::AAAA,
            Self::Cname(_) => kind::CNAME,
            Self::Ns(_) => kind::NS,
            Self::Mx(..) => kind::MX,
            Self::Srv(..) => kind::SRV,
            Self::Txt(_) => kind::TXT,
            Self::Caa(..) => kind::CAA,
            Self::Soa(_) => kind::SOA,
        }
    }

    /// The name this record sends its reader on to, for the additional section (RFC 1035 §3.3, RFC 2782).
    #[must_use]
    pub fn target(&self) -> Option<&Name> {
        match self {
            Self::Ns(name) | Self::Mx(_, name) | Self::Srv(_, name) => Some(name),
            _ => None,
        }
    }

    /// Writes the value. Names are compressed only in the types of RFC 1035, never in SRV (RFC 3597 §4).
    pub fn write(&self, out: &mut Writer) {
        match self {
            Self::A(address) => out.bytes(&address.octets()),
            Self::Aaaa(address) => out.bytes(&address.octets()),
            Self::Cname(name) | Self::Ns(name) => out.name(name),
            Self::Mx(preference, name) => {
                out.u16(*preference);
                out.name(name);
            }
            Self::Srv(numbers, name) => {
                numbers.iter().for_each(|number| out.u16(*number));
                out.plain_name(name);
            }
            Self::Txt(parts) => parts.iter().for_each(|part| out.string(part)),
            Self::Caa(flags, tag, value) => {
                out.bytes(&[*flags]);
                out.string(tag);
                out.bytes(value);
            }
            Self::Soa(soa) => {
                out.name(&soa.mname);
                out.name(&soa.rname);
                soa.numbers.iter().for_each(|number| out.u32(*number));
            }
        }
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word:?} is not a number that fits"))
}

/// CAA tags are 1 to 15 letters and digits in practice and by RFC 8659 §4.1.
fn tag(word: &str) -> Result<Vec<u8>, String> {
    if word.is_empty() || word.len() > 15 || !word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("{word:?} is not a CAA tag"));
    }
    Ok(word.as_bytes().to_vec())
}

/// Character strings hold at most 255 bytes (RFC 1035 §3.3): a longer text is cut into several.
fn strings(text: &[u8]) -> Vec<Vec<u8>> {
    if text.is_empty() { vec![Vec::new()] } else { text.chunks(255).map(<[u8]>::to_vec).collect() }
}
