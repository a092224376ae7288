use pyo3::prelude::*;

use crate::{error::Error, limit::Limiter};

#[pyclass(module = "chiron._core", name = "Limiter")]
pub(crate) struct PyLimiter {
    pub(crate) limiter: Limiter,
}

#[pymethods]
impl PyLimiter {
    #[new]
    fn new(capacity: usize) -> Self {
        Self { limiter: Limiter::new(capacity) }
    }

    fn check(&mut self, key: &str, cost: f64, rate: f64, burst: f64, now: f64) -> Result<f64, Error> {
        meaningful(cost, rate, burst, now)?;
        Ok(self.limiter.check(key, cost, rate, burst, now))
    }

    fn take(&mut self, key: &str, cost: f64, rate: f64, burst: f64, now: f64) -> Result<(f64, f64, f64), Error> {
        meaningful(cost, rate, burst, now)?;
        let standing = self.limiter.take(key, cost, rate, burst, now);
        Ok((standing.wait, standing.left, standing.rest))
    }

    fn __len__(&self) -> usize {
        self.limiter.len()
    }
}

pub(super) fn meaningful(cost: f64, rate: f64, burst: f64, now: f64) -> Result<(), Error> {
    let above_zero = |number: f64| number > 0.0 && number.is_finite();
    if !above_zero(rate) || !above_zero(burst) {
        return Err(Error::Argument("rate and burst must be finite and above 0"));
    }
    if !(cost >= 0.0 && cost.is_finite() && now >= 0.0 && now.is_finite()) {
        return Err(Error::Argument("cost and now must be finite and not below 0"));
    }
    Ok(())
}
