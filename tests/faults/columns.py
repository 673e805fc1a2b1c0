"""Computes from the ledger what each column should hold in the end: the newest state."""

from collections import Counter
from dataclasses import dataclass, field

#: The fields with the names of their models.
MODELS = {"image": "Picture", "cover": "Picture", "photo": "Slide", "back": "Slide"}
#: The facts of writes by other code from an instance that it loaded earlier.
STALE = ("stale", "resaved")
#: The largest difference of the clocks of storage and site, where files are dated in seconds.
PRECISION = 1.2


@dataclass
class Column:
    """One column of one row, according to the ledger."""

    #: The facts that the column may hold in the end. At first it holds nothing.
    wanted: list = field(default_factory=list)
    #: The newest upload, while nobody has attached or cleared it.
    live: object = None
    #: The fact of the newest attached image, and the fact of its upload.
    attached: object = None
    posted: object = None


class Ledger:
    """Reads the facts in order. The result is in ``columns``."""

    def __init__(self, stored_at):
        self.columns = {}
        self.titles = {}
        self.deleted = set()
        #: The facts of the newest uploads of deleted pictures. A form that had loaded the picture
        #: makes it again, as in plain Django, and an operator may retry the upload.
        self._posted_before = {}
        self.lost, self.doubled, self.stale = [], [], []
        #: The number of times that code with an older instance overwrote an attached image.
        self.overwritten = 0
        #: The number of writes by other code while an upload was pending, by kind.
        self.met = Counter()
        self._stored_at = stored_at

    def read(self, facts, ended):
        """Read all facts. ``ended`` has the times of successful attempts, by upload."""
        for fact in facts:
            if fact.what == "titled":
                self.titles[fact.picture] = fact.name
            elif fact.what == "deleted":
                self.titles.pop(fact.picture, None)
                for key in ((fact.picture, name) for name in ("image", "cover")):
                    if key in self.columns:
                        self._posted_before[key] = self.columns.pop(key).posted
            else:
                key = fact.picture, fact.field
                new = Column(posted=self._posted_before.get(key))
                column = self.columns.setdefault(key, new)
                getattr(self, f"_read_{fact.what}", self._read_other)(column, fact)
        self._check_attached_once(facts, ended)

    def _read_posted(self, column, fact):
        column.live = column.posted = fact
        column.wanted = [fact]

    def _read_cleared(self, column, fact):
        column.live = None
        column.wanted = [fact]

    def _read_attached(self, column, fact):
        if column.posted is None or column.posted.upload != fact.upload:
            self.stale.append(f"{fact}, upload {fact.upload}: is not the newest")
            return
        # An image that is attached but not settled is attached again if its worker dies.
        is_again = column.attached is not None and column.attached.upload == fact.upload
        is_undone = is_again and all(self._may_lose(other, column) for other in column.wanted)
        if column.wanted and column.posted not in column.wanted and not is_undone:
            what = ", ".join(map(str, column.wanted))
            self.stale.append(f"{fact}, upload {fact.upload}: attached over {what}")
        column.live, column.attached = None, fact
        column.wanted = [column.posted]

    def _may_lose(self, fact, column):
        """Tell whether an upload that is attached again may overwrite a write by other code."""
        if fact.what not in (*STALE, "emptied"):
            return False
        # After the attempt is undone, the name that the column held at first is not a change.
        return fact.name == column.posted.name or (fact.name and fact.what != "emptied")

    def _read_detached(self, column, fact):
        if column.posted is not None and column.posted.upload == fact.upload:
            column.live = column.posted

    def _read_replaced(self, column, fact):
        self._count(column, fact)
        column.wanted = [fact]

    def _read_other(self, column, fact):
        """Read a write by other code: nothing, or the name that its instance had."""
        live = column.live
        self._count(column, fact)
        if live is None:
            attached = column.attached
            if attached is not None and column.wanted == [column.posted]:
                if fact.name == attached.name:
                    return
                self.overwritten += 1
                if fact.what == "resaved" and fact.token == column.posted.token:
                    self.lost.append(f"{fact}: over what its own request has posted")
            column.wanted = [fact]
        elif fact.name == live.name:
            # The column is as it was when the upload was made. A worker that looked at it earlier
            # would have found a newer state.
            column.wanted = [live] if column.wanted == [live] else [live, fact]
        elif not fact.name:
            column.wanted = [fact]
        else:
            is_close = live.at - self._stored_at.get(fact.name, 0) < PRECISION
            is_open = column.wanted != [live] or is_close
            column.wanted = [live, fact] if is_open else [live]

    def _count(self, column, fact):
        if column.live is not None:
            # The name that the upload replaces is not a change.
            self.met[fact.what] += fact.name != column.live.name

    def _check_attached_once(self, facts, ended):
        earlier = {}
        for fact in facts:
            if fact.what == "detached":
                earlier.pop(fact.upload, None)
            elif fact.what == "attached":
                before = earlier.get(fact.upload)
                # A picture's upload is settled with the write, a slide's at the end of its attempt.
                times = ended.get(str(fact.upload), ())
                if before is not None and (
                    MODELS[fact.field] == "Picture" or any(before.at < at < fact.at for at in times)
                ):
                    self.doubled.append(f"upload {fact.upload}: {before.name}, then {fact.name}")
                earlier[fact.upload] = fact
