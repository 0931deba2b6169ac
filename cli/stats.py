"""`./quire stats`: where the fleet's processes are, what waits, who works, how fast."""

from __future__ import annotations

import os

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from cli import client, datafolder, outcome, wording
from cli.datafolder import Running
from cli.wire import Stats


async def stats(*, url: str | None, as_json: bool) -> int:
    """Print this machine's fleet (if one runs) and /batch-stats; `as_json`: `{"fleet": …, "stats": …}`."""
    fleet = datafolder.find(os.environ).running()
    async with client.connected(client.find(url, os.environ)) as gateway:
        found, answer = await gateway.stats()
    if fleet and fleet.api_url != gateway.url:
        fleet = None  # the gateway that was asked for is another fleet's
    if as_json:
        print(msgspec.json.encode({"fleet": fleet, "stats": msgspec.Raw(answer)}).decode())
    else:
        show(outcome.console(), gateway.url, fleet, found)
    return 0


def show(out: Console, url: str, fleet: Running | None, found: Stats) -> None:
    """Tables for people."""
    jobs = ", ".join(f"{count} {status}" for status, count in found.jobs.items()) or "none"
    outcome.table(out, {"API": url, "Jobs": jobs, "Pace": f"{found.pages_per_second:g} pages/s"})
    services = _table("service", ">workers", ">slots", ">busy")
    for service in found.services:
        services.add_row(service.service, *_figures(service.workers, service.slots, service.busy))
    out.print(services)
    streams = _table("stream", ">backlog", ">waiting", ">in flight", ">oldest", ">dead")
    for stream in found.streams:
        oldest = wording.duration(stream.oldest_age_s) if stream.oldest_age_s else ""
        streams.add_row(
            stream.stream,
            *_figures(stream.backlog, stream.waiting, stream.in_flight),
            oldest,
            *_figures(stream.dead),
        )
    out.print(streams)
    if found.models:
        models = _table("model", "state", ">requests/min", ">tokens/min")
        for model in found.models:
            state = f"{model.state}: {model.why}" if model.why else model.state
            models.add_row(model.model, state, *(f"{n:,}" if n else "no limit known" for n in (model.rpm, model.tpm)))
        out.print(models)
    if fleet:
        processes = _table("process", ">pid", ">port", ">restarts")
        for process in fleet.processes:
            pid = str(process.pid) if process.pid else "starting"
            processes.add_row(process.name, pid, str(process.port), *_figures(process.restarts))
        out.print(processes)


def _table(*columns: str) -> Table:
    """Columns whose names start with `>` hold figures."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    return table


def _figures(*numbers: int) -> list[str]:
    """Zeros are left out, so that what is there is seen."""
    return [f"{number:,}" if number else "" for number in numbers]
