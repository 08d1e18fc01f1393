"""Processes that are killed, share their work or are listened to, all forked from one that has loaded torch already."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
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


class Command:
    """``main(words)`` in a folder, as a command: it can be listened to while it works, and gets signals.

    Attributes:
        out, err: what it says, to be read as it comes.
    """

    def __init__(self, main: Callable[[Sequence[Any]], int], words: Sequence[Any], folder: Path) -> None:
        ours, theirs = zip(*(multiprocessing.Pipe(duplex=False) for _ in range(2)), strict=True)
        self._process = _begun(_speak, main, list(words), folder, *theirs)
        for end in theirs:
            end.close()
        self.out, self.err = (os.fdopen(os.dup(end.fileno()), encoding="utf-8", newline="") for end in ours)

    def signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def end(self) -> tuple[int | None, str, str]:
        """Its exit status, and the rest of what it says."""
        with self.out, self.err, ThreadPoolExecutor(1) as another:  # a pipe that nobody reads would hold it up
            err = another.submit(self.err.read)
            out = self.out.read()
            return _end(self._process), out, err.result()


def _speak(main: Callable[..., int], words: list[Any], folder: Path, out: Connection, err: Connection) -> None:
    os.chdir(folder)
    for number, end in enumerate((out, err), 1):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(number, "wb", 0), encoding="utf-8", write_through=True) for number in (1, 2)
    )
    sys.exit(main(words))


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
