//! mbsync: two-way synchronisation with a Maildir, flags and deletions both ways.

use std::path::{Path, PathBuf};
use std::process::Command;

use mailstead_e2e::{PASSWORD, Server, USER, run};

struct Mirror {
    folder: tempfile::TempDir,
}

impl Mirror {
    fn new(server: &Server) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().display();
        std::fs::create_dir(folder.path().join("mail")).expect("the maildir root");
        let config = format!(
            "IMAPAccount local\nHost localhost\nPort {}\nUser {USER}\nPass {PASSWORD}\nSSLType IMAPS\n\
             CertificateFile {}\nTimeout 60\n\n\
             IMAPStore far\nAccount local\n\n\
             MaildirStore near\nPath {root}/mail/\nInbox {root}/mail/INBOX\nSubFolders Verbatim\n\n\
             Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState {root}/mail/.state-\n",
            server.port("imaps"),
            server.ca_file(),
        );
        std::fs::write(folder.path().join("config"), config).expect("the configuration");
        Self { folder }
    }

    fn sync(&self) {
        let config = self.folder.path().join("config");
        run(Command::new("mbsync").arg("--config").arg(config).arg("--all")).success();
    }

    fn inbox(&self) -> PathBuf {
        self.folder.path().join("mail/INBOX")
    }

    /// The messages of a Maildir, new and read.
    fn files(maildir: &Path) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = ["new", "cur"]
            .iter()
            .flat_map(|part| std::fs::read_dir(maildir.join(part)).into_iter().flatten())
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        files
    }
}

#[test]
fn synchronises_both_ways() {
    let server = Server::start();
    for number in 1..=20 {
        server.deliver(&format!("number {number}"), &format!("body {number}"));
    }
    let mirror = Mirror::new(&server);
    mirror.sync();
    let files = Mirror::files(&mirror.inbox());
    assert_eq!(files.len(), 20);
    assert!(mirror.folder.path().join("mail/Sent").is_dir(), "every mailbox is mirrored");

    // Here: one is flagged and read, one is deleted, one is new.
    let find = |text: &str| {
        let has = |file: &&PathBuf| std::fs::read_to_string(file).expect("a message").contains(text);
        files.iter().find(has).unwrap_or_else(|| panic!("{text} was synchronised")).clone()
    };
    let (flagged, deleted) = (find("Subject: number 3\n"), find("Subject: number 7\n"));
    let name = flagged.file_name().and_then(|name| name.to_str()).expect("a name");
    let base = name.split(":2,").next().expect("a base name");
    std::fs::rename(&flagged, mirror.inbox().join(format!("cur/{base}:2,FS"))).expect("rename");
    std::fs::remove_file(deleted).expect("remove");
    std::fs::write(
        mirror.inbox().join("new/1000000000.M1P1.here"),
        "From: <you@localhost>\nSubject: written here\nMessage-ID: <here@localhost>\n\nlocal\n",
    )
    .expect("write");
    // There: one is answered, one is deleted.
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    imap.ok("UID STORE 5 +FLAGS (\\Answered)");
    imap.ok("UID STORE 9 +FLAGS (\\Deleted)");
    imap.ok("UID EXPUNGE 9");
    mirror.sync();

    let found = |imap: &mut mailstead_e2e::Imap, key: &str| imap.ok(&format!("UID SEARCH {key}")).join(" ");
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    assert!(found(&mut imap, "FLAGGED SEEN").contains(" 3"), "flags travelled from here to there");
    assert!(!found(&mut imap, "UID 7").contains(" 7"), "a deletion travelled from here to there");
    assert!(found(&mut imap, "SUBJECT \"written here\"").contains(" 21"), "a new message travelled from here to there");
    let files = Mirror::files(&mirror.inbox());
    assert_eq!(files.len(), 19);
    let replied = files
        .iter()
        .filter(|file| file.to_string_lossy().rsplit_once(":2,").is_some_and(|(_, flags)| flags.contains('R')));
    assert_eq!(replied.count(), 1, "flags travelled from there to here");

    // A further run finds nothing to do.
    mirror.sync();
    assert_eq!(Mirror::files(&mirror.inbox()), files);
    server.check();
}
