//! The Python module: handles and functions that only convert; what they do is in `api.rs`.
//!
//! Whatever computes does so inside `secretly` or `publicly`. What stands outside them reads fields and copies bytes.

mod ceremony;
mod error;
mod functions;
mod handles;

use pyo3::prelude::*;

use crate::error::Result;
use crate::process;

#[pymodule]
mod strongroom_native {
    #[pymodule_export]
    use super::ceremony::{PyCeremony, PyStep};
    #[pymodule_export]
    use super::error::NativeError;
    #[pymodule_export]
    use super::functions::{combine, dkg, harden_process, keccak256, output_key, pair, sign, suites, verify};
    #[pymodule_export]
    use super::handles::{PyDataKey, PyKeyShare};

    use super::*;

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        process::settle();
        process::spare_memory();
        Ok(())
    }
}

/// Runs what may draw randomness or use a secret: not in a fork, with a fresh seed, without the GIL, without a panic.
fn secretly<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    publicly(py, || {
        process::enter()?;
        work()
    })
}

/// Runs what only reads public data.
fn publicly<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(|| process::guard(work)).map_err(PyErr::from)
}

/// A party's number as Python gives it: any integer that is none becomes 0, which is nobody's.
struct Number(u8);

impl<'a, 'py> FromPyObject<'a, 'py> for Number {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let integer = object.cast::<pyo3::types::PyInt>()?;
        Ok(Self(integer.extract::<u8>().unwrap_or(0)))
    }
}

/// A step of a path as Python gives it: any integer that is none becomes a hardened one, which no path may have.
struct Child(u32);

impl<'a, 'py> FromPyObject<'a, 'py> for Child {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let integer = object.cast::<pyo3::types::PyInt>()?;
        Ok(Self(integer.extract::<u32>().unwrap_or(u32::MAX)))
    }
}
