"""The networks of a file, measured on programs that training held out."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass

import torch

from creative.engines.learning_to_execute.calibration import Calibration, measure_calibration
from creative.engines.learning_to_execute.evaluation import (
    Accuracy,
    Table,
    measure_levels,
    measure_operations,
    table_text,
)
from creative.engines.learning_to_execute.networks import ExecuteError, Trained, levels_of, load_trained
from creative.options.execute import EvaluateExecuteSettings
from creative.progress import Step
from creative.provenance import Provenance, describe_run


@dataclass(frozen=True)
class Report:
    """How well each network of a file does.

    Attributes:
        tables: by task.
        operations: the programs of one operation and the greatest length, by operation.
        calibrations: whether each network is right as often as it says, over all levels together.
        provenance: how it was made.
    """

    tables: dict[str, Table]
    operations: dict[str, Accuracy]
    calibrations: dict[str, Calibration]
    provenance: Provenance

    @property
    def text(self) -> str:
        """As Markdown."""
        parts = ["Characters right, the true ones before given / whole answers right (95 % interval), in per cent."]
        for task, table in self.tables.items():
            parts += [task, table_text(task, table), self.calibrations[task].text]
            if task == "programs" and self.operations:
                rows = [f"| {name} | {found.answers} | {found.text} |" for name, found in self.operations.items()]
                parts.append("\n".join(["| one operation | programs | % |", "|---|---|---|", *rows]))
        return "\n\n".join(parts) + "\n"


def evaluate_execute(
    settings: EvaluateExecuteSettings | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device = "auto",
) -> Generator[Step, None, Report]:
    """Measure the networks of a file on programs that training held out, level by level.

    Args:
        settings: how many programs, and up to which level.
        weights: the file; None is the bundled one.
        device: where to compute.

    Returns:
        A generator of Steps, whose last metrics are all accuracies by task, length and nesting.

    Raises:
        ExecuteError, WeightsError: at once: there is no such file or network.
    """
    settings = settings or EvaluateExecuteSettings()
    networks = load_trained(weights, device=device)
    if settings.task != "all":
        if settings.task not in networks:
            raise ExecuteError(f"This file has no network for {settings.task}, only for {', '.join(networks)}.")
        networks = {settings.task: networks[settings.task]}
    return _evaluating(networks, settings)


def _evaluating(networks: dict[str, Trained], settings: EvaluateExecuteSettings) -> Generator[Step, None, Report]:
    tables: dict[str, Table] = {}
    calibrations: dict[str, Calibration] = {}
    for task, trained in networks.items():
        levels = levels_of(trained, length=settings.length, nesting=settings.nesting)
        tables[task] = yield from measure_levels(trained, levels, settings.programs)
        calibrations[task] = yield from measure_calibration(trained, levels, settings.programs)
    operations = measure_operations(networks["programs"], settings.programs) if "programs" in networks else {}
    (trained, *_) = networks.values()
    made = describe_run("evaluate execute", settings, weights={"execute": trained.sha256}, device=trained.device)
    metrics = {
        f"{task}_{level.length}_{level.nesting}_{name}": value
        for task, table in tables.items()
        for level, found in table.items()
        for name, value in (("characters", found.per_character), ("whole", found.whole))
    }
    metrics |= {f"{task}_calibration_error": found.error for task, found in calibrations.items()}
    yield Step(1, 1, metrics)
    return Report(tables, operations, calibrations, made)
