"""The book: helpers for its pages, its build, its PDF and the figures to play with."""

from sgdm_lib.book.notebooks import find_root

__all__ = ["find_root"]
