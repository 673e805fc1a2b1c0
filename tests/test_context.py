"""The worker restores the context of a request: language, time zone, and a project's own data."""

import json
import sys
from contextlib import contextmanager
from datetime import timedelta
from datetime import timezone as fixed
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone, translation

from django_async_forms import context
from django_async_forms.conf import conf
from django_async_forms.context import RequestContext
from tests.pages import block
from tests.tenant import TenantContext, tenant

BERLIN = ZoneInfo("Europe/Berlin")


class Unwritable(RequestContext):
    def capture(self):
        return {"tenant": object()}


class OnlyCapture:
    def capture(self):
        return {}


def travelled(data):
    """Return data as a worker gets it."""
    return json.loads(json.dumps(data))


def active():
    return translation.get_language(), timezone.get_current_timezone()


@pytest.fixture(autouse=True)
def defaults():
    """Deactivates the language and the time zone, as in a worker."""
    translation.deactivate()
    timezone.deactivate()
    return active()


@pytest.mark.parametrize(
    "override",
    [translation.override("de"), translation.override(None), timezone.override(BERLIN)],
    ids=["a language", "no translations", "a time zone"],
)
def test_the_active_language_or_time_zone_is_restored(override, defaults):
    with override:
        expected, data = active(), travelled(context.capture())

    with context.restore(data):
        assert active() == expected != defaults
    assert active() == defaults


@pytest.mark.parametrize("hours", [5.5, -3, 0])
def test_a_fixed_offset_is_restored(hours, settings):
    settings.TIME_ZONE = "America/Bogota"
    zone = fixed(timedelta(hours=hours))
    with timezone.override(zone):
        data = travelled(context.capture())

    with context.restore(data):
        assert timezone.get_current_timezone() == zone


def test_a_named_fixed_offset_is_restored():
    with timezone.override(timezone.get_fixed_timezone(90)):
        data = travelled(context.capture())

    with context.restore(data):
        assert timezone.localtime().utcoffset() == timedelta(minutes=90)


def test_a_context_with_nothing_active_changes_nothing():
    data = travelled(context.capture())

    assert data == {}
    with translation.override("de"), timezone.override(BERLIN), context.restore(data):
        assert active() == ("de", BERLIN)


def test_the_defaults_are_restored_where_they_were_active(defaults):
    with translation.override(defaults[0]), timezone.override(defaults[1]):
        data = travelled(context.capture())

    with translation.override("de"), timezone.override(BERLIN), context.restore(data):
        assert active() == defaults


def test_the_context_ends_after_an_error(defaults):
    with translation.override("de"), timezone.override(BERLIN):
        data = context.capture()

    with pytest.raises(OSError, match="full"), context.restore(data):
        raise OSError("full")

    assert active() == defaults


@pytest.mark.parametrize(
    "data", [None, {}, [], "de", {"locale": "de"}, {"time_zone": "Europe/Atlantis"}]
)
def test_data_of_another_version_changes_nothing(data, defaults):
    with context.restore(data):
        assert active() == defaults


def test_a_time_zone_that_the_worker_does_not_know_is_logged(caplog):
    with context.restore({"time_zone": "Europe/Atlantis"}):
        pass

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "'Europe/Atlantis'" in record.getMessage()


# A project's own class


def test_the_class_of_the_page_restores_a_tenant(settings, monkeypatch):
    @contextmanager
    def use_tenant(name):
        token = tenant.set(name)
        yield
        tenant.reset(token)

    tenants = SimpleNamespace(current_tenant=tenant.get, use_tenant=use_tenant)
    monkeypatch.setitem(sys.modules, "tests.recipes.tenants", tenants)
    page = block("docs/howto/context.rst", "class TenantContext").execute()
    monkeypatch.setattr("tests.tenant.TenantContext", page.TenantContext)
    settings.ASYNC_FORMS = {"CONTEXT": "tests.tenant.TenantContext"}
    with use_tenant("blue"):
        data = travelled(context.capture())

    with context.restore(data):
        assert tenant.get() == "blue"
    assert tenant.get() is None


def test_a_tenant_is_restored(settings):
    settings.ASYNC_FORMS = {"CONTEXT": "tests.tenant.TenantContext"}
    token = tenant.set("blue")
    with translation.override("de"):
        data = travelled(context.capture())
    tenant.reset(token)

    with context.restore(data):
        assert (tenant.get(), translation.get_language()) == ("blue", "de")
    assert tenant.get() is None


def test_data_that_json_cannot_carry_is_an_error(settings):
    settings.ASYNC_FORMS = {"CONTEXT": f"{__name__}.Unwritable"}

    with pytest.raises(TypeError, match=r"CONTEXT.*Unwritable.*JSON"):
        context.capture()


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        TenantContext,
        "",
        "nothing",
        "tests.nowhere.Context",
        "tests.test_context.Nothing",
        "tests.test_context.OnlyCapture",
        "tests.tenant.tenant",
    ],
)
def test_a_class_that_cannot_be_used_is_found(settings, value):
    settings.ASYNC_FORMS = {"CONTEXT": value}

    with pytest.raises(ImproperlyConfigured, match="capture"):
        conf()
    (message,) = [m for m in run_checks(tags=None) if m.id == "django_async_forms.E001"]
    assert 'ASYNC_FORMS["CONTEXT"]' in message.msg
    assert repr(value) in message.msg
