//! The PyO3 module `chiron._core`: conversions and errors, no logic.
mod admission;
mod http3;
mod hub;
mod jwt;
mod limit;
mod quic;
mod score;
mod tls;
mod wheel;
mod wire;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    const SOURCE_DIGEST: &str = env!("CHIRON_SOURCE_DIGEST");
    #[pymodule_export]
    use super::admission::PyAdmission;
    #[pymodule_export]
    use super::http3::{PyRequestHeads, PyResponseHeads};
    #[pymodule_export]
    use super::hub::{Broken, Data, Ended, Message, PeerClosed, PyHub, Secured};
    #[pymodule_export]
    use super::jwt::{PyClaims, PySigner, PyVerifier};
    #[pymodule_export]
    use super::limit::PyLimiter;
    #[pymodule_export]
    use super::quic::PyQuic;
    #[pymodule_export]
    use super::score::{PyExplanation, PyScore, PyScorer, PySpan, normalise};
    #[pymodule_export]
    use super::tls::Tls;
    #[pymodule_export]
    use super::wheel::PyWheel;
    #[pymodule_export]
    use super::wire::{Attach, Command, Connect, Detach, Malformed, Pong, Publish, PyFrame, Refresh, Sync, Watermark};
}
