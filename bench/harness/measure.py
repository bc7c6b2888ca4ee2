"""Measuring a case: all sides in turn, round after round, and what the rounds say."""

import json
import statistics
import subprocess
import time
from dataclasses import dataclass, field

from . import command, files
from .cases import Case, Mover, Remote, Rival, Side
from .process import Failure, Server, load

# Below this share of its core a server was waiting for the load: the rate is the load's limit.
BUSY = 0.9


@dataclass
class Sample:
    """One measurement. `value` is requests, commands or MiB a second, or bytes of memory."""

    value: float
    # CPU microseconds of the server for each of these, and the share of one core that it used.
    cpu: float = 0.0
    busy: float = 0.0
    errors: int = 0
    resent: float = 0.0
    # The most memory of each process in bytes, where that is what is measured.
    peaks: dict[str, float] = field(default_factory=dict)


@dataclass
class Spread:
    """Median, least and greatest of several figures."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: list[float]) -> "Spread":
        return cls(statistics.median(figures), min(figures), max(figures))


@dataclass
class Result:
    """A case and its samples, by side: ours first, then the rivals in order."""

    case: Case
    rounds: list[list[Sample]] = field(default_factory=list)
    # Why there are no samples.
    failure: str = ""

    def median(self, side: int, what: str = "value") -> float:
        return statistics.median(getattr(samples[side], what) for samples in self.rounds)

    def total(self, side: int, what: str) -> float:
        return sum(getattr(samples[side], what) for samples in self.rounds)

    def ratio(self, rival: int, what: str = "value") -> Spread:
        """Ours over theirs, within each round. Rivals count from 1."""
        pairs = ((getattr(s[0], what), getattr(s[rival], what)) for s in self.rounds)
        return Spread.of([ours / theirs if theirs else float("inf") for ours, theirs in pairs])

    def brief(self) -> str:
        if self.failure:
            return f"not measured: {self.failure}"
        if self.case.kind == "memory":
            return f"{self.median(0):.0f} B"
        if self.case.kind in ("peak", "hold"):
            peaks = self.rounds[0][0].peaks.items()
            return "  ".join(f"{name} {peak / command.MIB:.1f} MiB" for name, peak in peaks)
        return "  ".join(
            f"{self.ratio(index).median:.2f} × {rival.name}"
            for index, rival in enumerate(self.case.rivals, 1)
        )


def measure(case: Case, pairs: int, duration: float) -> Result:
    """Each round takes every side once; every other round backwards, so that neither a drift of
    the machine nor what ran just before favours a side."""
    sides: list[Side | Rival | Remote | Mover] = [case.ours, *case.rivals]
    rounds = []
    # A peak is no ratio, and nothing that drifts.
    for number in range(1 if case.kind in ("peak", "hold") else pairs):
        order = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
        try:
            taken = {index: take(case, sides[index], duration) for index in order}
        except Failure as failure:
            return Result(case, failure=str(failure))
        rounds.append([taken[index] for index in range(len(sides))])
    return Result(case, rounds)


def take(case: Case, side: Side | Rival | Remote | Mover, duration: float) -> Sample:
    match case.kind:
        case "memory":
            return memory_of(side, case.load, duration)
        case "cold":
            rate, cpu = command.cold(side, duration, side.handshake)
        case "bulk":
            rate, cpu = command.bulk(side, case.size, case.through_pipe)
        case "peak":
            peaks = command.peaks(side, case.size, case.slow_for)
            return Sample(max(peaks.values()), peaks=peaks)
        case "move":
            rate, cpu = files.move(side, case.load[0], case.size, case.again)
        case "hold":
            peaks = files.peaks(side, case.load[0], case.size)
            return Sample(max(peaks.values()), peaks=peaks)
        case _:
            return rate_of(side, case.load, duration)
    return Sample(rate, cpu=cpu * 1e6)


def rate_of(side: Side, command: list[str], duration: float) -> Sample:
    """Drives a fresh server for `duration` seconds."""
    with Server(side.command) as server:
        words = [server.address if word == "ADDR" else word for word in command]
        words += [*side.args, "--duration", str(duration)]
        with load(words, duration) as generator:
            try:
                return counted(server, generator)
            except Failure as failure:
                heard = f"{side.name}: {failure}; it said: {server.last_words()}"
                raise Failure(heard) from None


def counted(server: Server, generator: subprocess.Popen) -> Sample:
    if generator.stdout.readline().strip() != "measuring":
        raise Failure(f"no load: {complaint(generator)}")
    before = server.cpu()
    line = generator.stdout.readline()
    used = server.cpu() - before
    if not line:
        raise Failure(f"the load broke off: {complaint(generator)}")
    found = json.loads(line)
    requests = found["requests"]
    if requests == 0:
        raise Failure(f"no answers, {found['errors']} errors: {complaint(generator)}")
    return Sample(
        value=found["rate"], cpu=used * 1e6 / requests, busy=used / found["seconds"],
        errors=found["errors"], resent=found["resent"] / requests,
    )


def complaint(generator: subprocess.Popen) -> str:
    generator.kill()
    return " / ".join(generator.stderr.read().splitlines()[:5]) or "no reason was given"


def memory_of(side: Side, command: list[str], _duration: float) -> Sample:
    """Opens idle connections to a fresh server, and sees how much it grew."""
    with Server(side.command) as server:
        words = [server.address if word == "ADDR" else word for word in command]
        empty, idle_files = server.memory(), server.descriptors()
        with load(words, stdin=subprocess.PIPE) as generator:
            said = generator.stdout.readline().split()
            if said[:1] != ["open"]:
                raise Failure(f"{side.name}: {complaint(generator)}")
            opened = int(said[1])
            until_accepted(server, idle_files + opened, side)
            grown = server.memory() - empty
            generator.stdin.close()
            line = generator.stdout.readline()
            if not line:
                raise Failure(f"{side.name}: {complaint(generator)}")
            return Sample(value=grown / opened, errors=json.loads(line)["errors"])


def until_accepted(server: Server, files: int, side: Side) -> None:
    for _ in range(100):
        if server.descriptors() >= files:
            time.sleep(0.2)
            return
        time.sleep(0.1)
    held = server.descriptors()
    raise Failure(f"{side.name} holds {held} of {files} files: {server.last_words()}")
