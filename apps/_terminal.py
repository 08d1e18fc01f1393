"""Jobs in a terminal: a progress bar, Ctrl-C that keeps the last preview, one sentence for what goes wrong."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import traceback
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from apps import _results as results
from apps._app import Action, Saved, perform, text_of
from apps._pace import Pace, span
from apps._stream import Stream
from creative.progress import Step
from creative.settings import Inputs, Settings


class Stopped(Exception):  # noqa: N818 (an end, not an error)
    """A person or the system asked the job to stop, and it did."""

    def __init__(self, saved: Saved | None) -> None:
        super().__init__()
        self.saved = saved


# One job ------------------------------------------------------------------------------------------------------------


@dataclass
class Screen:
    """What is said while jobs run: all of it on stderr, so that stdout holds results only."""

    shown: bool
    """Whether there is a bar."""
    quiet: bool = False
    stream: Stream | None = None
    """A text that is being written on stdout meanwhile."""
    _bar: Any = None
    _pace: Pace = field(default_factory=Pace)
    _unit: str = field(default="step")

    @classmethod
    def of(cls, options: Any) -> Screen:
        """As the options ask: a bar in a terminal, or where it is wanted."""
        return cls((sys.stderr.isatty() or options.progress) and not options.quiet, options.quiet)

    def step(self, step: Step, title: str) -> None:
        """Show where a job stands."""
        if step.message:
            self.say(step.message)
        if self.stream is not None and step.preview is not None and step.done and self.stream.due():
            if self.stream.to_person:
                self.close()
            self.stream.grow(text_of(step.preview()))
        if not self.shown or (self.stream is not None and self.stream.to_person and self.stream.written):
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=step.total, desc=title, bar_format=_bar_format(step), file=sys.stderr,
                dynamic_ncols=True, leave=False, mininterval=0.1,
            )  # fmt: skip
        bar = self._bar
        self._pace.seen(step)
        left = self._pace.left(step)
        bar.bar_format, bar.total = _bar_format(step, left), step.total
        if step.metrics:
            bar.set_postfix_str("  ".join(f"{k} {v:.4g}" for k, v in list(step.metrics.items())[:3]), refresh=False)
        bar.update(step.done - bar.n)
        if step.done < 3:  # the first ones are shown whatever their pace
            bar.refresh()

    def say(self, sentence: str) -> None:
        """A line on stderr, above the bar."""
        if self.quiet:
            return
        if self.stream is not None:
            self.stream.pause()
        if self._bar is not None:
            self._bar.write(sentence, file=sys.stderr)
        else:
            print(sentence, file=sys.stderr, flush=True)

    def close(self) -> None:
        """The bar goes away."""
        if self._bar is not None:
            self._bar.close()
            self._bar, self._pace = None, Pace()


def _bar_format(step: Step, left: float | None = None) -> str:
    """tqdm's, with our own estimate of the time left: it knows of steps that are not all as long."""
    if step.total is None:
        return "{desc} {n_fmt} steps, {elapsed}{postfix}"
    told = f", {span(left)} left" if left is not None else ""
    return f"{{desc}} {step.share or 0:4.0%} |{{bar}}| {{n_fmt}}/{{total_fmt}} {{elapsed}}{told}{{postfix}}"


@contextlib.contextmanager
def _interrupts(screen: Screen, safe: list[bool]) -> Iterator[list[int]]:
    """While it lasts, the first Ctrl-C is noted and honoured after the step; a second one, or one before there is
    anything to keep, at once. The list holds the signals that came.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def handler(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1 or not safe[0]:
            raise KeyboardInterrupt
        screen.say("Stopping after this step; once more stops at once.")

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def follow(
    job: Generator[Step, None, Saved], screen: Screen, title: str, *, saves: bool = False, stop_at: int | None = None
) -> Saved:
    """Run a job to its end, or until Ctrl-C.

    Args:
        saves: whether the engine itself saves what it has when it is stopped, as training does.
        stop_at: stop by ourselves after so many steps, as somebody once did.

    Raises:
        Stopped: Ctrl-C; it has what was kept, if anything was.
    """
    safe = [False]
    with contextlib.closing(job), _interrupts(screen, safe) as came:
        try:
            try:
                while True:
                    step = next(job)
                    safe[0] = step.done > 0 and (saves or step.preview is not None)
                    screen.step(step, title)
                    if came or (stop_at is not None and step.done >= stop_at):
                        raise KeyboardInterrupt
            except KeyboardInterrupt:
                job.throw(KeyboardInterrupt)  # where it has not been through the job yet
                raise
        except StopIteration as end:
            if not end.value.complete and (came or stop_at is None):
                raise Stopped(end.value) from None
            return end.value
        except KeyboardInterrupt:
            raise Stopped(None) from None
        finally:
            screen.close()


# An action ----------------------------------------------------------------------------------------------------------


def run_action(action: Action, inputs: Inputs, settings: Settings, options: Any) -> int:
    """Run a verb: one job, or one for each file of its batch field."""
    jobs = _jobs(action, inputs)
    many = len(jobs) > 1
    if many and options.out is not None and not results.is_folder(options.out):
        raise results.OutputError(f"{len(jobs)} results need a folder, but -o {options.out} is a file's name.")
    screen = Screen.of(options)
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for number, job in enumerate(jobs, 1):
        name = getattr(job, action.batch)[0].name if action.batch else action.verb
        title = f"{name} ({number} of {len(jobs)})" if many else name
        try:
            done.append(_one(action, job, settings, options, screen, title))
        except Stopped as stop:
            left = f" {len(jobs) - number} of {len(jobs)} were not begun." if many else ""
            return _stopped(action, stop.saved, options, screen.stream, done, left)
        except Exception as error:
            sentence = explain(error, f"creative {action.verb}")
            if not many or sentence is None or not _of_this_file(error):
                raise
            failed.append({"file": str(getattr(job, str(action.batch))[0]), "error": sentence})
            print(sentence, file=sys.stderr)
    if options.json_report:
        print_json({"results": done, "failed": failed} if many else done[0])
    if many:
        there = sum(one["skipped"] for one in done)
        parts = [f"{len(done) - there} done", *([f"{there} there already"] if there else [])]
        parts += [f"{len(failed)} failed"] if failed else []
        screen.say(f"{len(jobs)} files: {', '.join(parts)}.")
    return 1 if failed else 0


def _jobs(action: Action, inputs: Inputs) -> list[Inputs]:
    """One job's inputs for each file of the batch field; a folder stands for its pictures."""
    several = action.batch or action.together
    if several is None:
        results.files(inputs)
        return [inputs]
    from creative.images import picture_files

    results.files(inputs, folders=several)
    every = inputs.changed(**{several: tuple(picture_files(getattr(inputs, several)))})
    if action.batch is None:
        return [every]
    return [every.changed(**{action.batch: (path,)}) for path in getattr(every, action.batch)]


def _one(
    action: Action, inputs: Inputs, settings: Settings, options: Any, screen: Screen, title: str
) -> dict[str, Any]:
    """One job: done, or found done; what there is to report."""
    results.check(action, inputs)
    if action.output in {"image", "text", "video"}:
        place = results.Place.of(action, inputs, settings, options.out)
        bare = action.output == "text" and not results.is_page(place.path) and not results.is_table(place.path)
        # what only the result itself can tell
        asked = options.json_report and (action.report is not None or (action.output == "text" and not bare))
        anew = options.again or asked or results.has_folders(inputs) or not place.path.exists()
        if not anew and (there := place.done_already(results.job_key(action, inputs, settings), inputs)) is not None:
            screen.say(f"{there} is there already, made by this very job (--again makes it anew).")
            text = there.read_text(encoding="utf-8") if bare else None
            if not options.json_report:
                if text is not None:
                    Stream(sys.stdout).end(text)
                else:
                    print(there, flush=True)
            told = {"output": str(there), "skipped": True, "settings": settings.model_dump(mode="json")}
            return told | ({} if text is None else {"text": text})
        if place.fixed and place.path.exists():
            screen.say(f"{place.path} is replaced.")
    engine = perform(action, inputs, settings, device=options.device, out=options.out)
    screen.stream = Stream(sys.stdout) if action.output == "text" and not options.json_report else None
    try:
        saved = follow(engine, screen, title, saves=action.output in {"model", "folder"})
    except Exception as error:
        if screen.stream is not None:
            screen.stream.pause()
        error.__dict__["while_running"] = True
        raise
    if not options.json_report:
        _end(saved, screen.stream)
        if screen.stream is not None:
            screen.say(f"Saved in {saved.path}.")
        for name, path in saved.beside.items():
            screen.say(f"{path} is the {name.replace('_', ' ')} as guessed; change it and give it with {_flag(name)}.")
        screen.say(_took(saved))
    more = action.report(saved.result) if action.report is not None and saved.complete else {}
    said = {"text": text_of(saved.result)} if action.output == "text" else {}
    return {**facts(saved), **said, **more}


def _end(saved: Saved, stream: Stream | None) -> None:
    """On stdout the path, or the rest of the text."""
    if stream is not None:
        stream.end(text_of(saved.result))
    else:
        print(saved.path, flush=True)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def facts(saved: Saved) -> dict[str, Any]:
    """What ``--json`` tells of a job."""
    return {
        "output": str(saved.path),
        "skipped": False,
        "complete": saved.complete,
        "settings": saved.settings.model_dump(mode="json"),
        "metrics": dict(saved.metrics),
        "seconds": round(saved.seconds, 3),
        "peak_memory_mb": round(saved.peak_memory_mb, 1),
        "messages": list(saved.messages),
        **({"beside": {name: str(path) for name, path in saved.beside.items()}} if saved.beside else {}),
    }


def print_json(told: Any) -> None:
    """One line on stdout; what its encoding cannot hold, as a file's name of odd bytes, is escaped."""
    line = json.dumps(told, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8", "strict")
    except UnicodeEncodeError:
        line = json.dumps(told)
    print(line)


def _took(saved: Saved) -> str:
    seconds = f"{saved.seconds:.1f} s" if saved.seconds < 100 else f"{saved.seconds / 60:.1f} min"
    return f"Took {seconds} and {saved.peak_memory_mb:,.0f} MB at most."


def _stopped(
    action: Action, saved: Saved | None, options: Any, stream: Stream | None, done: list[dict[str, Any]], left: str
) -> int:
    if stream is not None and saved is not None:
        _end(saved, stream)
    if saved is None:
        print(f"creative {action.verb}: stopped; there was nothing to keep yet.{left}", file=sys.stderr)
    elif action.output == "video":
        print(f"Stopped; the same command goes on from the frames in {saved.path}.frames.{left}", file=sys.stderr)
    elif action.output in {"model", "folder"}:
        print(f"Stopped; the same command goes on from what is in {saved.path}.{left}", file=sys.stderr)
    else:
        print(f"Stopped; the last preview is kept in {saved.path}.{left}", file=sys.stderr)
    if options.json_report:
        kept = [facts(saved)] if saved else []
        print_json({"results": [*done, *kept], "stopped": True} if left or not kept else kept[0])
    elif saved is not None and stream is None:
        print(saved.path)
    return 130


# What goes wrong ----------------------------------------------------------------------------------------------------


def explain(error: BaseException, name: str) -> str | None:
    """One sentence for what a person can do something about; None for a fault of ours."""
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return f"{name}: there is not enough memory for this; try a smaller size."
    if isinstance(error, OSError) and error.filename is not None:
        return f"{name}: {error.filename}: {error.strerror}."
    if isinstance(error, ValueError) and _is_ours(error):
        return f"{name}: {' '.join(str(error).split())}"
    if isinstance(error, OSError):
        return f"{name}: {error.strerror or error}."
    return None


def _is_ours(error: BaseException) -> bool:
    """Whether our code raised it, knowing what it says; torch raises ValueErrors of its own."""
    frames = list(traceback.walk_tb(error.__traceback__))
    raised_in = frames[-1][0].f_globals.get("__name__", "") if frames else ""
    return any(home.split(".")[0] in {"creative", "apps"} for home in (type(error).__module__, raised_in))


def _of_this_file(error: BaseException) -> bool:
    """Whether the next file may do better: this picture is broken, or its job failed on the way."""
    from creative.images import ImageError

    return isinstance(error, ImageError) or "while_running" in error.__dict__


def report(error: Exception, name: str, words: Sequence[str], *, status: int) -> int:
    """Say what went wrong; the exit status: ``status`` for what was asked for, 1 for what happened on the way."""
    sentence = explain(error, name)
    running = "while_running" in error.__dict__
    if "--debug" in words:
        traceback.print_exception(error)
    elif sentence is None:
        brief = " ".join(str(error).split())[:200]
        print(f"{name}: an unexpected {type(error).__name__}: {brief} (--debug shows where).", file=sys.stderr)
    if sentence is not None and "--debug" not in words:
        print(sentence, file=sys.stderr)
    if "--json" in words:
        print_json({"error": sentence or f"{type(error).__name__}: {error}"})
    return 1 if running or sentence is None or isinstance(error, MemoryError) else status
