"""Figures the reader can play with, on a static page: no server, no network, no other script.

`momentum_on_quadratic` shows what learning rate and momentum do on a quadratic;
`schedule_to_bound` what is guaranteed about a schedule. Both compute in the page what
`sgdm_lib.theory` computes in Python; the tests compare the two.
"""

from sgdm_lib.book.play.figures import momentum_on_quadratic, schedule_to_bound
from sgdm_lib.book.play.widget import Choice, Slider, Widget

__all__ = ["Choice", "Slider", "Widget", "momentum_on_quadratic", "schedule_to_bound"]
