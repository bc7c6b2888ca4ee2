"""Processes: pinned to a core, watched, accounted for, and stopped."""

import collections
import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SERVER_CORE, LOAD_CORE = 0, min(1, (os.cpu_count() or 1) - 1)
READY_SECONDS = 10
# How much longer than its duration a load may take.
GRACE_SECONDS = 30
LISTENING = re.compile(r"listening (?:on )?(?:\w+://)?[\d.]+:(\d+)")


class Failure(Exception):
    """A measurement that could not be made, and why."""


def settle(core: int | None):
    """What a child does before it runs: its core, if any, and as many open files as allowed."""

    def prepare() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    return prepare


class Server:
    """A running server, ready for connections at `self.address`.

    `command` may contain PORT: then a free port is put there, and the server is ready when
    something listens on it, as with `listens_on`. Otherwise it says `listening …:PORT` itself on
    stdout or stderr.
    """

    def __init__(self, command: list[str], core: int | None = SERVER_CORE,
                 environment: dict[str, str] | None = None, listens_on: int | None = None):
        if shutil.which(command[0]) is None:
            raise Failure(f"{Path(command[0]).name}: not found")
        self.said = collections.deque(maxlen=20)
        self.port = None
        self.ready = threading.Event()
        chosen = free_port() if any("PORT" in word for word in command) else listens_on
        self.process = subprocess.Popen(
            [word.replace("PORT", str(chosen)) for word in command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True, preexec_fn=settle(core),
            env=environment,
        )
        threading.Thread(target=self._drain, daemon=True).start()
        try:
            self.port = self._await(command, chosen)
        except Failure:
            self.stop()
            raise
        self.address = f"127.0.0.1:{self.port}"

    def _drain(self) -> None:
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if not self.ready.is_set() and (match := LISTENING.search(line)):
                self.port = int(match[1])
                self.ready.set()
        self.ready.set()

    def _await(self, command: list[str], chosen: int | None) -> int:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if chosen is None:
                if self.ready.wait(0.1) and self.port:
                    return self.port
            elif listens(chosen):
                return chosen
            else:
                time.sleep(0.02)
        raise Failure(f"{Path(command[0]).name} is not ready: {self.last_words()}")

    def last_words(self) -> str:
        return " / ".join(self.said) or "it said nothing"

    def cpu(self) -> float:
        """CPU seconds so far, of the process, its living descendants, and all those they reaped."""
        total = 0
        for pid in family(self.process.pid):
            fields = stat(pid)
            # utime, stime, cutime, cstime: fields 14 to 17 of proc_pid_stat(5).
            total += sum(int(field) for field in fields[11:15]) if fields else 0
        return total / TICKS

    def memory(self) -> int:
        """Proportional set size in bytes, of the process and its living descendants."""
        total = 0
        for pid in family(self.process.pid):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1]) * 1024
        return total

    def descriptors(self) -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in family(self.process.pid))

    def stop(self) -> None:
        """SIGTERM to the server, then SIGKILL to what is left of its process group."""
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(3)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.stop()


@contextlib.contextmanager
def load(command: list[str], duration: float = 0, **pipes):
    """A load generator on its own core; its stdout and stderr are pipes.

    It is killed at the end, and when it takes much longer than `duration` seconds.
    """
    generator = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=settle(LOAD_CORE), **pipes,
    )
    watchdog = threading.Timer(duration + GRACE_SECONDS, generator.kill)
    watchdog.start()
    try:
        yield generator
    finally:
        watchdog.cancel()
        generator.kill()
        generator.wait()
        for pipe in generator.stdin, generator.stdout, generator.stderr:
            if pipe is not None:
                pipe.close()


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (state, ppid, …); none when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    children = collections.defaultdict(list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        if fields := stat(int(name)):
            children[int(fields[1])].append(int(name))
    found = [pid]
    for member in found:
        found.extend(children[member])
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    """Whether something listens on this TCP port; looked up, so no connection is spent."""
    wanted = f":{port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(row[1].endswith(wanted) and row[3] == "0A" for row in rows)
