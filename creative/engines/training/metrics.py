"""Where a run's numbers go: metrics.csv, and TensorBoard for those who have it."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from creative.engines.training.processes import Processes
from creative.files import replacing


@dataclass
class Tally:
    """Metrics of several steps, added up on the device, so that no step waits for it."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    count: int = 0

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Count the scalars of one step, or of one part of it."""
        for name, value in metrics.items():
            value = value.detach().float().reshape(())
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()
        self.count += 1

    def means(self, processes: Processes) -> dict[str, float]:
        """Over the steps and the processes."""
        if not self.sums:
            return {}
        means = torch.stack(list(self.sums.values())) / self.count
        processes.mean_([means])
        return dict(zip(self.sums, means.tolist(), strict=True))


class MetricsFile:
    """A table with a row per logged step; columns appear as numbers do.

    Args:
        path: the CSV file.
        step: rows of later steps, left by a run that was killed, are dropped.
        events: also write TensorBoard's events, into a folder ``tensorboard`` beside.
    """

    def __init__(self, path: Path, step: int, *, events: bool = False) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if step and path.exists():
            with path.open(newline="", encoding="utf-8", errors="replace") as file:
                rows = [{name: value for name, value in row.items() if name and value} for row in csv.DictReader(file)]
            self.rows = [row for row in rows if row.get("step", "").isdigit() and int(row["step"]) <= step]
        self.columns = list(dict.fromkeys(["step", *(name for row in self.rows for name in row)]))
        self._rewrite()
        self._writer: Any = None
        if events:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(path.parent / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a row.

        Raises:
            OSError: it cannot be written.
        """
        row = {"step": str(step)} | {name: f"{value:.8g}" for name, value in numbers.items()}
        self.rows.append(row)
        new = [name for name in row if name not in self.columns]
        if new:
            self.columns += new
            self._rewrite()
        else:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns, lineterminator="\n").writerow(row)
        if self._writer is not None:
            for name, value in numbers.items():
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush what TensorBoard holds back."""
        if self._writer is not None:
            self._writer.close()

    def _rewrite(self) -> None:
        with replacing(self.path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def has_tensorboard() -> bool:
    """Whether the optional package is installed."""
    return importlib.util.find_spec("tensorboard") is not None
