"""What is usual of a quantity that is seen now and then, as TCP reckons with round trips (RFC 6298, 2.3)."""

from __future__ import annotations

from dataclasses import dataclass

_MEAN_WEIGHT, _DEVIATION_WEIGHT, _DEVIATIONS = 1 / 8, 1 / 4, 4


@dataclass(slots=True)
class Usual:
    """A mean, which follows about the last eight values, and a deviation from it; in the unit of the values."""

    mean: float
    deviation: float

    def take(self, value: float) -> None:
        """One more was seen."""
        self.deviation += _DEVIATION_WEIGHT * (abs(value - self.mean) - self.deviation)
        self.mean += _MEAN_WEIGHT * (value - self.mean)

    @property
    def most(self) -> float:
        """What is hardly ever exceeded."""
        return self.mean + _DEVIATIONS * self.deviation
