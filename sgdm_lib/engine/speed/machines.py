"""Machines that were not at hand: what is assumed of them, and how long a run would take there."""

from __future__ import annotations

from typing import NamedTuple

from sgdm_lib import data
from sgdm_lib.checks import choice
from sgdm_lib.engine.experiment import Experiment

TEST_SHARE = 1 / 3  # a forward pass against forward, backward and update


def measured_images(experiment: Experiment) -> int:
    """Images whose gradients a run computes for its full gradient norms."""
    measured = experiment.epochs // experiment.gradient_norm_every * len(experiment.estimators)
    return measured * experiment.plan().n_train


def images(experiment: Experiment) -> float:
    """Images that a run works through, in units of a training image: forward and backward.

    Each measurement of the full gradient norm takes the training set once more, each test a third
    of the test set.

    >>> from sgdm_lib.study import papers
    >>> f"{images(papers.catalogue()['kamo2025/cifar100/nshb/x2']):.3g}"
    '3.07e+07'
    """
    size, plan = data.size(experiment.dataset), experiment.plan()
    tested = TEST_SHARE * experiment.epochs * size.n_test
    return plan.total_sfo + measured_images(experiment) + tested


class Machine(NamedTuple):
    """What is assumed of a machine that was not at hand; pairs are the careful and the hopeful."""

    peak: float
    """Its data sheet's single-precision FLOP a second, without tensor cores."""
    share: tuple[float, float]
    """The share of it that training a convolutional network gets."""
    overhead: tuple[float, float]
    """Seconds of a step besides its images, replayed as a CUDA graph."""
    price: float
    """Of an hour, in US dollars: electricity for one's own, rent for the other."""

    def seconds(self, experiment: Experiment) -> tuple[float, float]:
        """Expected time of a ResNet-18 run, from slow to fast.

        >>> from sgdm_lib.study import papers
        >>> run = papers.catalogue()["kamo2025/cifar100/nshb/constant"]
        >>> slow, fast = MACHINES["H200"].seconds(run)
        >>> 1 < slow / fast < 3
        True

        Raises:
            ValueError: if the network is another.
        """
        choice("model", experiment.model, (NETWORK,))
        _, height, width = data.size(experiment.dataset).shape
        flop = FLOP * (height * width) / 32**2 * images(experiment)
        steps = experiment.plan().total_steps
        slow, fast = (
            steps * overhead + flop / (self.peak * share)
            for share, overhead in zip(self.share, self.overhead, strict=True)
        )
        return slow, fast


NETWORK = "resnet18"
FLOP = 3.33e9
"""ResNet-18, forward and backward, an image of 32 x 32: three times its forward pass."""
MACHINES = {
    "laptop GPU": Machine(12e12, (0.25, 0.5), (3e-3, 1e-3), 0.03),
    "H200": Machine(67e12, (0.25, 0.5), (1.5e-3, 0.6e-3), 3.5),
}
"""Machines of the table of expected times. Nothing here has been measured."""
