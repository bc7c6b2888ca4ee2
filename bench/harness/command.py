"""Measuring remote commands: whole client processes, what they carry, and the memory it takes."""

import contextlib
import json
import os
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .process import LOAD_CORE, SERVER_CORE, Failure, family
from .remote import Remote, Site, handshake_key

# The least number of cold starts that a median is taken of.
LEAST = 5
MIB = 1 << 20
# A command that takes longer is lost.
LONGEST_SECONDS = 300
# A slow reader takes so much at a time, so many times a second: 8 MiB/s.
SIP, SIPS = 64 * 1024, 128


def cold(remote: Remote, duration: float, handshake: Path | None) -> tuple[float, float]:
    """One client after another runs `true`, for `duration` seconds: how many a second by their
    median time, and the server's CPU seconds for each.

    `handshake` is the reference program whose median is added: for a command that is run here, what
    it would at the least have cost to be asked for from elsewhere.
    """
    with remote.open(SERVER_CORE) as site, on_core(LOAD_CORE):
        command = site.client(["true"])
        spawned(command, site)
        before, since, times = used(site), time.monotonic(), []
        while len(times) < LEAST or time.monotonic() - since < duration:
            times.append(spawned(command, site))
        cpu = (used(site) - before) / len(times)
        extra = handshakes(handshake, duration) if handshake else 0.0
    return 1 / (statistics.median(times) + extra), cpu


def spawned(command: list[str], site: Site) -> float:
    """Seconds from posix_spawn(3), which copies nothing of this interpreter, to the child's end."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
    begin = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, site.environment, file_actions=null)
    _, status = os.waitpid(pid, 0)
    took = time.perf_counter() - begin
    if status != 0:
        code = os.waitstatus_to_exitcode(status)
        heard = site.server.last_words() if site.server else ""
        raise Failure(f"{Path(command[0]).name} ended with {code}; {heard}")
    return took


def handshakes(program: Path, duration: float) -> float:
    with handshake_key() as key:
        words = [str(program), str(key), "--duration", str(duration)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST_SECONDS)
    if done.returncode != 0:
        raise Failure(f"{program.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)["median"]


def bulk(remote: Remote, size: int, through_pipe: bool) -> tuple[float, float]:
    """MiB a second of a command's output, and the server's CPU seconds for each MiB.

    Nobody is pinned: command, server and client are three processes, and on two cores the scheduler
    knows best where each goes, for every side alike.
    """
    with remote.open(None) as site:
        command = site.client(["head", "-c", str(size), "/dev/zero"])
        spawned(site.client(["true"]), site)
        before, begin = used(site), time.perf_counter()
        with consumer(through_pipe) as (sink, finish):
            done = subprocess.run(command, env=site.environment, stdin=subprocess.DEVNULL,
                                  stdout=sink, timeout=LONGEST_SECONDS)
            finish()
        took = time.perf_counter() - begin
        # The server reaps its worker a moment after the client's end.
        cpu = used(site) - before
    if done.returncode != 0:
        raise Failure(f"{remote.name} ended with {done.returncode}")
    return size / MIB / took, cpu / (size / MIB)


@contextlib.contextmanager
def consumer(through_pipe: bool) -> Iterator:
    """Where output goes, and how to wait until it is there: `/dev/null`, or `cat > /dev/null`."""
    with open(os.devnull, "wb") as null:
        if not through_pipe:
            yield null, lambda: None
            return
        cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=null)

        def finish() -> None:
            cat.stdin.close()
            cat.wait(LONGEST_SECONDS)

        try:
            yield cat.stdin, finish
        finally:
            cat.kill()
            cat.wait()


def peaks(remote: Remote, size: int, slow_for: float | None) -> dict[str, float]:
    """The most memory in bytes (VmHWM, proc_pid_status(5)) of the client, and of the server and its
    workers, during one output; with `slow_for` to a slow reader, so many seconds of it."""
    with remote.open(None) as site:
        command = site.client(["head", "-c", str(size), "/dev/zero"])
        sink = subprocess.PIPE if slow_for else subprocess.DEVNULL
        client = subprocess.Popen(command, env=site.environment, stdin=subprocess.DEVNULL,
                                  stdout=sink)
        killer = threading.Timer(LONGEST_SECONDS, client.kill)
        killer.start()
        try:
            found = watched(client, site, slow_for)
        finally:
            killer.cancel()
            client.kill()
            client.wait()
            if client.stdout:
                client.stdout.close()
    return found


def watched(client: subprocess.Popen, site: Site, slow_for: float | None) -> dict[str, float]:
    found = {"client": 0.0, "worker": 0.0, "server": 0.0}
    begin, received, looked = time.monotonic(), 0, 0.0
    while client.poll() is None and not (slow_for and time.monotonic() - begin > slow_for):
        if time.monotonic() - looked > 0.05:
            looked = time.monotonic()
            look(client.pid, site, found)
        if slow_for:
            received += len(os.read(client.stdout.fileno(), SIP))
            time.sleep(1 / SIPS)
        else:
            time.sleep(0.02)
    if slow_for is None and client.returncode != 0:
        raise Failure(f"the client ended with {client.returncode}")
    if slow_for and received == 0:
        raise Failure("the slow reader got nothing")
    return found


def look(client: int, site: Site, found: dict[str, float]) -> None:
    roles = [("client", client)]
    if site.server:
        server = site.server.process.pid
        # Workers are the same program; what they run is not our memory.
        workers = [pid for pid in family(server)[1:] if named(pid) == named(server)]
        roles += [("server", server), *(("worker", pid) for pid in workers)]
    for role, pid in roles:
        found[role] = max(found[role], high_water(pid))


def named(pid: int) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe")
    return ""


def high_water(pid: int) -> float:
    with contextlib.suppress(OSError):
        match = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
        return float(match[1]) * 1024 if match else 0.0
    return 0.0


def used(site: Site) -> float:
    return site.server.cpu() if site.server else 0.0


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """What we start from here runs on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
