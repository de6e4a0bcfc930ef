//! DNS messages to questions and answers, over the message types of the `domain` crate.

use std::str::FromStr as _;
use std::time::Duration;

use domain::base::iana::{OptRcode, Rtype};
use domain::base::message_builder::MessageBuilder;
use domain::base::name::{Name, ParsedName};
use domain::base::opt::ExtendedError as ExtendedErrorOption;
use domain::base::{Message, ToName};
use domain::rdata::AllRecordData;
use mailstead_dns::{
    Answer, Authenticity, Caa, Ds, Existence, ExtendedError, Hop, HopKind, LookupError, LookupErrorKind, Mx, Record,
    RecordType, Soa, Srv, Target, Tlsa, Txt,
};
use mailstead_names::Domain;

/// What we say we can take over UDP: fits into one packet on every path (RFC 9715 §3.1).
pub(super) const UDP_SIZE: u16 = 1232;

/// More aliases than this in one answer is a mistake or an attack.
const MOST_HOPS: usize = 16;

/// A question ready to send.
#[derive(Debug)]
pub(super) struct Query {
    message: Message<Vec<u8>>,
}

/// A message that answers a [`Query`].
#[derive(Debug)]
pub(super) struct Reply {
    message: Message<Vec<u8>>,
}

type Data<'a> = AllRecordData<&'a [u8], ParsedName<&'a [u8]>>;

impl Query {
    /// `None` when the name does not fit the wire, which a [`Domain`] always does.
    pub(super) fn new(id: u16, name: &Domain, record_type: RecordType) -> Option<Self> {
        let name: Name<Vec<u8>> = Name::from_str(name.as_ascii()).ok()?;
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(id);
        builder.header_mut().set_rd(true);
        let mut questions = builder.question();
        questions.push((&name, Rtype::from_int(record_type.code()))).ok()?;
        let mut additional = questions.additional();
        additional
            .opt(|options| {
                options.set_udp_payload_size(UDP_SIZE);
                Ok(())
            })
            .ok()?;
        Some(Query { message: additional.into_message() })
    }

    pub(super) fn octets(&self) -> &[u8] {
        self.message.as_slice()
    }

    /// The reply, when id and question are ours.
    pub(super) fn match_reply(&self, octets: &[u8]) -> Option<Reply> {
        let message = Message::from_octets(octets.to_vec()).ok()?;
        message.is_answer(&self.message).then_some(Reply { message })
    }
}

impl Reply {
    pub(super) fn is_truncated(&self) -> bool {
        self.message.header().tc()
    }

    /// What the message says about this question.
    pub(super) fn into_answer(self, name: &Domain, record_type: RecordType) -> Result<Answer<Record>, LookupError> {
        let extended_errors = self.extended_errors();
        let failed = |kind| LookupError {
            extended_errors: extended_errors.clone(),
            ..LookupError::new(kind, name, record_type)
        };
        let mut existence = match self.message.opt_rcode() {
            OptRcode::NOERROR => Existence::NoData,
            OptRcode::NXDOMAIN => Existence::NxDomain,
            OptRcode::SERVFAIL => return Err(failed(LookupErrorKind::ServerFailure)),
            OptRcode::FORMERR | OptRcode::NOTIMP => return Err(failed(LookupErrorKind::Malformed)),
            _ => return Err(failed(LookupErrorKind::Refused)),
        };
        let message = self.message.for_slice_ref();
        let found = read(&message, name, record_type).ok_or_else(|| failed(LookupErrorKind::Malformed))?;
        if found.chain.len() > MOST_HOPS {
            return Err(failed(LookupErrorKind::AliasLoop));
        }
        let mut ttl = found.ttl;
        if found.records.is_empty() {
            ttl = ttl.min(negative_ttl(&message).unwrap_or_default());
        } else {
            existence = Existence::Found;
        }
        Ok(Answer {
            records: found.records,
            existence,
            record_authenticity: Authenticity::Insecure,
            chain: found.chain,
            ttl: Duration::from_secs(ttl.into()),
            extended_errors,
        })
    }

    /// RFC 8914.
    fn extended_errors(&self) -> Vec<ExtendedError> {
        let Some(opt) = self.message.opt() else { return Vec::new() };
        opt.opt()
            .iter::<ExtendedErrorOption<_>>()
            .flatten()
            .map(|error| {
                let text = String::from_utf8_lossy(error.text_slice().unwrap_or_default()).into_owned();
                ExtendedError { code: error.code().to_int(), text }
            })
            .collect()
    }
}

struct Found {
    records: Vec<Record>,
    chain: Vec<Hop>,
    ttl: u32,
}

/// Follows the aliases within the answer section. `None` when the section is malformed.
fn read(message: &Message<&[u8]>, asked: &Domain, record_type: RecordType) -> Option<Found> {
    let mut rows = Vec::new();
    for record in message.answer().ok()? {
        let record = record.ok()?;
        let ttl = record.ttl().as_secs();
        // Data that cannot be read is left out; it matters only if it was what we asked for.
        if let Ok(record) = record.to_any_record::<Data<'_>>() {
            rows.push((target(record.owner()), ttl, record.data().clone()));
        }
    }
    let mut found = Found { records: Vec::new(), chain: Vec::new(), ttl: u32::MAX };
    let mut owner = asked.clone();
    while record_type != RecordType::Cname && found.chain.len() <= MOST_HOPS {
        let alias = rows.iter().find_map(|(name, ttl, data)| match data {
            AllRecordData::Cname(cname) if name.domain() == Some(&owner) => Some((*ttl, target(cname.cname()))),
            _ => None,
        });
        let Some((ttl, Target::Domain(to))) = alias else { break };
        // RFC 6672 §3.1: the server sends the CNAME that it made of a DNAME together with that DNAME.
        let is_dname = rows.iter().any(|(name, _, data)| {
            matches!(data, AllRecordData::Dname(_))
                && name.domain().is_some_and(|above| *above != owner && owner.is_subdomain_of(above))
        });
        let kind = if is_dname { HopKind::Dname } else { HopKind::Cname };
        found.ttl = found.ttl.min(ttl);
        let from = std::mem::replace(&mut owner, to.clone());
        found.chain.push(Hop { from, to, kind, authenticity: Authenticity::Insecure });
    }
    for (name, ttl, data) in &rows {
        if name.domain() == Some(&owner)
            && let Some(record) = convert(data).filter(|record| record.record_type() == record_type)
        {
            found.ttl = found.ttl.min(*ttl);
            found.records.push(record);
        }
    }
    Some(found)
}

/// How long absence may be kept: the lesser of the SOA's TTL and its last field (RFC 2308 §5).
fn negative_ttl(message: &Message<&[u8]>) -> Option<u32> {
    message.authority().ok()?.flatten().find_map(|record| match record.to_any_record::<Data<'_>>() {
        Ok(soa) => match soa.data() {
            AllRecordData::Soa(data) => Some(soa.ttl().as_secs().min(data.minimum().as_secs())),
            _ => None,
        },
        Err(_) => None,
    })
}

fn target(name: &impl ToName) -> Target {
    Target::parse(&name.to_vec().to_string())
}

/// Record data in our form; `None` for types that nobody here asks for.
fn convert(data: &Data<'_>) -> Option<Record> {
    Some(match data {
        AllRecordData::A(a) => Record::A(a.addr()),
        AllRecordData::Aaaa(aaaa) => Record::Aaaa(aaaa.addr()),
        AllRecordData::Ns(ns) => Record::Ns(target(ns.nsdname())),
        AllRecordData::Cname(cname) => Record::Cname(target(cname.cname())),
        AllRecordData::Ptr(ptr) => Record::Ptr(target(ptr.ptrdname())),
        AllRecordData::Mx(mx) => Record::Mx(Mx { preference: mx.preference(), exchange: target(mx.exchange()) }),
        AllRecordData::Txt(txt) => Record::Txt(Txt { strings: txt.iter().map(<[u8]>::to_vec).collect() }),
        AllRecordData::Soa(soa) => Record::Soa(Soa {
            mname: target(soa.mname()),
            rname: target(soa.rname()),
            serial: soa.serial().into_int(),
            refresh: soa.refresh().as_secs(),
            retry: soa.retry().as_secs(),
            expire: soa.expire().as_secs(),
            minimum: soa.minimum().as_secs(),
        }),
        AllRecordData::Srv(srv) => Record::Srv(Srv {
            priority: srv.priority(),
            weight: srv.weight(),
            port: srv.port(),
            target: target(srv.target()),
        }),
        AllRecordData::Ds(ds) => Record::Ds(Ds {
            key_tag: ds.key_tag(),
            algorithm: ds.algorithm().to_int(),
            digest_type: ds.digest_type().to_int(),
            digest: ds.digest().to_vec(),
        }),
        AllRecordData::Tlsa(tlsa) => Record::Tlsa(Tlsa {
            usage: tlsa.usage().to_int(),
            selector: tlsa.selector().to_int(),
            matching_type: tlsa.matching_type().to_int(),
            data: tlsa.data().to_vec(),
        }),
        AllRecordData::Caa(caa) => Record::Caa(Caa {
            flags: caa.flags().bits(),
            tag: caa.tag().to_string().to_ascii_lowercase(),
            value: caa.value().to_vec(),
        }),
        _ => return None,
    })
}
