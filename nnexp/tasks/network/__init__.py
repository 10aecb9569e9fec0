"""The built-in task: the network of the exercise, trained by back-propagation."""
