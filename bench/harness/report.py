"""The report: one table for each target, and what was lost, said first."""

import argparse
import datetime
import os
import platform
import re
import shlex
from pathlib import Path

from .cases import Case, Mover, Peers, Remote, Rival, Side, Target
from .command import MIB
from .measure import BUSY, Result

HEAD = """# Results

{date}, Linux {kernel}, {cpu}, {cores} cores, load average {load} at the end.

`bench/compare{words}`: {pairs} rounds of {duration:g} s.

Sides take turns, every other round backwards; server on core 0, load on core 1 (nobody is pinned
in P7 and P11). Ratios are
ours / theirs within a round: median (least–greatest). The rates are medians of this run and mean
nothing on their own. CPU is the server's, in µs a request (a command, a MiB); busy is the share of
its core that it used.
"""


def markdown(sections: list, options: argparse.Namespace, peers: Peers, root: Path) -> str:
    words = [f" --only {options.only}"] if options.only else []
    words += [f" --case {shlex.quote(options.case)}"] if options.case else []
    words += [" --stand-in"] if options.stand_in else []
    words += [f" --serve-args {shlex.quote(options.serve_args)}"] if options.serve_args else []
    parts = [HEAD.format(
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        kernel=platform.release(), cpu=cpu_model(), cores=os.cpu_count(),
        load=f"{os.getloadavg()[0]:.1f}", words="".join(words),
        pairs=options.pairs, duration=options.duration,
    )]
    parts.append(verdicts(sections))
    for name, target, results in sections:
        parts.append(section(name, target, results))
    parts.append(commands(sections, peers, root))
    return "\n".join(parts)


def verdicts(sections: list) -> str:
    """What does not hold, or that all does."""
    lost = []
    for name, _, results in sections:
        for result in results:
            lost += [f"- {name} {result.case.name}: {text}" for text in losses(result)]
    if not lost:
        return "## Where we lose\n\nNowhere: every target measured here holds.\n"
    return "\n".join(["## Where we lose\n", *lost, ""])


def losses(result: Result) -> list[str]:
    case = result.case
    if result.failure:
        return [f"not measured: {result.failure}"]
    if case.kind == "memory":
        value = result.median(0)
        return [] if value <= case.limit else [f"{value:.0f} B, wanted ≤ {case.limit:.0f} B"]
    if case.kind in ("peak", "hold"):
        return [f"{name}: {peak / MIB:.1f} MiB, wanted ≤ {case.limit / MIB:.0f} MiB"
                for name, peak in result.rounds[0][0].peaks.items() if peak > case.limit]
    return [
        f"{result.ratio(index).median:.2f} × {rival.name}, wanted ≥ {rival.target:.3g}"
        + doubts(result, index, rival)
        for index, rival in enumerate(case.rivals, 1)
        if rival.target is not None and result.ratio(index).median < rival.target
    ]


def doubts(result: Result, index: int, rival: Rival) -> str:
    """What speaks against a loss: the spread of the rounds, or a server that waited for load."""
    notes = []
    if result.ratio(index).most >= rival.target:
        notes.append("within the spread of this run")
    if result.case.kind == "rate" and (busy := result.median(0, "busy")) < BUSY:
        cpu = result.ratio(index, "cpu").median
        notes.append(f"our server was {busy:.0%} busy; CPU a request {cpu:.2f} × theirs")
    return f" ({'; '.join(notes)})" if notes else ""


def section(name: str, target: Target, results: list[Result]) -> str:
    rows = [row for result in results if not result.failure for row in rows_of(result)]
    if results and results[0].case.kind == "memory":
        head = ["case", "server", "PSS grown, B a connection", "wanted", "holds"]
    elif results and results[0].case.kind in ("peak", "hold"):
        head = ["case", "process", "peak RSS (VmHWM), MiB", "wanted", "holds"]
    else:
        head = ["case", "against", "our rate", "theirs", "ratio", "wanted", "holds",
                "our CPU", "theirs", "CPU ratio", "busy, ours / theirs"]
    lines = [f"## {name}: {target.work}\n", f"Target: {target.wanted}.\n"]
    lines += [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join([*lines, *remarks(results), ""])


def rows_of(result: Result) -> list[list[str]]:
    case = result.case
    if case.kind == "memory":
        return memory_rows(result, [case.ours, *case.rivals])
    if case.kind in ("peak", "hold"):
        return peak_rows(result)
    return [rate_row(result, index, rival) for index, rival in enumerate(case.rivals, 1)]


def rate_row(result: Result, index: int, rival: Rival) -> list[str]:
    ratio = result.ratio(index)
    # A command that runs here has no server.
    served = result.median(index, "cpu") > 0
    cpu = result.ratio(index, "cpu").median
    pinned = result.case.kind == "rate"
    rate = through if result.case.kind == "bulk" else frequency
    return [
        result.case.name, rival.name,
        rate(result.median(0)), rate(result.median(index)),
        f"**{ratio.median:.2f}** ({ratio.least:.2f}–{ratio.most:.2f})",
        "" if rival.target is None else f"≥ {rival.target:.3g}",
        "" if rival.target is None else "yes" if ratio.median >= rival.target else "**NO**",
        f"{result.median(0, 'cpu'):.2f}",
        f"{result.median(index, 'cpu'):.2f}" if served else "", f"{cpu:.2f}" if served else "",
        f"{result.median(0, 'busy'):.0%} / {result.median(index, 'busy'):.0%}" if pinned else "",
    ]


def peak_rows(result: Result) -> list[list[str]]:
    limit = result.case.limit
    return [
        [result.case.name, name, f"{peak / MIB:.1f}", f"≤ {limit / MIB:.0f}",
         "yes" if peak <= limit else "**NO**"]
        for name, peak in result.rounds[0][0].peaks.items()
    ]


def memory_rows(result: Result, sides: list[Side]) -> list[list[str]]:
    case, rows = result.case, []
    for index, side in enumerate(sides):
        value = result.median(index)
        ours = index == 0 and case.limit is not None
        holds = ("yes" if value <= case.limit else "**NO**") if ours else ""
        wanted = f"≤ {case.limit:.0f}" if ours else ""
        rows.append([case.name, side.name, f"{value:.0f}", wanted, holds])
    return rows


def remarks(results: list[Result]) -> list[str]:
    """Failures, errors and lost datagrams, where there were any."""
    found = []
    for result in results:
        if result.failure:
            found.append(f"- {result.case.name}: not measured: {result.failure}")
            continue
        for index, side in enumerate([result.case.ours, *result.case.rivals]):
            errors, resent = result.total(index, "errors"), result.median(index, "resent")
            if errors:
                found.append(f"- {result.case.name}: {side.name} gave {errors} errors.")
            if resent >= 0.001:
                text = f"{resent:.1%} of the datagrams to {side.name} were lost and sent again."
                found.append(f"- {result.case.name}: {text}")
    return ["", *found] if found else []


def through(value: float) -> str:
    return f"{value:.0f} MiB/s"


def frequency(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.2f} M/s"
    return f"{value / 1e3:.1f} k/s" if value >= 1e4 else f"{value:.0f} /s"


def commands(sections: list, peers: Peers, root: Path) -> str:
    """Every command once, with paths as seen from the checkout."""
    cases: list[Case] = [result.case for _, _, results in sections for result in results]
    servers = {shell(command, root): None for case in cases
               for side in [case.ours, *case.rivals] for command in started(side)}
    loads = {shell(case.load, root): None for case in cases}
    return "\n".join([
        "## Commands\n", "Servers, and the clients of remote commands:\n", "```sh", *servers,
        "```\n", "Loads (and `--duration`), and what is run remotely:\n", "```sh", *loads, "```", "",
    ])


def started(side: Side | Remote | Mover) -> list[list[str]]:
    return side.shown if isinstance(side, Remote | Mover) else [side.command]


def shell(command: list[str], root: Path) -> str:
    return shlex.join(short(word, root) for word in command)


def short(word: str, root: Path) -> str:
    """A path inside the checkout, as seen from there; of any other binary only its name."""
    path = Path(word)
    if not path.is_absolute() or " " in word:
        return word
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


def cpu_model() -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return match[1] if match else platform.machine()
