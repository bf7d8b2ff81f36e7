//! `Fault` as the Python exception `NativeError`.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{create_exception, exceptions::PyException};

use crate::error::{Fault, Verdict};

create_exception!(strongroom_native, NativeError, PyException, "A refusal or a fault; never carries secret material.");

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        Python::attach(|py| {
            let error = NativeError::new_err(format!("{}: {fault}", fault.code()));
            match describe(&fault, error.value(py)) {
                Ok(()) => error,
                Err(other) => other,
            }
        })
    }
}

fn describe(fault: &Fault, exception: &Bound<'_, PyAny>) -> PyResult<()> {
    exception.setattr("code", fault.code())?;
    exception.setattr("reason", fault.to_string())?;
    exception.setattr("verdict", fault.verdict().map(Verdict::name))?;
    exception.setattr("culprits", PyTuple::new(exception.py(), fault.culprits())?)
}
