"""A run on the disk: its directory, its records, who it is and who holds it. Knows no MLflow."""
