"""Servers of a soak: started with --json, counted by their events, and by what they hold."""

import collections
import json
import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .process import READY_SECONDS, Failure, family, stat


@dataclass
class Holds:
    """What processes hold: how many they are, their descriptors, and their memory in bytes
    (proportional set size, proc_pid_smaps(5))."""

    processes: int = 0
    descriptors: int = 0
    memory: int = 0

    def __add__(self, other: "Holds") -> "Holds":
        return Holds(self.processes + other.processes, self.descriptors + other.descriptors,
                     self.memory + other.memory)


class Watched:
    """A running server and the number of its events of each kind."""

    def __init__(self, binary: Path, service: str, model: str, endpoints: list[str],
                 environment: dict[str, str]):
        self.service, self.model, self.environment = service, model, environment
        self.events, self.endpoints = collections.Counter(), {}
        self.fingerprint, self.last_kill = "", -1e9
        self.ready, self.said = threading.Event(), collections.deque(maxlen=10)
        self.expected = len(endpoints)
        words = [str(binary), "serve", service, *endpoints, "--model", model, "--json"]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=environment)
        for pipe, take in (self.process.stdout, self._event), (self.process.stderr, self.said.append):
            threading.Thread(target=self._read, args=(pipe, take), daemon=True).start()

    def _read(self, pipe, take) -> None:
        for line in pipe:
            take(line)

    def _event(self, line: str) -> None:
        event = json.loads(line)
        if event["event"] == "listening":
            self.endpoints[event["endpoint"].partition(":")[0]] = event["endpoint"]
            self.fingerprint = event.get("fingerprint", self.fingerprint)
            if len(self.endpoints) == self.expected:
                self.ready.set()
        self.events[event["event"]] += 1

    def await_ready(self) -> None:
        if not self.ready.wait(READY_SECONDS * 6):
            raise Failure(f"serve {self.service} is not ready: {' / '.join(self.said)}")

    def port(self, scheme: str) -> int:
        return int(self.endpoints[scheme].rpartition(":")[2])

    def path(self) -> str:
        return self.endpoints["unix"].partition(":")[2]

    def drained(self) -> bool:
        """Every connection that was taken in has ended, and was told once."""
        return self.events["accepted"] == self.events["closed"]

    def holds(self) -> Holds:
        found = Holds()
        for pid in family(self.process.pid):
            try:
                found += Holds(1, len(os.listdir(f"/proc/{pid}/fd")), memory(pid))
            except OSError:
                # It has just ended, or is a zombie, which is a process still.
                found += Holds(1 if stat(pid) else 0)
        return found

    def workers(self) -> list[int]:
        return family(self.process.pid)[1:]

    def stop(self) -> int:
        """SIGTERM; the exit status, which is to be 0."""
        self.process.terminate()
        try:
            return self.process.wait(READY_SECONDS * 3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def memory(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.M)
    return int(match[1]) * 1024 if match else 0


def settle(servers: list[Watched], wanted: list[Holds] | None, seconds: float) -> list[Holds]:
    """Waits until all connections have ended and what is held is at rest, and no more than `wanted`
    but for memory; what is held then, or after so many seconds."""
    end, before = time.monotonic() + seconds, None
    while True:
        now = [server.holds() for server in servers]
        counts = [(holds.processes, holds.descriptors) for holds in now]
        fits = wanted is None or all(
            got.processes <= most.processes and got.descriptors <= most.descriptors
            for got, most in zip(now, wanted))
        quiet = all(server.drained() for server in servers)
        if (quiet and fits and counts == before) or time.monotonic() > end:
            return now
        before = counts
        time.sleep(0.5)
