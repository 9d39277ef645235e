"""The recipes are run by tests/test_recipes.py; doctest collection must not import them."""

collect_ignore_glob = ["*.py"]
