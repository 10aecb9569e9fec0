"""The fast way to what `nnexp.nn.backprop` computes plainly: passes over reused arrays, products by small kernels."""
