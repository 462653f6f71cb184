"""Logs, metrics, health: what a node says about itself."""
