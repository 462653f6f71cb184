"""Composition: which roles and components this process has, opened in order and closed in reverse."""
