//! What was asked of the DNS for a result, and what was answered.

use mailstead_dns::{
    Answer, Authenticity, Existence, LookupError, LookupErrorKind, Record, RecordData, RecordType, Resolver,
};
use mailstead_names::Domain;

/// How a question was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// There are records, or provably or at least reportedly none.
    Answer {
        /// The records as in a zone file.
        records: Vec<String>,
        /// Whether there were any.
        existence: Existence,
        /// Of the whole, aliases included.
        authenticity: Authenticity,
        /// The name that the aliases lead to, where there are any.
        alias_of: Option<Domain>,
        /// What servers and validation had to remark, in words.
        remarks: Vec<String>,
    },
    /// It is not known.
    Failed {
        /// Why.
        kind: LookupErrorKind,
        /// The same in words, with what else is known.
        words: String,
    },
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consulted {
    /// The name.
    pub name: Domain,
    /// The type.
    pub record_type: RecordType,
    /// The answer.
    pub answered: Answered,
}

/// All questions of one check, in the order in which they were asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The questions.
    pub consulted: Vec<Consulted>,
}

/// A record shown to people is cut to this many characters; whoever needs the rest asks again.
const MOST_SHOWN: usize = 1024;
/// Further records of an answer are left out of the evidence.
const MOST_RECORDS: usize = 20;

impl Evidence {
    /// Whether DNSSEC proved every answer. Without any question nothing was proved.
    pub fn authenticity(&self) -> Authenticity {
        let each = self.consulted.iter().map(|consulted| match &consulted.answered {
            Answered::Answer { authenticity, .. } => *authenticity,
            Answered::Failed { .. } => Authenticity::Insecure,
        });
        each.min().unwrap_or(Authenticity::Insecure)
    }

    /// Asks, and keeps what was answered.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn lookup(
        &mut self,
        resolver: &dyn Resolver,
        name: &Domain,
        record_type: RecordType,
    ) -> Result<Answer<Record>, LookupError> {
        let outcome = resolver.lookup(name, record_type).await;
        let answered = match &outcome {
            Ok(answer) => Answered::Answer {
                records: answer.records.iter().take(MOST_RECORDS).map(shown).collect(),
                existence: answer.existence,
                authenticity: answer.authenticity(),
                alias_of: answer.chain.last().map(|hop| hop.to.clone()),
                remarks: answer.extended_errors.iter().map(ToString::to_string).collect(),
            },
            Err(error) => Answered::Failed { kind: error.kind, words: error.to_string() },
        };
        self.consulted.push(Consulted { name: name.clone(), record_type, answered });
        outcome
    }

    /// Asks for the records that `T` is for.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn records<T: RecordData>(
        &mut self,
        resolver: &dyn Resolver,
        name: &Domain,
    ) -> Result<Answer<T>, LookupError> {
        Ok(self.lookup(resolver, name, T::TYPE).await?.filter_map(T::from_record))
    }

    /// Adds the questions of another check.
    pub fn extend(&mut self, other: Evidence) {
        self.consulted.extend(other.consulted);
    }
}

fn shown(record: &Record) -> String {
    let text = record.to_string();
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => text[..end].to_owned() + "…",
        None => text,
    }
}
