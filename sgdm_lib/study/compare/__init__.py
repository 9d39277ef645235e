"""Comparisons that are fair: at an equal budget, and over a grid of learning rates."""
