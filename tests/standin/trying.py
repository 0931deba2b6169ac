"""What the tests of the stand-in itself have in common."""

from __future__ import annotations

import openai
from openai.types.chat import ChatCompletion

from shared.results import PageAnalysis
from tests import pages
from tests.standin.asking import ask, inline
from tests.standin.behaviour import Behaviour, Does, Rule
from tests.standin.server import Model

IMAGE = pages.page_image(1)


def misbehave(model: Model, does: Does) -> None:
    """Do this to every call from now on."""
    model.behave(Behaviour(rules=[Rule(does=does)]))


async def read(caller: openai.AsyncOpenAI) -> ChatCompletion:
    """Show IMAGE."""
    return await ask(caller, PageAnalysis, "Read this page.", image=inline(IMAGE))
