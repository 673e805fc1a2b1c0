"""Compares the results of tests without the package and with it."""

from .differences import Difference
from .results import FAILED, PASSED, SKIPPED


def _names(outcomes, *wanted):
    return {name for name, outcome in outcomes.items() if outcome in wanted}


def compare(plain, mixed, differences: dict[str, Difference]):
    """Yield a text for each problem."""
    before, after = plain["outcomes"], mixed["outcomes"]
    failed = _names(after, FAILED) - _names(before, FAILED)
    for name in sorted(failed - set(differences)):
        yield f"{name} fails:\n{mixed['tracebacks'].get(name, '').rstrip()}"
    for name in sorted(_names(after, PASSED) & set(differences)):
        yield f"{name} passes. Remove it from {differences[name].where}."
    ran_before, ran_after = (_names(o, PASSED, FAILED) for o in (before, after))
    if ran_before != ran_after:
        yield (
            f"{len(ran_after)} tests ran, and {len(ran_before)} without the package:\n"
            + "\n".join(
                [f"  {name} did not run" for name in sorted(ran_before - ran_after)]
                + [f"  {name} ran" for name in sorted(ran_after - ran_before)]
            )
        )


def show(title, plain, mixed, differences, wrong):
    """Print all that is wrong, and a line that sums the tests up."""
    for text in wrong:
        print(f"\n{'-' * 70}\n{text}")
    before, after = plain["outcomes"], mixed["outcomes"]
    listed = _names(after, FAILED) & set(differences)
    print(
        f"{title}: {len(_names(after, PASSED, FAILED)):,} tests ran "
        f"({len(_names(before, PASSED, FAILED)):,} without the package) and "
        f"{len(_names(after, SKIPPED)):,} were skipped; {mixed['attached']} uploads were attached; "
        f"{len(listed)} tests differ as documented; "
        f"{len(_names(after, FAILED) & _names(before, FAILED) - listed)} fail without the package "
        f"too; {len(wrong)} things are wrong.",
        flush=True,
    )
