//! The PyO3 module `chiron._core`: conversions and errors, no logic.
mod hub;
mod jwt;
mod limit;
mod tls;
mod wheel;
mod wire;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::hub::Broken;
    #[pymodule_export]
    use super::hub::Data;
    #[pymodule_export]
    use super::hub::Ended;
    #[pymodule_export]
    use super::hub::Message;
    #[pymodule_export]
    use super::hub::PeerClosed;
    #[pymodule_export]
    use super::hub::PyHub;
    #[pymodule_export]
    use super::hub::Secured;
    #[pymodule_export]
    use super::jwt::PyClaims;
    #[pymodule_export]
    use super::jwt::PySigner;
    #[pymodule_export]
    use super::jwt::PyVerifier;
    #[pymodule_export]
    use super::limit::PyLimiter;
    #[pymodule_export]
    use super::wheel::PyWheel;
    #[pymodule_export]
    use super::wire::Attach;
    #[pymodule_export]
    use super::wire::Command;
    #[pymodule_export]
    use super::wire::Connect;
    #[pymodule_export]
    use super::wire::Detach;
    #[pymodule_export]
    use super::wire::Malformed;
    #[pymodule_export]
    use super::wire::Pong;
    #[pymodule_export]
    use super::wire::Publish;
    #[pymodule_export]
    use super::wire::PyFrame;
    #[pymodule_export]
    use super::wire::Refresh;
    #[pymodule_export]
    use super::wire::Sync;
    #[pymodule_export]
    use super::wire::Watermark;

    #[pymodule_export]
    const SOURCE_DIGEST: &str = env!("CHIRON_SOURCE_DIGEST");
    #[pymodule_export]
    use super::tls::Tls;
}
