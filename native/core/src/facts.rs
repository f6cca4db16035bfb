//! What an index takes of a commit, as `replay/index/facts.py` reads it; bodies are passed over.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What `SQLite` can hold too; more is no revision, and no time.
const NUMBERS: u64 = 1 << 62;

/// An object, and no array of its fields in order, which serde would take as well.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

#[derive(Deserialize)]
struct Command<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    sender: Cow<'a, str>,
    #[serde(borrow, default)]
    correlation_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default, rename = "target")]
    _target: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Commit<'a> {
    revision: u64,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    command: Object<Command<'a>>,
    time: (u64, i64),
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
    #[serde(borrow, default)]
    events: Vec<Object<Named<'a>>>,
    #[serde(borrow, default)]
    effects: Vec<Object<Named<'a>>>,
}

/// A commit without its bodies; empty texts stand for none.
pub struct Facts<'a> {
    pub revision: u64,
    pub outcome: Cow<'a, str>,
    pub micros: u64,
    pub id: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub sender: Cow<'a, str>,
    pub correlation: Cow<'a, str>,
    /// The events' names, joined by commas; None of no event.
    pub events: Option<String>,
    /// The effects' kinds, the same.
    pub effects: Option<String>,
    pub reason: Cow<'a, str>,
}

/// The facts of a commit in JSON, unless it is in any way unusual.
#[must_use]
pub fn facts(data: &[u8]) -> Option<Facts<'_>> {
    std::str::from_utf8(data).ok()?;
    let Object(commit) = serde_json::from_slice::<Object<Commit<'_>>>(data).ok()?;
    let (micros, _) = commit.time;
    if commit.revision >= NUMBERS || micros >= NUMBERS {
        return None;
    }
    let Command {
        id,
        name,
        sender,
        correlation_id: correlation,
    } = commit.command.0;
    Some(Facts {
        revision: commit.revision,
        outcome: commit.outcome,
        micros,
        id,
        name,
        sender,
        correlation,
        events: joined(&commit.events, |each| &each.name),
        effects: joined(&commit.effects, |each| &each.kind),
        reason: commit.reason,
    })
}

fn joined<'a>(
    named: &'a [Object<Named<'a>>],
    text: impl Fn(&'a Named<'a>) -> &'a str,
) -> Option<String> {
    if named.is_empty() {
        return None;
    }
    Some(
        named
            .iter()
            .map(|each| text(&each.0))
            .collect::<Vec<_>>()
            .join(","),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMIT: &str = r#"{"agent":"a/b","revision":3,"outcome":"accepted","command":{"id":"c","name":"Do",
        "body":{"x":[1,{"y":null}]}},"time":[17,2],"events":[{"name":"Done","body":1},{"name":"Told"}],
        "effects":[{"kind":"send","target":"a/c"}]}"#;

    #[test]
    fn a_commit_is_read_without_its_bodies() {
        let found = facts(COMMIT.as_bytes()).unwrap();
        assert_eq!((found.revision, found.micros), (3, 17));
        assert_eq!((&*found.id, &*found.name, &*found.sender), ("c", "Do", ""));
        assert_eq!(found.events.as_deref(), Some("Done,Told"));
        assert_eq!(found.effects.as_deref(), Some("send"));
    }

    #[test]
    fn what_is_unusual_is_left_alone() {
        for (there, instead) in [
            ("\"revision\":3", "\"revision\":-1"),
            ("\"revision\":3", "\"revision\":4611686018427387904"),
            ("\"revision\":3", "\"revision\":3,\"revision\":4"),
            ("[17,2]", "[17,2,3]"),
            ("\"id\":\"c\",", ""),
            ("\"outcome\":\"accepted\"", "\"outcome\":null"),
            ("{\"name\":\"Told\"}", "[\"Told\"]"),
        ] {
            assert!(
                facts(COMMIT.replace(there, instead).as_bytes()).is_none(),
                "{instead}"
            );
        }
        assert!(facts(&COMMIT.as_bytes()[..40]).is_none());
    }

    proptest! {
        #[test]
        fn no_change_makes_it_panic(at in 0usize..250, byte: u8, cut in 0usize..300) {
            let mut data = COMMIT.as_bytes().to_vec();
            if let Some(there) = data.get_mut(at) { *there = byte; }
            data.truncate(cut);
            let _ = facts(&data);
        }
    }
}
