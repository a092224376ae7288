//! The PyO3 module `chiron._core`: conversions and errors, no logic.
use pyo3::prelude::*;

mod tls;

#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    const SOURCE_DIGEST: &str = env!("CHIRON_SOURCE_DIGEST");
    #[pymodule_export]
    use super::tls::Tls;
}
