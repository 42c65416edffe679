//! The file that invites outlive a crash in: appended to, synced, and now and then made anew.
//!
//! Lines are written at a known place and not at the end of the file, so what a full disk cut off is overwritten. Room for
//! the end of every invite (accepted, delivered) is reserved when it begins: a disk that fills up later refuses new invites
//! and loses none. After a failed sync nobody knows what is on the disk (the kernel forgets what it could not write), so
//! the whole file is made anew before anything else is promised.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};

use super::record::{Intent, Record, end_of};
use super::seen::{Digest, Seen, digest};

/// The file and what it says.
pub struct Journal {
    directory: PathBuf,
    file: File,
    _lock: File,
    /// Bytes of the file that count.
    length: u64,
    /// Up to where the disk has room set aside.
    reserved: u64,
    /// Bytes that would remain if the file were made anew.
    live: u64,
    /// Bytes of the lines that will end the invites.
    ends: u64,
    /// The file may not be what it should be.
    broken: bool,
    entries: HashMap<String, Entry>,
    delivered: Seen,
    next: u64,
}

/// An invite in the journal.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its turn.
    pub number: u64,
    /// When it came, in seconds since 1970.
    pub at: u64,
    /// Whether Dendrite has accepted it.
    pub accepted: bool,
    offset: u64,
    length: u32,
}

impl Journal {
    /// Opens the journal of a directory, or begins it.
    ///
    /// A last line that was not finished is cut off; a broken line elsewhere is passed over and counted.
    ///
    /// # Errors
    /// If the directory cannot be used, or another process uses it.
    pub fn open(directory: &Path) -> io::Result<(Self, usize)> {
        let open = |name: &str| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            options.open(directory.join(name))
        };
        let lock = open("lock")?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let file = open(FILE)?;
        let mut journal = Self {
            directory: directory.into(),
            file,
            _lock: lock,
            length: 0,
            reserved: 0,
            live: 0,
            ends: 0,
            broken: false,
            entries: HashMap::new(),
            delivered: Seen::new(DELIVERED),
            next: 0,
        };
        let broken = journal.load()?;
        Ok((journal, broken))
    }

    fn load(&mut self) -> io::Result<usize> {
        use io::BufRead;
        let mut reader = io::BufReader::new(self.file.try_clone()?);
        let (mut line, mut at, mut broken) = (Vec::new(), 0, 0);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)? as u64;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            match Record::parse(&line) {
                Some(record) => self.take(&record, at, read),
                None => broken += 1,
            }
            at += read;
        }
        self.length = at;
        self.file.set_len(at)?;
        // Whether an earlier process could sync the directory is not known.
        File::open(&self.directory)?.sync_all()?;
        Ok(broken)
    }

    /// What a line means.
    fn take(&mut self, record: &Record<'_>, offset: u64, length: u64) {
        match record {
            Record::Intent(Intent { id, at, accepted, .. }) => {
                self.forget(id);
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                let entry = Entry { number: self.next, at: *at, accepted: *accepted, offset, length };
                self.next += 1;
                self.live += u64::from(length);
                self.ends += end_of(id);
                self.entries.insert(id.to_string(), entry);
            }
            Record::Accepted(id) => {
                if let Some(entry) = self.entries.get_mut(&**id) {
                    entry.accepted = true;
                }
            }
            Record::Void(id) => self.forget(id),
            Record::Done(id) | Record::Dropped(id) => {
                self.forget(id);
                self.delivered.insert(digest(id));
            }
            Record::Delivered(digests) => {
                digests.iter().filter_map(|text| from_hex(text)).for_each(|digest| self.delivered.insert(digest));
            }
        }
    }

    fn forget(&mut self, id: &str) {
        if let Some(entry) = self.entries.remove(id) {
            self.live -= u64::from(entry.length);
            self.ends -= end_of(id);
        }
    }

    /// Writes lines and syncs; after that, and only then, they are true.
    ///
    /// # Errors
    /// If they are not on the disk. Nothing has changed then.
    pub fn append(&mut self, lines: &[Vec<u8>]) -> io::Result<()> {
        if self.broken {
            self.renew()?;
        }
        let bytes = lines.concat();
        let end = self.length + bytes.len() as u64;
        let ends: u64 = lines.iter().filter_map(|line| Record::parse(line)).map(|record| record.ends()).sum();
        // What ends an invite has its room already.
        match self.reserve(end + ends) {
            Err(error) if ends > 0 => return Err(error),
            _ => {}
        }
        if let Err(error) = self.file.write_all_at(&bytes, self.length) {
            // What was written of it would stand behind shorter lines. Cutting it off gives up the room set aside.
            self.broken = self.file.set_len(self.length).is_err();
            self.reserved = 0;
            return Err(error);
        }
        if let Err(error) = self.file.sync_data() {
            self.broken = true;
            return Err(error);
        }
        let mut at = self.length;
        for line in lines {
            if let Some(record) = Record::parse(line) {
                self.take(&record, at, line.len() as u64);
            }
            at += line.len() as u64;
        }
        self.length = end;
        if self.length > RENEW_FROM && self.length > 2 * self.live {
            // Only smaller: that it fails is no harm, and it is tried again.
            let _ = self.renew();
        }
        Ok(())
    }

    /// Sets room aside for what is written now and for the end of every invite.
    fn reserve(&mut self, end: u64) -> io::Result<()> {
        let needed = end + self.ends;
        if needed <= self.reserved {
            return Ok(());
        }
        let target = needed + RESERVE_AT_ONCE;
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.length, target - self.length) {
            Ok(()) => self.reserved = target,
            // Not every file system can; then a full disk is seen when it is written to.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.reserved = u64::MAX,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Writes what still counts into a new file and puts it in the old one's place.
    fn renew(&mut self) -> io::Result<()> {
        use io::Write;
        let temporary = self.directory.join(".journal.new");
        let made =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        let mut out = io::BufWriter::new(&made);
        let delivered = self.delivered.iter().map(|digest| crate::topology::hex(digest)).collect();
        let head = Record::Delivered(delivered).line();
        out.write_all(&head)?;
        let mut at = head.len() as u64;
        let mut order: Vec<&String> = self.entries.keys().collect();
        order.sort_by_key(|id| self.entries.get(*id).map(|entry| entry.number));
        let mut places = Vec::new();
        for id in order {
            let Some(entry) = self.entries.get(id) else { continue };
            let line = self.line(entry)?;
            let Some(Record::Intent(intent)) = Record::parse(&line) else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, super::words::JOURNAL_CHANGED));
            };
            let line = Record::Intent(Intent { accepted: entry.accepted, ..intent }).line();
            out.write_all(&line)?;
            places.push((id.clone(), at, line.len() as u64));
            at += line.len() as u64;
        }
        out.flush()?;
        drop(out);
        made.sync_all()?;
        std::fs::rename(&temporary, self.directory.join(FILE))?;
        (self.file, self.length, self.reserved, self.live) = (made, at, 0, 0);
        for (id, offset, length) in places {
            if let Some(entry) = self.entries.get_mut(&id) {
                (entry.offset, entry.length) = (offset, u32::try_from(length).unwrap_or(u32::MAX));
                self.live += length;
            }
        }
        // Until the directory is synced, a crash may bring the old file back.
        self.broken = true;
        File::open(&self.directory)?.sync_all()?;
        self.broken = false;
        Ok(())
    }

    fn line(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let mut line = vec![0; entry.length as usize];
        self.file.read_exact_at(&mut line, entry.offset)?;
        Ok(line)
    }

    /// The event of an invite, as JSON; `None` if the invite is not (or no longer) here.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn event(&self, id: &str) -> io::Result<Option<String>> {
        let Some(entry) = self.entries.get(id) else { return Ok(None) };
        let line = self.line(entry)?;
        Ok(match Record::parse(&line) {
            Some(Record::Intent(intent)) => Some(intent.event.get().to_owned()),
            _ => None,
        })
    }

    /// The invites, by event id.
    pub fn entries(&self) -> &HashMap<String, Entry> {
        &self.entries
    }

    /// Whether the bridge got this event from here.
    pub fn was_delivered(&self, id: &str) -> bool {
        self.delivered.contains(&digest(id))
    }

    /// Digests of the events the bridge got from here, the oldest first.
    pub fn delivered(&self) -> impl Iterator<Item = &Digest> {
        self.delivered.iter()
    }

    /// Bytes of all invites that wait.
    pub fn live(&self) -> u64 {
        self.live
    }
}

fn from_hex(text: &str) -> Option<Digest> {
    u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(u128::to_be_bytes)
}

const FILE: &str = "journal";
/// Delivered invites that are remembered over a restart.
const DELIVERED: usize = 10_000;
const RESERVE_AT_ONCE: u64 = 256 * 1024;
const RENEW_FROM: u64 = 1024 * 1024;
