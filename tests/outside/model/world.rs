//! The servers that scenarios meet in turn, and what must be left of each scenario: nothing.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::harness::process::{fds_of, state_of};
use crate::harness::remote::{Home, Host};
use crate::harness::{Conn, DEADLINE, Gram, Server, serve};

/// Servers as they are first needed, one of a kind.
pub(super) struct World {
    pub(super) runtime: Rc<Runtime>,
    served: HashMap<(&'static str, &'static str), Served>,
    hosts: HashMap<&'static str, Hosted>,
}

/// A server of streams and datagrams.
pub(super) struct Served {
    pub(super) server: Server,
    pub(super) tcp: String,
    pub(super) unix: String,
    pub(super) udp: String,
    start: Holds,
}

/// A server of commands and files, and the directory of its clients.
pub(super) struct Hosted {
    pub(super) host: Host,
    pub(super) here: TempDir,
    start: Holds,
}

/// What a server and all its descendants hold.
#[derive(Debug, Clone, Copy, Default)]
struct Holds {
    processes: usize,
    descriptors: usize,
}

impl World {
    pub(super) fn new() -> World {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        World { runtime: Rc::new(runtime), served: HashMap::new(), hosts: HashMap::new() }
    }

    /// The server of this service under this model.
    pub(super) fn served(&mut self, service: &'static str, model: &'static str) -> &Served {
        self.served.entry((service, model)).or_insert_with(|| Served::start(service, model))
    }

    /// The host under this model.
    pub(super) fn hosted(&mut self, model: &'static str) -> &Hosted {
        self.hosts.entry(model).or_insert_with(|| Hosted::start(model))
    }
}

impl Served {
    fn start(service: &'static str, model: &'static str) -> Served {
        let server = serve(service).at("tcp").at("unix").at("udp").model(model).start();
        let endpoint = |scheme| server.endpoint(scheme);
        let (tcp, unix, udp) = (endpoint("tcp"), endpoint("unix"), endpoint("udp"));
        let mut served = Served { server, tcp, unix, udp, start: Holds::default() };
        // All that is made once, at the first use, is made.
        for _ in 0..3 {
            let many = if model == "iterative" { 1 } else { 8 };
            let dial = |_| Conn::dial(&served.tcp).expect("the server listens");
            let mut all: Vec<Conn> = (0..many).map(dial).collect();
            all.iter_mut().for_each(|conn| assert_eq!(conn.ask(b"1", 1), b"1"));
        }
        served.asks();
        served.start = settled(&served.server);
        served
    }

    /// Plain clients of each kind are served, and nothing of those before them is left.
    pub(super) fn assert_well(&self) {
        self.asks();
        assert_nothing_left(&self.server, self.start);
    }

    fn asks(&self) {
        for endpoint in [&self.tcp, &self.unix] {
            let mut conn = Conn::dial(endpoint).expect("the server lives");
            assert_eq!(conn.ask(b"12-34", 5), b"12-34");
            conn.finish();
            assert_eq!(conn.take_all(), b"");
        }
        let gram = Gram::dial(&self.udp, self.server.dir()).expect("the server lives");
        assert_eq!(gram.ask(b"12-34"), b"12-34");
    }
}

impl Hosted {
    fn start(model: &'static str) -> Hosted {
        let host = Host::of(Home::new(), |launch| launch.model(model));
        let here = tempfile::tempdir().expect("a temporary directory");
        let mut hosted = Hosted { host, here, start: Holds::default() };
        for _ in 0..2 {
            hosted.asks();
            assert_eq!(hosted.host.exec(&["-n", "--", "true"], b"").code, Some(0));
        }
        hosted.start = settled(&hosted.host.server);
        hosted
    }

    /// A file of the clients'.
    pub(super) fn here(&self, name: &str) -> PathBuf {
        self.here.path().join(name)
    }

    /// A file of the server's.
    pub(super) fn there(&self, name: &str) -> PathBuf {
        self.host.home.path().join(name)
    }

    /// A plain client is served, and nothing of those before it is left.
    pub(super) fn assert_well(&self) {
        self.asks();
        assert_nothing_left(&self.host.server, self.start);
    }

    /// Waits until nothing of earlier clients is left.
    pub(super) fn assert_nothing_left(&self) {
        assert_nothing_left(&self.host.server, self.start);
    }

    fn asks(&self) {
        let output = self.host.exec_unix(&["-n", "--", "true"], b"");
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    }
}

/// What a server holds when all its connections have ended and it is quiet.
fn settled(server: &Server) -> Holds {
    all_closed(server);
    let (mut holds, mut same) = (Holds::now(server), 0);
    let end = Instant::now() + DEADLINE;
    while same < 20 {
        assert!(Instant::now() < end, "{holds:?}: the server does not come to rest");
        std::thread::sleep(Duration::from_millis(5));
        let now = Holds::now(server);
        let is_same = (now.processes, now.descriptors) == (holds.processes, holds.descriptors);
        (holds, same) = (now, if is_same { same + 1 } else { 0 });
    }
    holds
}

fn all_closed(server: &Server) {
    crate::harness::eventually("every connection has ended, and once", || {
        // In this order: there are always more accepted than closed.
        let closed = server.count("closed");
        let accepted = server.count("accepted");
        assert!(closed <= accepted, "{closed} closed events of {accepted} connections");
        closed == accepted
    });
}

fn assert_nothing_left(server: &Server, start: Holds) {
    all_closed(server);
    let end = Instant::now() + DEADLINE;
    loop {
        let now = Holds::now(server);
        if now.processes <= start.processes && now.descriptors <= start.descriptors {
            return;
        }
        assert!(Instant::now() < end, "something is left: {now:?}, at the start {start:?}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

impl Holds {
    fn now(server: &Server) -> Holds {
        let all = family(server.pid());
        let descriptors = all.iter().map(|pid| fds_of(*pid).len()).sum();
        Holds { processes: all.len(), descriptors }
    }
}

/// A process and its descendants, zombies included (proc_pid_task_tid_children(5)).
pub(super) fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while at < all.len() {
        let tasks = fs::read_dir(format!("/proc/{}/task", all[at])).into_iter().flatten().flatten();
        for task in tasks {
            let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
        at += 1;
    }
    all
}

/// A worker process that lives, chosen by `number`.
pub(super) fn worker(server: &Server, number: usize) -> Option<u32> {
    let all = family(server.pid());
    let living = |pid: &u32| state_of(*pid).is_some_and(|state| state != 'Z');
    let workers: Vec<u32> = all.into_iter().skip(1).filter(living).collect();
    (!workers.is_empty()).then(|| workers[number % workers.len()])
}
