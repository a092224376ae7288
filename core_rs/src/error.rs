//! Every failure that crosses into Python, and the one place where it becomes an exception.
use crate::{http3::HeadError, jwt::TokenError, score::ScorerError, tls::TlsError, wire::FrameError};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Scorer(#[from] ScorerError),
    /// The caller gave a number that has no meaning here.
    #[error("{0}")]
    Argument(&'static str),
    #[error("every id is in use")]
    NoIds,
    #[error("an earlier call failed half way; what it left cannot be trusted")]
    Poisoned,
}

#[cfg(feature = "python")]
impl From<Error> for pyo3::PyErr {
    fn from(error: Error) -> Self {
        use pyo3::exceptions::{PyRuntimeError, PyValueError};
        match error {
            Error::NoIds | Error::Poisoned => PyRuntimeError::new_err(error.to_string()),
            Error::Token(_)
            | Error::Frame(_)
            | Error::Head(_)
            | Error::Scorer(_)
            | Error::Tls(_)
            | Error::Argument(_) => PyValueError::new_err(error.to_string()),
        }
    }
}
