"""Keys of params and metrics on which a report of the network turns."""

L2, METHOD, OPTIONS = "model.l2", "optimizer.method", "optimizer.options."
BUDGETS = ("optimizer.maxiter", "optimizer.maxfun")
EVALUATIONS, COST = "optimizer/n_fev", "cost/train"
