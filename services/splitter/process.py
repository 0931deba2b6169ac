"""One render process and what is asked of it.

Promises:
1. Whatever files hold, this process stays well: a file can only end the render process, which is started again.
2. What was in hand when the render process died is tried once more; what ends it twice, or takes longer than the
   time limit, is refused. Whatever stood behind it in the queue is not blamed.
   Each page that took too long halves the time of its file's further pages: a file of slow pages holds up nobody long.
3. The render process ends with this process, however that ends.
4. Who stops waiting for an answer leaves the render process usable for the others.
5. The render process does not grow with what it has rendered: after so many answers another takes its place.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NoReturn, cast

import msgspec

from services.splitter import orders
from shared.errors import FleetError, Refused, RetryLater

log = logging.getLogger(__name__)

START_TIMEOUT_S = 60  # it takes 0.4 s; a busy machine may take long
RESTART_PAUSE_S = 1.0  # where it can't be started
LEAST_TIMEOUT_S = 2.0  # ten times what the slowest honest page known takes
FILES_REMEMBERED = 100
RETIRED_AFTER = 1000  # answers; pdfium's memory fragments: 33 to 47 MB from the 5,000th page to the 10,000th (measured)
READ_AHEAD_BYTES = 1 << 20  # a few answers: page images are about 250 kB
_ROOT = Path(__file__).parents[2]


class _Retired(Exception):
    """The render process has answered enough, and is well: another takes its place."""


class _Asked:
    """An order and who waits for its answer."""

    def __init__(self, order: orders.AnyOrder) -> None:
        self.order = order
        self.answer: asyncio.Future[orders.Answer] = asyncio.get_running_loop().create_future()
        self.deaths = 0
        self.late = False

    def settle(self, answer: orders.Answer | FleetError) -> None:
        if self.answer.done():  # nobody waits any more
            return
        if isinstance(answer, FleetError):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class RenderProcess:
    """Orders are answered one by one, first come, first served, while `keep` runs."""

    def __init__(self, look: orders.Look, *, timeout_s: float) -> None:
        self._look = msgspec.json.encode(look).decode()
        self._timeout_s = timeout_s
        self._asked: deque[_Asked] = deque()  # the first one is what the render process has in hand
        self._child: asyncio.subprocess.Process | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._late: dict[str, int] = {}  # file -> orders that took too long, of the files that were late last

    @property
    def pid(self) -> int | None:
        """The render process that is in service; None while one is being started."""
        return self._child.pid if self._child else None

    @property
    def waiting(self) -> int:
        """Orders that have no answer yet."""
        return len(self._asked)

    async def ask(self, order: orders.AnyOrder) -> orders.Answer:
        """Order something, and wait for the answer.

        Raises Refused where the order ended the render process twice or took too long, RetryLater where none starts.
        """
        asked = _Asked(order)
        self._asked.append(asked)
        if self._child:
            self._send(asked, self._child)
            if len(self._asked) == 1:
                self._watch(self._child)
        return await asked.answer

    async def keep(self) -> NoReturn:
        """Keep a render process running until cancelled."""
        while True:
            try:
                async with self._started() as child:
                    in_hand = await self._serve(child)
                self._blame(in_hand, child)
            except _Retired:
                log.debug("render process retired", extra={"action": "renderer_retired"})
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                why = f"The render process can't be started: {error!r}."
                log.error(why, extra={"action": "renderer_failed"})  # noqa: TRY400 - the sentence says it all
                while self._asked:
                    self._asked.popleft().settle(RetryLater(why, counted=False))
                await asyncio.sleep(RESTART_PAUSE_S)

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[asyncio.subprocess.Process]:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"{__package__}.child",
            self._look,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=READ_AHEAD_BYTES,
            cwd=_ROOT,
            start_new_session=True,  # a terminal's Ctrl-C goes to our whole group
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await _read(child)
            log.debug("render process started", extra={"action": "renderer_started", "pid": child.pid})
            yield child
        finally:
            with suppress(ProcessLookupError):
                child.kill()
            cast(asyncio.StreamWriter, child.stdin).close()
            await child.communicate()

    async def _serve(self, child: asyncio.subprocess.Process) -> _Asked | None:
        """Hand out its answers until it dies; returns what it had in hand then. Raises _Retired."""
        self._asked = deque(asked for asked in self._asked if not asked.answer.done())
        for asked in self._asked:
            self._send(asked, child)
        self._child = child
        try:
            for _ in range(RETIRED_AFTER):
                self._watch(child)
                answer = await _read(child)
                self._asked.popleft().settle(answer)
            raise _Retired
        except asyncio.IncompleteReadError:
            return self._asked[0] if self._asked else None
        finally:
            self._child = None
            if self._alarm:
                self._alarm.cancel()

    def _send(self, asked: _Asked, child: asyncio.subprocess.Process) -> None:
        cast(asyncio.StreamWriter, child.stdin).write(orders.pack(asked.order))

    def _watch(self, child: asyncio.subprocess.Process) -> None:
        """Limit the time that the first order may take."""
        if self._alarm:
            self._alarm.cancel()
        if self._asked:
            timeout_s = self._patience(self._asked[0])
            self._alarm = asyncio.get_running_loop().call_later(timeout_s, self._too_late, child)

    def _patience(self, asked: _Asked) -> float:
        """Seconds that this order may take."""
        halved = self._timeout_s / 2.0 ** min(self._late.get(asked.order.path, 0), 10)
        return max(halved, min(LEAST_TIMEOUT_S, self._timeout_s))

    def _too_late(self, child: asyncio.subprocess.Process) -> None:
        self._asked[0].late = True
        with suppress(ProcessLookupError):
            child.kill()

    def _blame(self, in_hand: _Asked | None, child: asyncio.subprocess.Process) -> None:
        """The render process died. What it had in hand gets a second chance, or is refused."""
        extra = {"action": "renderer_died", "pid": child.pid, "exit_code": child.returncode}
        if in_hand is None:
            log.warning("the idle render process died", extra=extra)
            return
        log.warning("the render process died with an order in hand: %r", in_hand.order, extra=extra)
        in_hand.deaths += 1
        thing = in_hand.order.thing
        if in_hand.late:
            refusal = f"{thing} can't be rendered: it takes longer than {self._patience(in_hand):.3g} s."
            self._remember(in_hand.order.path)
        elif in_hand.deaths > 1:
            refusal = (
                f"{thing} can't be rendered: it is damaged, or needs too much memory (the renderer died of it twice)."
            )
        else:
            return
        self._asked.popleft().settle(Refused(refusal))

    def _remember(self, late: str) -> None:
        self._late[late] = self._late.pop(late, 0) + 1
        while len(self._late) > FILES_REMEMBERED:
            del self._late[next(iter(self._late))]


async def _read(child: asyncio.subprocess.Process) -> orders.Answer:
    stream = cast(asyncio.StreamReader, child.stdout)
    length = await stream.readexactly(orders.LENGTH_BYTES)
    return orders.unpack_answer(await stream.readexactly(int.from_bytes(length, "big")))
