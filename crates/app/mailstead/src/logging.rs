//! One line for each event on standard error, as logfmt or JSON.
//!
//! A line has the time, level, message, package, the fields of the event, and those of the spans around it,
//! which is how every line about a connection has its `cid`, its `user` once there is one, and `delta`, the
//! time since the last line about the same connection. What protocols log at trace level they redact
//! themselves; see `Transcript` in the protocol crates.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Instant;

use mailstead_config::{Log, LogFormat, LogLevel};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Sends all events of this process to standard error. Only the first call has an effect.
pub(crate) fn start(log: Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace | LogLevel::TraceAuth | LogLevel::TraceData => LevelFilter::TRACE,
    };
    // Libraries below us are heard when something is wrong.
    let targets =
        Targets::new().with_default(level.min(LevelFilter::WARN)).with_targets([("mailstead", level), ("imap", level)]);
    let lines = Lines { format: log.format, write: write_stderr };
    // A second subscriber can only be ours, of a test in the same process.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(lines.with_filter(targets)));
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::force_capture();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(target: "mailstead::panic", place, %backtrace, "panic: {message}");
    }));
}

fn write_stderr(line: &str) {
    // One call for each line, so that lines of several threads do not mix. Without standard error there is
    // no place to complain.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The layer that makes lines of events.
struct Lines {
    format: LogFormat,
    write: fn(&str),
}

/// Fields in the order in which they were recorded; a name recorded again replaces its value.
#[derive(Debug, Default, Clone)]
struct Fields(Vec<(&'static str, Value)>);

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Number(String),
    Flag(bool),
}

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), Value::Text(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::Text(value.to_owned()));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::Number(value.to_string()));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::Number(value.to_string()));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::Flag(value));
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field.name(), Value::Text(value.to_string()));
    }
}

/// When something was last logged inside a span.
#[derive(Debug)]
struct LastLine(Mutex<Instant>);

impl LastLine {
    /// Milliseconds since the last call.
    fn lap(&self) -> String {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let delta = now.duration_since(std::mem::replace(&mut *last, now));
        format!("{:.1}", delta.as_secs_f64() * 1000.0)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut extensions = span.extensions_mut();
        extensions.insert(fields);
        extensions.insert(LastLine(Mutex::new(Instant::now())));
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let metadata = event.metadata();
        let mut line = Fields::default();
        line.set("t", Value::Text(format!("{:.3}", jiff::Timestamp::now())));
        line.set("l", Value::Text(metadata.level().as_str().to_ascii_lowercase()));
        if let Some(message) = own.0.iter().position(|(name, _)| *name == "message") {
            line.set("m", own.0.remove(message).1);
        }
        let package = metadata.target().split("::").next().unwrap_or_default();
        line.set("pkg", Value::Text(package.trim_start_matches("mailstead_").to_owned()));
        // The outermost span is the connection; the nearer ones come behind it.
        for span in context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            let extensions = span.extensions();
            if let Some(last) = extensions.get::<LastLine>().filter(|_| span.parent().is_none()) {
                line.set("delta", Value::Number(last.lap()));
            }
            for (name, value) in extensions.get::<Fields>().into_iter().flat_map(|fields| &fields.0) {
                line.set(name, value.clone());
            }
        }
        for (name, value) in own.0 {
            line.set(name, value);
        }
        (self.write)(&line.print(self.format));
    }
}

impl Fields {
    fn print(&self, format: LogFormat) -> String {
        let mut line = String::with_capacity(256);
        match format {
            LogFormat::Logfmt => {
                for (number, (name, value)) in self.0.iter().enumerate() {
                    let space = if number > 0 { " " } else { "" };
                    // Writing to a string cannot fail.
                    let _ = write!(line, "{space}{name}={}", Logfmt(value));
                }
            }
            LogFormat::Json => {
                let object: serde_json::Map<_, _> =
                    self.0.iter().map(|(name, value)| ((*name).to_owned(), json(value))).collect();
                line = serde_json::Value::Object(object).to_string();
            }
        }
        line.push('\n');
        line
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Number(digits) => serde_json::from_str(digits).unwrap_or_default(),
        Value::Flag(flag) => (*flag).into(),
    }
}

/// A value as logfmt has it: bare when that is unambiguous, else quoted. Control characters are escaped, so
/// that nothing from the network can begin a line of its own or talk to a terminal.
struct Logfmt<'a>(&'a Value);

impl fmt::Display for Logfmt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Flag(flag) => flag.fmt(f),
            Value::Number(digits) => f.write_str(digits),
            Value::Text(text) => {
                let is_bare = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '"' | '=' | '\\');
                if !text.is_empty() && text.chars().all(is_bare) { f.write_str(text) } else { write!(f, "{text:?}") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static WRITTEN: RefCell<String> = const { RefCell::new(String::new()) };
    }

    fn written(format: LogFormat, log: impl FnOnce()) -> String {
        let lines = Lines { format, write: |line| WRITTEN.with_borrow_mut(|written| written.push_str(line)) };
        tracing::subscriber::with_default(Registry::default().with(lines), log);
        WRITTEN.take()
    }

    fn connection() {
        let span = tracing::info_span!("connection", cid = "1f", user = tracing::field::Empty);
        span.in_scope(|| {
            tracing::info!(remote = "192.0.2.1", "hello");
            span.record("user", "jane");
            tracing::warn!(bytes = 7, odd = true, text = "a\r\nl=error \"x\"\u{1b}[0m", "then");
        });
    }

    #[test]
    fn logfmt_has_the_connection_and_cannot_be_forged() {
        let text = written(LogFormat::Logfmt, connection);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains(" l=info m=hello pkg=mailstead delta="), "{text}");
        assert!(lines[0].ends_with(" cid=1f remote=192.0.2.1"), "{text}");
        assert!(
            lines[1].ends_with(r#" cid=1f user=jane bytes=7 odd=true text="a\r\nl=error \"x\"\u{1b}[0m""#),
            "{text}"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = written(LogFormat::Json, connection);
        let second: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(second["user"], "jane");
        assert_eq!(second["bytes"], 7);
        assert_eq!(second["odd"], true);
        assert!(second["delta"].is_number());
        assert!(second["t"].as_str().unwrap().ends_with('Z'));
    }
}
