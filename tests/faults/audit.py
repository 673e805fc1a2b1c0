"""What came of it: the database and the storages, held against the ledger and the notes."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Findings:
    """The numbers of the table, and what there is to say about each that is wrong."""

    uploads: int = 0
    requests: int = 0
    lost: list = field(default_factory=list)
    doubled: list = field(default_factory=list)
    stale: list = field(default_factory=list)
    orphans: list = field(default_factory=list)
    #: Of those, what no SIGKILL and no half written file accounts for.
    unexplained: list = field(default_factory=list)
    rows_left: list = field(default_factory=list)
    staged_left: list = field(default_factory=list)
    abandoned: int = 0
    errors: Counter = field(default_factory=Counter)
    #: Seconds from a kill until what was hit is attached, among other faults and with none.
    recoveries: list = field(default_factory=list)
    recoveries_in_quiet: list = field(default_factory=list)


def audit(harness):
    """Return the ``Findings`` of a run that is healed."""
    from .site.models import Fact

    facts = list(Fact.objects.order_by("pk"))
    notes = harness.orders.notes()
    findings = Findings(requests=harness.stream.answers.requests)
    findings.uploads = sum(fact.what == "posted" for fact in facts)
    _check_pictures(findings, facts, harness.stream.sent)
    _check_attached_once(findings, facts)
    _check_left(findings)
    _check_orphans(findings, facts, notes)
    _count_errors(findings, harness, notes)
    _measure_recoveries(findings, facts, notes, harness.quiet_since)
    return findings


def _check_pictures(findings, facts, sent):
    """Every upload that was not superseded, cleared or deleted is there, byte for byte."""
    from .site.models import Picture

    wanted, titles = {}, {}
    for fact in facts:
        if fact.what == "posted":
            if sent[fact.token][fact.field] != fact.digest:
                findings.lost.append(f"{fact}: staged as it was not sent")
            wanted[fact.picture, fact.field] = fact
        elif fact.what == "cleared":
            wanted[fact.picture, fact.field] = None
        elif fact.what == "titled":
            titles[fact.picture] = fact.name
        elif fact.what == "deleted":
            titles.pop(fact.picture, None)
            for name in ("image", "cover"):
                wanted.pop((fact.picture, name), None)
    pictures = {picture.pk: picture for picture in Picture.objects.all()}
    for key in pictures.keys() ^ titles.keys():
        findings.lost.append(f"picture {key} is there and should not be, or the other way")
    for key in pictures.keys() & titles.keys():
        if pictures[key].title != titles[key]:
            findings.stale.append(f"picture {key} has the title {pictures[key].title}")
    for (key, name), fact in wanted.items():
        if key not in pictures:
            continue
        file = getattr(pictures[key], name)
        if fact is None:
            if file:
                findings.stale.append(f"picture {key}, {name}: cleared, and there is {file.name}")
        elif not file:
            findings.lost.append(f"{fact}, upload {fact.upload}: there is none")
        elif (found := _digest(file)) != fact.digest:
            what = next((f"is upload {f.upload}" for f in facts if f.digest == found), found)
            findings.lost.append(f"{fact}, upload {fact.upload}: {file.name} {what}")


def _digest(file):
    try:
        with file.storage.open(file.name) as content:
            return hashlib.sha256(content.read()).hexdigest()
    except OSError as error:
        return repr(error)


def _check_attached_once(findings, facts):
    attached = Counter(fact.upload for fact in facts if fact.what == "attached")
    findings.doubled += [f"upload {key}, {n} times" for key, n in attached.items() if n > 1]


def _check_left(findings):
    """No row is left, and staging is empty once recovery has removed what nobody owns."""
    from django.conf import settings

    from django_async_forms.models import Upload
    from django_async_forms.recovery import remove_abandoned
    from django_async_forms.storage import staging_storage

    findings.rows_left += [f"{upload.pk} {upload.error}" for upload in Upload.objects.all()]
    # It is a day before recovery takes a file for one that nobody owns: this is the day after.
    settings.ASYNC_FORMS = {**settings.ASYNC_FORMS, "KEEP_ABANDONED": 0.001}
    findings.abandoned = remove_abandoned("default", 10**9)
    findings.staged_left += _files(staging_storage("default"))


def _files(storage, folder=""):
    try:
        folders, files = storage.listdir(folder)
    except FileNotFoundError:
        return []
    found = [f"{folder}/{name}".lstrip("/") for name in files if name]
    for name in folders:
        found += _files(storage, f"{folder}/{name}".lstrip("/"))
    return found


def _check_orphans(findings, facts, notes):
    """Count the files in the final storages that no row refers to, and never one did."""
    from .site.models import Picture

    used = {fact.name for fact in facts if fact.what == "attached"}
    storages = [Picture._meta.get_field(name).storage for name in ("image", "cover")]
    files = {name for storage in storages for name in _files(storage)}
    files = {name for name in files if name.startswith(("images/", "covers/"))}
    findings.orphans += sorted(files - used)
    at_work, explained = {}, set()
    for note in notes:
        pid = note["pid"]
        if note["what"] == "began":
            explained.update(at_work.get(pid, ()))  # The id is another process's by now.
            at_work[pid] = []
        elif note["what"] in ("storing", "stored"):
            at_work.setdefault(pid, []).append(note["name"])
        elif note["what"] == "half":
            explained.add(note["name"])
        elif note["what"] == "ended":
            at_work.pop(pid, None)
    # What a process was at that never came to its end: it was killed.
    explained.update(name for names in at_work.values() for name in names)
    findings.unexplained += sorted(set(findings.orphans) - explained)


def _count_errors(findings, harness, notes):
    causes = {note["token"]: note["cause"] for note in notes if note["what"] == "error"}
    details = {note["token"]: note["error"] for note in notes if note["what"] == "error"}
    kills = [
        note["at"]
        for note in notes
        if note["what"] == "fault" and (note["action"], note["step"]) == ("kill", "sending")
    ]
    for token, began, failed, what in harness.stream.answers.errors:
        cause = causes.get(token)
        if cause is None and any(began <= kill <= failed for kill in kills):
            cause = "site killed"
        if cause is None and what.startswith("400"):
            cause = "refused by the form"
        if cause not in EXPECTED:
            print(f"Request {token}: {cause}: {what} {details.get(token, '')}")
        findings.errors[cause or "unexplained"] += 1


#: What a request may fail for: the database itself, a full disk, the end of its own process, and
#: that somebody else has deleted what it changes.
EXPECTED = {"database", "staging full", "site killed", "deleted meanwhile"}


def _measure_recoveries(findings, facts, notes, quiet_since):
    """Measure from each kill of a worker until what it was at, or had reserved, is attached."""
    attached = {str(fact.upload): fact.at for fact in facts if fact.what == "attached"}
    reserved, at_work = {}, {}
    for note in notes:
        if note["what"] == "received":
            reserved.setdefault(note["group"], set()).add(note["upload"])
        elif note["what"] == "began":
            at_work[note["pid"]] = note["upload"], note["group"]
        elif note["what"] == "ended":
            _, group = at_work.pop(note["pid"], (None, None))
            reserved.get(group, set()).discard(note["upload"])
        elif note["what"] == "fault" and note["action"] in ("kill", "kill-all"):
            uploads = set()
            if note["action"] == "kill" and "victim" in note:
                uploads = {at_work.get(note["victim"], (None, None))[0]}
            elif "group" in note:
                uploads = reserved.pop(note["group"], set())
            for upload in uploads:
                until = attached.get(upload, 0)
                if until <= note["at"]:
                    continue  # It was attached already, or is not owed any more.
                is_quiet = note["at"] > quiet_since
                times = findings.recoveries_in_quiet if is_quiet else findings.recoveries
                times.append(until - note["at"])
