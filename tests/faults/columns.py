"""What the columns should hold in the end, by the ledger: the newest state, whoever set it."""

from collections import Counter
from dataclasses import dataclass, field

#: The fields, and the name of the model that each is of.
MODELS = {"image": "Picture", "cover": "Picture", "photo": "Slide", "back": "Slide"}
#: What other code writes from an instance that it has loaded earlier.
STALE = ("stale", "resaved")
#: By how much the clocks of storage and site may be apart where files are dated to the second.
PRECISION = 1.2


@dataclass
class Column:
    """One column of one row, as the ledger tells it."""

    #: The facts any of which may be what the column holds in the end; it held nothing at first.
    wanted: list = field(default_factory=list)
    #: The newest upload, while nobody has attached or cleared it.
    live: object = None
    #: The fact of the newest that was attached, and that of its upload.
    attached: object = None
    posted: object = None


class Ledger:
    """Reads the facts in their order; ``columns`` is what came of it."""

    def __init__(self, stored_at):
        self.columns = {}
        self.titles = {}
        self.deleted = set()
        self.lost, self.doubled, self.stale = [], [], []
        #: How often other code, which had loaded the row earlier, wrote over what was attached.
        self.overwritten = 0
        #: How often other code wrote while an upload was pending, by what it did.
        self.met = Counter()
        self._stored_at = stored_at

    def read(self, facts, ended):
        """Read all facts. ``ended`` are the times at which an attempt ended well, by upload."""
        for fact in facts:
            if fact.what == "titled":
                self.titles[fact.picture] = fact.name
            elif fact.what == "deleted":
                self.titles.pop(fact.picture, None)
                for name in ("image", "cover"):
                    self.columns.pop((fact.picture, name), None)
            else:
                column = self.columns.setdefault((fact.picture, fact.field), Column())
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
        # One that is attached and not settled is attached again if its worker dies.
        is_again = column.attached is not None and column.attached.upload == fact.upload
        is_undone = is_again and all(self._may_lose(other, column) for other in column.wanted)
        if column.posted not in column.wanted and not is_undone:
            what = ", ".join(map(str, column.wanted))
            self.stale.append(f"{fact}, upload {fact.upload}: attached over {what}")
        column.live, column.attached = None, fact
        column.wanted = [column.posted]

    def _may_lose(self, fact, column):
        """Tell whether an upload that is attached again may do so over what other code wrote."""
        if fact.what not in (*STALE, "emptied"):
            return False
        # What the column held when the upload was made is no change once the attempt is undone.
        return fact.name == column.posted.name or (fact.name and fact.what != "emptied")

    def _read_detached(self, column, fact):
        if column.posted is not None and column.posted.upload == fact.upload:
            column.live = column.posted

    def _read_replaced(self, column, fact):
        self._count(column, fact)
        column.wanted = [fact]

    def _read_other(self, column, fact):
        """Read what other code wrote: nothing, or the name that its instance had."""
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
            # As the column was when the upload was made. Had a worker looked at it before this, it
            # would have found something newer.
            column.wanted = [live] if column.wanted == [live] else [live, fact]
        elif not fact.name:
            column.wanted = [fact]
        else:
            is_close = live.at - self._stored_at.get(fact.name, 0) < PRECISION
            is_open = column.wanted != [live] or is_close
            column.wanted = [live, fact] if is_open else [live]

    def _count(self, column, fact):
        if column.live is not None:
            # The name that the upload is to replace is no change.
            self.met[fact.what] += fact.name != column.live.name

    def _check_attached_once(self, facts, ended):
        earlier = {}
        for fact in facts:
            if fact.what == "detached":
                earlier.pop(fact.upload, None)
            elif fact.what == "attached":
                before = earlier.get(fact.upload)
                # A picture's upload is settled with the write, a slide's by the end of its attempt.
                times = ended.get(str(fact.upload), ())
                if before is not None and (
                    MODELS[fact.field] == "Picture" or any(before.at < at < fact.at for at in times)
                ):
                    self.doubled.append(f"upload {fact.upload}: {before.name}, then {fact.name}")
                earlier[fact.upload] = fact
