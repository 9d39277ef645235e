"""When the process began, near enough: imported first, since importing PyTorch takes seconds."""

import time

BEGIN = time.perf_counter()
