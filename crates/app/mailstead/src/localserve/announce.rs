//! What `localserve` prints when it is ready: where everything is, and lines to copy.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use mailstead_config::Role;
use serde_json::json;

use super::setup::CA_FILE;
use super::{ADDRESS, ADMIN_PASSWORD};
use crate::binding::Service;
use crate::cli::CONFIG_FILE;
use crate::failure::Failure;
use crate::web::{Page, describe};

/// Configuration for mbsync, written for the ports of this run.
const MBSYNC_FILE: &str = "mbsyncrc";

/// A running `localserve`.
#[derive(Debug)]
pub(super) struct Announcement {
    pub(super) services: Vec<Service>,
    pub(super) root: PathBuf,
    /// The password, unless somebody has set another one.
    pub(super) password: Option<&'static str>,
}

impl Announcement {
    fn ca_file(&self) -> String {
        self.root.join(CA_FILE).display().to_string()
    }

    /// Where clients on this machine connect for a service.
    fn place(&self, role: Role) -> Option<(String, u16)> {
        let address = self.services.iter().find(|service| service.role == role)?.address;
        let host = match address.ip() {
            // The certificate is for this name, and every client takes it.
            ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Some((host, address.port()))
    }

    /// `host:port` of a service.
    fn host_port(&self, role: Role) -> String {
        self.place(role).map(|(host, port)| format!("{host}:{port}")).unwrap_or_default()
    }

    /// The status page of this server.
    pub(super) fn page(&self) -> Page {
        Page {
            hostname: "localhost".to_owned(),
            services: self.services.clone(),
            credentials: self.password.map(|password| (ADDRESS.to_owned(), password.to_owned())),
            ca_file: Some(self.ca_file()),
        }
    }

    /// One line for programs.
    pub(super) fn json(&self) -> String {
        let service = |service: &Service| json!({ "name": service.role.name(), "address": service.address });
        json!({
            "services": self.services.iter().map(service).collect::<Vec<_>>(),
            "account": ADDRESS,
            "password": self.password,
            "admin_password": self.password.map(|_| ADMIN_PASSWORD),
            "ca_file": self.ca_file(),
            "directory": self.root,
            "config": self.root.join(CONFIG_FILE),
        })
        .to_string()
    }

    /// Files that the printed lines name.
    pub(super) fn write_client_files(&self) -> Result<(), Failure> {
        let Some((host, port)) = self.place(Role::Imaps) else { return Ok(()) };
        let maildir = self.root.join("maildir");
        let password = self.password.map(|password| format!("Pass {password}\n")).unwrap_or_default();
        let text = format!(
            "# For mbsync, made by `mailstead localserve`: all mailboxes, both ways.\n\
             IMAPAccount mailstead\nHost {host}\nPort {port}\nUser {ADDRESS}\n{password}SSLType IMAPS\n\
             CertificateFile \"{ca}\"\n\n\
             IMAPStore server\nAccount mailstead\n\n\
             MaildirStore local\nSubFolders Verbatim\nPath \"{maildir}/\"\nInbox \"{maildir}/INBOX\"\n\n\
             Channel all\nFar :server:\nNear :local:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
            ca = self.ca_file(),
            maildir = maildir.display(),
        );
        let file = self.root.join(MBSYNC_FILE);
        fs::create_dir_all(&maildir)
            .and_then(|()| fs::write(&file, text))
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))
    }

    /// Text for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("Mailstead is running.\n\n");
        for (role, addresses) in self.by_role() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {:<33} {}", describe(role), addresses.join("  "));
        }
        let shown = self.password.unwrap_or("(the one you have set)");
        let _ = write!(text, "\n  {:<33} {ADDRESS}\n  {:<33} {shown}\n", "account", "password");
        if self.password.is_some() {
            let admin = format!("{ADMIN_PASSWORD}  (for the admin pages of a later version)");
            let _ = writeln!(text, "  {:<33} {admin}", "admin password");
        }
        let _ = write!(
            text,
            "  {:<33} {}\n  {:<33} {}\n\n\
             Mail to any address of any domain lands in this account; nothing leaves this machine.\n\
             Addresses such as rcptto-permerror@example.org provoke failures: see mailstead localserve --help.\n\n",
            "certificate to trust",
            self.ca_file(),
            "directory",
            self.root.display(),
        );
        self.examples(&mut text);
        text.push_str("\nStop it with Ctrl-C");
        let _ = write!(text, ", or with: mailstead stop --dir {}", quoted(&self.root.display().to_string()));
        text
    }

    fn by_role(&self) -> Vec<(Role, Vec<String>)> {
        let mut roles: Vec<(Role, Vec<String>)> = Vec::new();
        for Service { role, address } in &self.services {
            match roles.iter_mut().find(|(known, _)| known == role) {
                Some((_, addresses)) => addresses.push(address.to_string()),
                None => roles.push((*role, vec![address.to_string()])),
            }
        }
        roles
    }

    fn examples(&self, text: &mut String) {
        let ca = quoted(&self.ca_file());
        let password = self.password.unwrap_or("PASSWORD");
        let user = format!("{ADDRESS}:{password}");
        let config = quoted(&self.root.join(MBSYNC_FILE).display().to_string());
        let (smtp, submissions) = (self.host_port(Role::Smtp), self.host_port(Role::Submissions));
        let (submission, imaps) = (self.host_port(Role::Submission), self.host_port(Role::Imaps));
        let _ = write!(
            text,
            "Deliver a message, as another server would:\n\
             \x20 swaks --server {smtp} --from friend@example.org --to {ADDRESS}\n\
             Submit one, as a mail program does:\n\
             \x20 swaks --server {submissions} --tls-on-connect --tls-verify --tls-ca-path {ca} --auth PLAIN \
             --auth-user {ADDRESS} --auth-password {password} --from {ADDRESS} --to friend@example.org\n\
             \x20 printf 'From: {ADDRESS}\\r\\nTo: friend@example.org\\r\\nSubject: hello\\r\\n\\r\\nHello.\\r\\n' | \
             curl --ssl-reqd --cacert {ca} --user {user} --mail-from {ADDRESS} --mail-rcpt friend@example.org \
             --upload-file - smtp://{submission}\n\
             Read mail:\n\
             \x20 curl --cacert {ca} --user {user} 'imaps://{imaps}/INBOX;MAILINDEX=1'\n\
             \x20 mbsync --config {config} --all\n"
        );
        if let (Some((host, imaps)), Some((_, submissions))) = (self.place(Role::Imaps), self.place(Role::Submissions))
        {
            let _ = write!(
                text,
                "Thunderbird: import the certificate to trust (Settings, Privacy & Security, Manage Certificates, \
                 Authorities), add the account\n  {ADDRESS} with this password, choose to configure manually:\n\
                 \x20 IMAP  {host}  port {imaps}  SSL/TLS  normal password\n\
                 \x20 SMTP  {host}  port {submissions}  SSL/TLS  normal password\n"
            );
        }
    }
}

/// A word as the shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | ':' | '@' | ',');
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn announcement(root: &str) -> Announcement {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let services = (1..).zip(Role::ALL).map(|(port, (_, role))| Service { role, address: at(port) }).collect();
        Announcement { services, root: root.into(), password: Some("mailstead") }
    }

    #[test]
    fn text() {
        insta::assert_snapshot!(announcement("/home/jane doe/x").text());
    }

    #[test]
    fn a_password_of_ones_own_is_not_shown() {
        let announcement = Announcement { password: None, ..announcement("/x") };
        assert!(!announcement.text().contains("mailstead-admin") && !announcement.json().contains("mailstead-admin"));
        assert!(announcement.text().contains("the one you have set"));
    }

    #[test]
    fn json_is_one_line() {
        let json = announcement("/x").json();
        assert_eq!(json.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["services"][0], json!({ "name": "smtp", "address": "127.0.0.1:1" }));
        assert_eq!(value["ca_file"], "/x/ca.pem");
    }
}
