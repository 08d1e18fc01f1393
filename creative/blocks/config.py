"""Shapes of networks as frozen values that go into a checkpoint's JSON and come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self


class GANError(ValueError):
    """A generator or discriminator that cannot be, or an input that does not fit it."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What all shapes have in common: JSON and back, with the network's kind in it."""

    kind: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From plain values.

        Raises:
            GANError: they are of another kind of network, or have names that this one does not know.
        """
        values = dict(values)
        kind = values.pop("kind", cls.kind)
        if kind != cls.kind:
            raise GANError(f"A {cls.kind} network was expected, but this is of kind {kind!r}.")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise GANError(f"A {cls.kind} network has no {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
        return cls(**values)

    def _at_least(self, least: int, *names: str) -> None:
        for name in names:
            if getattr(self, name) < least:
                raise GANError(f"{name} is {getattr(self, name)}, but must be at least {least}.")

    def _one_of(self, name: str, choices: tuple[str, ...]) -> None:
        if getattr(self, name) not in choices:
            raise GANError(f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(choices)}.")
