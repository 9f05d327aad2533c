"""Lint across nginx and the applications."""
