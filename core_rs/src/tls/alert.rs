//! Which alert (RFC 8446 §6.2) a failure of rustls means.
use rustls::{AlertDescription, Error, PeerIncompatible, PeerMisbehaved};

/// The alert that was sent for `error`, or the one that was received.
///
/// rustls chooses the alert where it finds the error and does not report it, so this follows its choices for a server
/// and falls back to what RFC 8446 §6.2 names for the kind.
pub(super) fn of(error: &Error) -> AlertDescription {
    match error {
        Error::AlertReceived(alert) => *alert,
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            AlertDescription::UnexpectedMessage
        }
        Error::InvalidMessage(_) => AlertDescription::DecodeError,
        Error::DecryptError => AlertDescription::BadRecordMac,
        Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
        Error::NoApplicationProtocol => AlertDescription::NoApplicationProtocol,
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => AlertDescription::ProtocolVersion,
        Error::PeerIncompatible(_) => AlertDescription::HandshakeFailure,
        Error::PeerMisbehaved(PeerMisbehaved::IncorrectBinder) => AlertDescription::DecryptError,
        Error::PeerMisbehaved(
            PeerMisbehaved::IllegalMiddleboxChangeCipherSpec
            | PeerMisbehaved::KeyEpochWithPendingFragment
            | PeerMisbehaved::MessageInterleavedWithHandshakeMessage
            | PeerMisbehaved::TooMuchEarlyDataReceived,
        ) => AlertDescription::UnexpectedMessage,
        Error::PeerMisbehaved(_) => AlertDescription::IllegalParameter,
        _ => AlertDescription::InternalError,
    }
}
