//! `wasi:http/outgoing-handler`: requests of a guest to the addresses that it may reach.
//!
//! A name is resolved once, and the connection goes to one of the answers that are allowed, so that a name cannot lead
//! elsewhere between the check and the connection. Bodies stream in both directions. Whatever is under way ends with
//! the run: its tasks belong to resources of the guest. Never: a request without a network; a redirect followed here.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::{Request, Response, Uri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Interval, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::p2::bindings::http::types::{DnsErrorPayload, ErrorCode};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::network::Network;

/// How long to wait for a connection, an answer, or more of it, if the guest does not say. Its deadline comes first.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// The authorities that are trusted: those that browsers trust, built in.
static TLS: LazyLock<Result<TlsConnector, String>> = LazyLock::new(|| {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
});

/// Sends the requests of one guest.
pub(super) struct Http {
    network: Network,
}

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl Http {
    pub(super) fn new(network: Network) -> Http {
        Http { network }
    }
}

impl WasiHttpHooks for Http {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let network = self.network.clone();
        Box::new(async move { send(&network, request, options.unwrap_or_default()).await })
    }

    // wasmtime-wasi-http logs a warning at each of these, as often as the guest likes.
    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        match error.is_timeout() {
            true => ErrorCode::HttpResponseTimeout,
            false if error.is_incomplete_message() => ErrorCode::HttpResponseIncomplete,
            false => ErrorCode::HttpProtocolError,
        }
    }

    fn p2_error_from_connect(&mut self, error: &io::Error) -> ErrorCode {
        match error.kind() {
            io::ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ErrorCode::DestinationIpUnroutable,
            _ => ErrorCode::ConnectionRefused,
        }
    }

    fn p2_error_from_tls(&mut self, _error: &io::Error) -> ErrorCode {
        ErrorCode::TlsProtocolError
    }

    fn p2_error_from_dns(&mut self, error: &tokio_rustls::rustls::pki_types::InvalidDnsNameError) -> ErrorCode {
        ErrorCode::DnsError(DnsErrorPayload { rcode: Some(error.to_string()), info_code: None })
    }
}

async fn send(network: &Network, mut request: Request<WasiBody>, options: RequestOptions) -> Result<Sent, Error> {
    if network.is_none() {
        return Err(Error::HttpRequestDenied);
    }
    let connect_timeout = options.connect_timeout.unwrap_or(DEFAULT_TIMEOUT);
    let connecting = connect(network, request.uri());
    let stream = timeout(connect_timeout, connecting).await.map_err(|_| Error::ConnectionTimeout)??;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What goes over the wire is the path: scheme and authority are for proxies.
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;

    let first_byte = options.first_byte_timeout.unwrap_or(DEFAULT_TIMEOUT);
    let mut connection = Box::pin(connection);
    let mut answer = Box::pin(timeout(first_byte, sender.send_request(request)));
    let mut open = true;
    // The connection moves only while somebody polls it: here until the answer begins, then in a task of the guest's.
    let response = std::future::poll_fn(|context| {
        if open && let Poll::Ready(ended) = connection.as_mut().poll(context) {
            open = false;
            // The answer may be complete already; otherwise it tells the error itself.
            let _ = ended;
        }
        answer.as_mut().poll(context)
    });
    let response = response.await.map_err(|_| Error::ConnectionReadTimeout)??;
    let between = options.between_bytes_timeout.unwrap_or(DEFAULT_TIMEOUT).max(Duration::from_nanos(1));
    let mut patience = interval(between);
    patience.reset();
    let response = response.map(|incoming| WasiBody::new(Answer { incoming, patience }));
    let rest = async move {
        match open {
            true => connection.await.map_err(Error::from),
            false => Ok(()),
        }
    };
    Ok((response, Box::new(rest)))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(network: &Network, uri: &Uri) -> Result<Box<dyn Stream>, Error> {
    let host = uri.host().ok_or(Error::HttpRequestUriInvalid)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = connect_to_any(&addresses(network, host, port).await?).await?;
    if !secure {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(host.to_owned())?;
    let connector = TLS.as_ref().map_err(|error| Error::InternalError(Some(error.clone())))?;
    Ok(Box::new(connector.connect(name, stream).await.map_err(Error::Tls)?))
}

/// Those addresses of `host` that may be reached. Fails if there are none.
async fn addresses(network: &Network, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => match tokio::net::lookup_host((host, port)).await {
            Ok(found) => found.collect(),
            Err(error) => return Err(Error::DnsError { rcode: Some(error.to_string()), info_code: None }),
        },
    };
    if found.is_empty() {
        return Err(Error::DestinationNotFound);
    }
    let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| network.allows(address.ip())).collect();
    if allowed.is_empty() {
        return Err(Error::DestinationIpProhibited);
    }
    Ok(allowed)
}

async fn connect_to_any(addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
    let mut last = Error::DestinationNotFound;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Error::Connect(error),
        }
    }
    Err(last)
}

/// The body of an answer, which must go on within a time.
struct Answer {
    incoming: Incoming,
    patience: Interval,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(frame) => {
                self.patience.reset();
                Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
            }
            Poll::Pending => {
                ready!(self.patience.poll_tick(context));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
