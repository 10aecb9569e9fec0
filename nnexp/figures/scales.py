"""Where an axis begins and ends, and at which round numbers it has ticks."""

from __future__ import annotations

import math

import numpy as np

from nnexp.figures.chart import Axis, Tick

MARGIN = 0.05  # of the range of the values, on each side
MOST_STEPS = 9  # from tick to tick
MOST_STEPS_OF_BAR = 4
ROUND_STEPS = (1, 2, 2.5, 5, 10)
MOST_DECADES = 290  # from 1, of what a logarithmic axis shows
PLAIN_RANGE = 1000  # of a logarithmic axis; over more, its ticks are powers of ten
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def linear(low: float, high: float, label: str, *, is_whole: bool = False, most: int = MOST_STEPS) -> Axis:
    """An axis of numbers, `is_whole`: of counts."""
    return Axis(low, high, round_ticks(low, high, is_whole=is_whole, most=most), label)


def of_shares(values: np.ndarray, label: str) -> Axis:
    """An axis for shares between 0 and 1, in percent."""
    low, high = with_margins(values)
    step = _step(low, high)
    decimals = max(0, _decimals(step) - 2)
    ticks = [(tick, f"{100 * tick:.{decimals}f} %") for tick in _multiples(step, low, high) if -1e-9 < tick < 1 + 1e-9]
    return Axis(low, high, ticks, label)


def of_amounts(values: np.ndarray, label: str) -> Axis:
    """An axis for numbers: logarithmic, where all are positive."""
    if not values.size or values.min() <= 0:
        return of_numbers(values, label)
    return logarithmic(values, label)


def of_numbers(values: np.ndarray, label: str, *, is_whole: bool = False, most: int = MOST_STEPS) -> Axis:
    """An axis for numbers of whatever sign."""
    low, high = with_margins(values)
    return linear(low, high, label, is_whole=is_whole, most=most)


def from_zero(high: float, label: str) -> Axis:
    """An axis from 0, by decades from 1 on."""
    ticks = [(10.0**power, f"{10**power}") for power in range(math.floor(math.log10(max(high, 1))) + 1)]
    return Axis(0, 1.2 * high, [(0.0, "0"), *ticks], label, is_from_zero=True)


def powers(low: float, high: float, label: str) -> Axis:
    """A logarithmic axis between limits, with the powers of ten as they are written."""
    exponents = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    ticks = [(10.0**power, f"{10.0**power:g}") for power in exponents]
    return Axis(low, high, ticks, label, is_log=True, minor=_times(range(2, 10), low, high))


def logarithmic(values: np.ndarray, label: str, *, plain: float = PLAIN_RANGE) -> Axis:
    """A logarithmic axis for positive numbers: 1, 2, 5 of each decade up to a range of `plain`, then powers of ten."""
    limits = with_margins(np.log10(np.clip(values, 10.0**-MOST_DECADES, 10.0**MOST_DECADES)))
    low, high = (10.0 ** min(max(power, -MOST_DECADES), MOST_DECADES) for power in limits)
    if high >= plain * low:
        powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        every = -(-len(powers) // MOST_STEPS)
        ticks = [(10.0**power, f"10{str(power).translate(SUPERSCRIPTS)}") for power in powers if power % every == 0]
        minor = _times(range(2, 10), low, high) if every == 1 else ()
        return Axis(low, high, ticks, label, is_log=True, minor=minor)
    ticks = [(tick, f"{tick:g}") for tick in _times((1, 2, 5), low, high)]
    ticks = ticks if len(ticks) > 1 else round_ticks(low, high)
    return Axis(low, high, ticks, label, is_log=True, minor=_times(range(1, 10), low, high))


def round_ticks(low: float, high: float, *, is_whole: bool = False, most: int = MOST_STEPS) -> list[Tick]:
    """Ticks at the multiples of a round step, with `most` steps between `low` and `high`."""
    step = _step(low, high, is_whole=is_whole, most=most)
    is_plain = 1e-4 <= max(abs(low), abs(high)) < 1e7
    form = f".{_decimals(step)}f" if is_plain else "g"
    written = [(tick, format(tick, form)) for tick in _multiples(step, low, high)]
    return [(tick, text.replace("-", "−")) for tick, text in written]


def with_margins(values: np.ndarray) -> tuple[float, float]:
    """From where to where an axis goes with these values on it."""
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    is_flat = high - low <= 1e-6 * abs(high)  # then ticks would differ in their last digits only
    margin = MARGIN * (abs(high) or 1.0) if is_flat else MARGIN * (high - low)
    return low - margin, high + margin


def _step(low: float, high: float, *, is_whole: bool = False, most: int = MOST_STEPS) -> float:
    """The smallest round step of which there are not too many."""
    least = max((high - low) / most, 1.0 if is_whole else 0.0)
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in ROUND_STEPS if step * power >= least and not (is_whole and step * power % 1))


def _multiples(step: float, low: float, high: float) -> list[float]:
    slack = 1e-9 * (high - low)
    return [n * step for n in range(math.ceil((low - slack) / step), math.floor((high + slack) / step) + 1)]


def _decimals(step: float) -> int:
    """How many decimals tell the multiples of a step apart."""
    return max(0, -math.floor(math.log10(step)) + (f"{step:.1e}"[2] != "0"))


def _times(digits: range | tuple[int, ...], low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [tick for power in powers for digit in digits if low <= (tick := float(f"{digit}e{power}")) <= high]
