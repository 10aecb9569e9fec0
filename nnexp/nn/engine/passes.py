"""Forward and backward pass over some of the samples, in arrays of units x samples that every pass reuses.

To save passes over memory the arrays count in units that let constants fold into the weights, layer l = 0, 1, ...:

==============  ======================================  =============================================
array           holds                                   for the sigmoid
==============  ======================================  =============================================
values[l]       c, where the activation is              tanh(z / 2), with scale = shift = gain = 1/2
                scale * c + shift, c = core(gain * z)
half_logits     half the logits of the output units     (the output is always a sigmoid)
deltas[l]       n_samples * dJ/dz of a hidden layer
error           2 * (output - Y), that is               tanh(half_logits) + signs
                2 * n_samples * dJ/dz of the outputs
signs           1 - 2 Y, so that the loss of an output
                is softplus(signs * logit)
slopes[l]       core'(gain * z)                         a function of values[l], whose place it may take
bends[l]        for an activation of a user's own:
                n_samples * dJ/da * a''(z)
==============  ======================================  =============================================

A user's own activation has derivatives that are functions of z, not of the value: they are taken before the value
overwrites z.
"""

from __future__ import annotations

import numpy as np

from nnexp.arrays import Array, Floats, FloatType
from nnexp.nn.activations import Activation, CoreActivation, Function
from nnexp.nn.engine.products import aligned, aligned_copy, input_products, multiply
from nnexp.nn.parameters import unpack

OUTPUT_GAIN = 0.5
OUTPUT_DELTA = 0.5  # n_samples * dJ/dz of an output is this times `error`
OUTPUTS_PER_LOGARITHM = 64  # factors between 1 and 2 whose product cannot overflow in float32

Kind = CoreActivation | Activation


class FoldedWeights:
    """Weights and biases in the units of the passes; linear in theta, so a direction folds just the same."""

    def __init__(self, layer_sizes: tuple[int, ...], activation: Kind, dtype: FloatType) -> None:
        self.layer_sizes, self.activation, self.dtype = layer_sizes, activation, dtype
        shapes = list(zip(layer_sizes[1:], layer_sizes[:-1], strict=True))
        self.forward = [aligned(shape, dtype) for shape in shapes]  # [l] is (n_out, n_in), from layer l to the next
        # [l] is (n_in, n_out) and carries deltas to hidden layer l.
        self.backward = [aligned(shape[::-1], dtype) for shape in shapes[1:]]
        self.offsets: list[Floats] = []  # (n_out, 1), for all samples alike

    def load(self, theta: Array) -> None:
        """Fold `theta`."""
        act, last = self.activation, len(self.forward) - 1
        self.offsets = []
        layers = zip(*unpack(theta.astype(self.dtype, copy=False), self.layer_sizes), strict=True)
        for layer, (weights, biases) in enumerate(layers):
            gain = act.gain if layer < last else OUTPUT_GAIN
            scale, shift = (act.scale, act.shift) if layer else (1.0, 0.0)
            np.multiply(weights, gain * scale, out=self.forward[layer])
            offset = gain * (biases + shift * weights.sum(axis=1)) if shift else gain * biases
            self.offsets.append(offset[:, None])
            if layer:
                factor = (1.0 if layer < last else OUTPUT_DELTA) * act.scale * act.gain
                np.multiply(weights.T, factor, out=self.backward[layer - 1])


class Sums:
    """Sums over samples: of the loss, and what the gradient is made of, delta * c (n_out, n_in) and delta (n_out,)."""

    def __init__(self, layer_sizes: tuple[int, ...], activation: Kind, dtype: FloatType) -> None:
        self.layer_sizes, self.activation = layer_sizes, activation
        shapes = list(zip(layer_sizes[1:], layer_sizes[:-1], strict=True))
        self.loss = 0.0
        self.products = [aligned(shape, dtype) for shape in shapes]
        self.deltas = [np.empty(shape[0], dtype) for shape in shapes]

    def clear(self) -> None:
        """Set all sums to zero."""
        self.loss = 0.0
        for total in (*self.products, *self.deltas):
            total.fill(0)

    def add(self, layer: int, deltas: Floats, values: Floats, ones: Floats) -> None:
        """Add samples to the sums of a layer after the first: `deltas` (n_out, n), `values` (n_in, n)."""
        self.products[layer] += deltas @ values.T  # (n_out, n) @ (n, n_in) -> (n_out, n_in)
        self.deltas[layer] += deltas @ ones  # (n_out, n) @ (n,) -> (n_out,)

    def merge(self, other: Sums) -> None:
        """Add the sums over other samples."""
        self.loss += other.loss
        for mine, theirs in zip((*self.products, *self.deltas), (*other.products, *other.deltas), strict=True):
            mine += theirs

    def gradient(self, theta: Array, n_rows: int, decay: float) -> Array:
        """Mean over `n_rows` samples plus `decay` times the weights, packed as theta, float64; uses the sums up."""
        gradient = decay * theta
        last = len(self.products) - 1
        for layer, (weights, biases) in enumerate(zip(*unpack(gradient, self.layer_sizes), strict=True)):
            unit = (1.0 if layer < last else OUTPUT_DELTA) / n_rows
            scale, shift = (self.activation.scale, self.activation.shift) if layer else (1.0, 0.0)
            np.multiply(self.deltas[layer], unit, out=biases)
            if shift:
                weights += shift * biases[:, None]
            weights += np.multiply(self.products[layer], unit * scale, out=self.products[layer])
        return gradient


def _write(function: Function, z: Floats, *, out: Floats) -> None:
    """Apply a user's function; where it overflows on the way to a finite value is not told."""
    with np.errstate(all="ignore"):
        out[...] = function(z)


class Passes:
    """The passes over the samples X (n, n_features), which must be row-major and aligned.

    Parameters
    ----------
    signs : ndarray of shape (n_outputs, n), optional
        Needed for all but the forward pass.
    work : Passes, optional
        Passes over as many samples or more, whose work arrays these use too.
    keep : bool
        Keep what `curvature` needs, in more memory.
    """

    def __init__(
        self,
        X: Floats,
        layer_sizes: tuple[int, ...],
        activation: Kind,
        signs: Floats | None = None,
        *,
        work: Passes | None = None,
        keep: bool = False,
    ) -> None:
        self.activation, self.keep = activation, keep
        self.inputs = input_products(X, layer_sizes[1])
        n, hidden, dtype = len(X), layer_sizes[1:-1], X.dtype

        def arrays(name: str, sizes: tuple[int, ...]) -> list[Floats]:
            if work is not None:
                return [array[:, :n] for array in getattr(work, name)]
            return [aligned((size, n), dtype) for size in sizes]

        self.half_logits = aligned((layer_sizes[-1], n), dtype)
        self.values = arrays("values", hidden)
        self.slopes: list[Floats] = []
        self.bends: list[Floats] = []
        if signs is not None:
            self.signs = aligned_copy(signs, dtype)
            self.deltas = arrays("deltas", hidden)
            is_own = isinstance(activation, Activation)
            self.slopes = arrays("slopes", hidden) if keep or is_own else self.values
            if keep and is_own:
                self.bends = arrays("bends", hidden)
            self.outputs = arrays("outputs", layer_sizes[-1:] * 2)
            self.error, self.scratch = self.outputs
            self.ones = np.ones(n, dtype)

    def forward(self, folded: FoldedWeights) -> None:
        """Fill `values` and `half_logits`."""
        zs = [*self.values, self.half_logits]
        for layer, (weights, offset, z) in enumerate(zip(folded.forward, folded.offsets, zs, strict=True)):
            if layer:
                self._activate(layer - 1)
                multiply(weights, zs[layer - 1], out=z)  # (n_out, n_in) @ (n_in, n) -> (n_out, n)
            else:
                self.inputs.forward(weights, out=z)  # (n_1, n_features) @ (n_features, n) -> (n_1, n)
            z += offset

    def _activate(self, layer: int) -> None:
        """Make values of the z of a hidden layer."""
        act, z = self.activation, self.values[layer]
        if isinstance(act, CoreActivation):
            act.core(z, out=z)
            return
        if self.slopes:
            _write(act.derivative, z, out=self.slopes[layer])
            if self.bends and act.second_derivative is not None:
                _write(act.second_derivative, z, out=self.bends[layer])
        _write(act.function, z, out=z)

    def backward(self, folded: FoldedWeights, sums: Sums) -> None:
        """Add loss and gradient to `sums`, after `forward`; overwrites `values` unless they are kept."""
        sums.loss += self.loss()
        deltas = self.error
        for layer in range(len(self.values), 0, -1):
            values, slopes, below = self.values[layer - 1], self.slopes[layer - 1], self.deltas[layer - 1]
            sums.add(layer, deltas, values, self.ones)
            multiply(folded.backward[layer - 1], deltas, out=below)  # (n_in, n_out) @ (n_out, n) -> (n_in, n)
            if isinstance(self.activation, CoreActivation):
                below *= self.activation.slope(values, out=slopes)
            else:
                if self.bends:
                    self.bends[layer - 1] *= below
                below *= slopes
            deltas = below
        self.inputs.add_gradient(deltas, sums.products[0])  # (n_1, n) @ (n, n_features) -> (n_1, n_features)
        sums.deltas[0] += deltas @ self.ones  # (n_1, n) @ (n,) -> (n_1,)

    def loss(self) -> float:
        """Cross-entropy summed over samples and outputs, in nats, after `forward`; fills `error`.

        softplus(s) = max(s, 0) + log(1 + e^-|s|) = max(s, 0) - log((1 + tanh(|s| / 2)) / 2), where nothing overflows
        and the tanh is the one the outputs need. The logarithms of a sample's outputs are one logarithm of a product.
        """
        scratch, error = self.scratch, self.error
        half_s = np.multiply(self.signs, self.half_logits, out=error)
        np.abs(half_s, out=scratch)
        scratch += half_s  # max(s, 0)
        loss = float(scratch.sum(axis=0).sum(dtype=np.float64))
        np.tanh(self.half_logits, out=error)
        np.abs(error, out=scratch)
        scratch += 1
        for start in range(0, len(scratch), OUTPUTS_PER_LOGARITHM):
            factors = scratch[start : start + OUTPUTS_PER_LOGARITHM]
            product = np.multiply.reduce(factors, axis=0)
            product *= 0.5 ** len(factors)  # exact, and before the logarithm: so saturated outputs cost exactly 0
            loss -= float(np.log(product, out=product).sum(dtype=np.float64))
        error += self.signs
        return loss

    def curvature(self, folded: FoldedWeights, direction: FoldedWeights, sums: Sums) -> None:
        """Add the derivative of the gradient along `direction`, after both passes with the same `folded` (and `keep`).

        The R-operator of Pearlmutter 1994, "Fast exact multiplication by the Hessian"; R{x} is called `r_x`.
        """
        act, n_hidden = self.activation, len(self.values)
        r_zs: list[Floats] = []
        r_values: list[Floats] = []
        for layer, (weights, offset) in enumerate(zip(direction.forward, direction.offsets, strict=True)):
            r_z: Floats = np.empty((len(weights), len(self.ones)), weights.dtype)
            if layer:  # both products: (n_out, n_in) @ (n_in, n) -> (n_out, n)
                multiply(weights, self.values[layer - 1], out=r_z)
                r_z += folded.forward[layer] @ r_values[-1]
            else:
                self.inputs.forward(weights, out=r_z)
            r_z += offset
            r_zs.append(r_z)
            if layer < n_hidden:
                r_values.append(r_z * self.slopes[layer])
        tanh = np.subtract(self.error, self.signs, out=self.scratch)
        deltas, r_deltas = self.error, (1 - tanh * tanh) * r_zs.pop()
        for layer in range(n_hidden, 0, -1):
            values, slopes, below = self.values[layer - 1], self.slopes[layer - 1], self.deltas[layer - 1]
            sums.add(layer, r_deltas, values, self.ones)
            sums.products[layer] += deltas @ r_values.pop().T  # (n_out, n) @ (n, n_in) -> (n_out, n_in)
            # Both products: (n_in, n_out) @ (n_out, n) -> (n_in, n)
            r_below = direction.backward[layer - 1] @ deltas
            r_below += folded.backward[layer - 1] @ r_deltas
            r_below *= slopes
            if isinstance(act, Activation):
                r_below += self.bends[layer - 1] * r_zs[layer - 1]
            elif act.bend is not None:
                r_below += below * act.bend(values) * r_zs[layer - 1]
            deltas, r_deltas = below, r_below
        self.inputs.add_gradient(r_deltas, sums.products[0])  # (n_1, n) @ (n, n_features) -> (n_1, n_features)
        sums.deltas[0] += r_deltas @ self.ones  # (n_1, n) @ (n,) -> (n_1,)
