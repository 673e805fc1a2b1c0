"""The audit: compares the database and the storages with the ledger and the notes."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from .columns import MODELS, Ledger
from .draft_audit import check_drafts
from .draft_chaos import SITE_STEPS
from .storages import files

#: What was killed. Only the first two are measured without other faults.
KILLS = ("worker", "child", "among other faults")


@dataclass
class Findings:
    """The numbers of the table, and a text for each wrong one."""

    uploads: int = 0
    requests: int = 0
    lost: list = field(default_factory=list)
    doubled: list = field(default_factory=list)
    stale: list = field(default_factory=list)
    #: Attached images that code with an older instance has overwritten.
    overwritten: int = 0
    #: The number of times that other code wrote a name while an upload was pending.
    met: Counter = field(default_factory=Counter)
    orphans: list = field(default_factory=list)
    #: The orphans that neither a SIGKILL, a half-written file nor a lost database explains.
    unexplained: list = field(default_factory=list)
    rows_left: list = field(default_factory=list)
    staged_left: list = field(default_factory=list)
    abandoned: int = 0
    errors: Counter = field(default_factory=Counter)
    #: The number of statements that SQLite refused because the database is locked, by role.
    locked: Counter = field(default_factory=Counter)
    #: For "worker" and "child", killed in the quiet, and for all kills "among other faults": the
    #: time of the kill, and the seconds until the image is attached.
    recoveries: dict = field(default_factory=lambda: {what: [] for what in KILLS})


def audit(harness):
    """Return the ``Findings`` of a healed run."""
    from .site.models import Fact

    facts = list(Fact.objects.order_by("pk"))
    notes = harness.orders.notes()
    findings = Findings(requests=harness.stream.answers.requests)
    findings.uploads = sum(fact.what == "posted" for fact in facts)
    _check_columns(findings, facts, notes, harness)
    check_drafts(findings, harness, facts)
    _check_left(findings)
    _check_orphans(findings, facts, notes)
    _count_errors(findings, harness, facts, notes)
    findings.locked.update(note["role"] for note in notes if note["what"] == "locked")
    _measure_recoveries(findings, facts, notes, harness.quiet_since)
    return findings


def _check_columns(findings, facts, notes, harness):
    """Check that each column holds the newest state, byte for byte, and was attached once."""
    from .site import models

    ledger = Ledger({note["name"]: note["at"] for note in notes if note["what"] == "stored"})
    ended = {}
    for note in notes:
        if note["what"] == "ended" and note["state"] == "SUCCESS":
            ended.setdefault(note["upload"], []).append(note["at"])
    ledger.read(facts, ended)
    findings.lost += ledger.lost
    findings.doubled += ledger.doubled
    findings.stale += ledger.stale
    findings.overwritten = ledger.overwritten
    findings.met = ledger.met
    for fact in facts:
        if fact.what == "posted" and fact.digest not in harness.stream.sent[fact.token].values():
            findings.lost.append(f"{fact}: staged as it was not sent")
    _check_titles(findings, ledger)
    rows = {
        model: {row.pk: row for row in getattr(models, model).objects.all()}
        for model in set(MODELS.values())
    }
    by_digest = {fact.digest: fact for fact in facts if fact.digest}
    for (key, name), column in ledger.columns.items():
        row = rows[MODELS[name]].get(key)
        if row is None or not column.wanted:
            continue
        file = getattr(row, name)
        found = _digest(file) if file else ""
        if name == "cover":
            _check_dimensions(findings, row, file)
        if any(_is_held(fact, file, found, harness.others.removed) for fact in column.wanted):
            continue
        what = f"is {by_digest[found]} {by_digest[found].upload}" if found in by_digest else found
        wanted = ", ".join(f"{fact} {fact.upload or fact.name}" for fact in column.wanted)
        kind = findings.lost if column.wanted[0].digest else findings.stale
        kind.append(f"wanted {wanted}; there is {file.name!r}, {what}")


def _check_dimensions(findings, row, file):
    """Check that a cover has its own dimensions, and no cover has none."""
    noted = (row.cover_width, row.cover_height)
    try:
        found = (file.width, file.height) if file else (None, None)
    except OSError:
        return  # Other code has removed the file.
    if noted != found:
        findings.stale.append(f"picture {row.pk} notes {noted}, and its cover has {found}")


def _is_held(fact, file, digest, removed):
    """Tell whether a column holds the state of a fact."""
    if fact.what == "posted":
        return digest == fact.digest
    if fact.what == "cleared" or not fact.name:
        return not file
    if file.name != fact.name:
        return False
    # A row written from an older instance may name a removed file.
    return fact.what != "replaced" or digest == fact.digest or file.name in removed


def _check_titles(findings, ledger):
    from .site.models import Picture

    found = dict(Picture.objects.values_list("pk", "title"))
    for key in found.keys() ^ ledger.titles.keys():
        findings.lost.append(f"picture {key} is there and should not be, or the other way")
    for key in found.keys() & ledger.titles.keys():
        if found[key] != ledger.titles[key]:
            findings.stale.append(f"picture {key} has the title {found[key]}")


def _digest(file):
    try:
        with file.storage.open(file.name) as content:
            return hashlib.sha256(content.read()).hexdigest()
    except OSError as error:
        return repr(error)


def _check_left(findings):
    """Check that no upload is left, and no staged file after recovery removed abandoned ones."""
    from django.conf import settings
    from django.test import override_settings

    from django_async_forms.models import Upload
    from django_async_forms.recovery import remove_abandoned
    from django_async_forms.storage import staging_storage

    findings.rows_left += [f"{upload.pk} {upload.error}" for upload in Upload.objects.all()]
    # Recovery takes a file for abandoned after a day, so set its clock to the next day.
    with override_settings(ASYNC_FORMS={**settings.ASYNC_FORMS, "KEEP_ABANDONED": 0.001}):
        findings.abandoned = remove_abandoned("default", 10**9)
    findings.staged_left += files(staging_storage("default"))


def _check_orphans(findings, facts, notes):
    """Count the files in the final storages to which no row has ever referred."""
    from .site.models import Picture

    used = {fact.name for fact in facts if fact.what in ("attached", "replaced")}
    storages = [Picture._meta.get_field(name).storage for name in ("image", "cover")]
    found = {name for storage in storages for name in files(storage)}
    found = {name for name in found if name.startswith(("images/", "covers/"))}
    findings.orphans += sorted(found - used)
    at_work, explained = {}, set()
    for note in notes:
        pid = note["pid"]
        if note["what"] == "began":
            explained.update(at_work.get(pid, ()))  # The id belongs to another process by now.
            at_work[pid] = []
        elif note["what"] in ("storing", "stored"):
            at_work.setdefault(pid, []).append(note["name"])
        elif note["what"] == "half":
            explained.add(note["name"])
        elif note["what"] == "left":
            explained.update(at_work.get(pid, ()))
        elif note["what"] == "ended":
            at_work.pop(pid, None)
    # The process did not finish this attempt: it was killed.
    explained.update(name for names in at_work.values() for name in names)
    findings.unexplained += sorted(set(findings.orphans) - explained)


def _count_errors(findings, harness, facts, notes):
    emptied = {f"/{fact.picture}/" for fact in facts if (fact.what, fact.field) in EMPTIED}
    causes = {note["token"]: note["cause"] for note in notes if note["what"] == "error"}
    details = {note["token"]: note["error"] for note in notes if note["what"] == "error"}
    kills = [
        note["at"]
        for note in notes
        if note["what"] == "fault"
        and note["action"] in ("kill", "kill-all")
        and note["step"] in ("sending", *SITE_STEPS)
    ]
    # In a deadlock, the database may end the other process that waits for the row.
    rivals = [note["at"] for note in notes if note["what"] == "fault" and note["action"] == "rival"]
    for token, page, began, failed, what in harness.stream.answers.errors:
        cause = causes.get(token)
        if cause is None and any(began <= kill <= failed for kill in kills):
            cause = "site killed"
        if cause == "deadlock" and any(began - 2 <= rival <= failed for rival in rivals):
            cause = "deadlock, as ordered"
        if cause is None and what.startswith("400"):
            is_emptied = any(page.startswith(start) for start in emptied)
            cause = "emptied by other code" if is_emptied else "refused by the form"
        if cause not in harness.expected:
            # A reset soon after a kill may come from a process that was still dying.
            last = max((kill for kill in kills if kill <= failed), default=float("-inf"))
            when = f"began {began - last:.3f} s and failed {failed - last:.3f} s after a kill"
            print(f"Request {token}: {cause}: {what} {when} {details.get(token, '')}")
        findings.errors[cause or "unexplained"] += 1


#: A form without an image is refused if the required image is gone. A form that was open when the
#: row was deleted makes it again, as in plain Django, and without an image that was pending.
EMPTIED = {("emptied", "image"), ("deleted", "")}


def _measure_recoveries(findings, facts, notes, quiet_since):
    """Measure the time from the kill of an upload's worker until its image is attached."""
    attached = {str(fact.upload): fact.at for fact in facts if fact.what == "attached"}
    reserved, at_work, killed = {}, {}, {}
    for note in notes:
        if note["what"] == "received":
            reserved.setdefault(note["group"], set()).add(note["upload"])
        elif note["what"] == "began":
            at_work[note["pid"]] = note["upload"], note["group"]
        elif note["what"] == "ended":
            _, group = at_work.pop(note["pid"], (None, None))
            reserved.get(group, set()).discard(note["upload"])
        elif note["what"] == "fault" and note["action"] in ("kill", "kill-all"):
            what, uploads = "worker", set()
            if note["action"] == "kill" and "victim" in note:
                what, uploads = "child", {at_work.get(note["victim"], (None, None))[0]}
            elif "group" in note:
                uploads = reserved.pop(note["group"], set())
            for upload in uploads:
                # If not, it was attached already, or is not pending any longer.
                if attached.get(upload, 0) > note["at"]:
                    # A recovery that is killed begins again.
                    killed[upload] = note["at"], what
    for upload, (at, what) in killed.items():
        what = what if at > quiet_since else "among other faults"
        findings.recoveries[what].append((at, attached[upload] - at))
