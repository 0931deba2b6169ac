"""The one door to the model: any server that speaks OpenAI's chat completions, asked for structured answers.

- A call may start only when the limiter granted it and `clear` says that its job is not cancelled.
- Every call is settled with the limiter, whatever becomes of it.
- A call takes at most LLM_TIMEOUT_S; cancelling its task closes its connection, so that the server stops too.
- The library's errors end here: callers see RetryLater, Refused or Stop, in sentences that show no key and no
  page content.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, Literal, TypeVar

import msgspec
import openai

from shared import metrics, spending
from shared.ai import answers, calls, forms, prices, ratelimits
from shared.ai.answers import Answer, Flaw, Reply
from shared.ai.calls import Books
from shared.ai.failures import CallFailed
from shared.ai.forms import Message
from shared.ai.prices import Prices
from shared.errors import Gone, Refused, RetryLater
from shared.limiter import Limiter, Result
from shared.outcomes import Usage
from shared.settings import ModelSettings

log = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)

TEMPERATURE = 0.1  # transcription and summaries want the likeliest words; a little warmth keeps out of loops
WARMER = 0.8  # for a second try after an answer that was cut off or repeated itself

_KINDS: dict[Flaw, Literal["ok", "refused", "unreadable"]] = {
    "": "ok",
    "refused": "refused",
    "unreadable": "unreadable",
    "cut": "unreadable",
    "repeats": "unreadable",
}

Clear = Callable[[], Awaitable[None]]
"""Returns when a call may start now; raises Gone if its job was cancelled."""


@asynccontextmanager
async def connect(settings: ModelSettings, limiter: Limiter) -> AsyncIterator[Model]:
    """The model's server as OPENAI_BASE_URL and OPENAI_API_KEY name it.

    Raises SettingsError where there is no key for OpenAI itself, or PRICES_FILE is malformed.
    """
    table = prices.load(settings.prices_file)
    async with calls.client() as client:
        model = Model(client, limiter, table, timeout_s=settings.llm_timeout_s)
        try:
            yield model
        finally:
            await model.books.settled()


class _Question(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What `ask` was called with."""

    answer: type[T]
    model: str
    messages: Sequence[Message]
    clear: Clear


class Model:
    """Asks models of one server. What it learns of how they want to be asked lasts as long as it does."""

    def __init__(self, client: openai.AsyncOpenAI, limiter: Limiter, table: Prices, *, timeout_s: float) -> None:
        self._client = client
        self._limiter = limiter
        self._prices = table
        self._timeout_s = timeout_s
        self._manners: dict[str, forms.Manners] = {}
        self.books = Books(limiter)

    async def ask(
        self,
        answer: type[T],
        *,
        model: str,
        messages: Sequence[Message],
        clear: Clear,
        temperature: float = TEMPERATURE,
    ) -> Answer[T]:
        """Ask for one `answer`; the first message is the system's.

        Raises RetryLater (the server is busy or down, or its answer can't be read), Refused, Stop, and what
        `clear` raises.
        """
        question = _Question(answer=answer, model=model, messages=messages, clear=clear)
        began, usage = time.monotonic(), Usage()
        for heat in (temperature, max(temperature, WARMER)):
            reply = await self._reply(question, heat)
            used = Usage(
                calls=1,
                tokens_in=reply.tokens_in,
                tokens_out=reply.tokens_out,
                cost_usd=self._prices.cost_usd(model, tokens_in=reply.tokens_in, tokens_out=reply.tokens_out),
            )
            usage += used
            spending.note(used)
            if reply.value is not None:
                return Answer(value=reply.value, usage=usage, seconds=time.monotonic() - began)
            if reply.flaw == "refused":
                raise Refused(reply.why)
            if reply.flaw == "unreadable":
                raise RetryLater(reply.why)
        raise Refused(f"{reply.why}; asked twice")

    async def _reply(self, question: _Question[T], temperature: float) -> Reply[T]:
        """One reply, in the best form that this model takes."""
        manners = self._manners.setdefault(question.model, forms.manners(question.model))
        while True:
            try:
                return await self._call(question, manners, temperature if manners.temperature else None)
            except CallFailed as failure:
                if not failure.ours:
                    raise failure.error from failure
                log.info("asked in another way from now on: %s", failure, extra={"action": "model_manners"})

    async def _call(self, question: _Question[T], manners: forms.Manners, temperature: float | None) -> Reply[T]:
        """One call with its permit. Raises CallFailed."""
        form = manners.form
        body = forms.request(
            question.answer,
            model=question.model,
            messages=question.messages,
            form=form,
            temperature=temperature,
        )
        permit = await self._limiter.acquire()
        try:
            async with self.books.calling(permit):
                await question.clear()
                response = await calls.post(
                    self._client, "/chat/completions", body, accept="application/json", timeout_s=self._timeout_s
                )
        except CallFailed as failure:
            failure.ours = manners.learn(form, warm=temperature is not None, failure=failure)
            failure.counted = await self.books.settle(permit, failure.result)
            raise
        except (Gone, asyncio.CancelledError):  # the permit must not leak
            await self.books.settle(permit, Result(kind="cancelled"))
            raise
        reply = answers.read(response.content, question.answer, source=answers.spoken(question.messages))
        manners.note(form, reply)
        metrics.MODEL_TOKENS.labels("in").inc(reply.tokens_in)
        metrics.MODEL_TOKENS.labels("out").inc(reply.tokens_out)
        result = Result(
            kind=_KINDS[reply.flaw],
            tokens=reply.tokens_in + reply.tokens_out,
            limits=ratelimits.limits(response.response.headers),
            reason=reply.why,
        )
        await self.books.settle(permit, result)
        return reply
