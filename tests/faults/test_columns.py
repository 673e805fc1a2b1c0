"""The ledger: which of the images that were posted each column should hold."""

from types import SimpleNamespace

from .columns import Ledger


def fact(what, **more):
    values = {"picture": 1, "field": "cover", "upload": None, "name": "", "at": 0, **more}
    return SimpleNamespace(what=what, **values)


def read(*facts):
    ledger = Ledger({})
    ledger.read(facts, {})
    return ledger


def test_an_image_that_is_attached_after_a_newer_one_was_posted_is_stale():
    old, new = fact("posted", upload="a"), fact("posted", upload="b")

    ledger = read(old, new, fact("attached", upload="a", name="a.jpg"))

    assert len(ledger.stale) == 1


def test_an_image_that_is_retried_on_a_picture_that_was_made_again_is_not_stale():
    posted = fact("posted", upload="a")

    ledger = read(posted, fact("deleted"), fact("attached", upload="a", name="a.jpg"))

    assert ledger.stale == []
    assert ledger.columns[1, "cover"].wanted == [posted]
