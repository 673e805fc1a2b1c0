"""The audit of drafts: each was claimed once, has ended, or is there with its bytes."""

import hashlib
import time
from collections import Counter


def check_drafts(findings, harness, facts):
    """Check each draft, and that recovery leaves nothing of those that expire."""
    from django.utils import timezone

    from django_async_forms.conf import conf
    from django_async_forms.models import Draft
    from django_async_forms.recovery import recover

    early = harness.stream.early
    posted = Counter(fact.upload for fact in facts if fact.what == "posted")
    findings.doubled += [f"draft {key}: claimed {n} times" for key, n in posted.items() if n > 1]
    for (key, offset), count in Counter(early.accepted).items():
        if count > 1:
            findings.doubled.append(f"draft {key}: the part from {offset} was taken {count} times")
    for keys in early.refused:
        if not any(key in posted or key in early.ended for key in keys):
            findings.lost.append(f"drafts {keys}: refused as gone, and nobody had claimed them")

    latest = time.monotonic() + harness.pace.recover_every + 30
    while Draft.objects.expired().exists() and time.monotonic() < latest:
        time.sleep(0.5)
    findings.rows_left += [f"{draft}: expired" for draft in Draft.objects.expired()]
    drafts = {draft.pk: draft for draft in Draft.objects.all()}
    for key in early.complete.keys() - posted.keys() - early.ended - drafts.keys():
        findings.lost.append(f"draft {key}: neither claimed nor there")
    for key in posted.keys() & drafts.keys():
        findings.doubled.append(f"draft {key}: claimed, and there")
    for draft in drafts.values():
        _check_bytes(findings, draft, early.complete.get(draft.pk) or draft.sha256)
    early.count("current in the end", len(drafts))

    Draft.objects.update(expires_at=timezone.now())
    for _ in range(1 + len(drafts) // conf().RECOVER_BATCH):
        recover("default")
    findings.rows_left += [f"{draft}: not removed" for draft in Draft.objects.all()]


def _check_bytes(findings, draft, digest):
    """Check that a draft has the bytes that have arrived."""
    if not draft.received:
        return
    try:
        with draft.open_staged() as file:
            content = file.read()[: draft.received]
    except OSError as error:
        findings.lost.append(f"draft {draft.pk}: {error!r}")
        return
    if len(content) < draft.received:
        findings.lost.append(f"draft {draft.pk}: {len(content)} bytes of {draft.received}")
    elif draft.is_complete and digest and hashlib.sha256(content).hexdigest() != digest:
        findings.lost.append(f"draft {draft.pk}: other bytes than were sent")
