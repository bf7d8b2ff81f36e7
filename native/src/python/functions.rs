//! The module's functions.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};
use sha3::{Digest, Keccak256};

use super::ceremony::PyCeremony;
use super::handles::PyKeyShare;
use super::{Child, Number, publicly, secretly};
use crate::{api, process, suites as registry};

#[pyfunction]
pub fn dkg(
    py: Python<'_>,
    suite: &str,
    session: &[u8],
    index: Number,
    threshold: Number,
    parties: Number,
) -> PyResult<PyCeremony> {
    secretly(py, || api::dkg(suite, session, index.0, threshold.0, parties.0)).map(PyCeremony)
}

#[pyfunction]
pub fn pair(py: Python<'_>, share: &PyKeyShare, session: &[u8], peer: Number) -> PyResult<PyCeremony> {
    secretly(py, || api::pair(&share.0, session, peer.0)).map(PyCeremony)
}

#[pyfunction]
#[pyo3(signature = (share, session, signers, message, tweak=None, path=Vec::new()))]
pub fn sign(
    py: Python<'_>,
    share: &PyKeyShare,
    session: &[u8],
    signers: Vec<Number>,
    message: Vec<u8>,
    tweak: Option<Vec<u8>>,
    path: Vec<Child>,
) -> PyResult<PyCeremony> {
    let signers = signers.into_iter().map(|signer| signer.0).collect();
    let path = path.into_iter().map(|step| step.0).collect();
    secretly(py, || api::sign(&share.0, session, signers, message, tweak, path)).map(PyCeremony)
}

#[pyfunction]
#[pyo3(signature = (suite, public_package, session, message, contributions, tweak=None, path=Vec::new()))]
#[allow(clippy::too_many_arguments)] // they are Python's, and named there
pub fn combine<'py>(
    py: Python<'py>,
    suite: &str,
    public_package: &[u8],
    session: &[u8],
    message: Vec<u8>,
    contributions: Vec<(Number, PyBackedBytes)>,
    tweak: Option<Vec<u8>>,
    path: Vec<Child>,
) -> PyResult<Bound<'py, PyBytes>> {
    let path = path.into_iter().map(|step| step.0).collect();
    let signature = publicly(py, || {
        let contributions: Vec<_> = contributions.iter().map(|(signer, bytes)| (signer.0, &bytes[..])).collect();
        api::combine(suite, public_package, session, message, &contributions, tweak, path)
    })?;
    Ok(PyBytes::new(py, &signature))
}

#[pyfunction]
#[pyo3(signature = (suite, public_key, message, signature, tweak=None))]
pub fn verify(
    py: Python<'_>,
    suite: &str,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
    tweak: Option<&[u8]>,
) -> PyResult<bool> {
    publicly(py, || api::verify(suite, public_key, message, signature, tweak))
}

#[pyfunction]
pub fn output_key<'py>(py: Python<'py>, public_key: &[u8], tweak: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let key = publicly(py, || api::output_key(public_key, tweak))?;
    Ok(PyBytes::new(py, &key))
}

#[pyfunction]
pub fn suites(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let describe = |info: &registry::Info| {
        let entry = PyDict::new(py);
        entry.set_item("suite", info.suite)?;
        entry.set_item("curve", info.curve)?;
        entry.set_item("library", info.library)?;
        entry.set_item("version", info.version)?;
        entry.set_item("auditor", info.auditor)?;
        entry.set_item("randomness", info.randomness)?;
        entry.set_item("pairwise", info.pairwise)?;
        entry.set_item("taproot", info.taproot)?;
        entry.set_item("all_sign", info.all_sign)?;
        let rounds = PyDict::new(py);
        for (kind, count) in info.rounds {
            rounds.set_item(kind, count)?;
        }
        entry.set_item("rounds", rounds)?;
        Ok(entry)
    };
    registry::all().map(describe).collect()
}

#[pyfunction]
pub fn keccak256<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let digest = publicly(py, || Ok(Keccak256::digest(data)))?;
    Ok(PyBytes::new(py, &digest))
}

#[pyfunction]
pub fn harden_process(py: Python<'_>) -> PyResult<()> {
    publicly(py, process::harden)
}
