"""The faults of drafts: in the site, while their parts arrive and as a form claims them."""

from functools import partial

#: The steps of a draft in order; see site/draft_steps.py.
SITE_STEPS = (
    "part",
    "part staged",
    "part committing",
    "part committed",
    "checked",
    "claimed",
    "claim committing",
    "claim committed",
)
#: The statements that every such request has.
STATEMENTS = [f"arrival statement {number}" for number in range(1, 4)]
STATEMENTS += [f"claim statement {number}" for number in range(1, 9)]


def draft_faults(harness, order):
    """Return the faults by name. ``order`` gives an order, and waits until it is carried out."""
    from django_async_forms.arrival import takes_parts

    faults = {"answer to the claim lost": partial(order, "unheard", "claimed")}
    for step in SITE_STEPS:
        if step.startswith("part") and not takes_parts("default"):
            continue
        faults[f"site process killed, {step}"] = partial(order, "kill", step)
        faults[f"site host killed, {step}"] = partial(_kill_the_host, harness, order, step)
        faults[f"site loses its database, {step}"] = partial(order, "cut", step)
    for step in STATEMENTS:
        faults[f"site loses its database, {step}"] = partial(order, "cut", step)
    return faults


def _kill_the_host(harness, order, step):
    """Kill all processes of the site, and start them again."""
    order("kill-all", step)
    harness.go_on_until(lambda: not harness.site.is_running(), "the site has ended")
    harness.site.kill()
    harness.site = harness.processes.site(harness.build)
    harness.go_on_until(harness.site_is_there, "the site is back")
