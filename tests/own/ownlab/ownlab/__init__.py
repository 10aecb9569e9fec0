"""A small package of somebody's own: a minimizer, an activation, a data set and a task."""
