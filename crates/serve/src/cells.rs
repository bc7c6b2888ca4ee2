//! Which transports, services and models go together: the table that refuses the cells that make
//! no sense, and that makes the documentation.

use std::fmt::Write;

use sockeye_net::Transport;

use crate::model::Model;
use crate::services;

/// A combination that is refused, with the reason; `None` stands for every service or model.
struct Refused {
    transport: Transport,
    service: Option<&'static str>,
    model: Option<Model>,
    why: &'static str,
}

const DATAGRAMS: &str = "it talks over connections, not datagrams";

/// Every combination that is refused. All others work, with the same bytes under every model.
const REFUSED: &[Refused] = &[
    refused(Transport::Tls, "command", "it asks nobody for a key; serve host there"),
    refused(Transport::Udp, "command", DATAGRAMS),
    refused(Transport::Unixgram, "command", DATAGRAMS),
    refused(Transport::Tcp, "host", "it asks for keys; serve it on tls:// or unix:"),
    refused(Transport::Udp, "host", DATAGRAMS),
    refused(Transport::Unixgram, "host", DATAGRAMS),
];

const fn refused(transport: Transport, service: &'static str, why: &'static str) -> Refused {
    Refused { transport, service: Some(service), model: None, why }
}

/// The names of all services: those that answer by themselves, and those that do more.
pub fn services() -> Vec<&'static str> {
    let mut names: Vec<&str> = services::all().iter().map(crate::Service::name).collect();
    names.extend(["command", "host"]);
    names
}

/// Whether a service may run on this transport under this model.
///
/// # Errors
/// The reason, as one sentence that names the combination.
pub fn check(transport: Transport, service: &str, model: Model) -> Result<(), String> {
    let fits = |cell: &&Refused| {
        cell.transport == transport
            && cell.service.is_none_or(|refused| refused == service)
            && cell.model.is_none_or(|refused| refused == model)
    };
    match REFUSED.iter().find(fits) {
        Some(cell) => Err(format!("{service} on {transport} under {model}: {}", cell.why)),
        None => Ok(()),
    }
}

/// Every combination that works, of the services that come with sockeye.
pub fn working() -> Vec<(Transport, &'static str, Model)> {
    let mut cells = Vec::new();
    for transport in Transport::ALL {
        for service in services() {
            for model in Model::ALL {
                if check(transport, service, model).is_ok() {
                    cells.push((transport, service, model));
                }
            }
        }
    }
    cells
}

/// The table as the documentation shows it (`docs/cells.md`), in Markdown.
pub fn markdown() -> String {
    let mut text = String::from(
        "# What runs where\n\nMade from the table in `crates/serve/src/cells.rs`; a test compares \
         them. ✓ works, with the same bytes under every model; – is refused at start.\n\n",
    );
    let names: Vec<&str> = Model::ALL.iter().map(|model| model.name()).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "| service | transport | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(names.len()));
    for service in services() {
        for transport in Transport::ALL {
            let mark = |model: &Model| match check(transport, service, *model) {
                Ok(()) => "✓",
                Err(_) => "–",
            };
            let marks: Vec<&str> = Model::ALL.iter().map(mark).collect();
            let _ = writeln!(text, "| {} | {transport} | {} |", service, marks.join(" | "));
        }
    }
    text.push_str("\nRefused, and why:\n\n");
    for cell in REFUSED {
        let model = cell.model.map_or("every model".into(), |model| format!("{model}"));
        let service = cell.service.unwrap_or("every service");
        let _ = writeln!(text, "- {service} on `{}` under {model}: {}.", cell.transport, cell.why);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M5: every service runs on every transport under every model, but for what is refused by name.
    #[test]
    fn table() {
        assert_eq!(working().len(), (7 * 5 + 2 + 2) * Model::ALL.len());
        let error = check(Transport::Udp, "host", Model::Event).unwrap_err();
        assert!(error.starts_with("host on udp under event:"), "{error}");
    }

    /// M5: the documentation is what the table makes. To renew it, run this test with
    /// `SOCKEYE_WRITE_DOCS=1`.
    #[test]
    fn documentation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cells.md");
        if std::env::var_os("SOCKEYE_WRITE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), markdown());
    }
}
