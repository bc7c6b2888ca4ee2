//! Random scenarios against all servers, judged by a model of what may be seen: `SOCKEYE_SEEDS=N`
//! plays so many, `SOCKEYE_SEED=N` that one.

mod between;
mod dice;
mod expect;
mod plan;
mod remote;
mod streams;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::Signal;

use crate::harness::Server;
use plan::{Action, Plan};
use world::World;

/// Scenarios in a run of all tests.
const SEEDS: u64 = 200;

/// So many at a time, each against servers of its own.
const LANES: usize = 3;

/// After so many failures a run is given up.
const ENOUGH: usize = 10;

/// Seeds that once found something: these two, that a worker which is replaced lost a datagram.
const REGRESSIONS: [u64; 2] = [1464, 3477];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// L2, L3, V1, V2, X3, X4, X5, F2, F3, M5, faults 2, 9, 10, 11, 30, 32, 38, 47, 57: whatever users
/// do and whatever happens on the way, what is seen is what may be seen, and nothing is left.
#[test]
fn scenarios() {
    let next = AtomicU64::new(number("SOCKEYE_FIRST").unwrap_or(0));
    let end = next.load(Ordering::SeqCst) + number("SOCKEYE_SEEDS").unwrap_or(SEEDS);
    let failed = Mutex::new(Vec::new());
    let list = || failed.lock().expect("no panic under the lock");
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let mut world = World::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= end || list().len() >= ENOUGH {
                        return;
                    }
                    if catch_unwind(AssertUnwindSafe(|| play(&mut world, seed))).is_err() {
                        eprintln!("that was SOCKEYE_SEED={seed}: {:?}", Plan::new(seed));
                        list().push(seed);
                        // Its servers may not be what they were.
                        world = World::new();
                    }
                }
            });
        }
    });
    let mut failed = list().clone();
    failed.sort_unstable();
    assert!(failed.is_empty(), "play one again with SOCKEYE_SEED=N … model::one: {failed:?}");
}

/// The scenarios that found something once, and that of `SOCKEYE_SEED`.
#[test]
fn one() {
    let mut world = World::new();
    for seed in REGRESSIONS.into_iter().chain(number("SOCKEYE_SEED").or(Some(0))) {
        println!("{:#?}", Plan::new(seed));
        play(&mut world, seed);
    }
}

/// A seed is one scenario, always the same, and different seeds are different ones.
#[test]
fn determined() {
    let told = |seed| format!("{:?}", Plan::new(seed));
    let mut all: Vec<String> = (0..1000).map(told).collect();
    assert!(all.iter().enumerate().all(|(seed, plan)| *plan == told(seed as u64)));
    for part in ["Streams", "Datagrams", "Exec", "Copy", "Kill", "Reset", "Fin", "Stall"] {
        assert!(all.iter().any(|plan| plan.contains(part)), "no {part} in a thousand");
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 1000);
}

fn play(world: &mut World, seed: u64) {
    let plan = Plan::new(seed);
    let runtime = std::rc::Rc::clone(&world.runtime);
    match &plan.action {
        Action::Streams { service, .. } | Action::Datagrams { service, .. } => {
            let served = world.served(service, plan.model);
            let reloads = reload(&served.server, plan.reload);
            match &plan.action {
                Action::Streams { unix, all, kill_worker, .. } => {
                    runtime.block_on(streams::talk(served, service, *unix, all, seed, *kill_worker))
                }
                Action::Datagrams { there, back, .. } => {
                    runtime.block_on(streams::datagrams(served, service, there, back, seed));
                }
                _ => {}
            }
            reloads(&served.server);
            served.assert_well();
        }
        Action::Exec { path, command } => {
            let hosted = world.hosted(plan.model);
            let reloads = reload(&hosted.host.server, plan.reload);
            runtime.block_on(remote::exec(hosted, &plan, *path, command));
            reloads(&hosted.host.server);
            hosted.assert_well();
        }
        Action::Copy { path, push, new, old } => {
            let hosted = world.hosted(plan.model);
            let reloads = reload(&hosted.host.server, plan.reload);
            runtime.block_on(remote::copy(hosted, &plan, *path, *push, *new, *old));
            reloads(&hosted.host.server);
            hosted.assert_well();
        }
    }
}

/// Has it read its lists again where that is planned; what is given waits until it has.
fn reload(server: &Server, planned: bool) -> impl FnOnce(&Server) + use<> {
    let before = server.count("reloaded");
    if planned {
        server.signal(Signal::HUP);
    }
    move |server| {
        if planned {
            crate::harness::eventually("reloaded", || server.count("reloaded") > before);
        }
    }
}
