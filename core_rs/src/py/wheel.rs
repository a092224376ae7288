use pyo3::prelude::*;

use crate::{error::Error, wheel::Wheel};

#[pyclass(module = "chiron._core", name = "Wheel")]
pub(crate) struct PyWheel {
    wheel: Wheel,
}

fn finite(time: f64) -> Result<f64, Error> {
    if time.is_finite() { Ok(time) } else { Err(Error::Argument("times must be finite")) }
}

#[pymethods]
impl PyWheel {
    #[new]
    #[pyo3(signature = (now, *, tick=0.05))]
    fn new(now: f64, tick: f64) -> Result<Self, Error> {
        if finite(tick)? <= 0.0 {
            return Err(Error::Argument("tick must be above 0"));
        }
        Ok(Self { wheel: Wheel::new(finite(now)?, tick) })
    }

    fn set(&mut self, key: u64, kind: u32, deadline: f64) -> Result<(), Error> {
        self.wheel.set(key, kind, finite(deadline)?);
        Ok(())
    }

    fn cancel(&mut self, key: u64, kind: u32) -> bool {
        self.wheel.cancel(key, kind)
    }

    fn expire(&mut self, now: f64) -> Result<Vec<(u64, u32)>, Error> {
        Ok(self.wheel.expire(finite(now)?))
    }

    fn next(&mut self) -> Option<f64> {
        self.wheel.next_expiry()
    }

    fn __len__(&self) -> usize {
        self.wheel.len()
    }
}
