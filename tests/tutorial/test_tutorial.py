"""Does what docs/tutorial.rst says, in its order, and sees whether it comes out as it says."""

import pytest

from tests.tutorial.page import ROOT, sections
from tests.tutorial.walk import Walk

SECTIONS = sections(ROOT / "docs" / "tutorial.rst")


@pytest.fixture(scope="module")
def walk(visitor, tmp_path_factory):
    walk = Walk(SECTIONS, tmp_path_factory.mktemp("tutorial"), visitor)
    yield walk
    walk.close()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_what_is_told_can_be_done_and_is_seen(walk, section):
    walk.up_to(section)
