"""Measuring copies: the same files by every program, to a directory in memory that begins empty.

A *mover* is a remote (or this machine itself) and the command line that copies `source` to
`target` there.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import remote
from .command import LONGEST_SECONDS, MIB, high_water, used, watched
from .process import Failure
from .remote import Remote, Site

# Where files are: memory, so that no disk decides.
PLACE = "/dev/shm"
SMALL_FILES, DIRECTORIES = 10_000, 100


@dataclass
class Mover:
    """Who copies, and how. `target` is the least ratio ours/theirs; none: to know only."""

    name: str
    remote: Remote
    command: Callable[[Site, Path, Path], list[str]]
    shown: list[list[str]]
    target: float | None = None


def sockeye(binary: Path, more: list[str], words: list[str]) -> Mover:
    def command(site: Site, source: Path, target: Path) -> list[str]:
        to = f"tls://{site.server.address}{target}/"
        return [str(binary), *words, f"{source}/" if words[0] == "sync" else str(source), to]

    shown = [[str(binary), *words, "SRC", "tls://ADDR/DST/"]]
    return Mover(f"sockeye {' '.join(words)}", remote.sockeye(binary, more), command, shown)


def scp(cipher: str | None, target: float | None, recursive: bool) -> Mover:
    options = ["-c", cipher] if cipher else []
    name = f"scp -c {cipher}" if cipher else "scp"

    def command(site: Site, source: Path, destination: Path) -> list[str]:
        _, *words, to = site.client([])
        words = ["-P" if word == "-p" else word for word in words]
        more = ["-r"] if recursive else []
        return ["scp", "-q", *more, *words, str(source), f"{to}:{destination}/"]

    return Mover(name, remote.ssh(name, options, None), command, [[name, "SRC", "HOST:DST/"]],
                 target)


def rsync(cipher: str, target: float | None) -> Mover:
    def command(site: Site, source: Path, destination: Path) -> list[str]:
        *words, to = site.client([])
        slash = "/" if source.is_dir() else ""
        return ["rsync", "-a", "-e", " ".join(words), f"{source}{slash}", f"{to}:{destination}/"]

    name = f"rsync over ssh -c {cipher}"
    return Mover(name, remote.ssh(name, ["-c", cipher], None), command,
                 [["rsync", "-a", "-e", f"ssh -c {cipher}", "SRC", "HOST:DST/"]], target)


def local(name: str, line: str, target: float | None) -> Mover:
    """A line for the shell, with the source as `$1` and the target as `$2`."""

    def command(_site: Site, source: Path, destination: Path) -> list[str]:
        return ["sh", "-c", line, "sh", str(source), str(destination)]

    return Mover(name, remote.local(name, None), command, [["sh", "-c", line]], target)


@contextlib.contextmanager
def material(kind: str, size: int) -> Iterator[tuple[Path, Path]]:
    """A source, and an empty directory for its copies."""
    with tempfile.TemporaryDirectory(prefix="sockeye-bench-", dir=PLACE) as name:
        source, target = Path(name, "source"), Path(name, "target")
        target.mkdir()
        if kind == "big":
            big(source, size)
        else:
            many(source, size)
        yield source, target


def big(path: Path, size: int) -> None:
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for number in range(size // MIB):
            # No two blocks are equal.
            file.write(number.to_bytes(8) + block[8:])


def many(path: Path, size: int) -> None:
    """Files of different lengths, in all of about `size` bytes."""
    noise = os.urandom(MIB)
    mean = size // SMALL_FILES
    for number in range(SMALL_FILES):
        folder = path / f"d{number % DIRECTORIES:03}"
        folder.mkdir(parents=True, exist_ok=True)
        length = mean // 2 + number * mean // SMALL_FILES
        start = number * 7 % (MIB - 2 * mean)
        (folder / f"f{number:05}").write_bytes(noise[start:start + length])


def move(mover: Mover, kind: str, size: int, again: bool) -> tuple[float, float]:
    """Copies a second by the time of one whole client, and the server's CPU seconds for it. With
    `again` the second run is measured, which finds everything in its place."""
    with material(kind, size) as (source, target), mover.remote.open(None) as site:
        command = mover.command(site, source, target)
        # The pages of the copy are fetched from the host the first time, which is no part of this.
        ran(command, site)
        if not again:
            emptied(target)
        before = used(site)
        took = ran(command, site)
        return 1 / took, used(site) - before


def emptied(target: Path) -> None:
    shutil.rmtree(target)
    target.mkdir()


def ran(command: list[str], site: Site) -> float:
    begin = time.perf_counter()
    done = subprocess.run(command, env=site.environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          errors="replace", timeout=LONGEST_SECONDS)
    took = time.perf_counter() - begin
    if done.returncode != 0:
        said = " / ".join(done.stderr.splitlines()[:3])
        raise Failure(f"{Path(command[0]).name} ended with {done.returncode}: {said}")
    return took


def peaks(mover: Mover, kind: str, size: int) -> dict[str, float]:
    """The most memory in bytes of both ends during one copy. `sparse`: one file with nothing in
    it; `entries`: so many empty files."""
    with tempfile.TemporaryDirectory(prefix="sockeye-bench-", dir=PLACE) as name:
        source, target = Path(name, "source"), Path(name, "target")
        target.mkdir()
        if kind == "sparse":
            with source.open("wb") as file:
                file.truncate(size)
        else:
            entries(source, size)
        with mover.remote.open(None) as site:
            command = mover.command(site, source, target)
            client = subprocess.Popen(command, env=site.environment, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                return watched(client, site, None)
            finally:
                client.kill()
                client.wait()


def entries(path: Path, count: int) -> None:
    for number in range(count):
        if number % 1000 == 0:
            folder = path / f"d{number // 1000:04}"
            folder.mkdir(parents=True)
        os.close(os.open(folder / f"f{number % 1000:03}", os.O_CREAT | os.O_WRONLY, 0o644))
