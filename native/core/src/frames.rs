//! Deliveries of `JetStream` in the NATS protocol, as `streams/nats/pull.py` decodes them.
//!
//! Sources: the NATS client protocol, <https://docs.nats.io/reference/reference-protocols/nats-protocol>;
//! ADR-15 for the reply subject.

use memchr::memmem;

const ACK: &[u8] = b"$JS.ACK.";

/// One message of a consumer; all slices are of what was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    pub subscription: &'a [u8],
    pub subject: &'a str,
    pub reply: &'a str,
    pub headers: Option<&'a [u8]>,
    pub data: &'a [u8],
    pub sequence: u64,
    pub consumer_sequence: u64,
    pub attempt: u64,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Where the next frame begins.
    pub end: usize,
}

/// The delivery that begins at `position`, if it is one, and whole.
#[must_use]
pub fn delivery(read: &[u8], position: usize) -> Option<Delivery<'_>> {
    let rest = read.get(position..)?;
    let line = &rest[..memmem::find(rest, b"\r\n")?];
    let mut words = line.split(|byte| *byte == b' ');
    let has_headers = match words.next()? {
        b"MSG" => false,
        b"HMSG" => true,
        _ => return None,
    };
    let subject = std::str::from_utf8(words.next()?).ok()?;
    let subscription = words.next()?;
    let reply = words.next()?;
    if !reply.starts_with(ACK) || subject.is_empty() || subscription.is_empty() {
        return None;
    }
    let reply = std::str::from_utf8(reply).ok()?;
    let head = if has_headers {
        number(words.next()?)?
    } else {
        0
    };
    let size = number(words.next()?)?;
    if words.next().is_some() || head > size || line.iter().any(u8::is_ascii_control) {
        return None;
    }
    let start = position.checked_add(line.len())?.checked_add(2)?;
    let middle = start.checked_add(usize::try_from(head).ok()?)?;
    let stop = start.checked_add(usize::try_from(size).ok()?)?;
    let end = stop.checked_add(2)?;
    if end > read.len() {
        return None;
    }
    let [attempt, sequence, consumer_sequence, time] = numbers(reply)?;
    Some(Delivery {
        subscription,
        subject,
        reply,
        headers: has_headers.then(|| &read[start..middle]),
        data: &read[middle..stop],
        sequence,
        consumer_sequence,
        attempt,
        time,
        end,
    })
}

/// Attempt, the stream's sequence, the consumer's, and the time.
fn numbers(reply: &str) -> Option<[u64; 4]> {
    let count = reply.bytes().filter(|byte| *byte == b'.').count() + 1;
    let skipped = match count {
        9 => 4,
        11 | 12 => 6, // with domain and account, and perhaps a random token at the end
        _ => return None,
    };
    let mut tokens = reply.split('.').skip(skipped);
    let mut next = || number(tokens.next()?.as_bytes());
    Some([next()?, next()?, next()?, next()?])
}

/// Digits alone, and no more than 64 bits hold.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0, |value, digit| value * 10 + u64::from(digit - b'0')),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPLY: &str = "$JS.ACK.S.C.1.20.3.1700000000000000000.5";

    fn framed(headers: Option<&[u8]>, data: &[u8]) -> Vec<u8> {
        let size = data.len() + headers.map_or(0, <[u8]>::len);
        let head = match headers {
            Some(block) => format!("HMSG a.b 7 {REPLY} {} {size}\r\n", block.len()),
            None => format!("MSG a.b 7 {REPLY} {size}\r\n"),
        };
        [head.as_bytes(), headers.unwrap_or(b""), data, b"\r\n"].concat()
    }

    #[test]
    fn a_delivery_is_read() {
        let read = framed(Some(b"NATS/1.0\r\nK: v\r\n\r\n"), b"hello");
        let found = delivery(&read, 0).unwrap();
        assert_eq!(found.data, b"hello");
        assert_eq!(found.headers, Some(&b"NATS/1.0\r\nK: v\r\n\r\n"[..]));
        assert_eq!(
            (found.attempt, found.sequence, found.consumer_sequence),
            (1, 20, 3)
        );
        assert_eq!(
            (found.time, found.end),
            (1_700_000_000_000_000_000, read.len())
        );
    }

    #[test]
    fn what_is_odd_is_left_alone() {
        for odd in [
            "MSG a.b 7 $JS.ACK.S.C.1.20.3.17.5  2\r\nhi\r\n",
            "MSG a.b 7 $JS.ACK.S.C.1.20.3.17 2\r\nhi\r\n",
            "MSG a.b 7 $JS.ACK.S.C.+1.20.3.17.5 2\r\nhi\r\n",
            "MSG a.b 7 $JS.ACK.S.C.1.20.3.17.5 0x2\r\nhi\r\n",
            "MSG a.b 7 $JS.ACK.S.C.1.20.3.19999999999999999999.5 2\r\nhi\r\n",
            "HMSG a.b 7 $JS.ACK.S.C.1.20.3.17.5 3 2\r\nhi\r\n",
            "MSG a.b 7 _INBOX.1 2\r\nhi\r\n",
            "PING\r\n",
            "",
        ] {
            assert_eq!(delivery(odd.as_bytes(), 0), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(read in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..300) {
            let _ = delivery(&read, at);
        }

        #[test]
        fn no_change_makes_it_panic(at in 0usize..80, byte: u8, cut in 0usize..100) {
            let mut read = framed(Some(b"NATS/1.0\r\n\r\n"), b"{}");
            if let Some(there) = read.get_mut(at) { *there = byte; }
            read.truncate(cut);
            if let Some(found) = delivery(&read, 0) { prop_assert!(found.end <= read.len()); }
        }
    }
}
