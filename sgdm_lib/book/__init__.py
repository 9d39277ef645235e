"""The book: helpers for its pages, its build, its PDF and the figures to play with."""
