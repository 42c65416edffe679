//! Lines of configuration that are shown to people: the same advice for the three web servers that most of them have.

/// How to serve the document that delegates `host` to `delegate`.
pub(super) fn document(host: &str, delegate: &str) -> String {
    format!(
        "serve {{\"m.server\": \"{delegate}\"}} with status 200 at https://{host}/.well-known/matrix/server\n\
         nginx, in the server block of {host}, before any catch-all:\n  \
           location = /.well-known/matrix/server {{\n    \
             default_type application/json;\n    \
             return 200 '{{\"m.server\": \"{delegate}\"}}';\n  \
           }}\n\
         Apache: put that text into the file .well-known/matrix/server of the document root, and\n  \
           <Location /.well-known/matrix/>\n    ForceType application/json\n  </Location>\n\
         Caddy:\n  \
           header /.well-known/matrix/* Content-Type application/json\n  \
           respond /.well-known/matrix/server `{{\"m.server\": \"{delegate}\"}}` 200"
    )
}

/// How to let pages from elsewhere read the client document.
pub(super) const CORS: &str = "nginx, in the location of /.well-known/matrix/client, and nowhere behind it again:\n  \
       add_header Access-Control-Allow-Origin * always;\n\
     Apache (mod_headers): Header always set Access-Control-Allow-Origin \"*\"\n\
     Caddy: header /.well-known/matrix/client Access-Control-Allow-Origin *";

/// How to pass requests on as they came.
pub(super) const PASS: &str = "let the proxy pass the path on byte for byte:\n\
     nginx: proxy_pass http://127.0.0.1:8008;  (without a path or slash after the port; no `rewrite` and no `$uri` for /_matrix)\n\
     Apache: AllowEncodedSlashes NoDecode, and `nocanon` at the end of: ProxyPass /_matrix http://127.0.0.1:8008/_matrix nocanon\n\
     Caddy: reverse_proxy /_matrix/* 127.0.0.1:8008  (no `uri` and no `rewrite` before it)";

/// How to let other servers in.
pub(super) const AGENT: &str = "exempt /_matrix and /.well-known/matrix from whatever filters by User-Agent:\n\
     nginx: no `if ($http_user_agent …)` there; ModSecurity: SecRuleEngine Off in that location; Cloudflare: a rule that skips \
     Browser Integrity Check and Bot Fight Mode";

/// How HTTP/2 comes to the same place as HTTP/1.1.
pub(super) const HTTP2: &str = "pass /_matrix on for HTTP/2 as for HTTP/1.1, in a virtual host and with a certificate of this name; or do not offer it:\n\
     nginx: no `http2` at `listen` (in one server block it counts for all of that address and port), no `http2 on;`, then: \
     nginx -s reload\n\
     Apache: Protocols http/1.1\n\
     Caddy, in the global options:\n  \
       servers {\n    \
         protocols h1\n  \
       }";

/// How to take large requests.
pub(super) const BODY: &str = "nginx, in the server block: client_max_body_size 50M;  (it takes 1 MB if nothing is said)\n\
     Apache: LimitRequestBody 52428800\n\
     Caddy, or remove the limit:\n  \
       request_body {\n    \
         max_size 50MB\n  \
       }";

/// How to reach the homeserver at all.
pub(super) const FORWARD: &str = "see whether the homeserver runs, and whether the proxy passes /_matrix to it:\n\
     nginx: location /_matrix { proxy_pass http://127.0.0.1:8008; proxy_set_header Host $host; }\n\
     Apache: ProxyPass /_matrix http://127.0.0.1:8008/_matrix nocanon, with ProxyPreserveHost On\n\
     Caddy: reverse_proxy /_matrix/* 127.0.0.1:8008";

/// How to present the whole chain.
pub(super) const CHAIN: &str = "present the leaf and every intermediate, in one file:\n\
     nginx: ssl_certificate /etc/letsencrypt/live/NAME/fullchain.pem;  (not cert.pem), then `nginx -s reload`\n\
     Apache: SSLCertificateFile …/fullchain.pem\n\
     Synapse: tls_certificate_path: …/fullchain.pem";
