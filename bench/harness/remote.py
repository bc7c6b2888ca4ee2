"""Who runs remote commands: a host server of ours, an sshd of our own, and this machine itself.

Each is a context with a temporary home and keys made for it, started anew for every measurement.
`client(words)` is the command line that runs `words` there, `server` the process on the other side
(none: the command is our own child).
"""

import base64
import contextlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

from .process import READY_SECONDS, Failure, Server, free_port

# Every Ed25519 private key in PKCS #8 begins so (RFC 8410, section 7).
PKCS8 = bytes.fromhex("302e020100300506032b657004220420")


@dataclass
class Site:
    """A place that is ready for commands."""

    client: Callable[[list[str]], list[str]]
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    server: Server | None = None


@dataclass
class Remote:
    """How a site is opened, and what to call it. `core`: where its server has to stay, if anywhere.

    `target` is the least ratio ours/theirs; none: to know only. `shown` are its commands.
    """

    name: str
    open: Callable[[int | None], contextlib.AbstractContextManager[Site]]
    shown: list[list[str]]
    target: float | None = None
    # What a connection would have cost is added: the program that measures it.
    handshake: Path | None = None


@contextlib.contextmanager
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sockeye-bench-") as name:
        ssh = Path(name, ".ssh")
        ssh.mkdir(mode=0o700)
        yield Path(name)


def sockeye(binary: Path, more: list[str]) -> Remote:
    serve = [str(binary), "serve", "host", "tls://127.0.0.1:0", *more]
    exec_ = [str(binary), "exec", "tls://ADDR", "--"]

    @contextlib.contextmanager
    def ready(core: int | None) -> Iterator[Site]:
        with home() as path:
            environment = clean(path)
            key = path / ".ssh/id_ed25519"
            run([str(binary), "key", "new", "--no-passphrase", "-f", str(key)], environment)
            authorize(key)
            with Server(serve, core, environment) as server:
                to = f"tls://{server.address}"
                # The first contact; from then on the server is in known_hosts.
                trust = ["--trust", fingerprint(server)]
                run([str(binary), "exec", to, *trust, "--", "true"], environment)
                client = [str(binary), "exec", to, "--"]
                yield Site(lambda words: [*client, *words], environment, server)

    return Remote("sockeye exec", ready, [serve, exec_])


def ssh(name: str, options: list[str], target: float | None) -> Remote:
    """OpenSSH with its own defaults, but for what makes it private to us."""
    client = ["ssh", "-F", "none", *options]
    sshd = ["/usr/sbin/sshd", "-D", "-e", "-f", "CONFIG"]

    @contextlib.contextmanager
    def ready(core: int | None) -> Iterator[Site]:
        if os.getuid() == 0:
            # sshd insists on its empty directory, whatever its configuration says.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with home() as path:
            environment = clean(path)
            key, host_key = path / ".ssh/id_ed25519", path / "host_key"
            for file in key, host_key:
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], environment)
            authorize(key)
            port, config, known = free_port(), path / "config", path / "known_hosts"
            config.write_text(
                f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\n"
                # The temporary directory stands under /tmp, which others may write to.
                f"AuthorizedKeysFile {path}/.ssh/authorized_keys\nStrictModes no\nUsePAM no\n"
                # scp(1) speaks sftp.
                "Subsystem sftp internal-sftp\n"
            )
            public = host_key.with_suffix(".pub").read_text()
            known.write_text(f"[127.0.0.1]:{port} {public}")
            words = [*client, "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                     "-o", f"UserKnownHostsFile={known}", "-p", str(port),
                     f"{pwd.getpwuid(os.getuid()).pw_name}@127.0.0.1"]
            command = [word.replace("CONFIG", str(config)) for word in sshd]
            with Server(command, core, environment, listens_on=port) as server:
                yield Site(lambda more: [*words, *more], environment, server)

    return Remote(name, ready, [sshd, [*client, "-p", "PORT", "127.0.0.1"]], target)


def local(name: str, target: float | None, handshake: Path | None = None) -> Remote:
    """The command as our own child."""

    @contextlib.contextmanager
    def ready(_core: int | None) -> Iterator[Site]:
        def found(words: list[str]) -> list[str]:
            return [shutil.which(words[0]) or words[0], *words[1:]]

        yield Site(found)

    shown = [[str(handshake), "KEY"]] if handshake else []
    return Remote(name, ready, shown, target, handshake)


@contextlib.contextmanager
def handshake_key() -> Iterator[Path]:
    """A new private key for `ref-handshake`."""
    with tempfile.TemporaryDirectory(prefix="sockeye-bench-") as name:
        path = Path(name, "key.pem")
        body = base64.b64encode(PKCS8 + os.urandom(32)).decode()
        path.write_text(f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
        yield path


def clean(path: Path) -> dict[str, str]:
    """Our environment with another home, without an agent and without settings of sockeye."""
    kept = {name: value for name, value in os.environ.items()
            if name != "SSH_AUTH_SOCK" and not name.startswith("SOCKEYE_")}
    return {**kept, "HOME": str(path)}


def authorize(key: Path) -> None:
    target = key.parent / "authorized_keys"
    target.write_text(key.with_suffix(".pub").read_text())
    target.chmod(0o600)


def fingerprint(server: Server) -> str:
    """The one of the host key, from the line that the server begins with."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if match := re.search(r"SHA256:\S+", server.last_words()):
            return match[0]
        time.sleep(0.01)
    raise Failure(f"no fingerprint: {server.last_words()}")


def run(command: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, errors="replace", timeout=READY_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"{Path(command[0]).name}: {error}") from None
    if done.returncode != 0:
        said = " / ".join(done.stderr.splitlines()[:3])
        raise Failure(f"{Path(command[0]).name} ended with {done.returncode}: {said}")
