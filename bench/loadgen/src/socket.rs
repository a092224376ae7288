//! A connected socket that never blocks, with or without TLS.
use mio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    io::{self, BufRead, ErrorKind, Read, Write},
    net::SocketAddr,
    path::Path,
    sync::Arc,
};

/// What TLS connections share: whom they trust and whom they expect. Every handshake is a full one.
#[derive(Clone)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// `authority` is a PEM file.
    pub(crate) fn new(authority: &Path, name: &str) -> Result<Self, String> {
        let roots = self::authority(authority)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
        Ok(Self { config: Arc::new(config), name })
    }
}

/// The certificates of a PEM file, to be trusted.
pub(crate) fn authority(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Bytes that the kernel has not taken yet.
    out: Vec<u8>,
}

impl Socket {
    pub(crate) fn connect(address: SocketAddr, tls: Option<&Tls>) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        let tls = tls
            .map(|tls| ClientConnection::new(tls.config.clone(), tls.name.clone()).map(Box::new))
            .transpose()
            .map_err(io::Error::other)?;
        Ok(Self { stream, tls, out: Vec::new() })
    }

    /// Queues plaintext; `flush` sends it.
    pub(crate) fn queue(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.out.extend_from_slice(bytes),
            Some(tls) => tls.writer().write_all(bytes)?,
        }
        Ok(())
    }

    /// Sends what the kernel takes now.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.out)?;
            }
        }
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(size) => drop(self.out.drain(..size)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what is there, gives it to `take` as plaintext; false at the end of the stream.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], mut take: impl FnMut(&[u8])) -> io::Result<bool> {
        loop {
            let size = match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(size) => size,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            match &mut self.tls {
                None => take(&buffer[..size]),
                Some(tls) => decrypt(tls, &buffer[..size], &mut take)?,
            }
            // The kernel had no more: the next bytes make another event.
            if size < buffer.len() {
                return Ok(true);
            }
        }
    }
}

fn decrypt(tls: &mut ClientConnection, mut bytes: &[u8], take: &mut impl FnMut(&[u8])) -> io::Result<()> {
    while !bytes.is_empty() {
        tls.read_tls(&mut bytes)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        loop {
            let mut reader = tls.reader();
            let size = match reader.fill_buf() {
                Ok(plain) => {
                    take(plain);
                    plain.len()
                }
                Err(_) => 0,
            };
            if size == 0 {
                break;
            }
            reader.consume(size);
        }
    }
    Ok(())
}
