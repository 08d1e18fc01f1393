"""The training loop: it learns, repeats, goes on as if never stopped, and says what is wrong."""

from __future__ import annotations

import csv
import errno
import itertools
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from apart import by_two, until_done
from PIL import Image
from torch import Tensor, nn
from toy_training import SETTINGS, Fit, Points, Rivals, job

from creative.checkpoint import CheckpointError, load_checkpoint, read_metadata, save_checkpoint
from creative.data.draws import Draw, Shuffled, Weighted, batches, share
from creative.engines.training import (
    TrainingError,
    TrainingSettings,
    Update,
    learning_rate_factor,
    mixed_seed,
    train,
)
from creative.engines.training.state import Average, flatten, restore
from creative.progress import Step, run


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(folder: Path, task: Any = None, **settings: Any) -> bytes:
    return run(train(task or Fit(), SETTINGS.changed(**settings), folder, device="cpu")).read_bytes()


def stopped(folder: Path, at: int, task: Any = None, **settings: Any) -> None:
    engine = train(task or Fit(), SETTINGS.changed(**settings), folder, device="cpu")
    assert next(step.done for step in engine if step.done == at) == at
    engine.close()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


# It learns


def test_overfits_and_says_how_it_went(tmp_path: Path) -> None:
    steps: list[Step] = []
    settings = SETTINGS.changed(steps=500, learning_rate=0.03, evaluate_every=100)
    path = run(train(Fit(), settings, tmp_path, device="cpu"), steps.append)
    assert [step.done for step in steps] == list(range(501))
    assert steps[-1].metrics["loss"] < 2e-3 < 0.1 < steps[7].metrics["loss"]
    metadata = read_metadata(path)
    assert metadata["config"] == {"width": 16}
    assert metadata["settings"]["learning_rate"] == 0.03
    assert metadata["training"]["metrics"]["distance"] == pytest.approx(float(rows(tmp_path)[-1]["distance"]), rel=1e-6)
    assert [row["step"] for row in rows(tmp_path)][:3] == ["7", "14", "21"]


def test_is_the_loop_that_anybody_would_write(tmp_path: Path) -> None:
    trained(tmp_path, schedule="linear", clip_norm=0.1)
    torch.manual_seed(mixed_seed(SETTINGS.seed, "networks"))
    network = Fit().networks()["network"]
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.0, betas=(0.9, 0.99))
    points, draws = Points(), Shuffled(30, 8, SETTINGS.seed)
    for step in range(40):
        optimizer.param_groups[0]["lr"] = 0.01 * min(1, (step + 1) / 6) * (1 - step / 40)
        batch = torch.utils.data.default_collate([points[draw] for draw in draws(step)])
        optimizer.zero_grad()
        nn.functional.mse_loss(network(batch["place"]), batch["height"]).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.1)
        optimizer.step()
    ours = load_checkpoint(tmp_path / "last.safetensors").tensors
    for name, value in network.state_dict().items():
        assert torch.allclose(ours[f"network.network.{name}"], value, atol=1e-6), name


def test_final_file_holds_the_average_of_the_best_step(tmp_path: Path) -> None:
    class Worse(Fit):
        calls = 0

        def evaluate(self, networks: Any) -> dict[str, float]:
            self.calls += 1
            return {"distance": float(abs(self.calls - 2))}  # best at the second evaluation

        def sample(self, networks: Any) -> Any:
            return {name: value.clone() for name, value in networks["network"].state_dict().items()}

    kept = None
    engine = train(Worse(), SETTINGS, tmp_path, device="cpu")
    for step in engine:
        if step.done == 18 and step.preview is not None:
            kept = step.preview()
            assert step.message is not None
            assert "best so far" in step.message
    best = load_checkpoint(tmp_path / "best.safetensors")
    assert best.metadata["training"]["steps"] == 18
    assert kept is not None
    assert all(torch.equal(best.tensors[f"network.{name}"], value) for name, value in kept.items())


def test_average_is_the_running_average() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average({"n": network}, decay=0.5)
    expected = {name: value.clone().double() for name, value in network.state_dict().items()}
    for step in range(1, 30):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn(parameter.shape))
        network(torch.randn(4, 2))
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value if value.is_floating_point() else value
    for name, value in average.networks["n"].state_dict().items():
        assert torch.allclose(value.double(), expected[name].double(), atol=1e-6), name
    assert not any(p.requires_grad for p in average.networks["n"].parameters())


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_learning_rate(schedule: Any) -> None:
    settings = TrainingSettings(schedule=schedule, warmup=9, decay_from=0.5)
    assert learning_rate_factor(settings, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate_factor(settings, 100, 0.5) == 1
    middle, end = (learning_rate_factor(settings, 100, progress) for progress in (0.75, 1.0))
    assert (middle, end) == pytest.approx((1, 1) if schedule == "constant" else (0.5, 0), abs=1e-12)


def test_optimisers_get_the_schedule(tmp_path: Path) -> None:
    rates = []

    class Watched(Rivals):
        def optimizers(self, networks: Any, settings: Any) -> Any:
            self.both = super().optimizers(networks, settings)
            return self.both

        def step(self, batch: Any, update: Update) -> dict[str, Tensor]:
            rates.append((update.progress, *(o.param_groups[0]["lr"] for o in self.both.values())))
            return super().step(batch, update)

    trained(tmp_path, Watched(), learning_rate=0.02, schedule="linear", warmup=0)
    assert rates[0] == (0, 0.02, 0.01)
    assert rates[20] == pytest.approx((0.5, 0.01, 0.005))


# It repeats


def test_same_seed_same_bytes_whatever_loads_the_data(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = trained(tmp_path / "a", Fit(dropout=0.3))
    torch.manual_seed(2)
    network = load_checkpoint(tmp_path / "a" / "best.safetensors").tensors
    trained(tmp_path / "b", Fit(dropout=0.3), workers=2)
    other = load_checkpoint(tmp_path / "b" / "best.safetensors").tensors
    assert all(torch.equal(network[name], other[name]) for name in network)
    assert not multiprocessing.active_children()
    assert trained(tmp_path / "c", Fit(dropout=0.3)) == first
    assert trained(tmp_path / "d", Fit(dropout=0.3), seed=1) != first


def test_accumulation_changes_nothing_but_memory(tmp_path: Path) -> None:
    trained(tmp_path / "a")
    trained(tmp_path / "b", accumulate=4)
    a, b = (load_checkpoint(tmp_path / name / "best.safetensors").tensors for name in "ab")
    assert max(float((a[name] - b[name]).abs().max()) for name in a) < 1e-5


def test_a_loss_reaches_its_own_optimiser_only(tmp_path: Path) -> None:
    class Watched(Rivals):
        before: list[Tensor]

        def step(self, batch: Any, update: Update) -> dict[str, Tensor]:
            class Watching:
                seed, generator = update.seed, update.generator

                def __call__(_, loss: Tensor, name: str) -> None:  # noqa: N805
                    update(loss, name)
                    gradients = [p.grad.clone() for p in self.discriminator.parameters() if p.grad is not None]
                    assert name == "discriminator" or all(map(torch.equal, gradients, self.before))
                    self.before = gradients

            return super().step(batch, Watching())  # type: ignore[arg-type]

    trained(tmp_path, Watched(), steps=3)


def test_draws_are_epochs_and_start_anywhere() -> None:
    draws = Shuffled(size=10, batch_size=4, seed=3)
    whole = [draw for step in range(10) for draw in draws(step)]
    for epoch in range(4):
        assert sorted(draw.index for draw in whole[epoch * 10 : epoch * 10 + 10]) == list(range(10))
    assert [draw.index for draw in whole[:10]] != [draw.index for draw in whole[10:20]]
    assert len({draw.seed for draw in whole}) == 40
    assert Shuffled(10, 4, 3)(7) == draws(7) == whole[28:32]
    shares = [part for rank in range(2) for part in share(draws(7), rank, 2, 2)]
    assert [draw for part in shares for draw in part] == draws(7)


def test_weighted_draws_keep_to_the_shares_and_are_a_function_of_the_step() -> None:
    draws = Weighted([range(10), [10], range(11, 100)], [1, 3, 0], batch_size=8, seed=3)
    whole = [draw for step in range(100) for draw in draws(step)]
    assert sum(draw.index == 10 for draw in whole) / len(whole) == pytest.approx(0.75, abs=0.05)
    assert {draw.index for draw in whole} == set(range(11))
    assert len({draw.seed for draw in whole}) == len(whole)
    assert Weighted([range(10), [10], range(11, 100)], [1, 3, 0], 8, 3)(7) == draws(7) == whole[56:64]


def test_going_on_does_not_load_what_was_seen() -> None:
    asked = []

    class Watched(Points):
        def __getitem__(self, draw: Draw) -> dict[str, Tensor]:
            asked.append(draw)
            return super().__getitem__(draw)

    draws = Shuffled(30, 8, 0)
    next(batches(Watched(), draws, start=1_000_000))
    assert asked == draws(1_000_000)


# It goes on


KILLED = {
    "never": [],
    "before the first save": ["step:3"],
    "within a step": ["inside:12"],
    "again and again": ["step:5", "step:21", "inside:38"],
    "in the first save": ["half:1"],
    "in later saves": ["half:4", "flush:5"],
    "around the renaming": ["rename:3", "renamed:5", "rename:6"],
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of runs that were killed and started again until they came to their end."""
    folder = tmp_path_factory.mktemp("killed")
    for name, moments in KILLED.items():
        until_done(job, "rivals", str(folder / name), {}, moments=moments)
    return folder


@pytest.mark.parametrize("name", list(KILLED)[1:])
def test_killed_and_started_again_ends_in_the_same_bytes(killed: Path, name: str) -> None:
    broken, whole = killed / name, killed / "never"
    assert (broken / "best.safetensors").read_bytes() == (whole / "best.safetensors").read_bytes()
    assert rows(broken) == rows(whole)
    assert sorted(path.name for path in broken.iterdir()) == ["best.safetensors", "last.safetensors", "metrics.csv"]
    ours, theirs = (load_checkpoint(folder / "last.safetensors").tensors for folder in (broken, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_stopped_at_any_step_goes_on_the_same(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", Rivals())
    for at in (1, 13, 39):
        folder = tmp_path / str(at)
        stopped(folder, at, Rivals())
        assert read_metadata(folder / "last.safetensors")["step"] == at
        assert read_metadata(folder / "best.safetensors")["training"]["steps"] == at
        assert trained(folder, Rivals()) == whole
        assert rows(folder) == rows(tmp_path / "whole")


def test_a_finished_run_is_not_made_again(tmp_path: Path) -> None:
    first = trained(tmp_path)
    written = (tmp_path / "best.safetensors").stat().st_mtime_ns
    steps: list[Step] = []
    run(train(Fit(), SETTINGS, tmp_path, device="cpu"), steps.append)
    assert [step.done for step in steps] == [0, 40]
    assert (tmp_path / "best.safetensors").stat().st_mtime_ns == written
    assert trained(tmp_path, steps=50) != first  # made longer


def test_starting_again_forgets_the_old_run(tmp_path: Path) -> None:
    first = trained(tmp_path)
    engine = train(Fit(), SETTINGS.changed(learning_rate=0.5), tmp_path, device="cpu", resume=False)
    for step in engine:
        if step.done == 6:
            break
    engine.close()
    assert not (tmp_path / "best.safetensors").exists()
    assert len(rows(tmp_path)) == 0
    assert run(train(Fit(), SETTINGS, tmp_path, device="cpu", resume=False)).read_bytes() == first


@pytest.mark.parametrize(
    ("task", "settings", "words"),
    [
        (Fit(), {"learning_rate": 0.02}, "learning_rate = 0.01, but now there is learning_rate = 0.02"),
        (Fit(), {"batch_size": 4, "seed": 3}, "batch_size = 4"),
        (Fit(width=8), {}, "'width': 16"),
        (Fit(size=31), {}, "items = 30, but now there is items = 31"),
    ],
)
def test_refuses_to_go_on_with_something_else(tmp_path: Path, task: Any, settings: Any, words: str) -> None:
    stopped(tmp_path, 6)
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(ValueError, match=words):
        trained(tmp_path, task, **settings)
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_some_settings_may_change(tmp_path: Path) -> None:
    stopped(tmp_path, 6)
    trained(tmp_path, steps=12, log_every=1, save_every=2, workers=1, patience=5)
    assert read_metadata(tmp_path / "last.safetensors")["step"] == 12


def test_nested_state_survives() -> None:
    tree = {"a": [torch.arange(3), (1, 2.5, None)], 7: {"b": (torch.ones(2), True)}, "empty": []}
    tensors: dict[str, Tensor] = {}
    again = restore(flatten(tree, "state", tensors), tensors)
    assert again["a"][1] == (1, 2.5, None)
    assert torch.equal(again["a"][0], tree["a"][0])  # type: ignore[index]
    assert again[7]["b"][1] is True
    with pytest.raises(TypeError, match=r"state\.x is a set"):
        flatten({"x": {1}}, "state", tensors)


# Several processes


def test_two_processes_are_as_one(tmp_path: Path) -> None:
    by_two(job, "fit", str(tmp_path / "two"), {})
    by_two(job, "fit", str(tmp_path / "parts"), {"accumulate": 2})
    pooled, whole = str(tmp_path / "pooled"), str(tmp_path / "whole")
    constant = {"schedule": "constant"}
    by_two(job, "rivals", pooled, constant | {"steps": 22})
    by_two(job, "rivals", pooled, constant)
    by_two(job, "rivals", whole, constant)
    trained(tmp_path / "one")
    for name in ("two", "parts"):
        for file in ("best.safetensors", "last.safetensors"):
            one, other = (load_checkpoint(tmp_path / which / file).tensors for which in ("one", name))
            worst = max(float((one[key] - other[key]).abs().max()) for key in one)
            assert worst < 1e-5, f"{name}/{file} differs by {worst}"
        assert [row["step"] for row in rows(tmp_path / "one")] == [row["step"] for row in rows(tmp_path / name)]

    broken, unbroken = (load_checkpoint(tmp_path / name / "best.safetensors").tensors for name in ("pooled", "whole"))
    assert all(torch.equal(broken[key], unbroken[key]) for key in unbroken)  # each with its own pool and noise
    with pytest.raises(TrainingError, match="processes = 2, but now there is processes = 1"):
        trained(tmp_path / "pooled", Rivals(), schedule="constant")


# It stops


def test_first_step_comes_at_once(tmp_path: Path) -> None:
    class Slow(Fit):
        def networks(self) -> Any:
            raise AssertionError("not before the first Step")

    engine = train(Slow(), SETTINGS, tmp_path, device="cpu")
    assert next(engine).done == 0
    engine.close()


def test_cancel_ends_the_workers(tmp_path: Path) -> None:
    stopped(tmp_path, 4, workers=2)
    deadline = time.monotonic() + 60
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()
    assert read_metadata(tmp_path / "last.safetensors")["step"] == 4


def test_ctrl_c_in_a_step_finishes_and_saves_it(tmp_path: Path) -> None:
    class Interrupted(Fit):
        def step(self, batch: Any, update: Update) -> dict[str, Tensor]:
            if update.step == 16:
                os.kill(os.getpid(), signal.SIGINT)
            return super().step(batch, update)

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", Interrupted())
    assert read_metadata(tmp_path / "stopped" / "last.safetensors")["step"] == 17
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert trained(tmp_path / "stopped") == trained(tmp_path / "whole")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_mode_leaks_and_any_thread_may_go_on(tmp_path: Path, precision: Any) -> None:
    engine = train(Fit(dropout=0.1), SETTINGS.changed(precision=precision), tmp_path / "threads", device="cpu")
    torch.manual_seed(5)
    state, problems, ended = torch.get_rng_state(), [], []

    def advance() -> None:
        try:
            with torch.inference_mode():
                step = next(engine)
                if torch.is_grad_enabled() or not torch.is_inference_mode_enabled():
                    problems.append("grad mode")
                if step.preview is not None:
                    step.preview()
            if torch.is_autocast_enabled("cpu") or not torch.is_grad_enabled():
                problems.append("autocast")
        except StopIteration:
            ended.append(True)

    while not ended:
        thread = threading.Thread(target=advance)
        thread.start()
        thread.join()
    assert not problems
    assert torch.equal(torch.get_rng_state(), state)
    plain = trained(tmp_path / "plain", Fit(dropout=0.1), precision=precision)
    assert (tmp_path / "threads" / "best.safetensors").read_bytes() == plain


def test_time_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(0, 0.02)  # a step of the clock for each of the training
    monkeypatch.setattr("creative.engines.training.run.time", types.SimpleNamespace(monotonic=lambda: next(seconds)))
    budget = SETTINGS.changed(steps=10**6, seconds=1.0)
    steps: list[Step] = []
    run(train(Fit(), budget, tmp_path, device="cpu"), steps.append)
    assert 48 <= steps[-1].done <= 52
    assert steps[-1].total == steps[-1].done
    assert steps[-1].metrics["learning_rate"] < 1e-3  # the schedule came to its end with the time
    again: list[Step] = []
    run(train(Fit(), budget, tmp_path, device="cpu"), again.append)
    assert again[-1].done == steps[-1].done  # the seconds were counted


def test_slow_steps_are_saved_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creative.engines.training.run.SAVE_SECONDS", 0.0)
    engine = train(Fit(), SETTINGS.changed(save_every=1000), tmp_path, device="cpu")
    for step in engine:
        if step.done == 3:
            break
    assert read_metadata(tmp_path / "last.safetensors")["step"] == 3
    engine.close()


def test_patience(tmp_path: Path) -> None:
    class Flat(Fit):
        def evaluate(self, networks: Any) -> dict[str, float]:
            return {"distance": 1.0}

    steps: list[Step] = []
    run(train(Flat(), SETTINGS.changed(steps=1000, patience=2), tmp_path, device="cpu"), steps.append)
    assert steps[-1].done == 27  # the first evaluation is the best, two more are not better
    assert "which is the end" in (steps[-1].message or "")


def test_an_evaluation_that_never_works_still_leaves_a_network(tmp_path: Path) -> None:
    class Lost(Fit):
        def evaluate(self, networks: Any) -> dict[str, float]:
            return {"distance": math.nan}

        def config(self) -> dict[str, Any]:
            return {"sizes": (1, 2)}

    stopped(tmp_path, 20, Lost())
    trained(tmp_path, Lost())
    assert read_metadata(tmp_path / "best.safetensors")["training"]["steps"] == 40


def test_tensorboard_gets_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            seen.append((folder, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            seen.append((name, step))

        def close(self) -> None:
            seen.append("closed")

    monkeypatch.setattr("creative.engines.training.loop.has_tensorboard", lambda: True)
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    trained(tmp_path, tensorboard=True)
    assert seen[0] == (str(tmp_path / "tensorboard"), 1)
    assert {("loss", 7), ("distance", 9), ("learning_rate", 40)} <= set(seen[1:-1])
    assert seen[-1] == "closed"


def test_higher_may_be_better(tmp_path: Path) -> None:
    class Score(Fit):
        lower_is_better = False

        def evaluate(self, networks: Any) -> dict[str, float]:
            self.score = getattr(self, "score", 0) + 1
            return {"distance": self.score}

    trained(tmp_path, Score())
    assert read_metadata(tmp_path / "best.safetensors")["training"]["steps"] == 40


# It says what is wrong


def test_loss_that_is_no_number(tmp_path: Path) -> None:
    class Explodes(Fit):
        def step(self, batch: Any, update: Update) -> dict[str, Tensor]:
            if update.step == 12:
                batch["height"] = batch["height"] * math.nan
            return super().step(batch, update)

    with pytest.raises(TrainingError, match=r"at step 13\. The checkpoint of step 10 is kept.*lower learning rate"):
        trained(tmp_path, Explodes())
    last = load_checkpoint(tmp_path / "last.safetensors")
    assert last.metadata["step"] == 10
    assert all(bool(tensor.isfinite().all()) for tensor in last.tensors.values())
    with pytest.raises(TrainingError, match="Nothing was saved before"):
        trained(tmp_path / "early", Explodes(), save_every=1000)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    engine = train(Fit(), SETTINGS, tmp_path, device="cpu")
    for step in engine:
        if step.done == 5:
            break
    before = (tmp_path / "last.safetensors").read_bytes()

    def full(file: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(TrainingError, match=r"disk .*The checkpoint of step 5 is intact: make room"):
            run(engine)
    assert (tmp_path / "last.safetensors").read_bytes() == before
    assert trained(tmp_path) == trained(tmp_path / "whole")  # and it goes on when there is room


def test_a_write_that_fails_half_way_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits on files are Unix's")
    engine = train(Fit(width=2000), SETTINGS, tmp_path, device="cpu")
    for step in engine:
        if step.done == 5:
            break
    before = (tmp_path / "last.safetensors").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(TrainingError, match=r"The checkpoint of step 5 is intact: make room"):
            run(engine)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "last.safetensors").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_bad_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match="divisible by 3"):
        train(Fit(), SETTINGS.changed(accumulate=3), tmp_path, device="cpu")
    with monkeypatch.context() as patched:
        patched.setenv("WORLD_SIZE", "16")
        with pytest.raises(TrainingError, match="divisible by 16"):
            train(Fit(), SETTINGS, tmp_path, device="cpu")
    monkeypatch.setattr("creative.engines.training.loop.has_tensorboard", lambda: False)
    with pytest.raises(TrainingError, match="pip install"):
        train(Fit(), SETTINGS.changed(tensorboard=True), tmp_path, device="cpu")
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="file"):
        train(Fit(), SETTINGS, tmp_path / "file", device="cpu")
    with pytest.raises(TrainingError, match="nothing to train on"):
        trained(tmp_path / "empty", Fit(size=0))
    (tmp_path / "last.safetensors").write_bytes(b"no tensors here")
    with pytest.raises(CheckpointError):
        train(Fit(), SETTINGS, tmp_path, device="cpu")


def test_bad_tasks(tmp_path: Path) -> None:
    class Unnamed(Rivals):
        def step(self, batch: Any, update: Update) -> dict[str, Tensor]:
            update(self.discriminator(torch.ones(1, 1, 8, 8)).mean())
            return {}

    with pytest.raises(TrainingError, match="generator, discriminator"):
        trained(tmp_path / "unnamed", Unnamed())

    class Mistaken(Fit):
        best_metric = "accuracy"

    with pytest.raises(TrainingError, match="gives distance, but the best is chosen by accuracy"):
        trained(tmp_path / "mistaken", Mistaken())


@pytest.mark.parametrize("workers", [0, 1])
def test_wrong_data_is_told_in_a_sentence(tmp_path: Path, workers: int) -> None:
    class Wrong(Points):
        def __getitem__(self, draw: Draw) -> dict[str, Tensor]:
            raise ValueError("sky.jpg is cut short.")

    class Task(Fit):
        def dataset(self) -> Points:
            return Wrong()

    with pytest.raises(TrainingError, match=r"^sky\.jpg is cut short\.$"):
        trained(tmp_path, Task(), workers=workers)


def test_a_dead_worker_is_told_in_a_sentence(tmp_path: Path) -> None:
    class Dies(Points):
        def __getitem__(self, draw: Draw) -> dict[str, Tensor]:
            os.kill(os.getpid(), signal.SIGKILL)
            return {}

    class Task(Fit):
        def dataset(self) -> Points:
            return Dies()

    with pytest.raises(TrainingError, match="fewer workers"):
        trained(tmp_path, Task(), workers=1)


# Precision


def test_bfloat16_learns_and_sees_its_own_updates(tmp_path: Path) -> None:
    seen = []

    class Twice(Fit):
        def step(self, batch: Any, update: Update) -> dict[str, Tensor]:
            before = self.network(batch["place"])
            found = super().step(batch, update)
            seen.append((before.dtype, not torch.equal(self.network(batch["place"]), before)))
            return found

    trained(tmp_path, Twice(), precision="bfloat16", steps=300, learning_rate=0.03, evaluate_every=300)
    assert {dtype for dtype, _ in seen} == {torch.bfloat16}
    assert sum(changed for _, changed in seen[:100]) > 90  # autocast did not go on with old casts
    assert read_metadata(tmp_path / "best.safetensors")["training"]["metrics"]["distance"] < 0.05


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_trains_on_a_gpu(tmp_path: Path) -> None:
    whole = run(train(Fit(), SETTINGS.changed(steps=300, precision="auto"), tmp_path, device="cuda"))
    assert read_metadata(whole)["training"]["metrics"]["distance"] < 0.02
    stopped(tmp_path / "stopped", 6, Rivals())
    run(train(Rivals(), SETTINGS, tmp_path / "stopped", device="cuda"))


# Engines that prepare before they train


def _beginnings(tmp_path: Path) -> dict[str, tuple[Any, TrainingSettings]]:
    """How the trainings begin that decode pictures or read texts first, and the settings of an earlier run."""
    from creative.engines.captioning.training import train_caption
    from creative.engines.char_rnn import train_char_rnn
    from creative.engines.cyclegan import train_cyclegan
    from creative.engines.features import train_features
    from creative.options.caption import TrainCaptionSettings
    from creative.options.char_rnn import CharRNNSettings
    from creative.options.cyclegan import TrainCycleGANSettings
    from creative.options.features import FeaturesSettings

    one, other, text = tmp_path / "one", tmp_path / "other", tmp_path / "text.txt"
    for folder, colour in ((one, "olive"), (other, "tan")):
        folder.mkdir()
        for number in range(4):
            Image.new("RGB", (64 + number, 64), colour).save(folder / f"{colour}{number}.png")
    text.write_text("To be, or not to be. " * 99)
    of: Any = {"learning_rate": 0.01}
    gan, features, voice = TrainCycleGANSettings(**of), FeaturesSettings(**of), CharRNNSettings(**of)
    captions = TrainCaptionSettings(encoder="own", **of)
    return {
        "cyclegan": (lambda run: train_cyclegan(one, other, gan, run), gan),
        "features": (lambda run: train_features([one], features, run), features),
        "char-rnn": (lambda run: train_char_rnn([text], voice, run), voice),
        "caption": (lambda run: train_caption("scenes", captions, run), captions),
    }


@pytest.mark.parametrize("engine", ["cyclegan", "features", "char-rnn", "caption"])
def test_another_runs_settings_are_refused_before_anything_is_prepared(tmp_path: Path, engine: str) -> None:
    begin, settings = _beginnings(tmp_path)[engine]
    earlier = settings.changed(learning_rate=0.02).model_dump(mode="json")
    save_checkpoint(tmp_path / "run" / "last.safetensors", {"x": torch.zeros(1)}, {"settings": earlier})
    with pytest.raises(TrainingError, match=r"learning_rate = 0\.02, but now there is learning_rate = 0\.01"):
        begin(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["last.safetensors"]
