"""Prints the table of a run, and tells whether its targets were met."""

from .record import describe, quantile


def rows(harness, findings):
    """Yield (what, number, whether it meets its target) for the table."""
    counts = {}
    for name, count in harness.counts.items():
        kind = name.partition(", ")[0]
        counts[kind] = counts.get(kind, 0) + count
    yield "uploads committed", findings.uploads, True
    yield "requests", findings.requests, True
    yield "aborted by the client", harness.stream.answers.aborted, True
    for kind in sorted(counts):
        yield f"fault: {kind}", counts[kind], True
    for deed, count in sorted(harness.others.deeds.items()):
        yield f"other code: {deed}", count, True
    for cause, count in sorted(harness.others.refused.items()):
        yield f"  refused: {cause}", count, True
    for what, count in sorted(findings.met.items()):
        yield f"  while an upload was pending: {what}", count, True
    for what, count in sorted(harness.stream.early.counts.items()):
        yield f"draft: {what}", count, True
    yield "kept as failed, instance gone", harness.kept, True
    yield "written over by instances loaded before", findings.overwritten, True
    yield "faults that found no moment", len(harness.missed), not harness.missed
    yield "lost", len(findings.lost), not findings.lost
    yield "doubled", len(findings.doubled), not findings.doubled
    yield "stale", len(findings.stale), not findings.stale
    yield "orphaned files", len(findings.orphans), True
    yield (
        "  not from a kill, half a write, lost database",
        len(findings.unexplained),
        not findings.unexplained,
    )
    yield "rows left", len(findings.rows_left), not findings.rows_left
    yield "staged files left", len(findings.staged_left), not findings.staged_left
    yield "  abandoned, removed by recovery", findings.abandoned, True
    yield "requests answered with an error", sum(findings.errors.values()), True
    for cause in sorted(harness.expected | findings.errors.keys()):
        yield f"  {cause}", findings.errors[cause], cause in harness.expected
    for role, count in sorted(findings.locked.items()):
        yield f"database is locked, {role}", count, True
    deadlocks = findings.errors["deadlock"]
    yield "deadlock errors seen by users", deadlocks, not deadlocks
    yield "all healed after, s", round(harness.healed_within, 1), True
    limit = harness.recovers_within
    for what, recoveries in findings.recoveries.items():
        times = [seconds for _, seconds in recoveries]
        is_bound = what != "among other faults"
        what = f"recovery, {what} killed" if is_bound else f"  {what}"
        p99 = quantile(times, 0.99)
        yield f"{what}: kills", len({at for at, _ in recoveries}), True
        yield f"{what}: images", len(times), True
        yield f"{what}: median, s", round(quantile(times, 0.5), 1), True
        yield f"{what}: p99, s", round(p99, 1), p99 <= limit or not is_bound
        yield f"{what}: highest, s", round(max(times, default=0), 1), True


def show(harness, findings):
    """Print the table and the problems; return whether all targets were met."""
    options = harness.options
    print(f"\n{describe(harness)} --pace {options.pace} --seed {options.seed}", end="")
    print(f" --uploads {options.uploads} --drafts {options.drafts:.2g}")
    is_well = True
    for what, number, is_right in rows(harness, findings):
        print(f"  {what:<44}{number:>10}{'' if is_right else '   MISSED'}")
        is_well = is_well and is_right
    for what, why in harness.chaos.left_out.items():
        print(f"  left out: {what}: {why}")
    wrong = {
        name: getattr(findings, name)
        for name in ("lost", "doubled", "stale", "unexplained", "rows_left", "staged_left")
    }
    for name, entries in {**wrong, "missed": harness.missed}.items():
        for entry in entries[:20]:
            print(f"  {name}: {entry}")
    return is_well
