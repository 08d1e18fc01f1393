"""A file from the web: it goes on where it broke off, is checked, and is never half there under its own name.

run(download("https://example.org/a.pth", Path("a.pth"), size=528_000_000, sha256="397923af"))
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from creative.files import file_sha256
from creative.progress import Step

_TIMEOUT = 30.0  # seconds without a byte
_PAUSE = 1.0  # seconds, longer with each failure in a row
_MAX_FAILURES = 4  # connections in a row that bring nothing
_MAX_SIZE = 4 * 10**9  # bytes, where the size is not known
_CHUNK = 2**18  # bytes
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that a later attempt may not get


class DownloadError(ValueError):
    """A file cannot be had. The message is the reason alone, the end of a sentence without its full stop."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    url: str
    size: int | None
    sha256: str | None

    def is_in(self, path: Path) -> bool:
        return self.sha256 is None or file_sha256(path).startswith(self.sha256)


def download(
    url: str, target: Path, *, size: int | None = None, sha256: str | None = None
) -> Generator[Step, None, None]:
    """Download a file, unless it is there already and right. Steps count kilobytes.

    What an interrupted download has got so far is kept as ``FILE.part`` and the next one goes on from there.

    Args:
        url: where it is.
        target: where it goes; its folder is made.
        size: bytes, about; None where nobody knows.
        sha256: in hexadecimal, all of it or its beginning; None where nobody knows.

    Raises:
        DownloadError: the server does not have it, or what came is not it.
        BlockingIOError: another program is downloading it.
        OSError: it cannot be written.
    """
    wanted = _Wanted(url, size, sha256)
    total = size // 1000 if size else None
    yield Step(0, total, message=f"Downloading {target.name} ({size_told(size)}) from {url}")
    if target.is_file() and wanted.is_in(target):
        return
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        _lock(file)
        yield from _downloaded(wanted, file)
        os.fsync(file.fileno())
    part.replace(target)


def size_told(size: int | None) -> str:
    """Bytes as a person is told them."""
    return "of unknown size" if size is None else f"{size / 1e6:,.0f} MB" if size >= 10e6 else f"{size / 1e6:.1f} MB"


def _downloaded(wanted: _Wanted, file: BinaryIO) -> Generator[Step, None, None]:
    """Fill ``file`` up to its end, over as many connections as it takes, and check it."""
    failures, resumed = 0, file.tell() > 0
    while True:
        before, reason = file.tell(), "the connection was cut"
        try:
            complete = yield from _transfer(wanted, file)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # the server has no more than this; if that is not all of it, begin anew
                complete = True
            elif error.code in _PASSING:
                complete, reason = False, f"the server answers {error.code} {error.reason}"
            else:
                raise DownloadError(f"the server answers {error.code} {error.reason}") from None
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            cause = getattr(error, "reason", error)
            complete, reason = False, _told(cause)
            if isinstance(cause, socket.gaierror):  # nobody knows the server: there is no network
                raise DownloadError(reason) from None
        file.flush()
        if complete:
            if wanted.is_in(Path(file.name)):
                return
            file.seek(0)
            file.truncate()
            if not resumed:
                raise DownloadError("what came has another checksum, and was deleted")
            resumed = False  # what was there from an earlier time may have spoilt it: once more from the start
            continue
        failures = 0 if file.tell() > before else failures + 1
        if failures == _MAX_FAILURES:
            raise DownloadError(reason)
        time.sleep(_PAUSE * failures)


def _transfer(wanted: _Wanted, file: BinaryIO) -> Generator[Step, None, bool]:
    """One connection: append to ``file`` what it lacks; whether that was all there is."""
    file.seek(0, os.SEEK_END)
    done = file.tell()
    headers = {"User-Agent": "creative", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    with urllib.request.urlopen(urllib.request.Request(wanted.url, headers=headers), timeout=_TIMEOUT) as response:
        if done and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            file.seek(0)  # a server that cannot go on in the middle sends everything
            file.truncate()
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length and length.isdigit() else None
        limit = int(wanted.size * 1.1) + 10**6 if wanted.size else _MAX_SIZE
        if total is not None and total > limit:
            raise DownloadError(f"it has {size_told(total)}, where {size_told(wanted.size)} were expected")
        free = shutil.disk_usage(Path(file.name).parent).free
        if total is not None and total - done > free:
            raise DownloadError(f"the disk has {size_told(free)} left and {size_told(total - done)} are missing")
        while chunk := _received(response):
            file.write(chunk)
            done += len(chunk)
            if done > limit:
                raise DownloadError(f"it is larger than the {size_told(wanted.size)} expected")
            yield Step(done // 1000, (total or wanted.size or 0) // 1000 or None, metrics={"MB": done / 1e6})
    return total is None or done >= total


def _received(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except OSError as error:  # of the network: told apart from the disk's
        raise urllib.error.URLError(error) from error


def _told(cause: object) -> str:
    if isinstance(cause, socket.gaierror):
        return "there is no connection to the network"
    if isinstance(cause, TimeoutError):
        return "the server does not answer"
    return (getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).rstrip(".").lower()


def _lock(file: BinaryIO) -> None:
    """Two downloads into one file would spoil it."""
    try:
        import fcntl
    except ImportError:  # Windows keeps no such locks
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
