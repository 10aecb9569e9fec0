"""Statistics for a handful of seeds, splits or folds: pure functions of numbers, which know no run and no store."""
