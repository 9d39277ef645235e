"""The cover shows both curves, and a dot with its batch size where a stage begins."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from claims_helpers import curve

from sgdm_lib import figures, schedules
from sgdm_lib.plan import TrainingPlan


@pytest.fixture(autouse=True)
def _no_windows():
    matplotlib.use("agg")
    yield
    plt.close("all")


def test_cover_marks_every_stage():
    growth = schedules.StageGrowth(8, 4, every=5)
    plan = TrainingPlan(n_train=1000, epochs=20, batch_size=growth, lr=0.1)
    fixed, grown = curve(np.geomspace(1, 0.1, 20), 0.01), curve(np.geomspace(1, 0.01, 20), 0.001)
    (panel,) = figures.cover(fixed, grown, plan.stages, ("fixed", "grown")).axes
    texts = [text.get_text() for text in panel.texts]
    assert texts == ["fixed", "grown", "8", "32", "128", "512"]
    dots = np.concatenate([dot.get_offsets() for dot in panel.collections[2:]])
    assert dots[:, 0].tolist() == [1, 5, 10, 15]
    assert dots[:, 1].tolist() == pytest.approx(grown.mean[[0, 4, 9, 14]].tolist())
    areas = [dot.get_sizes()[0] for dot in panel.collections[2:]]
    assert areas == sorted(areas)
    assert len(set(areas)) == 4
    assert panel.get_yscale() == "log"
    assert "epochs" in panel.get_xlabel()
