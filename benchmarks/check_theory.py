"""Compare every theorem of ``sgdm_lib.theory`` with measurements over random admissible settings.

Each case draws a theorem, momentum, schedules and a problem, puts the lr at a random share of the
theorem's limit, and compares the bound with the measured weighted average for *every* horizon:
exactly (second moments on quadratics) or by Monte Carlo (real mini-batches, nonconvex functions).
The same case with a larger lr, or a forbidden schedule, must be reported as inadmissible.

    python benchmarks/check_theory.py            nightly size, about a minute on one core
    python benchmarks/check_theory.py --quick    some seconds

Exit status 0 if no bound is violated and every inadmissible setting is reported, else 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from theory_cases import THEOREMS, Array, Case, Draw

from sgdm_lib import theory

ERRORS_ALLOWED = 4.5  # standard errors of a Monte Carlo mean


@dataclass
class Outcome:
    """What one theorem's cases gave; ``ratios`` is bound over measured at the last horizon."""

    ratios: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    unreported: list[str] = field(default_factory=list)
    within_error: int = 0


def random_quadratic(rng: np.random.Generator) -> theory.Problem:
    """A spectrum of 1 to 8 curvatures over up to four decades, noise from none to strong."""
    spread = rng.choice([0.0, rng.uniform(0, 4)])
    curvatures = 10 ** (rng.uniform(-1, 1) - spread * rng.uniform(0, 1, rng.integers(1, 9)))
    variance = float(rng.choice([0.0, 10 ** rng.uniform(-2, 2)]))
    start = rng.choice([0.01, 1.0, 10.0]) * rng.standard_normal(curvatures.size)
    return theory.quadratic_problem(curvatures, start=start, variance=variance)


def random_problem(rng: np.random.Generator) -> theory.Problem:
    """A nonconvex function with Gaussian noise or really sampled batches."""
    kind, replacement = rng.integers(4), bool(rng.integers(2))
    if kind == 0:
        return theory.cosine_problem(5, variance=float(10 ** rng.uniform(-1, 1)))
    if kind == 1:
        return theory.regression_problem(replacement=replacement)
    if kind == 2:
        return theory.quadratic_problem([1.0] * 5, start=1.0, variance=4.0)
    return theory.rational_problem(5, 120, replacement=replacement)


def measure(case: Case, problem: theory.Problem, runs: int, seed: int) -> tuple[Array, Array]:
    """The weighted average for every horizon with its standard error; exact where runs is 0."""
    if runs:
        norms = theory.simulate(problem, case.run, runs=runs, seed=seed)
        return theory.mean_and_error(norms, case.weights)
    norms = theory.exact_gradient_norms(problem, case.run)
    return theory.running_average(norms, case.weights), np.zeros(norms.size)


def record(outcome: Outcome, case: Case, mean: Array, error: Array, label: str) -> None:
    """Count violations at any horizon, near misses, and forbidden settings that pass."""
    above = mean * (1 - 1e-9) - case.bound
    if np.any(above > ERRORS_ALLOWED * error):
        at = int(np.argmax(above - ERRORS_ALLOWED * error))
        outcome.violations.append(
            f"{label}: T={at + 1} bound {case.bound[at]:.6g} measured {mean[at]:.6g} "
            f"+- {error[at]:.2g} momentum {case.run.momentum:.4g} lr[0] {case.run.lr[0]:.4g} "
            f"{case.run.optimizer} nu {case.run.nu:.3g}"
        )
    outcome.within_error += bool(np.any(above > 0))
    if not case.reported:
        outcome.unreported.append(f"{label}: {case.forbidden} (expected {case.expected!r})")
    if mean[-1] > 0:
        outcome.ratios.append(float(case.bound[-1] / mean[-1]))


def check(
    cases: int,
    *,
    runs: int = 0,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Outcome]:
    """Return the outcomes by theorem of ``cases`` random cases; runs = 0 is the exact check."""
    outcomes = {name: Outcome() for name in THEOREMS}
    names = list(THEOREMS)
    for number in range(cases):
        name = names[number % len(names)]
        rng = np.random.default_rng([seed, runs, number])
        problem = random_problem(rng) if runs else random_quadratic(rng)
        # a Monte Carlo case is worth its time only when the bias has had time to decay
        steps = int(10 ** rng.uniform(1.7 if runs else 0.3, 2.6))
        case = THEOREMS[name](Draw(rng, problem, steps))
        mean, error = measure(case, problem, runs, number)
        record(outcomes[name], case, mean, error, f"{name} case {number} seed {seed}")
        progress(number + 1)
    return outcomes


def report(title: str, outcomes: dict[str, Outcome]) -> int:
    """Print one table; return the number of violations and unreported settings."""
    print(f"\n{title}\n{'theorem':18s} {'cases':>6s} {'bound/measured: min':>20s} {'median':>10s}")
    for name, outcome in outcomes.items():
        ratios = np.array(outcome.ratios or [np.nan])
        print(f"{name:18s} {len(ratios):6d} {ratios.min():20.4f} {np.median(ratios):10.3f}")
    wrong = [line for o in outcomes.values() for line in o.violations]
    silent = [line for o in outcomes.values() for line in o.unreported]
    near = sum(o.within_error for o in outcomes.values()) - len(wrong)
    print(f"violations {len(wrong)}, above the bound within the sampling error {near},")
    print(f"inadmissible settings not reported {len(silent)}")
    for line in (wrong + silent)[:20]:
        print("  " + line)
    return len(wrong) + len(silent)


def main(arguments: list[str] | None = None) -> int:
    """Run both checks; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="120 exact and 24 Monte Carlo cases")
    parser.add_argument("--exact", type=int, default=6000, help="number of exact cases")
    parser.add_argument("--monte-carlo", type=int, default=480, help="number of Monte Carlo cases")
    parser.add_argument("--runs", type=int, default=300, help="runs of a Monte Carlo case")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.quick:
        options.exact, options.monte_carlo = 120, 24
    started, bad = time.perf_counter(), 0

    def told(title: str, cases: int, runs: int) -> dict[str, Outcome]:
        def progress(done: int) -> None:
            if done % 20 == 0 or done == cases:
                line = f"\r{title}: {done}/{cases}, {time.perf_counter() - started:.0f} s"
                print(line, end="\n" if done == cases else "", file=sys.stderr, flush=True)

        return check(cases, runs=runs, seed=options.seed, progress=progress)

    bad += report(f"exact: {options.exact} cases", told("exact", options.exact, 0))
    title = f"Monte Carlo: {options.monte_carlo} cases of {options.runs} runs"
    bad += report(title, told("Monte Carlo", options.monte_carlo, options.runs))
    seconds = time.perf_counter() - started
    print(f"\n{'FAIL' if bad else 'PASS'} in {seconds:.0f} s, seed {options.seed}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
