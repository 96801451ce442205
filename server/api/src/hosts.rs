//! Which names a browser may reach this server under: the defence against DNS rebinding.
//!
//! A page of `evil.example` whose name is rebound to 127.0.0.1 talks to a loopback server with `Host: evil.example`. A loopback
//! server therefore answers to IP addresses, `localhost` and configured names only. There are no CORS headers: another origin
//! may not read anything.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, Uri, header};

/// What `Host` and `Origin` may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostPolicy {
    /// Whether the server listens on a loopback address: then `Host` must be local or allowed.
    pub loopback: bool,
    /// More host names, without port, lowercase.
    pub allowed: Vec<String>,
}

impl HostPolicy {
    /// Whether a request with these headers may pass; `Err` names the offender.
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
        let text = |value: &http::HeaderValue| value.to_str().map_or_else(|_| "?".to_owned(), str::to_owned);
        // Borrowed: this is on the way of every request.
        let host = match uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => headers.get(header::HOST).map(|value| value.to_str().unwrap_or("?")),
        };
        let host = host.map(without_port);
        if self.loopback
            && let Some(host) = host
            && !self.is_local(host)
        {
            return Err(format!("host `{}`", shown(host)));
        }
        let Some(origin) = headers.get(header::ORIGIN).map(text) else { return Ok(()) };
        let name = origin.split_once("://").map_or("", |(_, rest)| without_port(rest));
        let own = !self.loopback && host.is_some_and(|host| host.eq_ignore_ascii_case(name));
        let local = if self.loopback { self.is_local(name) } else { self.is_allowed(name) };
        if own || local { Ok(()) } else { Err(format!("origin `{}`", shown(&origin))) }
    }

    fn is_allowed(&self, host: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    fn is_local(&self, host: &str) -> bool {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let ends_local = || host.len() > 10 && host.as_bytes()[host.len() - 10..].eq_ignore_ascii_case(b".localhost");
        address.parse::<std::net::IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || ends_local()
            || self.is_allowed(host)
    }
}

fn without_port(authority: &str) -> &str {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if authority.starts_with('[') {
        return authority.find(']').map_or(authority, |end| &authority[..=end]);
    }
    authority.split(':').next().unwrap_or(authority)
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

/// The middleware.
pub(crate) async fn guard(State(policy): State<std::sync::Arc<HostPolicy>>, request: Request, next: Next) -> Response {
    if let Err(offender) = policy.check(request.uri(), request.headers()) {
        let message = format!("{offender} is not allowed; add it to the allowed hosts of the server's configuration");
        let body = serde_json::json!({ "error": { "reason": "HOST_NOT_ALLOWED", "message": message } });
        if crate::http::is_grpc(request.headers()) {
            let error =
                tenor_domain::Error::new(tenor_domain::ErrorKind::PermissionDenied, "HOST_NOT_ALLOWED", message);
            return crate::status(error).into_http::<tonic::body::Body>().map(axum::body::Body::new);
        }
        return (StatusCode::FORBIDDEN, axum::Json(body)).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &HostPolicy, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        policy.check(&Uri::from_static("/graphql"), &headers).is_ok()
    }

    #[test]
    fn a_loopback_server_answers_to_local_names_only() {
        let policy = HostPolicy { loopback: true, allowed: vec!["tenor.lan".to_owned()] };
        for host in ["127.0.0.1:8470", "[::1]:8470", "localhost:8470", "a.localhost", "tenor.lan:1", "LOCALHOST"] {
            assert!(check(&policy, host, None), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8470", "127.0.0.1.evil.example", "user@evil.example"] {
            assert!(!check(&policy, host, None), "{host}");
        }
    }

    #[test]
    fn a_foreign_origin_is_refused() {
        let local = HostPolicy { loopback: true, allowed: Vec::new() };
        assert!(check(&local, "127.0.0.1:8470", Some("http://localhost:3000")));
        assert!(!check(&local, "127.0.0.1:8470", Some("https://evil.example")));
        assert!(!check(&local, "127.0.0.1:8470", Some("null")));
        let public = HostPolicy { loopback: false, allowed: vec!["console.example".to_owned()] };
        assert!(check(&public, "tenor.example", Some("https://tenor.example")));
        assert!(check(&public, "tenor.example", Some("https://console.example")));
        assert!(!check(&public, "tenor.example", Some("https://evil.example")));
        assert!(check(&public, "anything", None));
    }
}
