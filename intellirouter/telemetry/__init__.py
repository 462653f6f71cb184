"""Logs, metrics, traces: what a node says about itself."""
