"""The study: both papers' claims, judged by evidence.

It imports from the engine and the practitioner's rooms.
"""
