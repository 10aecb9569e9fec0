"""Keys of params and metrics on which a report of the network turns."""

L2, METHOD, OPTIONS = "model.l2", "optimizer.method", "optimizer.options."
BUDGETS = ("optimizer.maxiter", "optimizer.maxfun")
EVALUATIONS, COST = "optimizer/n_fev", "cost/train"
LEARNING_RATE = f"{OPTIONS}learning_rate"
FIXED_STEP = ("GD", "SGD", "Adam")  # methods that take steps of the size they are given
OF_PROBLEM = ("model.", "training.")  # with the data and the seed: what is to be minimized, and from where
NOT_OF_PROBLEM = ("training.threads", "training.evaluate_every")  # which leave the numbers as they are
# Keys of the data that do not say which data set it is, which its digest does.
OF_SPLIT = tuple(f"data.{key}" for key in ("test_size", "validation_size", "scale", "split", "folds", "groups"))
