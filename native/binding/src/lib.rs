//! The seam: bytes in, Python's own objects out. What the core leaves alone Python reads itself.

use memchr::memmem;
use moonlet_core::facts::facts;
use moonlet_core::frames::{delivery, Delivery};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

/// Of this seam; Python takes no other. Raised whenever an argument or a result changes.
const SEAM: u32 = 1;

/// Headers that say how a message is to be read: then Python looks at them.
const OURS: [&[u8]; 2] = [b"Moonlet-Encoding", b"Moonlet-Protocol"];

/// Makes `Delivery` objects of what was read from a socket.
#[pyclass(frozen, module = "moonlet_native")]
struct Deliveries {
    /// The class `Delivery`.
    delivery: Py<PyAny>,
    /// Headers as they came: `RawHeaders`.
    headers: Py<PyAny>,
    /// `decode_delivery`, of the pieces of a message that has headers of ours.
    decode: Py<PyAny>,
}

#[pymethods]
impl Deliveries {
    #[new]
    fn new(delivery: Py<PyAny>, headers: Py<PyAny>, decode: Py<PyAny>) -> Self {
        Self {
            delivery,
            headers,
            decode,
        }
    }

    /// The deliveries that begin at `position`, of one subscription that is in `known`, and where
    /// something else begins. Without any: (None, [], position).
    fn gather<'py>(
        &self,
        data: &Bound<'py, PyBytes>,
        position: usize,
        known: &Bound<'py, PyDict>,
    ) -> PyResult<(Option<Bound<'py, PyAny>>, Bound<'py, PyList>, usize)> {
        let py = data.py();
        let read = data.as_bytes();
        let found = PyList::empty(py);
        let Some(first) = delivery(read, position) else {
            return Ok((None, found, position));
        };
        let subscription = PyBytes::new(py, first.subscription);
        let Some(holder) = known.get_item(&subscription)? else {
            return Ok((None, found, position));
        };
        let mine = first.subscription;
        let mut end = first.end;
        found.append(self.make(py, &first)?)?;
        while let Some(next) = delivery(read, end) {
            if next.subscription != mine {
                break;
            }
            found.append(self.make(py, &next)?)?;
            end = next.end;
        }
        Ok((Some(holder), found, end))
    }

    /// `sift` of `streams/nats/sift.py`: only what a sieve wants becomes an object.
    fn sift(
        &self,
        data: &Bound<'_, PyBytes>,
        position: usize,
        sifters: &Bound<'_, PyDict>,
    ) -> PyResult<usize> {
        let py = data.py();
        let read = data.as_bytes();
        let mut end = position;
        while let Some(first) = delivery(read, end) {
            let subscription = PyBytes::new(py, first.subscription);
            let Some(sifter) = sifters.get_item(subscription)? else {
                break;
            };
            end = self.sift_run(read, first, &sifter)?;
        }
        Ok(end)
    }
}

impl Deliveries {
    /// One subscription's deliveries in a row, from `first` on; returns where they end.
    fn sift_run(
        &self,
        read: &[u8],
        first: Delivery<'_>,
        sifter: &Bound<'_, PyAny>,
    ) -> PyResult<usize> {
        let py = sifter.py();
        let sieve = sifter.getattr(intern!(py, "sieve"))?;
        let answers = sieve
            .getattr(intern!(py, "answers"))?
            .cast_into::<PyDict>()?;
        let wanted = sifter
            .getattr(intern!(py, "deliveries"))?
            .cast_into::<PyList>()?;
        let (mine, mut end) = (first.subscription, first.end);
        let mut arrived: u64 = sifter.getattr(intern!(py, "arrived"))?.extract()?;
        let mut last = None;
        let mut failed = None;
        let mut here = Some(first);
        while let Some(message) = here {
            match self.sift_one(&message, &sieve, &answers, &wanted) {
                Ok(()) => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
            arrived += 1;
            last = Some(message.reply);
            end = message.end;
            here = delivery(read, end).filter(|next| next.subscription == mine);
        }
        if let Some(reply) = last {
            sifter.setattr(intern!(py, "arrived"), arrived)?;
            sifter.setattr(intern!(py, "last"), PyBytes::new(py, reply.as_bytes()))?;
        }
        failed.map_or(Ok(end), Err)
    }

    fn sift_one(
        &self,
        message: &Delivery<'_>,
        sieve: &Bound<'_, PyAny>,
        answers: &Bound<'_, PyDict>,
        wanted: &Bound<'_, PyList>,
    ) -> PyResult<()> {
        let py = sieve.py();
        let subject = PyBytes::new(py, message.subject.as_bytes());
        let answer = match answers.get_item(&subject)? {
            Some(answer) => answer,
            None => sieve.call_method1(intern!(py, "wanted"), (subject,))?,
        };
        if answer.is_truthy()? {
            wanted.append(self.make(py, message)?)?;
        }
        Ok(())
    }

    fn make<'py>(&self, py: Python<'py>, message: &Delivery<'_>) -> PyResult<Bound<'py, PyAny>> {
        let data = PyBytes::new(py, message.data);
        let headers = match message.headers {
            None | Some([]) => py.None().into_bound(py),
            Some(block) if OURS.iter().any(|name| memmem::find(block, name).is_some()) => {
                let pieces = (
                    PyBytes::new(py, message.subject.as_bytes()),
                    PyBytes::new(py, message.reply.as_bytes()),
                    data,
                    PyBytes::new(py, block),
                );
                return self.decode.bind(py).call1(pieces);
            }
            Some(block) => self.headers.bind(py).call1((PyBytes::new(py, block),))?,
        };
        self.delivery.bind(py).call1((
            message.subject,
            data,
            headers,
            message.reply,
            message.sequence,
            message.consumer_sequence,
            message.attempt,
            message.time,
        ))
    }
}

/// What an index takes of commits in JSON, a tuple each, or None where Python is to look itself.
///
/// Raises `TypeError` if one is not of bytes.
#[pyfunction]
fn commit_facts<'py>(records: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
    let py = records.py();
    let found = PyList::empty(py);
    for record in records {
        let data = record.cast_into::<PyBytes>()?;
        match facts(data.as_bytes()) {
            None => found.append(py.None())?,
            Some(f) => found.append(PyTuple::new(
                py,
                [
                    f.revision.into_pyobject(py)?.into_any(),
                    f.outcome.into_pyobject(py)?.into_any(),
                    f.micros.into_pyobject(py)?.into_any(),
                    f.id.into_pyobject(py)?.into_any(),
                    f.name.into_pyobject(py)?.into_any(),
                    f.sender.into_pyobject(py)?.into_any(),
                    f.correlation.into_pyobject(py)?.into_any(),
                    f.events.into_pyobject(py)?.into_any(),
                    f.effects.into_pyobject(py)?.into_any(),
                    f.reason.into_pyobject(py)?.into_any(),
                ],
            )?)?,
        }
    }
    Ok(found)
}

#[pymodule]
fn moonlet_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SEAM", SEAM)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Deliveries>()?;
    module.add_function(wrap_pyfunction!(commit_facts, module)?)
}
