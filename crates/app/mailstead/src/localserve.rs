//! `localserve`: a server for trying things out, from nothing to running in one command.
//!
//! The first run makes a directory with a certificate authority of its own, a certificate for `localhost`, and
//! a configuration; later runs use what is there. When the first run fails the directory is gone again. What
//! is printed when the server is ready is in `announce`.

mod announce;
mod setup;

use std::path::{Path, PathBuf};

use mailstead_config::{Config, ConfigWatch, Database, Strictness};
use mailstead_names::Secret;
use mailstead_store::WeakVerifiers;

use crate::binding;
use crate::cli::{CONFIG_FILE, LocalserveOptions, print};
use crate::failure::Failure;
use crate::serve::Server;
use crate::{logging, password};
use announce::Announcement;

/// The account that all mail lands in.
const ACCOUNT: &str = "you";
/// Its address.
const ADDRESS: &str = "you@localhost";
/// Its password, as well known as the address.
const PASSWORD: &str = "mailstead";
/// Password of the administrator's pages, once there are any.
const ADMIN_PASSWORD: &str = "mailstead-admin";

/// Makes the directory if need be, and runs the server until it is stopped.
pub(crate) async fn run(options: LocalserveOptions) -> Result<(), Failure> {
    let root = directory(options.dir.clone())?;
    let file = root.join(CONFIG_FILE);
    let server = if file.exists() {
        let watch = ConfigWatch::load(&file)?;
        same_as_made(&watch.current(), &options)?;
        let config = trusting_itself(adjusted(&watch.current(), &options), &root);
        logging::start(config.log);
        let bound = binding::bind_all(&config, options.ports)?;
        Server::open(watch, config, bound).await?
    } else {
        first_run(&root, &file, &options).await?
    };
    let announcement = announce(&server, &root).await?;
    announcement.write_client_files()?;
    print(&if options.json { announcement.json() } else { announcement.text() })?;
    server.run(announcement.page()).await
}

/// Makes everything. Whatever can go wrong without touching the disk is tried before it.
async fn first_run(root: &Path, file: &Path, options: &LocalserveOptions) -> Result<Server, Failure> {
    let password = chosen_password(options)?;
    let text = setup::configuration(options);
    let config = adjusted(&Config::parse(&text, file)?, options);
    let bound = binding::bind_all(&config, options.ports)?;
    logging::start(config.log);
    let made = setup::make(root, &text, options.ip)?;
    let server = Server::open(ConfigWatch::load(file)?, trusting_itself(config, root), bound).await?;
    set_password(&server, &password).await?;
    made.keep();
    Ok(server)
}

async fn set_password(server: &Server, password: &Secret<String>) -> Result<(), Failure> {
    let account = server.store().account(ACCOUNT).await?;
    let account = account.ok_or_else(|| Failure::new(format!("account {ACCOUNT} was not made")))?;
    Ok(server.store().set_password(account.id(), password, WeakVerifiers::default()).await?)
}

fn directory(chosen: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let usual = || {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        data.or_else(|| Some(std::env::home_dir()?.join(".local/share"))).map(|data| data.join("mailstead/localserve"))
    };
    let directory =
        chosen.or_else(usual).ok_or_else(|| Failure::new("there is no home directory: choose one with --dir"))?;
    // Certificates and clients are told absolute paths.
    std::path::absolute(&directory).map_err(|error| Failure::new(format!("{}: {error}", directory.display())))
}

/// The well-known password will do on loopback only.
fn chosen_password(options: &LocalserveOptions) -> Result<Secret<String>, Failure> {
    match (&options.password_file, options.ip) {
        (Some(file), _) => password::read_file(file),
        (None, Some(ip)) if !ip.is_loopback() => Err(Failure::new(format!(
            "others can reach {ip}, and the usual password is well known: give a new one with --password-file FILE"
        ))),
        (None, _) => Ok(Secret::new(PASSWORD.to_owned())),
    }
}

/// Options that choose what is made cannot change it later.
fn same_as_made(config: &Config, options: &LocalserveOptions) -> Result<(), Failure> {
    let refuse = |option: &str, key: &str| {
        let message =
            format!("the directory is there already, made without this {option}: edit `{key}` in its {CONFIG_FILE}");
        Err(Failure::new(message))
    };
    if let Some(ip) = options.ip
        && !config.listeners.iter().all(|listener| listener.addresses == [ip])
    {
        return refuse("--ip", "addresses");
    }
    if let Some(given) = &options.database
        && !matches!(&config.database, Database::Postgres { url } if url.expose() == given)
    {
        return refuse("--database", "database");
    }
    if options.password_file.is_some() {
        return Err(Failure::new(format!(
            "the directory is there already: use `mailstead account password {ACCOUNT}`"
        )));
    }
    Ok(())
}

/// The configuration with what the command line says for this run only.
fn adjusted(config: &Config, options: &LocalserveOptions) -> Config {
    let mut config = config.clone();
    if options.pedantic {
        config.strictness = Strictness::Pedantic;
    }
    config.log.level = options.log_level.unwrap_or(config.log.level);
    config
}

/// The next hop of all mail is this server, whose certificate comes from the directory's own authority: without trust in
/// that, mail that demands verified TLS (RFC 8689) would wait for ever. Who put other certificates in its place may have
/// removed it.
fn trusting_itself(mut config: Config, root: &Path) -> Config {
    let authority = root.join(setup::CA_FILE);
    if config.queue.extra_ca_file.is_none() && authority.exists() {
        config.queue.extra_ca_file = Some(authority);
    }
    config
}

async fn announce(server: &Server, root: &Path) -> Result<Announcement, Failure> {
    let account = server.store().account(ACCOUNT).await?.map(|account| account.id());
    let usual = Secret::new(PASSWORD.to_owned());
    let is_usual = server.store().verify_password(account, &usual).await?;
    Ok(Announcement { services: server.services(), root: root.to_owned(), password: is_usual.then_some(PASSWORD) })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn options(words: &str) -> LocalserveOptions {
        let words = ["mailstead", "localserve"].into_iter().chain(words.split_whitespace());
        match Cli::parse_from(words).command {
            Command::Localserve(options) => options,
            other => panic!("{other:?}"),
        }
    }

    fn config(options: &LocalserveOptions) -> Config {
        let text = setup::configuration(options);
        Config::parse(&text, Path::new(CONFIG_FILE)).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
    }

    #[test]
    fn what_is_written_can_be_read() {
        let config = config(&options(""));
        assert!(config.sandbox.is_some());
        let ports: Vec<_> = config.listeners[0].services.iter().map(|(_, port)| *port).collect();
        assert_eq!(ports, [1025, 1587, 1465, 1143, 1993, 1080, 1443, 1081]);
        assert_eq!(config.strictness, Strictness::Lenient);
        assert_eq!(adjusted(&config, &options("--pedantic")).strictness, Strictness::Pedantic);
    }

    #[test]
    fn a_sandbox_trusts_its_own_authority_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        let config = config(&options(""));
        assert_eq!(trusting_itself(config.clone(), &root).queue.extra_ca_file, None, "there is none yet");
        let _made = setup::make(&root, "", None).unwrap();
        assert_eq!(trusting_itself(config.clone(), &root).queue.extra_ca_file, Some(root.join(setup::CA_FILE)));
        let mut told = config;
        told.queue.extra_ca_file = Some(PathBuf::from("other.pem"));
        assert_eq!(trusting_itself(told, &root).queue.extra_ca_file, Some(PathBuf::from("other.pem")));
    }

    #[test]
    fn addresses_that_others_reach_need_a_new_password() {
        for ip in ["0.0.0.0", "192.0.2.1", "::"] {
            let message = chosen_password(&options(&format!("--ip {ip}"))).unwrap_err().to_string();
            assert!(message.contains("--password-file"), "{message}");
        }
        assert_eq!(chosen_password(&options("--ip 127.0.0.2")).unwrap().expose(), PASSWORD);
    }

    #[test]
    fn what_was_made_is_not_changed_by_options() {
        let made = options("--ip 127.0.0.2 --database postgres://x@h/d?a=\"b\\c");
        let config = config(&made);
        assert!(same_as_made(&config, &made).is_ok());
        assert!(same_as_made(&config, &options("")).is_ok());
        for other in ["--ip 127.0.0.1", "--database postgres://x@h/other", "--password-file -"] {
            assert!(same_as_made(&config, &options(other)).is_err(), "{other}");
        }
    }
}
