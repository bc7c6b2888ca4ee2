"""The mixed load of a soak: users who do everything, misbehave, and are killed, and an operator."""

import collections
import os
import random
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from .process import Failure
from .watched import Watched

SERVICES = ("upper", "echo", "discard", "daytime", "qotd", "chargen", "time")
MODELS = ("iterative", "thread", "process", "event")
# No single thing takes longer.
LONGEST_SECONDS = 60
# Whose worker was killed so long ago at the most may cut a connection.
CUT_SECONDS = 5


class Load:
    """What users do, in threads, until told to stop; counts by kind, and failures by their words."""

    def __init__(self, servers: list[Watched], binary: Path, home: Path, seed: int):
        self.plain = [server for server in servers if server.service != "host"]
        self.hosts = [server for server in servers if server.service == "host"]
        self.binary, self.home, self.seed = binary, home, seed
        self.done, self.cut, self.failed = collections.Counter(), 0, []
        self.lock = threading.Lock()
        actions = [(stream, 40), (datagram, 16), (reset, 10), (half_close, 10), (idle, 3),
                   (command, 8), (copy, 6), (killed_client, 4), (reload, 2), (kill_worker, 1)]
        self.actions, self.weights = zip(*actions)

    def run(self, seconds: float, users: int) -> None:
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._user, args=(number, end)) for number in range(users)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def warm(self) -> None:
        """Every action on every server that it may meet."""
        chance = random.Random(self.seed)
        for action in self.actions:
            if action is not kill_worker:
                for server in self.hosts if action in REMOTE else self.plain:
                    self._do(action, chance, 0, server)

    def _user(self, number: int, end: float) -> None:
        chance = random.Random(self.seed * 1000 + number)
        while time.monotonic() < end:
            action = chance.choices(self.actions, self.weights)[0]
            among = self.hosts if action in REMOTE else self.plain
            if action in OPERATOR:
                among = self.plain + self.hosts
            self._do(action, chance, number, chance.choice(among))

    def _do(self, action, chance: random.Random, number: int, server: Watched) -> None:
        begin = time.monotonic()
        try:
            action(self, chance, server, number)
        except (OSError, Failure, subprocess.SubprocessError) as error:
            with self.lock:
                if server.last_kill > begin - CUT_SECONDS:
                    self.cut += 1
                else:
                    place = f"{action.__name__}, {server.service}, {server.model}"
                    self.failed.append(f"{place}: {type(error).__name__}: {error}")
        with self.lock:
            self.done[action.__name__] += 1


def dial(chance: random.Random, server: Watched) -> socket.socket:
    if chance.random() < 0.3:
        conn = socket.socket(socket.AF_UNIX)
        conn.settimeout(LONGEST_SECONDS)
        conn.connect(server.path())
        return conn
    return socket.create_connection(("127.0.0.1", server.port("tcp")), LONGEST_SECONDS)


def length(chance: random.Random) -> int:
    return int(10 ** chance.uniform(0, 5))


def answer(service: str, request: bytes) -> bytes:
    return {"upper": request.upper(), "echo": request}.get(service, b"")


def everything(conn: socket.socket) -> bytes:
    parts = []
    while part := conn.recv(65536):
        parts.append(part)
    return b"".join(parts)


def ask(conn: socket.socket, request: bytes, finish: bool) -> bytes:
    """Sends it all, from a thread of its own, and reads to the end, or as much as was sent."""

    def send() -> None:
        try:
            conn.sendall(request)
            if finish:
                conn.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # The reader learns it.

    writer = threading.Thread(target=send)
    writer.start()
    try:
        if finish:
            return everything(conn)
        got = b""
        while len(got) < len(request) and (part := conn.recv(65536)):
            got += part
        return got
    finally:
        writer.join()


def stream(load: Load, chance: random.Random, server: Watched, number: int) -> None:
    """A whole conversation; for the services that only speak, a look."""
    with dial(chance, server) as conn:
        if server.service in ("upper", "echo"):
            request = chance.randbytes(length(chance))
            if ask(conn, request, finish=False) != answer(server.service, request):
                raise Failure("another answer")
        elif server.service == "discard":
            conn.sendall(chance.randbytes(length(chance)))
        elif not conn.recv(4096):
            raise Failure("no answer")


def half_close(load: Load, chance: random.Random, server: Watched, number: int) -> None:
    """Our end first; the reply comes whole all the same."""
    if server.service == "chargen":
        return
    listens = server.service in ("upper", "echo", "discard")
    with dial(chance, server) as conn:
        request = chance.randbytes(length(chance)) if listens else b""
        got = ask(conn, request, finish=True)
        if got != answer(server.service, request) if listens else not got:
            raise Failure(f"{len(got)} bytes of answer to {len(request)}")


def reset(load: Load, chance: random.Random, server: Watched, number: int) -> None:
    """Away in the middle."""
    with dial(chance, server) as conn:
        if conn.family == socket.AF_INET:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.settimeout(1)
        try:
            conn.send(chance.randbytes(length(chance)))
        except OSError:
            pass  # It spoke and went before us.


def idle(load: Load, chance: random.Random, server: Watched, number: int) -> None:
    with dial(chance, server):
        time.sleep(chance.uniform(0, 0.5))


def datagram(load: Load, chance: random.Random, server: Watched, number: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as conn:
        conn.settimeout(LONGEST_SECONDS / 4)
        conn.connect(("127.0.0.1", server.port("udp")))
        request = chance.randbytes(min(length(chance), 8000))
        conn.send(request)
        if server.service in ("upper", "echo") and conn.recv(65536) != answer(server.service, request):
            raise Failure("another answer")


def client(load: Load, server: Watched, words: list[str]) -> subprocess.Popen:
    """A client of a host, begun."""
    return subprocess.Popen([str(load.binary), *words], env=server.environment,
                            cwd=load.home / "here", stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def to(chance: random.Random, server: Watched) -> list[str]:
    if chance.random() < 0.3:
        return [server.endpoints["unix"]]
    return [server.endpoints["tls"], "--trust", server.fingerprint]


def command(load: Load, chance: random.Random, server: Watched, number: int) -> None:
    """One remote command: its status, its output, its time."""
    data, options = b"", []
    kind = chance.randrange(3)
    if kind == 0:
        status = chance.randrange(255)
        line, due = f"echo hello; exit {status}", (status, b"hello\n")
    elif kind == 1:
        data = chance.randbytes(length(chance))
        line, due = "cat", (0, data)
    else:
        options, line, due = ["--timeout", "100ms"], "exec sleep 1000", (124, b"")
    process = client(load, server, ["exec", *to(chance, server), *options, "-c", line])
    out, said = finished(process, data)
    if (process.returncode, out) != due:
        raise Failure(f"status {process.returncode} with {len(out)} bytes: {said}")


def finished(process: subprocess.Popen, data: bytes = b"") -> tuple[bytes, str]:
    with process:
        try:
            out, said = process.communicate(data, LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return out, said.decode(errors="replace").strip()


def copy(load: Load, chance: random.Random, server: Watched, number: int,
         killed: bool = False) -> None:
    """One file there or back, and if its client is killed, once more."""
    name, data = f"file{number}", chance.randbytes(length(chance) * (50 if killed else 1))
    here, there = load.home / "here" / name, Path(server.environment["HOME"]) / name
    source, target = (here, there) if chance.random() < 0.5 else (there, here)
    source.write_bytes(data)
    before = target.read_bytes() if target.exists() else None
    words = [name, f":{name}"] if source == here else [f":{name}", name]
    words = ["cp", *words, "--via", server.endpoints["unix"]]
    if killed:
        process = client(load, server, words)
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        finished(process)
        if (target.read_bytes() if target.exists() else None) not in (before, data):
            raise Failure("neither the old file nor the new one")
    process = client(load, server, words)
    _, said = finished(process)
    if process.returncode != 0 or target.read_bytes() != data:
        raise Failure(f"status {process.returncode}: {said}")


def killed_client(load: Load, chance: random.Random, server: Watched, number: int) -> None:
    if chance.random() < 0.5:
        return copy(load, chance, server, number, killed=True)
    line = "setsid sleep 1000 & echo ready; exec sleep 1000"
    process = client(load, server, ["exec", *to(chance, server), "-n", "-c", line])
    if chance.random() < 0.7:
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    finished(process)
    return None


def reload(load: Load, chance: random.Random, server: Watched, number: int) -> None:
    os.kill(server.process.pid, signal.SIGHUP)


def kill_worker(load: Load, chance: random.Random, server: Watched, number: int) -> None:
    if server.model == "process" and (workers := server.workers()):
        server.last_kill = time.monotonic()
        try:
            os.kill(chance.choice(workers), signal.SIGKILL)
        except ProcessLookupError:
            pass  # It was a session's own, which has ended.


REMOTE = (command, copy, killed_client)
OPERATOR = (reload, kill_worker)
