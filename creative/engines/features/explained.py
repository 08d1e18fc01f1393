"""What a feature network knows of its teachers: how much of their maps a linear regression from its own explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from creative.engines.features.hints import HINTS, Hint, teach
from creative.models.features import Classifier


@torch.no_grad()
def explained_variance(
    student: Classifier,
    teachers: Mapping[str, Classifier],
    fit: Tensor,
    held_out: Tensor,
    hints: Sequence[Hint] = HINTS,
) -> dict[str, float]:
    """The part of the variance of the teachers' standardised maps that regressions explain, by hint: 1 is all of it.

    Args:
        fit: the pictures that the regressions are fitted to, (N, 3, H, W).
        held_out: those that they are judged on.
    """
    regressions = [Regression(hint) for hint in hints]
    for pictures, judged in ((fit, False), (held_out, True)):
        for part in pictures.split(16):
            maps = student.features(part)
            taught: dict[str, Tensor] = {}
            for teacher in teachers.values():
                taught |= teach(teacher.features, hints, part)
            for one in regressions:
                take = one.judge if judged else one.fit
                take(maps[one.hint.student], taught[one.hint.name])
        if not judged:
            for one in regressions:
                one.solve()
    return {one.hint.name: one.explained for one in regressions}


class Regression:
    """A linear regression at each position from the student's map to a teacher's, in closed form."""

    def __init__(self, hint: Hint) -> None:
        self.hint = hint
        self.sums: list[Tensor] = []

    def fit(self, map_: Tensor, target: Tensor) -> None:
        """Take in one batch of both maps."""
        x, y = _rows(self.hint, map_, target)
        new = [part.double() for part in (x.T @ x, x.T @ y, y.square().sum(0))]
        self.sums = [a + b for a, b in zip(self.sums, new, strict=True)] if self.sums else new

    def solve(self) -> None:
        """Fit to what was taken in; targets count standardised, channels that hardly ever fire a little less."""
        covariance, cross, squares = self.sums
        count = covariance[-1, -1]
        self.mean = cross[-1] / count
        deviation = (squares / count - self.mean.square()).clamp_min(0).sqrt()
        self.deviation = deviation.clamp_min(0.05 * float(deviation.mean()) + 1e-6)
        standard = (cross - covariance[:, -1:] * self.mean) / self.deviation
        ridge = 1e-3 * covariance.diagonal().mean() * torch.eye(len(covariance)).to(covariance)
        self.weights = torch.linalg.solve(covariance + ridge, standard)
        self.squared = self.variance = 0.0

    def judge(self, map_: Tensor, target: Tensor) -> None:
        """Compare with one batch that it was not fitted to."""
        x, y = _rows(self.hint, map_, target)
        standard = (y.double() - self.mean) / self.deviation
        self.squared += float((x.double() @ self.weights - standard).square().sum())
        self.variance += float(standard.square().sum())

    @property
    def explained(self) -> float:
        """The part of the variance that was explained in what was judged."""
        return 1 - self.squared / self.variance


def _rows(hint: Hint, map_: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Positions as rows: the student's values with a 1 at the end, and the teacher's."""
    x = hint.over(map_, target).movedim(1, -1).flatten(0, 2)
    return F.pad(x, (0, 1), value=1.0), target.movedim(1, -1).flatten(0, 2)
