//! Which alert (RFC 8446 §6.2) a failure of rustls means.
use rustls::{AlertDescription, Error, PeerIncompatible, PeerMisbehaved};

/// The alert that was received, or the one that names `error`.
///
/// rustls chooses the alert where it finds the error and does not report it, so this repeats its choices for a server.
/// One cannot be told apart: a wrong Finished, which is decrypt_error, from a record that does not decrypt.
pub(super) fn of(error: &Error) -> AlertDescription {
    match error {
        Error::AlertReceived(alert) => *alert,
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            AlertDescription::UnexpectedMessage
        }
        Error::InvalidMessage(invalid) => (*invalid).into(),
        Error::DecryptError => AlertDescription::BadRecordMac,
        Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
        Error::NoApplicationProtocol => AlertDescription::NoApplicationProtocol,
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => AlertDescription::ProtocolVersion,
        Error::PeerIncompatible(
            PeerIncompatible::NullCompressionRequired | PeerIncompatible::UncompressedEcPointsRequired,
        ) => AlertDescription::IllegalParameter,
        Error::PeerIncompatible(_) => AlertDescription::HandshakeFailure,
        Error::PeerMisbehaved(PeerMisbehaved::IncorrectBinder) => AlertDescription::DecryptError,
        Error::PeerMisbehaved(PeerMisbehaved::MissingBinderInPskExtension) => AlertDescription::DecodeError,
        Error::PeerMisbehaved(
            PeerMisbehaved::MissingPskExtensionInSecondClientHello | PeerMisbehaved::MissingPskModesExtension,
        ) => AlertDescription::MissingExtension,
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
