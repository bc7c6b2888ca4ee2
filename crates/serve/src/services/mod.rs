//! The services that come with sockeye: one table, one short file each.

mod chargen;
mod clock;
mod qotd;
mod simple;

use crate::service::Service;
use simple::Announce;

/// Every service, the default first.
pub fn all() -> Vec<Service> {
    vec![
        Service::new("upper", || simple::Upper)
            .about("answers with the ASCII upper case of what it got, byte for byte")
            .with_source_rate(None),
        Service::new("echo", || simple::Echo).about("answers with what it got (RFC 862)"),
        Service::new("discard", || simple::Discard).about("throws away what it got (RFC 863)"),
        Service::new("daytime", || Announce(clock::daytime))
            .about("tells the date and time (RFC 867)"),
        Service::new("qotd", || Announce(qotd::today)).about("a quotation (RFC 865)"),
        Service::new("chargen", chargen::Chargen::default)
            .about("lines of characters without end (RFC 864)"),
        Service::new("time", || Announce(clock::time))
            .about("seconds since 1900 as four bytes (RFC 868)"),
    ]
}

/// The service of that name.
pub fn find(name: &str) -> Option<Service> {
    all().into_iter().find(|service| service.name() == name)
}
