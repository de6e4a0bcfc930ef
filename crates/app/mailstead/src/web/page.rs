//! The status page: what runs where, and how to connect. One HTML page without scripts.

use std::fmt::Write as _;
use std::net::IpAddr;

use mailstead_config::Role;

use crate::binding::Service;

/// What the page tells.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) hostname: String,
    pub(crate) services: Vec<Service>,
    /// Account and password, for a server to try things out with.
    pub(crate) credentials: Option<(String, String)>,
    /// The certificate to trust, where it is one of our own.
    pub(crate) ca_file: Option<String>,
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:45rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.4rem .5rem .4rem 0;border-bottom:1px solid #8888;vertical-align:top}\
dt{font-weight:600}dd{margin:0 0 .75rem}\
code{font-family:ui-monospace,monospace;font-size:.95em}";

impl Page {
    pub(crate) fn render(&self) -> String {
        let host = escape(&self.hostname);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Mailstead on {host}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>Mailstead on {host}</h1>\n<p>This mail server is running, version {}.</p>\n",
            env!("CARGO_PKG_VERSION")
        );
        self.credentials(&mut html);
        html.push_str("<h2>How to connect</h2>\n<dl>\n");
        for (title, secure, cleartext) in
            [("Read mail (IMAP)", Role::Imaps, Role::Imap), ("Send mail (SMTP)", Role::Submissions, Role::Submission)]
        {
            let ways = [(secure, "TLS"), (cleartext, "STARTTLS")];
            let ways: Vec<_> = ways.iter().filter_map(|(role, security)| self.way(*role, security)).collect();
            if !ways.is_empty() {
                // Writing to a string cannot fail.
                let _ = writeln!(html, "<dt>{title}</dt><dd>{}</dd>", ways.join(", or "));
            }
        }
        html.push_str("<dt>User name</dt><dd>your mail address</dd>\n</dl>\n");
        self.table(&mut html);
        html.push_str("</main>\n</body>\n</html>\n");
        html
    }

    fn credentials(&self, html: &mut String) {
        if let Some((account, password)) = &self.credentials {
            let (account, password) = (escape(account), escape(password));
            let _ = write!(
                html,
                "<h2>Account</h2>\n<p>Log in as <code>{account}</code> with the password <code>{password}</code>. \
                 Mail to any address of any domain lands in this account; nothing leaves this machine.</p>\n"
            );
        }
        if let Some(file) = &self.ca_file {
            let _ = writeln!(html, "<p>Certificate to trust: <code>{}</code></p>", escape(file));
        }
    }

    fn way(&self, role: Role, security: &str) -> Option<String> {
        let service = self.services.iter().find(|service| service.role == role)?;
        let host = match service.address.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => "localhost".to_owned(),
            _ => escape(&self.hostname),
        };
        Some(format!("<code>{host}</code> port <code>{}</code> with {security}", service.address.port()))
    }

    fn table(&self, html: &mut String) {
        html.push_str(
            "<h2>What runs where</h2>\n<table>\n<thead><tr><th scope=\"col\">Service</th>\
             <th scope=\"col\">Address</th></tr></thead>\n<tbody>\n",
        );
        for service in &self.services {
            let (name, address) = (describe(service.role), service.address);
            let _ = writeln!(html, "<tr><td>{name}</td><td><code>{address}</code></td></tr>");
        }
        html.push_str("</tbody>\n</table>\n");
    }
}

/// A role in words.
pub(crate) fn describe(role: Role) -> &'static str {
    match role {
        Role::Smtp => "SMTP, mail from other servers",
        Role::Submission => "Submission, STARTTLS",
        Role::Submissions => "Submission, TLS",
        Role::Imap => "IMAP, STARTTLS",
        Role::Imaps => "IMAP, TLS",
        Role::Http => "HTTP, status page",
        Role::Https => "HTTPS, status page",
        Role::Metrics => "Prometheus metrics at /metrics",
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}
