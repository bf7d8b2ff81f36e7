//! `Ceremony` and `Step`.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::handles::PyKeyShare;
use super::{Number, secretly};
use crate::ceremony::{Ceremony, Message, Outcome, Step};

#[pyclass(name = "Step", module = "strongroom_native", frozen)]
pub struct PyStep(Step);

#[pymethods]
impl PyStep {
    #[getter]
    fn outgoing<'py>(&self, py: Python<'py>) -> Vec<(u8, Bound<'py, PyBytes>)> {
        self.0.outgoing.iter().map(|(recipient, payload)| (*recipient, PyBytes::new(py, payload))).collect()
    }

    #[getter]
    fn done(&self) -> bool {
        self.0.done
    }

    fn __repr__(&self) -> String {
        format!("<Step: {} messages, done={}>", self.0.outgoing.len(), self.0.done)
    }
}

#[pyclass(name = "Ceremony", module = "strongroom_native", frozen)]
pub struct PyCeremony(pub Ceremony);

#[pymethods]
impl PyCeremony {
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind
    }

    #[getter]
    fn suite(&self) -> &'static str {
        self.0.suite
    }

    #[getter]
    fn round(&self) -> u8 {
        self.0.round()
    }

    fn start(&self, py: Python<'_>) -> PyResult<PyStep> {
        secretly(py, || self.0.start()).map(PyStep)
    }

    fn receive(&self, py: Python<'_>, messages: Vec<(Number, bool, PyBackedBytes)>) -> PyResult<PyStep> {
        secretly(py, || {
            let messages: Vec<Message> = messages
                .iter()
                .map(|(sender, broadcast, payload)| Message { sender: sender.0, broadcast: *broadcast, payload })
                .collect();
            self.0.receive(&messages)
        })
        .map(PyStep)
    }

    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match secretly(py, || self.0.result())? {
            Outcome::Share(share) => Ok(Py::new(py, PyKeyShare(share))?.into_any()),
            Outcome::Paired => Ok(py.None()),
            Outcome::Contribution(bytes) => Ok(PyBytes::new(py, &bytes).unbind().into_any()),
        }
    }

    fn __repr__(&self) -> String {
        format!("<Ceremony {} {}, round {}>", self.0.kind, self.0.suite, self.0.round())
    }
}
