"""The render process: `python -m services.splitter.child LOOK`, LOOK as JSON. `process.py` starts and watches it.

It reads orders from standard input, one after the other, and answers on standard output. It holds no state
worth keeping: it may be killed at any moment. It ends when its standard input does, so it never outlives the
service, however that ends; a Ctrl-C at the terminal does not end it, as the service needs it for its drain.
"""

from __future__ import annotations

import os
import queue
import resource
import signal
import sys
import threading

import msgspec

from services.splitter import images, orders, pdf
from shared.errors import Refused

MEMORY_LIMIT = 1 << 30  # bytes; the largest image that is taken (89 megapixels, transparent) needs 0.85 GB
IDLE_S = 1.0  # then open documents are closed


def main(look: orders.Look) -> None:
    """Answer orders until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up among the answers
    todo: queue.SimpleQueue[orders.AnyOrder] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(todo,), name="orders", daemon=True).start()
    documents = pdf.Documents()
    answer: orders.Answer = orders.Ready()
    while True:
        answers.write(orders.pack(answer))
        answers.flush()
        try:
            order = todo.get(timeout=IDLE_S)
        except queue.Empty:
            documents.close()
            order = todo.get()
        try:
            answer = _answer(order, documents, look)
        except Refused as error:
            answer = orders.Failed(why=str(error))
        except MemoryError:
            answer = orders.Failed(why=f"{order.thing} can't be rendered: it needs more than {MEMORY_LIMIT >> 20} MB.")


def _answer(order: orders.AnyOrder, documents: pdf.Documents, look: orders.Look) -> orders.Answer:
    match order:
        case orders.CountPages(path=path):
            return orders.PageCount(pages=documents.count_pages(path))
        case orders.RenderPage(path=path, index=index):
            return documents.render(path, index, look)
        case orders.TakeImage(path=path):
            return images.take(path, look)


def _listen(todo: queue.SimpleQueue[orders.AnyOrder]) -> None:
    """A thread of its own, so that the end of the service ends this process in the middle of a page, too."""
    try:
        with open(0, "rb", closefd=False) as stream:
            while (order := orders.read_order(stream)) is not None:
                todo.put(order)
    finally:
        os._exit(0)


def _limit_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MEMORY_LIMIT if hard == resource.RLIM_INFINITY else min(MEMORY_LIMIT, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=orders.Look))
