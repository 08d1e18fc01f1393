"""Settings of learning to execute: training, measuring, and having a program read."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pydantic

from creative.options.training import RecipeSettings, Schedule
from creative.settings import Field, Inputs, Settings, TextFile, WeightsFile

TaskName = Literal["programs", "addition", "memorisation"]
Strategy = Literal["baseline", "naive", "mix", "combined"]

EXECUTE = "execute"
"""The bundled weights' name."""


class ExecuteInputs(Inputs):
    """A program, typed or in a file; none: one is made up."""

    text: str | None = Field(
        None,
        title="Program",
        description="What the network is to run in its head; nothing: one is made up, of the length and nesting below",
        widget="code",
    )
    program: TextFile | None = Field(
        None, title="Program file", description="A file with the program, or - for the standard input", positional=True
    )
    network_weights: WeightsFile | None = Field(
        None, title="Network file", description="A network of yours; the bundled one if not given", advanced=True
    )


class ExecuteSettings(Settings):
    """What kind of program is made up, and what is shown."""

    task: Literal["auto", "programs", "addition"] = Field(
        "auto",
        title="Network",
        description="Which network reads: auto takes the one for long sums where the program is nothing but one",
    )
    length: int = Field(2, ge=1, le=10, title="Length", description="Digits of a made-up program's numbers")
    nesting: int = Field(1, ge=1, le=8, title="Nesting", description="Operations of a made-up program")
    count: int = Field(
        1, ge=1, le=200, title="Programs", description="How many programs are made up and read, for a running score"
    )
    guesses: int = Field(3, ge=1, le=10, title="Guesses", description="Guesses shown for each digit", advanced=True)
    neuron: int | None = Field(
        None,
        ge=0,
        le=4095,
        title="Neuron",
        description="Whose value is shown while the program is read; none: the one that changes most",
        advanced=True,
    )


class EvaluateExecuteInputs(Inputs):
    """The network to be measured."""

    network_weights: WeightsFile | None = Field(
        None, title="Network", description="The network's file; the bundled one if not given"
    )


class EvaluateExecuteSettings(Settings):
    """On how many programs, up to which length and nesting."""

    task: Literal["all", "programs", "addition", "memorisation"] = Field(
        "all", title="Task", description="Which of the file's networks is measured"
    )
    programs: int = Field(
        1000, ge=10, le=1_000_000, title="Programs", description="Held-out programs per length and nesting"
    )
    length: int | None = Field(
        None, ge=1, le=18, title="Length", description="Largest length; none: what the network has learned"
    )
    nesting: int | None = Field(
        None, ge=1, le=8, title="Nesting", description="Largest nesting; none: what the network has learned"
    )


class TrainExecuteInputs(Inputs):
    """Nothing: the programs are made up while it trains."""


PAPER: dict[str, Any] = {
    "length": 6,
    "nesting": 3,
    "review": False,
    "hidden_size": 400,
    "num_layers": 2,
    "num_heads": 0,
    "both_ways": False,
    "thinking": 0,
    "least_digit_first": False,
    "reading": "stream",
    "batch_size": 100,
    "optimizer": "sgd",
    "learning_rate": 0.5,
    "schedule": "constant",
    "warmup": 0,
    "clip_norm": 5.0,
    "weight_decay": 0.0,
    "ema_decay": 0.0,
    "threshold": 0.95,
    "check_every": 100,
    "rate_decay": 0.8,
    "steps": 2_000_000,
}
"""What ``recipe="paper"`` puts in place of the defaults: as Zaremba and Sutskever's release has it."""


class TrainExecuteSettings(RecipeSettings):
    """How a network learns to execute: the defaults are the recipe of the bundled network for programs."""

    RECIPES: ClassVar = {"paper": PAPER}

    recipe: Literal["small", "paper"] = Field(
        "small", title="Recipe", description="paper: the paper's network and training wherever nothing else is said"
    )
    task: TaskName = Field("programs", title="Task", description="What is read: programs, sums, or a number to repeat")
    length: int = Field(3, ge=1, le=18, title="Length", description="Digits of the longest numbers")
    nesting: int = Field(2, ge=1, le=8, title="Nesting", description="Most operations in a program")
    curriculum: Strategy = Field(
        "combined", title="Curriculum", description="How length and nesting rise while it learns"
    )
    review: bool = Field(
        True,
        title="Review",
        description="Once the hardest programs are reached, programs of all lengths and nestings come in turn",
    )
    steps: int = Field(16_000, ge=1, title="Steps", description="Training steps (updates of the weights) in all")
    batch_size: int = Field(128, ge=1, le=65536, title="Batch size", description="Programs per step")
    learning_rate: float = Field(
        3e-3, gt=0, le=10, title="Learning rate", widget="number", description="Step size of the optimiser at its peak"
    )
    hidden_size: int = Field(
        256, ge=2, le=4096, title="Hidden size", description="Numbers that each layer of the reader remembers"
    )
    num_layers: int = Field(1, ge=1, le=8, title="Layers", description="Of the reader, one upon the other")
    num_heads: int = Field(
        3, ge=0, le=64, title="Attention", description="Places of the program looked at for each digit; 0: no attention"
    )
    least_digit_first: bool = Field(
        True, title="Least digit first", description="The answer is written from its last digit on"
    )
    doubled_input: bool = Field(False, title="Doubling", description="The program is read twice")
    reversed_input: bool = Field(False, title="Reversing", description="The program is read backwards")
    both_ways: bool = Field(
        True,
        title="Both ways",
        description="One half of the reader reads forwards, the other backwards; with attention only",
    )
    writer_size: int = Field(
        160, ge=2, le=4096, title="Writer size", description="Of the layers that write, with attention", advanced=True
    )
    writer_layers: int = Field(
        2, ge=1, le=8, title="Writer layers", description="Layers that write, with attention", advanced=True
    )
    thinking: int = Field(
        4, ge=0, le=64, title="Thinking", description="Steps made before the first digit, with attention", advanced=True
    )
    dropout: float = Field(0.0, ge=0, lt=1, title="Dropout", description="Between layers, in training", advanced=True)
    reading: Literal["programs", "stream"] = Field(
        "programs",
        title="Reading",
        description="One program at a time, or as the paper one stream of programs per row, cut into pieces",
        advanced=True,
    )
    unroll: int = Field(
        50, ge=2, le=10_000, title="Unrolling", description="Characters of a stream in a step", advanced=True
    )
    pool: int = Field(
        8, ge=1, le=256, title="Pool", description="Steps whose programs are sorted by size together", advanced=True
    )
    optimizer: Literal["adamw", "sgd"] = Field("adamw", title="Optimiser", description="How it learns", advanced=True)
    schedule: Schedule = Field(
        "linear", title="Schedule", description="How the learning rate falls to zero", advanced=True
    )
    decay_from: float = Field(
        0.5, ge=0, lt=1, title="Decay from", description="Part of the run before the rate falls", advanced=True
    )
    ema_decay: float = Field(
        0.998,
        ge=0,
        lt=1,
        title="Averaging",
        widget="number",
        description="Decay of the weights' running average, which is what is kept; 0 keeps the last weights",
        advanced=True,
    )
    threshold: float = Field(
        0.85, gt=0, le=1, title="Threshold", description="Accuracy at which it gets harder", advanced=True
    )
    check_every: int = Field(
        64, ge=1, title="Check every", description="Steps between looks at whether it can get harder", advanced=True
    )
    rate_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        title="Rate decay",
        description="What the learning rate is multiplied by when it cannot get harder",
        advanced=True,
    )
    weight_decay: float = Field(
        0.01, ge=0, le=10, title="Weight decay", widget="number", description="AdamW's decoupled decay", advanced=True
    )
    workers: int = Field(
        0, ge=0, le=64, title="Workers", description="Not needed: making programs up takes no time", advanced=True
    )
    evaluate_every: int = Field(
        1000, ge=1, title="Evaluate every", description="Steps between evaluations on held-out data", advanced=True
    )

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> TrainExecuteSettings:
        if self.reading == "stream" and (self.num_heads or self.doubled_input or self.reversed_input):
            raise ValueError(
                "A stream is read without attention, doubling and reversing: set num_heads to 0, or read programs."
            )
        if self.num_heads and self.both_ways and self.hidden_size % 2:
            raise ValueError(f"hidden_size is {self.hidden_size}, but must be even for two directions.")
        if self.task != "programs" and self.nesting != type(self).model_fields["nesting"].default and self.nesting != 1:
            raise ValueError(f"The task {self.task} has no nesting; leave it out.")
        return self
