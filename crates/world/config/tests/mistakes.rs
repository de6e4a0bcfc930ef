//! What an operator reads who made mistakes: every one of them, with place and advice.

use std::path::Path;

use mailstead_config::Config;

fn mistakes(source: &str) -> String {
    match Config::parse(source, Path::new("mailstead.toml")) {
        Ok(_) => "no mistakes".to_owned(),
        Err(problems) => problems.to_string(),
    }
}

/// The parts that every configuration needs, to put mistakes beside.
const REST: &str = "
[[listener]]
addresses = \"127.0.0.1\"
smtp = 25
";

#[test]
fn nothing_at_all() {
    insta::assert_snapshot!(mistakes(""));
}

#[test]
fn syntax() {
    insta::assert_snapshot!(mistakes("hostname = \"a.example\"\ndata-directory = data\n"));
    insta::assert_snapshot!(mistakes("[database]\nengine = \"postgres\"\nurl = \"postgresql://u:password@h/d\n"));
}

#[test]
fn unknown_keys_of_all_levels_together() {
    let source = format!(
        "hostnam = \"mail.example.org\"\ndata_directory = \"data\"\ncolour = 3\n{REST}imap_port = 143\n\
         [log]\nlevl = \"info\"\n[accounts.jane]\nadresses = []\n"
    );
    insta::assert_snapshot!(mistakes(&source));
}

#[test]
fn values_of_wrong_type_or_range() {
    let source = "
hostname = \"mail..example.org\"
data-directory = 7
pedantic = \"yes\"
[[listener]]
addresses = [\"127.0.0.1\", \"localhost\"]
smtp = 70000
imap = \"143\"
[limits]
connections-per-minute = [300, 900]
open-connections = [90, 30, 10]
exempt-networks = [\"10.0.0.0/8\", \"10.0.0.0/64\"]
message-size = \"25 megabytes\"
[log]
level = \"warning\"
format = \"xml\"
[queue]
next-hop = \"smtp.example.net\"
[database]
engine = \"postgresql\"
";
    insta::assert_snapshot!(mistakes(source));
}

#[test]
fn things_that_do_not_fit_together() {
    let source = "
hostname = \"mail.example.org\"
data-directory = \"data\"
postmaster = \"jnae\"
[[listener]]
addresses = [\"127.0.0.1\", \"::1\"]
smtp = 25
submission = 25
imaps = 993
[[listener]]
addresses = \"::1\"
http = 25
[[listener]]
addresses = \"::1\"
[domains.\"example.org\"]
catch-all = \"nobody\"
[domains.\"bücher.example\"]
[domains.\"xn--bcher-kva.example\"]
[accounts.jane]
addresses = [\"jane@example.org\", \"JANE@example.org\", \"jane@exmple.org\", \"jane@elsewhere.net\", \"jane\", \"jane@[192.0.2.1]\"]
[accounts.joe]
addresses = [\"Jane@Example.Org\"]
[accounts.Joe]
[database]
engine = \"postgres\"
";
    insta::assert_snapshot!(mistakes(source));
}

#[test]
fn tables_where_values_should_be_and_the_reverse() {
    let source = "
data-directory = \"data\"
log = \"info\"
listener = 25
accounts = { jane = 3 }
[hostname]
";
    insta::assert_snapshot!(mistakes(source));
}

#[test]
fn credentials_without_verified_tls_or_without_password() {
    let source = format!(
        "hostname = \"a.example\"\ndata-directory = \"d\"\n{REST}[queue]\nnext-hop = \"h.example:25\"\nusername = \"jane\"\n"
    );
    insta::assert_snapshot!(mistakes(&source));
}

/// A database URL has a password inside; no message repeats it.
#[test]
fn secrets_are_not_repeated() {
    let source = format!(
        "hostname = \"a.example\"\ndata-directory = \"d\"\n{REST}[database]\nengine = \"sqlite\"\nurl = \"postgresql://u:password@h/d\"\n"
    );
    let text = mistakes(&source);
    assert!(!text.contains("password"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn names_resolved_in_impossible_ways() {
    let source = format!(
        "hostname = \"mail.example.org\"\ndata-directory = \"data\"\n{REST}\n\
         [dns]\nmode = \"recurse\"\nservers = [\"192.0.2.53\", \"ns.example.org\"]\ncache-size = 100\n"
    );
    insta::assert_snapshot!(mistakes(&source));
    let source = source.replace("recurse", "recursive");
    insta::assert_snapshot!(mistakes(&source));
}

#[test]
fn transports_and_routes_that_mean_nothing() {
    let source = format!(
        "hostname = \"mail.example.org\"\ndata-directory = \"data\"\n{REST}
[transports.news]
kind = \"relay\"
security = \"ssl\"
[transports.provider]
kind = \"relay\"
next-hop = \"h.example:587\"
security = \"plaintext\"
username = \"jane\"
password = \"hunter2\"
[transports.tor]
kind = \"sock\"
hots = \"127.0.0.1:9050\"
[transports.proxied]
kind = \"socks\"
proxy = \"127.0.0.1\"
username = \"\"
password = \"hunter2\"
address-family = \"ipv5\"
[transports.halves]
kind = \"socks\"
proxy = \"127.0.0.1:1080\"
password = \"hunter2\"
[transports.four]
kind = \"direct\"
next-hop = \"h.example:25\"
[transports.no]
kind = \"fail\"
code = 250
text = \"\"
[transports.nameless]
[[route]]
transport = \"newz\"
accounts = [\"jame\", \"Not a name\"]
from = []
[[route]]
transport = \"somewhere else\"
to = [\"*.example.org\", \".example.org\"]
minimum-attempts = -1
[[route]]
from = \"example.org\"
"
    );
    let text = mistakes(&source);
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}
