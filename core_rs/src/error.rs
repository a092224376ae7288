//! Every failure that crosses into Python, and the one place where it becomes an exception.
use crate::{jwt::TokenError, tls::TlsError, wire::FrameError};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The caller gave a number that has no meaning here.
    #[error("{0}")]
    Argument(&'static str),
}

#[cfg(feature = "python")]
impl From<Error> for pyo3::PyErr {
    fn from(error: Error) -> Self {
        pyo3::exceptions::PyValueError::new_err(error.to_string())
    }
}
