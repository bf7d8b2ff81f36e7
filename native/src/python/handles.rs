//! `DataKey` and `KeyShare`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};
use zeroize::Zeroizing;

use super::{Number, publicly, secretly};
use crate::error::Fault;
use crate::seal::{self, DataKey};
use crate::share::Share;

#[pyclass(name = "DataKey", module = "strongroom_native", frozen)]
pub struct PyDataKey(DataKey);

#[pymethods]
impl PyDataKey {
    #[staticmethod]
    fn generate(py: Python<'_>) -> PyResult<Self> {
        secretly(py, DataKey::generate).map(Self)
    }

    #[staticmethod]
    fn take(py: Python<'_>, raw: &Bound<'_, PyByteArray>) -> PyResult<Self> {
        let copy = Zeroizing::new(raw.to_vec());
        // Item by item: in place, and without unsafe code.
        for i in 0..copy.len() {
            raw.set_item(i, 0u8)?;
        }
        publicly(py, || DataKey::from_slice(&copy)).map(Self)
    }

    fn expose<'py>(&self, py: Python<'py>) -> Bound<'py, PyByteArray> {
        PyByteArray::new(py, self.0.bytes())
    }

    fn __repr__(&self) -> &'static str {
        "<DataKey>"
    }
}

#[pyclass(name = "KeyShare", module = "strongroom_native", frozen)]
pub struct PyKeyShare(pub Arc<Share>);

#[pymethods]
impl PyKeyShare {
    #[getter]
    fn suite(&self) -> &'static str {
        self.0.suite.info().suite
    }

    #[getter]
    fn index(&self) -> u8 {
        self.0.material.index
    }

    #[getter]
    fn threshold(&self) -> u8 {
        self.0.material.package.threshold
    }

    #[getter]
    fn parties(&self) -> u8 {
        self.0.material.package.parties
    }

    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.material.package.public_key)
    }

    #[getter]
    fn verification_shares<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.material.package.verification_shares.iter().map(|share| PyBytes::new(py, share)).collect()
    }

    #[getter]
    fn chain_code<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.material.package.chain_code.map(|code| PyBytes::new(py, &code))
    }

    fn public_package<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let package = publicly(py, || self.0.material.package.encode())?;
        Ok(PyBytes::new(py, &package))
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        publicly(py, || self.0.check())
    }

    fn seal<'py>(&self, py: Python<'py>, key: &PyDataKey, aad: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let blob = secretly(py, || seal::seal(&self.0, &key.0, aad))?;
        Ok(PyBytes::new(py, &blob))
    }

    #[staticmethod]
    fn unseal(py: Python<'_>, blob: &[u8], key: &PyDataKey, aad: &[u8]) -> PyResult<Self> {
        secretly(py, || seal::unseal(blob, &key.0, aad)).map(Self)
    }

    fn paired(&self, py: Python<'_>) -> PyResult<Vec<u16>> {
        // Not Vec<u8>, which becomes `bytes`.
        publicly(py, || Ok(self.0.paired().into_iter().map(u16::from).collect()))
    }

    fn unpair(&self, py: Python<'_>, peer: Number) -> PyResult<()> {
        if !self.0.others().any(|other| other == peer.0) {
            return Err(Fault::Misuse { why: "the peer is not another party of this key" }.into());
        }
        publicly(py, || {
            self.0.unpair(peer.0);
            Ok(())
        })
    }

    fn pairing_digest<'py>(&self, py: Python<'py>, peer: Number) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let digest = publicly(py, || Ok(self.0.pairing_digest(peer.0)))?;
        Ok(digest.map(|digest| PyBytes::new(py, &digest)))
    }

    fn __repr__(&self) -> String {
        let package = &self.0.material.package;
        let (suite, index) = (&package.suite, self.0.material.index);
        format!(
            "<KeyShare {index} of {} ({} sign), {suite}, {}>",
            package.parties,
            package.threshold,
            hex::encode(&package.public_key)
        )
    }
}
