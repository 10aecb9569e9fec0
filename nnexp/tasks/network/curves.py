"""Cost, loss and accuracy of one run over its iterations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from nnexp import figures
from nnexp.figures import PART_COLORS, Line, Panel


def cost_curves(history: Mapping[str, np.ndarray]) -> Figure:
    """Draw cost and accuracy over the iterations.

    Parameters
    ----------
    history : mapping of str to ndarray of shape (n_rows,)
        ``step``, and what there is of ``cost/train``, ``loss/PART`` and ``accuracy/PART`` for the parts train,
        validation and test; NaN where a part was not evaluated.

    Returns
    -------
    Figure
    """
    key, color = "cost/train", PART_COLORS["train"]
    cost = [Line("cost, train", history[key], color, "--")] if key in history else []
    losses = _parts(history, "loss", "loss, ")
    return figures.curves(
        history["step"],
        (
            Panel("Cost (with the penalty) and loss (without)", "nats per sample", cost + losses),
            Panel("Accuracy", "right predictions", _parts(history, "accuracy"), is_share=True),
        ),
    )


def _parts(history: Mapping[str, np.ndarray], kind: str, before: str = "") -> list[Line]:
    there = {part: f"{kind}/{part}" for part in PART_COLORS if f"{kind}/{part}" in history}
    return [Line(before + part, history[key], PART_COLORS[part]) for part, key in there.items()]
