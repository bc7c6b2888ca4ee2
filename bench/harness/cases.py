"""The table of what is compared: targets, their cases, and how each server is started.

A new target is one function that yields cases, and one line in TARGETS.
"""

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

from . import files, remote
from .files import Mover
from .remote import Remote

PEERS = Path(__file__).resolve().parent.parent / "peers"
# One process that answers one message of 64 bytes and ends by itself: ncat does not wait for the
# answer when we end our sending first, which is what `tr` would need.
UPPER = f"{shutil.which('dd')} bs=64 count=1 conv=ucase status=none"


@dataclass
class Side:
    """A server. `args` are added to the load's when this side needs to be asked differently."""

    name: str
    command: list[str]
    args: list[str] = field(default_factory=list)


@dataclass
class Rival(Side):
    """Whom we are compared with. `target` is the least ratio ours/theirs; none: to know only."""

    target: float | None = None


@dataclass
class Case:
    """Our server and its rivals under one load. `kind`: rate (a load that counts), memory (of idle
    connections); of remote commands cold (whole clients), bulk (output), peak (memory of both
    ends), whose load is the command that is run; of copies move and hold (memory of both ends),
    whose load is the kind of files."""

    name: str
    ours: Side | Remote | Mover
    rivals: list[Rival] | list[Remote] | list[Mover]
    load: list[str]
    kind: str = "rate"
    # Memory: bytes a connection that we may use at most; of a peak, bytes of each process.
    limit: float | None = None
    # Bulk and peak: bytes of output. Move and hold: bytes of files, or their number.
    size: int = 0
    # Bulk: through a pipe into `cat`, not straight to /dev/null.
    through_pipe: bool = False
    # Peak: seconds of a reader that is much slower than the command.
    slow_for: float | None = None
    # Move: the second run, which finds everything in its place.
    again: bool = False


@dataclass
class Target:
    work: str
    wanted: str
    cases: Callable[["Peers"], Iterator[Case]]


class Peers:
    """How every server is started, and where the load generator is."""

    def __init__(self, sockeye: Path, more: list[str], references: Path, stand_in: bool):
        self.sockeye_path, self.more = sockeye, more
        self.references, self.stand_in = references, stand_in

    def binaries(self) -> list[Path]:
        names = ["load", "ref-epoll", "ref-handshake", "ref-thread", "ref-tokio", "ref-udp"]
        ours = [] if self.stand_in else [self.sockeye_path]
        return ours + [self.references / name for name in names]

    def load(self, *words) -> list[str]:
        return [str(self.references / "load"), *map(str, words)]

    def reference(self, name: str, *words: str) -> list[str]:
        return [str(self.references / name), "127.0.0.1:0", *words]

    def ours(self, model: str, scheme: str = "tcp") -> Side:
        if self.stand_in:
            name = {"thread": "ref-thread", "process": "ref-epoll"}.get(model, "ref-tokio")
            name = "ref-udp" if scheme == "udp" else name
            return Side(f"{name} (stand-in)", self.reference(name))
        endpoint = f"{scheme}://127.0.0.1:0"
        command = [str(self.sockeye_path), "serve", "upper", endpoint, "--model", model]
        return Side(f"sockeye {model}", command + self.more)

    def epoll(self, target: float | None, level: bool = False) -> Rival:
        words = ["--level"] if level else []
        return Rival("bare epoll", self.reference("ref-epoll", *words), target=target)

    def tokio(self, target: float | None) -> Rival:
        return Rival("usual tokio", self.reference("ref-tokio"), target=target)

    def thread(self, target: float | None) -> Rival:
        return Rival("bare threads", self.reference("ref-thread"), target=target)

    def udp(self, target: float | None) -> Rival:
        return Rival("one call a datagram", self.reference("ref-udp"), target=target)

    def socat(self, name: str, what: str, target: float | None, args: list[str]) -> Rival:
        listen = "TCP-LISTEN:PORT,bind=127.0.0.1,fork,reuseaddr,backlog=1024"
        return Rival(name, ["socat", listen, what], args, target)

    def ncat(self, target: float | None) -> Rival:
        command = ["ncat", "-lk", "127.0.0.1", "PORT", "--exec", UPPER]
        return Rival("ncat --exec", command, target=target)

    def python(self, kind: str) -> Rival:
        """Python's socketserver, a thread for each connection or datagram: to know only."""
        name = "ThreadingUDPServer" if kind == "udp" else "ThreadingTCPServer"
        program = str(PEERS / "socketserver-upper")
        return Rival(f"Python {name}", [sys.executable, program, kind, "127.0.0.1:0"])

    def host(self) -> Remote:
        """Ours; the harness is tried with this machine's own commands."""
        if self.stand_in:
            return remote.local("local (stand-in)", None)
        return remote.sockeye(self.sockeye_path, self.more)

    def ssh(self, target: float | None, cipher: str | None = None) -> Remote:
        options = ["-c", cipher] if cipher else []
        return remote.ssh(f"ssh -c {cipher}" if cipher else "ssh", options, target)

    def mover(self, *words: str) -> Mover:
        """Ours; the harness is tried with cp."""
        if self.stand_in:
            return files.local("cp (stand-in)", 'cp -r "$1" "$2"/', None)
        return files.sockeye(self.sockeye_path, self.more, list(words))

    def spawn(self, target: float | None) -> Remote:
        program = self.references / "ref-handshake"
        return remote.local("local spawn + handshake", target, program)


def event_rates(peers: Peers) -> Iterator[Case]:
    for connections in 1, 50, 1000:
        for depth in 1, 16:
            for size in 64, 4096:
                plural = "" if connections == 1 else "s"
                yield Case(
                    f"{connections} connection{plural} × {size} B, depth {depth}",
                    peers.ours("event"), [peers.epoll(0.95), peers.tokio(1.0)],
                    peers.load("tcp", "ADDR", "--connections", connections, "--size", size,
                               "--depth", depth),
                )


def event_churn(peers: Peers) -> Iterator[Case]:
    for connections in 1, 50:
        yield Case(
            f"{connections} at a time", peers.ours("event"), [peers.epoll(0.9, level=True)],
            churn(peers, connections),
        )
    yield against_socat(peers, peers.ours("event"))
    rivals = [peers.ncat(15.0), peers.python("tcp")]
    yield Case("8 at a time", peers.ours("event"), rivals, churn(peers, 8))


def against_socat(peers: Peers, ours: Side) -> Case:
    rivals = [
        peers.socat("socat fork, tr", "EXEC:tr a-z A-Z", 5.0, []),
        peers.socat("socat fork, echo, no exec", "PIPE", None, ["--echo"]),
    ]
    return Case("8 at a time, half-close", ours, rivals, churn(peers, 8, "--half-close"))


def churn(peers: Peers, connections: int, *words: str) -> list[str]:
    return peers.load("churn", "ADDR", "--connections", connections, "--size", 64, *words)


def idle_memory(peers: Peers) -> Iterator[Case]:
    for name, words in ("never used", []), ("after one 64 B message", ["--touch"]):
        yield Case(
            f"10000 connections, {name}", peers.ours("event"),
            [peers.epoll(None), peers.tokio(None)],
            peers.load("idle", "ADDR", "--connections", 10000, "--size", 64, *words),
            kind="memory", limit=1024,
        )


def other_models(peers: Peers) -> Iterator[Case]:
    yield Case(
        "thread: 50 connections × 64 B, depth 1", peers.ours("thread"),
        [peers.thread(0.9), peers.python("tcp")],
        peers.load("tcp", "ADDR", "--connections", 50, "--size", 64, "--depth", 1),
    )
    yield Case(
        "thread: connect-message-close, 50 at a time", peers.ours("thread"),
        [peers.thread(0.9), peers.python("tcp")], churn(peers, 50),
    )
    case = against_socat(peers, peers.ours("process"))
    case.name = f"process: connect-message-close, {case.name}"
    yield case


def datagrams(peers: Peers) -> Iterator[Case]:
    ours, rivals = peers.ours("event", "udp"), [peers.udp(1.5)]
    for depth, words, note in (1, [], ""), (8, [], ""), (8, ["--gso"], ", peers send with GSO"):
        others = [peers.python("udp")] if depth == 1 else []
        yield Case(
            f"64 peers × 64 B, depth {depth}{note}", ours, rivals + others,
            peers.load("udp", "ADDR", "--peers", 64, "--size", 64, "--depth", depth, *words),
        )


def cold_commands(peers: Peers) -> Iterator[Case]:
    # Three times as long as the bare minimum is a third of its rate.
    rivals = [peers.ssh(60.0), peers.spawn(1 / 3)]
    yield Case("true, cold client", peers.host(), rivals, ["true"], kind="cold")


def command_output(peers: Peers) -> Iterator[Case]:
    gibibyte = 1 << 30
    ssh = [peers.ssh(3.0), peers.ssh(3.0, "aes128-gcm@openssh.com")]
    words = ["head", "-c", str(gibibyte), "/dev/zero"]
    yield Case("1 GiB to /dev/null", peers.host(), ssh, words, kind="bulk", size=gibibyte)
    rivals = [*ssh, remote.local("local pipe", None)]
    yield Case("1 GiB into cat", peers.host(), rivals, words, kind="bulk", size=gibibyte,
               through_pipe=True)


def command_memory(peers: Peers) -> Iterator[Case]:
    size, limit = 10 << 30, 64 << 20
    words = ["head", "-c", str(size), "/dev/zero"]
    for name, slow_for in ("10 GiB to /dev/null", None), ("10 GiB begun, a slow reader", 8.0):
        yield Case(name, peers.host(), [], words, kind="peak", limit=limit, size=size,
                   slow_for=slow_for)


FASTEST = "aes128-gcm@openssh.com"


def one_file(peers: Peers) -> Iterator[Case]:
    rivals = [
        # One and a half times as long is two thirds of the rate.
        files.local("cp", 'cp "$1" "$2"/', 2 / 3), files.scp(FASTEST, 3.0, False),
        files.scp(None, None, False), files.rsync(FASTEST, None),
    ]
    yield Case("1 GiB to memory", peers.mover("cp"), rivals, ["big"], kind="move", size=1 << 30)


def small_files(peers: Peers) -> Iterator[Case]:
    size = 111_000_000
    pipe = 'mkdir "$2"/copy && tar cf - -C "$1" . | tar xf - -C "$2"/copy'
    over = files.rsync(FASTEST, 2.0)
    rivals = [files.local("tar | tar", pipe, 1 / 1.3), over, files.scp(FASTEST, None, True)]
    yield Case("10,000 files, 111 MB", peers.mover("cp"), rivals, ["many"], kind="move", size=size)
    yield Case("the same again, unchanged", peers.mover("sync"), [over], ["many"], kind="move",
               size=size, again=True)


def copy_memory(peers: Peers) -> Iterator[Case]:
    limit = 64 << 20
    for name, kind, size in (("10 GiB of nothing (sparse)", "sparse", 10 << 30),
                             ("1,000,000 empty files", "entries", 1_000_000)):
        yield Case(name, peers.mover("cp"), [], [kind], kind="hold", limit=limit, size=size)


TARGETS = {
    "P1": Target("upper, event model, lasting connections",
                 "rate ≥ 0.95 × a bare epoll loop, ≥ 1.0 × usual tokio", event_rates),
    "P2": Target("upper, event model, connect-message-close",
                 "rate ≥ 0.9 × a bare epoll loop, ≥ 5 × socat, ≥ 15 × ncat", event_churn),
    "P3": Target("memory of an idle connection, event model",
                 "PSS grown ≤ 1024 B a connection", idle_memory),
    "P4": Target("thread and process models",
                 "thread ≥ 0.9 × a bare thread server; process ≥ 5 × socat fork", other_models),
    "P5": Target("upper over UDP, 64 B, many peers",
                 "rate ≥ 1.5 × a loop with one datagram a call", datagrams),
    "P6": Target("a remote command, whole client process, cold",
                 "rate ≥ 60 × ssh, ≥ 1/3 × a bare local spawn and a handshake", cold_commands),
    "P7": Target("output of a remote command",
                 "≥ 3 × ssh", command_output),
    "P8": Target("a copy of one file, encrypted and proved end to end",
                 "≥ 3 × scp with its fastest cipher, ≤ 1.5 × the time of a local cp", one_file),
    "P9": Target("a copy of many small files",
                 "≤ 1.3 × the time of a local tar pipe, ≥ 2 × rsync over ssh", small_files),
    "P11": Target("memory of both ends during output",
                  "≤ 64 MiB each", command_memory),
    "P11F": Target("memory of both ends during a copy",
                   "≤ 64 MiB each", copy_memory),
}
