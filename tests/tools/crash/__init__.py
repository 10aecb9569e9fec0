"""Kills at every durable operation."""
