"""Settings of the one training loop; an engine that trains subclasses them and adds its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pydantic

from creative.settings import Field, Settings

Schedule = Literal["cosine", "linear", "constant"]
Precision = Literal["auto", "float32", "bfloat16"]


class TrainingSettings(Settings):
    """How long, how fast and how carefully to train."""

    steps: int = Field(10_000, ge=1, title="Steps", description="Training steps (updates of the weights) in all")
    seconds: float | None = Field(
        None, gt=0, title="Time budget", description="Stop after so many seconds if the steps are not done before"
    )
    batch_size: int = Field(
        16, ge=1, le=65536, title="Batch size", description="Samples per step, over all processes together"
    )
    learning_rate: float = Field(
        1e-3, gt=0, le=10, title="Learning rate", widget="number", description="Step size of the optimiser at its peak"
    )
    schedule: Schedule = Field(
        "cosine", title="Schedule", description="How the learning rate falls to zero", advanced=True
    )
    decay_from: float = Field(
        0.0, ge=0, lt=1, title="Decay from", description="Part of the run before the rate falls", advanced=True
    )
    warmup: int = Field(
        100, ge=0, title="Warm-up", description="Steps in which the rate rises to its peak", advanced=True
    )
    weight_decay: float = Field(
        0.0, ge=0, le=10, title="Weight decay", widget="number", description="AdamW's decoupled decay", advanced=True
    )
    ema_decay: float = Field(
        0.999,
        ge=0,
        lt=1,
        title="Averaging",
        widget="number",
        description="Decay of the weights' running average, which is what is kept; 0 keeps the last weights",
        advanced=True,
    )
    clip_norm: float = Field(
        1.0,
        ge=0,
        title="Clipping",
        widget="number",
        description="Largest norm of a gradient; 0 for no limit",
        advanced=True,
    )
    precision: Precision = Field(
        "auto", title="Precision", description="bfloat16 computes faster where the machine has it", advanced=True
    )
    accumulate: int = Field(
        1, ge=1, le=4096, title="Accumulation", description="Parts a batch is cut into to save memory", advanced=True
    )
    workers: int = Field(
        2,
        ge=0,
        le=64,
        title="Workers",
        description="Processes that load data; 0 loads between the steps",
        advanced=True,
    )
    log_every: int = Field(20, ge=1, title="Log every", description="Steps between rows of metrics.csv", advanced=True)
    evaluate_every: int = Field(
        1000, ge=1, title="Evaluate every", description="Steps between evaluations on held-out data", advanced=True
    )
    save_every: int = Field(
        500, ge=1, title="Save every", description="Steps between saves of all that a resumed run needs", advanced=True
    )
    patience: int | None = Field(
        None, ge=1, title="Patience", description="Stop after so many evaluations without a better one", advanced=True
    )
    tensorboard: bool = Field(
        False, title="TensorBoard", description="Also write the metrics for TensorBoard", advanced=True
    )


class RecipeSettings(TrainingSettings):
    """Settings of a training that is known under several recipes: values that belong together.

    A subclass declares a field ``recipe``, whose default stands for the fields' own defaults, and what the others put
    in their place. Whatever is given wins over the recipe, also where it is the default's value; so a record, which
    holds every value, is replayed as it was.

        class TrainThingSettings(RecipeSettings):
            RECIPES: ClassVar = {"paper": {"steps": 200_000, "batch_size": 1}}
            recipe: Literal["cpu", "paper"] = Field("cpu", title="Recipe", description="...")

        TrainThingSettings(recipe="paper", batch_size=16).steps   # 200000
    """

    RECIPES: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """What each recipe but the default one puts in place of the defaults, by its name."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _with_recipe(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("recipe"), str):
            return {**cls.RECIPES.get(values["recipe"], {}), **values}
        return values
