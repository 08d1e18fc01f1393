"""What helps a network to learn to execute: equal CPU seconds for one change at a time, and for every curriculum.

    python benchmarks/execute_levers.py [--seconds 40] [--seeds 2] [--folder out/levers] [--only PART] [--table]

Each row is trained from nothing on one thread for as many CPU seconds as the others and then measured on 1,000 held-out
programs of each length and nesting. A row's first stretch, at the constant learning rate that every run begins with,
tells how many more steps the budget holds, so that rate and averaging end with the run as they do in a longer one. Rows
go into FOLDER/results.json one by one: started again, it goes on after the last of them; odd seeds take the rows the
other way round, lest a busy hour falls upon the same ones. ``--table`` prints what is there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from creative.data.programs import Level
from creative.engines.learning_to_execute import Accuracy, load_trained, train_execute
from creative.options.execute import TrainExecuteSettings

SMALL: dict[str, Any] = {"hidden_size": 128, "writer_size": 96, "thinking": 2, "batch_size": 64}
"""Half the recipe's width, for budgets this small."""
PLAIN: dict[str, Any] = {"num_heads": 0, "both_ways": False, "thinking": 0}
LEVERS: dict[str, dict[str, Any]] = {
    "attention": {},
    "plain": PLAIN,
    "plain, first digit first": {**PLAIN, "least_digit_first": False},
    "attention, first digit first": {"least_digit_first": False},
    "plain, twice as wide": {**PLAIN, "hidden_size": 256},
    "attention, twice as wide": {"hidden_size": 256, "writer_size": 192},
    "plain, read twice": {**PLAIN, "doubled_input": True},
    "plain, read backwards": {**PLAIN, "reversed_input": True},
    "attention, one way": {"both_ways": False},
    "attention, no thinking": {"thinking": 0},
    "attention, thinking 4": {"thinking": 4},
}
"""Rows of the first table: length up to 2, one operation."""
CURRICULA: dict[str, dict[str, Any]] = {
    **{name: {"curriculum": name, "review": False} for name in ("baseline", "naive", "mix", "combined")},
    "combined, review": {"curriculum": "combined", "review": True},
}
"""Rows of the second: length up to 2, up to two operations, with attention."""
PARTS: dict[str, tuple[dict[str, dict[str, Any]], dict[str, Any], float]] = {
    "levers": (LEVERS, {**SMALL, "length": 2, "nesting": 1}, 1),
    "curricula": (CURRICULA, {**SMALL, "length": 2, "nesting": 2}, 1.5),
}
"""The rows of each table, what they have in common, and how many times the budget each gets."""
BOUNDLESS = 10**9
FIRST = 0.45
"""Of the budget, the stretch after which the steps are counted; the rate falls from the middle of a run on."""


def train_for(seconds: float, settings: TrainExecuteSettings, folder: Path) -> dict[str, Any]:
    """Train for about so many CPU seconds; measure."""
    shutil.rmtree(folder, ignore_errors=True)
    engine = train_execute(settings.changed(steps=BOUNDLESS), folder, device="cpu")
    began, spent, done, late = 0.0, 0.0, 0, (0, 0.0)
    for step in engine:
        if step.done <= 1:  # before, the networks are made and much is imported
            began = time.process_time()
        done, spent = step.done, time.process_time() - began
        if spent < FIRST * seconds / 2:
            late = (done, spent)
        elif spent >= FIRST * seconds:
            break
    engine.close()
    rate = (done - late[0]) / (spent - late[1])
    steps = done + max(1, round(rate * (seconds - spent)))
    engine = train_execute(settings.changed(steps=steps), folder, device="cpu")
    before = spent
    try:
        while True:
            step = next(engine)
            if step.done <= done:  # the stretch before is being read
                began = time.process_time()
            elif step.done < steps:  # after the last one it is measured
                spent = before + time.process_time() - began
    except StopIteration as end:
        path = end.value
    (trained,) = load_trained(path, device="cpu").values()
    return {
        "steps": steps,
        "cpu_seconds": round(spent, 1),
        "levels": [[*level, *found.counts()] for level, found in trained.accuracy.items()],
    }


def tables(results: Sequence[Mapping[str, Any]]) -> str:
    """What was measured, as Markdown; the seeds' programs together, and each seed's mean."""
    parts = []
    for part, (rows, *_) in PARTS.items():
        mine = [found for found in results if found["part"] == part]
        if not mine:
            continue
        levels = sorted({(nesting, length) for found in mine for length, nesting, *_ in found["levels"]})
        head = ["", "CPU s", "steps", *(f"({length},{nesting})" for nesting, length in levels), "mean, each seed"]
        lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        for name in rows:
            same = [found for found in mine if found["row"] == name]
            if same:
                lines.append("| " + " | ".join(_row(name, same)) + " |")
        parts.append(f"{part}\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _row(name: str, same: Sequence[Mapping[str, Any]]) -> list[str]:
    pooled: dict[Level, Accuracy] = {}
    for found in same:
        for length, nesting, *counts in found["levels"]:
            level = Level(length, nesting)
            pooled[level] = pooled.get(level, Accuracy(0, 0, 0, 0)) + Accuracy(*counts)
    ordered = sorted(pooled, key=lambda level: (level.nesting, level.length))
    cells = [pooled[level].text for level in ordered]
    means = [100 * statistics.mean(row[4] / row[5] for row in found["levels"]) for found in same]
    seconds = statistics.mean(found["cpu_seconds"] for found in same)
    steps = statistics.mean(found["steps"] for found in same)
    return [name, f"{seconds:.0f}", f"{steps:.0f}", *cells, ", ".join(f"{mean:.1f}" for mean in means)]


def main() -> None:
    """Train what has not been, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40, help="CPU seconds of a row of the first table")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("out/levers"))
    parser.add_argument("--only", choices=list(PARTS))
    parser.add_argument("--table", action="store_true", help="print what is there")
    given = parser.parse_args()
    torch.set_num_threads(1)
    file = given.folder / "results.json"
    results: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    there = {(found["part"], found["row"], found["seed"]) for found in results}
    given.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(0 if given.table else given.seeds):
        jobs = [(part, row) for part, (rows, *_) in PARTS.items() if given.only in {None, part} for row in rows]
        for part, row in jobs[:: -1 if seed % 2 else 1]:
            if (part, row, seed) in there:
                continue
            rows, task, times = PARTS[part]
            every = {"evaluate_every": BOUNDLESS, "save_every": BOUNDLESS, "log_every": BOUNDLESS}
            settings = TrainExecuteSettings(**{"seed": seed, **task, **every, **rows[row]})
            found = train_for(times * given.seconds, settings, given.folder / "run")
            results.append({"part": part, "row": row, "seed": seed, **found})
            beside = file.with_suffix(".part")
            beside.write_text(json.dumps(results, indent=1))
            beside.rename(file)
            print(part, row, seed, found, flush=True)
    shutil.rmtree(given.folder / "run", ignore_errors=True)
    print(tables(results))


if __name__ == "__main__":
    main()
