"""The papers' optimizers: heavy ball (SHB), normalized heavy ball (NSHB) and QHM.

All three start from a zero momentum buffer, as in the papers' algorithms. They are ordinary
subclasses of ``torch.optim.Optimizer``, on torch's fused kernel where it fits and on its foreach
path elsewhere. ``lr``, ``momentum`` and ``nu`` live in the parameter groups, so any scheduler can
drive them, and may be 0-dim tensors on the parameters' device, so that a compiled or captured step
follows a schedule without being compiled again.

Which learning rate means what (Kamo & Iiduka 2025, section 2.2): NSHB averages the gradients, SHB
sums them. SHB at ``lr`` moves like NSHB at ``lr / (1 - momentum)``; :func:`shb_to_nshb_lr` and
:func:`nshb_to_shb_lr` convert. At the same ``lr`` and momentum 0.9, SHB's step is ten times NSHB's.
"""

from sgdm_lib.optim.conversions import nesterov_to_qhm, nshb_to_shb_lr, shb_to_nshb_lr
from sgdm_lib.optim.methods import NSHB, QHM, SHB

__all__ = ["NSHB", "QHM", "SHB", "nesterov_to_qhm", "nshb_to_shb_lr", "shb_to_nshb_lr"]
