"""Jobs are generators: cancelled within a step, resumed from any thread, leaving no mode behind."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toy_app import TINT, TintInputs, TintSettings

from apps._app import perform
from creative.progress import Step, run


class Counter:
    """A job that says what happens to it."""

    def __init__(self, total: int = 5) -> None:
        self.total, self.done, self.cleaned_in = total, 0, ""

    def __call__(self) -> Generator[Step, None, str]:
        try:
            for done in range(self.total):
                self.done = done
                yield Step(done, self.total)
            return "counted"
        finally:
            self.cleaned_in = threading.current_thread().name


def test_run_gives_the_result_and_every_step() -> None:
    counter, seen = Counter(), []
    assert run(counter(), seen.append) == "counted"
    assert [step.done for step in seen] == [0, 1, 2, 3, 4]


def test_a_watcher_that_raises_cancels_the_job() -> None:
    counter = Counter(10**9)

    def watch(step: Step) -> None:
        if step.done == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run(counter(), watch)
    assert counter.done == 3
    assert counter.cleaned_in


def test_a_job_is_cancelled_before_its_first_slow_thing() -> None:
    counter = Counter(10**9)
    job = counter()
    assert next(job).done == 0
    job.close()
    assert counter.cleaned_in
    assert counter.done == 0


def test_a_job_is_cancelled_from_another_thread() -> None:
    """As a page does it: one thread advances the job, another one closes it between two steps."""
    counter = Counter(10**9)
    job = counter()
    next(job), next(job)
    thread = threading.Thread(target=job.close, name="closer")
    thread.start()
    thread.join()
    assert counter.cleaned_in == "closer"
    with pytest.raises(StopIteration):
        next(job)


def _in_turns(job: Generator[Step, None, Any], after: Callable[[], None]) -> Any:
    """Advance a job by a new thread at each step, as gradio does."""
    answers: queue.Queue[Any] = queue.Queue()

    def advance() -> None:
        try:
            next(job)
            after()
            answers.put(None)
        except StopIteration as stop:
            answers.put(stop.value)
        except BaseException as error:
            answers.put(error)

    while True:
        thread = threading.Thread(target=advance)
        thread.start()
        thread.join()
        answer = answers.get()
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None:
            return answer


def no_mode_is_left() -> None:
    import torch

    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_saved_job_goes_through_many_threads(photo_file: Path, tmp_path: Path) -> None:
    inputs = TintInputs(photo=(photo_file,), colour="red")
    saved = _in_turns(perform(TINT, inputs, TintSettings(), out=tmp_path), no_mode_is_left)
    whole = run(perform(TINT, inputs, TintSettings(), out=tmp_path / "other"))
    assert saved.path.read_bytes() == whole.path.read_bytes()


def test_painting_leaves_no_mode_behind(photo: Image.Image, painting: Image.Image) -> None:
    from creative import StylizeSettings, stylize

    settings = StylizeSettings(size=64, iterations=(2,), scales=1)
    whole = run(stylize(photo, painting, settings))
    steps = _in_turns(stylize(photo, painting, settings), no_mode_is_left)
    assert steps.tobytes() == whole.tobytes()


def test_painting_is_cancelled_within_a_step(photo: Image.Image, painting: Image.Image) -> None:
    from creative import StylizeSettings, stylize

    job = stylize(photo, painting, StylizeSettings(size=64, iterations=(100_000,), scales=1))
    assert next(job).done == 0
    steps = [next(job) for _ in range(3)]
    began = time.monotonic()
    job.close()
    assert time.monotonic() - began < 60
    assert steps[-1].done >= 1
    with pytest.raises(StopIteration):
        next(job)
    no_mode_is_left()


def test_a_leaking_mode_would_be_noticed() -> None:
    """The check above can fail: a job that yields inside no_grad is caught."""
    import torch

    def leaking() -> Generator[Step, None, str]:
        with torch.no_grad():
            yield Step(0)
        return "done"

    with pytest.raises(AssertionError):
        _in_turns(leaking(), no_mode_is_left)


def test_time_left_goes_by_work_where_steps_are_not_all_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from apps import _pace

    now = [0.0]
    monkeypatch.setattr(_pace.time, "monotonic", lambda: now[0])
    pace = _pace.Pace()
    pace.seen(Step(0, 4, fraction=0.0))
    assert pace.left(Step(0, 4, fraction=0.0)) is None
    for done, fraction in ((1, 0.1), (2, 0.2)):  # two short steps of four; eight tenths of the work are to come
        now[0] += 1.0
        pace.seen(Step(done, 4, fraction=fraction))
    assert pace.left(Step(2, 4, fraction=0.2)) == pytest.approx(8.0)
    assert Step(1, 4).share == 0.25
    assert Step(1).share is None
