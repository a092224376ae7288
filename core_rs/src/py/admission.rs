//! `Admission`: a limiter and a verifier, asked together.
use super::{jwt::PyVerifier, limit::PyLimiter};
use crate::{
    admission::{Asked, Rate, admit},
    error::Error,
};
use pyo3::{
    prelude::*,
    types::{PyString, PyTuple},
};

#[pyclass(module = "chiron._core", name = "Admission")]
pub(crate) struct PyAdmission {
    limiter: Py<PyLimiter>,
    verifier: Py<PyVerifier>,
    address: Rate,
    person: Rate,
    name: Py<PyString>,
    policy: Py<PyTuple>,
}

fn rate((per_second, burst): (f64, f64)) -> Result<Rate, Error> {
    let above_zero = |number: f64| number > 0.0 && number.is_finite();
    if above_zero(per_second) && above_zero(burst) {
        return Ok(Rate { per_second, burst });
    }
    Err(Error::Argument("rate and burst must be finite and above 0"))
}

#[pymethods]
impl PyAdmission {
    #[new]
    #[pyo3(signature = (limiter, verifier, *, address, person, policy))]
    fn new(
        py: Python<'_>,
        limiter: Py<PyLimiter>,
        verifier: Py<PyVerifier>,
        address: (f64, f64),
        person: (f64, f64),
        policy: Py<PyTuple>,
    ) -> Result<Self, Error> {
        let (address, person) = (rate(address)?, rate(person)?);
        Ok(Self { limiter, verifier, address, person, name: PyString::intern(py, "ratelimit").unbind(), policy })
    }

    fn admit<'py>(
        &self,
        py: Python<'py>,
        authorization: &str,
        address: &str,
        cost: f64,
        now: f64,
        wall: f64,
    ) -> PyResult<Option<(Py<PyAny>, Bound<'py, PyTuple>)>> {
        if !(cost >= 0.0 && cost.is_finite() && now >= 0.0 && now.is_finite() && wall.is_finite()) {
            return Err(Error::Argument("cost and times must be finite, cost and now not below 0").into());
        }
        let (mut limiter, mut verifier) = (self.limiter.borrow_mut(py), self.verifier.borrow_mut(py));
        let asked = Asked { authorization, address, cost, now, wall };
        let admitted = admit(&mut limiter.limiter, &mut verifier.verifier, self.address, self.person, &asked);
        let Some((attached, standing)) = admitted else { return Ok(None) };
        let state = format!("\"person\";r={};t={}", standing.left as u64, standing.rest.ceil() as u64);
        let state = (&self.name, state).into_pyobject(py)?;
        Ok(Some((attached.clone_ref(py), (state, &self.policy).into_pyobject(py)?)))
    }
}
