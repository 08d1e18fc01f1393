"""A webcam's frames go through one function for each visitor, one frame at a time."""

from __future__ import annotations

import base64
import errno
import io
import json
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PIL import Image

from apps import _live
from apps._app import Live
from apps._form_live import LiveForm
from apps._jobs import MACHINE
from apps._live import Busy, Streams
from creative.settings import Field, Inputs, Settings


class NoInputs(Inputs):
    """Nothing."""


class Tint(Settings):
    level: int = Field(0, ge=0, le=255, title="Level", description="Of grey")


STARTED: list[int] = []


def start(inputs: NoInputs, settings: Tint, device: str) -> Callable[[Image.Image], Image.Image]:
    STARTED.append(settings.level)
    return lambda frame: Image.new("RGB", frame.size, (settings.level,) * 3)


LIVE = Live(NoInputs, Tint, start)


def frame(size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> str:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def seen(answer: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(answer.partition(",")[2])))


@pytest.fixture(autouse=True)
def fresh() -> None:
    STARTED.clear()


def test_a_visitor_keeps_a_function_while_the_form_stays_the_same() -> None:
    streams = Streams()
    for level, times in ((10, 3), (200, 2), (10, 1)):
        for _ in range(times):
            picture = seen(streams.frame("ann", LIVE, NoInputs(), Tint(level=level), frame()))
            assert picture.size == (64, 48)
            assert picture.getpixel((9, 9)) == pytest.approx((level,) * 3, abs=3)
    assert STARTED == [10, 200, 10]
    streams.frame("bob", LIVE, NoInputs(), Tint(level=10), frame())
    assert len(streams) == 2
    assert len(STARTED) == 4
    streams.end("bob")
    streams.end("bob")
    assert len(streams) == 1


def test_visitors_who_went_away_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams()
    for number in range(12):
        streams.frame(number, LIVE, NoInputs(), Tint(), frame())
    assert len(streams) == _live.MAX_VISITORS
    STARTED.clear()
    for number in (8, 11, 8):  # whose functions are still there, the longest away among them
        streams.frame(number, LIVE, NoInputs(), Tint(), frame())
    assert not STARTED
    monkeypatch.setattr(_live, "FORGOTTEN_AFTER", -1.0)
    streams.frame("new", LIVE, NoInputs(), Tint(), frame())
    assert len(streams) == 1


def test_a_frame_is_left_out_while_a_job_runs_or_others_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams()
    with MACHINE.place(), pytest.raises(Busy):
        streams.frame("ann", LIVE, NoInputs(), Tint(), frame())
    monkeypatch.setattr(_live, "PATIENCE", 0.01)
    going, seen_busy = threading.Event(), threading.Event()

    def slow(inputs: NoInputs, settings: Tint, device: str) -> Callable[[Image.Image], Image.Image]:
        going.set()
        seen_busy.wait(60)
        return lambda image: image

    first = threading.Thread(
        target=lambda: streams.frame("bob", Live(NoInputs, Tint, slow), NoInputs(), Tint(), frame())
    )
    first.start()
    assert going.wait(60)
    with pytest.raises(Busy):
        streams.frame("ann", LIVE, NoInputs(), Tint(), frame())
    seen_busy.set()
    first.join()
    assert seen(streams.frame("ann", LIVE, NoInputs(), Tint(), frame())).size == (64, 48)


@pytest.mark.parametrize(
    "picture",
    ["", "hello", "data:image/jpeg;base64,AAAA", "data:image/jpeg;base64,?", frame(kind="PNG"), frame()[:-200],
     frame((2000, 100)), frame((4, 4)), "data:image/jpeg;base64," + "A" * 10**7],
    ids=["nothing", "words", "no picture", "no base64", "PNG", "cut", "large", "tiny", "long"],
)  # fmt: skip
def test_what_is_no_frame_is_refused(picture: str) -> None:
    with pytest.raises(ValueError, match="did not arrive whole"):
        Streams().frame("ann", LIVE, NoInputs(), Tint(), picture)
    assert not STARTED


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (ValueError("The painter knows no such style."), "The painter knows no such style."),
        (
            OSError(errno.ENOSPC, "No space left on device", "/srv/secret/painter.part"),
            "A file could not be read or written (painter.part: no space left on device); the server's log says more.",
        ),
        (ConnectionResetError("[raw]"), "A file could not be read or written; the server's log says more."),
        (RuntimeError("[raw]"), "This failed unexpectedly (RuntimeError); the server's log says more."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_goes_wrong_is_one_sentence_on_the_page(problem: Exception, sentence: str) -> None:
    def fail(*_: object) -> Callable[[Image.Image], Image.Image]:
        raise problem

    form = object.__new__(LiveForm)
    form.action, form.live = cast(Any, SimpleNamespace(verb="paint")), Live(NoInputs, Tint, fail)
    form.inputs, form.settings = [], []
    request: Any = SimpleNamespace(session_hash="ann")
    event: Any = SimpleNamespace(name="live", number=1, frame=frame())
    answer = json.loads(form._answer(request, event))
    assert answer["failed"] == sentence
    assert "picture" not in answer
