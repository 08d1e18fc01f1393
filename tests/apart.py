"""Work in processes of its own, which are killed or share it; all are forked from one that has loaded torch already."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterable
from multiprocessing.process import BaseProcess
from typing import Any

ENGINES = ("training", "char_rnn", "cyclegan", "instant_style")
LOADED = ["pytest", "torch._dynamo", "accelerate", *(f"creative.engines.{name}" for name in ENGINES)]
"""What takes seconds to import, and each process would import."""
PATIENCE = 250


def until_done(work: Callable[..., None], *given: Any, moments: Iterable[Any]) -> None:
    """Call ``work(*given, moment)``, which kills itself then, for each moment, and once more without, to its end."""
    for moment in [*moments, None]:
        process = _begun(work, *given, moment)
        assert _end(process) == (0 if moment is None else -signal.SIGKILL), (given, moment)


def by_two(work: Callable[..., None], *given: Any) -> None:
    """Call ``work(*given, None)`` in two processes that share it, as torchrun would."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    both = [_begun(_ranked, rank, port, work, given) for rank in range(2)]
    assert [_end(process) for process in both] == [0, 0], given


def _ranked(rank: int, port: int, work: Callable[..., None], given: tuple[Any, ...]) -> None:
    named = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in named.items()})
    work(*given, None)


def _begun(work: Callable[..., None], *given: Any) -> BaseProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    process = context.Process(target=work, args=given, daemon=True)
    process.start()
    return process


def _end(process: BaseProcess) -> int | None:
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
    return process.exitcode
