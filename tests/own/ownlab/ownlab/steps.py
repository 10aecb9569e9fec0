"""What the minimizer imports."""


def velocity(v, gradient, lr, momentum):
    return momentum * v - lr * gradient
