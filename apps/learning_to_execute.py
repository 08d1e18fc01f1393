"""Learning to execute: a network reads a small program and writes what it prints; train it, measure it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from apps._app import Action, App
from creative.options.execute import (
    EvaluateExecuteInputs,
    EvaluateExecuteSettings,
    ExecuteInputs,
    ExecuteSettings,
    TrainExecuteInputs,
    TrainExecuteSettings,
)
from creative.progress import Step

PROGRAMS = {
    "A sum": {"text": "print(12345+67890)"},
    "Two lines": {"text": "a=27\nprint(a-9)"},
    "A loop": {"text": "c=5\nfor x in range(7):\n  c+=3\nprint(c)"},
    "A condition": {"text": "b=34+8\nprint(b if 51<60 else 17)"},
    "Too hard": {"text": "i=8827\nc=(i-5347)\nprint((c+8704) if 2641<8500 else 5308)"},
}


def _execute(inputs: ExecuteInputs, settings: ExecuteSettings, device: str) -> Generator[Step, None, Any]:
    from creative.engines.learning_to_execute import execute

    return execute(_program(inputs), settings, weights=inputs.network_weights, device=_light(device))


def _program(inputs: ExecuteInputs) -> str | None:
    from creative.data.programs import ProgramError

    if inputs.program is None:
        return inputs.text
    if inputs.text is not None:
        raise ProgramError("There are two programs, a file and a text; give one of them.")
    with inputs.program.open("rb") as file:
        data = file.read(100_000)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProgramError(f"{inputs.program.name} is not text in UTF-8 (byte {error.start}).") from None


def _train(
    inputs: TrainExecuteInputs, settings: TrainExecuteSettings, device: str, out: Path
) -> Generator[Step, None, Path]:
    from creative.engines.learning_to_execute import train_execute

    return train_execute(settings, out, device=device)


def _evaluate(
    inputs: EvaluateExecuteInputs, settings: EvaluateExecuteSettings, device: str
) -> Generator[Step, None, Any]:
    from creative.engines.learning_to_execute import evaluate_execute

    return evaluate_execute(settings, weights=inputs.network_weights, device=device)


def _light(device: str) -> str:
    """One program at a time is read faster without an accelerator."""
    return "cpu" if device == "auto" else device


def _show(executed: Any) -> str:
    from apps._execute_html import show_executed

    return show_executed(executed)


def _score(executed: Any) -> tuple[int, int]:
    right, done = executed.score
    return right, done


def _examples(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    return PROGRAMS


APP = App(
    name="learning_to_execute",
    title="Execute",
    summary="A network that has learned to run small Python programs in its head.",
    actions=(
        Action(
            verb="execute",
            title="Execute",
            summary="Have a network read a small Python program and write what it prints, digit by digit.",
            inputs=ExecuteInputs,
            settings=ExecuteSettings,
            start=_execute,
            output="text",
            examples=_examples,
            show=_show,
            shows_all=True,
            score=_score,
        ),
        Action(
            verb="train execute",
            title="Train",
            summary="Train a network to execute programs, to add or to memorise, on examples made up as it goes.",
            inputs=TrainExecuteInputs,
            settings=TrainExecuteSettings,
            start=_train,
            output="folder",
            page=False,
        ),
        Action(
            verb="evaluate execute",
            title="Measure",
            summary="Measure a network on held-out programs, by length and nesting.",
            inputs=EvaluateExecuteInputs,
            settings=EvaluateExecuteSettings,
            start=_evaluate,
            output="text",
            page=False,
        ),
    ),
)


if __name__ == "__main__":
    from apps._form import launch

    launch(APP)
