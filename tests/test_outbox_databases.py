"""The outboxes of several databases in the admin, of which the pages show one at a time."""

import re

import pytest
from django.db import OperationalError, connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_async_forms import models
from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Elsewhere, Photo

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.usefixtures("queue"),
]

LIST = reverse("admin:django_async_forms_upload_changelist")
OTHER = f"{LIST}?database=other"


@pytest.fixture
def here(in_memory):
    return save_image(in_memory("here.jpg"), Photo.objects.create(title="Dune"))


@pytest.fixture
def there(in_memory):
    upload = save_image(in_memory("there.jpg"), Elsewhere.objects.create(title="Reef"))
    Upload.objects.using("other").update(state="failed", attempts=12)
    return upload


def page_of(upload, name="change"):
    address = reverse(f"admin:django_async_forms_upload_{name}", args=[upload.pk])
    return f"{address}?database=other"


@pytest.mark.parametrize("address", [LIST, OTHER], ids=["the router's", "another"])
def test_the_list_shows_the_database_that_is_chosen(admin_client, here, there, address):
    page = admin_client.get(address).content.decode()

    assert (str(here.pk) in page) == (address == LIST)
    assert (str(there.pk) in page) == (address == OTHER)


def test_the_list_offers_each_database_and_marks_the_one_that_it_shows(admin_client, there):
    for address, shown in ((LIST, "default"), (OTHER, "other")):
        page = admin_client.get(address).content.decode()

        offered = re.findall(
            r'<li( class="selected")?>\s*<a href="\?database=(\w+)"[^>]*>\s*\2\s*</a>', page
        )
        assert {alias for _, alias in offered} == {"default", "other"}
        assert [alias for selected, alias in offered if selected] == [shown]


def test_the_other_filters_keep_to_the_database(admin_client, there):
    page = admin_client.get(OTHER).content.decode()

    assert 'href="?database=other&amp;state__exact=failed"' in page
    assert '<input type="hidden" name="database" value="other">' in page


def test_a_project_with_one_outbox_has_nothing_to_choose(admin_client, here, monkeypatch):
    monkeypatch.setitem(models._outboxes, "other", False)

    assert "?database=" not in admin_client.get(LIST).content.decode()


def test_the_links_of_the_list_lead_to_the_database(admin_client, there):
    page = admin_client.get(OTHER).content.decode()

    (link,) = re.findall(rf'href="([^"]*{there.pk}/change/[^"]*)"', page)
    response = admin_client.get(link.replace("&amp;", "&"))
    assert "there.jpg" in response.content.decode()
    link = re.search(r'<a href="([^"]+)" class="historylink"', response.content.decode())[1]
    assert admin_client.get(link.replace("&amp;", "&")).status_code == 200


def test_the_page_of_an_upload_elsewhere_acts_on_its_database(admin_client, there):
    page = admin_client.get(page_of(there)).content.decode()

    for name in ("retry", "delete", "staged"):
        assert page_of(there, name) in page


def test_an_upload_elsewhere_is_not_found_here(admin_client, there):
    page = admin_client.get(page_of(there).partition("?")[0], follow=True).content.decode()

    assert "This upload has ended" in page


def test_an_upload_elsewhere_can_be_retried(admin_client, there):
    assert admin_client.post(page_of(there, "retry")).url == page_of(there)
    assert Upload.objects.using("other").pending().get() == there


def test_an_upload_elsewhere_can_be_discarded(admin_client, here, there):
    assert admin_client.post(page_of(there, "delete"), {"post": "yes"}).url == OTHER
    assert not Upload.objects.using("other").exists()
    assert Upload.objects.get() == here


@pytest.mark.parametrize("action", ["retry_uploads", "delete_selected"])
def test_an_action_takes_the_uploads_of_the_database(admin_client, here, there, action):
    Upload.objects.update(state="failed")

    response = admin_client.post(
        OTHER, {"action": action, "_selected_action": [there.pk, here.pk], "post": "yes"}
    )

    assert response.url == OTHER
    assert Upload.objects.failed().get() == here
    assert not Upload.objects.using("other").failed().exists()


def test_the_staged_image_elsewhere_is_shown(admin_client, in_memory):
    data = pictures.jpeg()
    upload = save_image(in_memory(data=data), Elsewhere.objects.create(title="Reef"))

    assert b"".join(admin_client.get(page_of(upload, "staged")).streaming_content) == data


def test_an_instance_of_the_same_key_in_another_database_is_not_linked(admin_client, in_memory):
    Photo.objects.create(pk=7, title="here")
    photo = Photo.objects.using("other").create(pk=7, title="there")
    upload = save_image(in_memory(), Elsewhere.objects.create(title="Reef"))
    Upload.objects.using("other").update(model="project.photo", object_pk=photo.pk)

    for address in (OTHER, page_of(upload)):
        page = admin_client.get(address).content.decode()
        assert "Photo 7" in page
        assert reverse("admin:project_photo_change", args=[7]) not in page


@pytest.mark.parametrize("name", ["nowhere", "../x", "default'", "é"])
def test_choosing_a_database_that_the_project_lacks_leads_back_and_says_so(
    admin_client, here, name
):
    response = admin_client.get(LIST, {"database": name}, follow=True)

    assert response.redirect_chain == [(LIST, 302)]
    assert "holds no outbox, or does not answer." in response.content.decode()
    address = reverse("admin:django_async_forms_upload_change", args=[here.pk])
    assert admin_client.get(address, {"database": name}).status_code == 404


@pytest.fixture
def down(monkeypatch):
    """Make the second database refuse connections, of which it is not known what it holds."""
    connection = connections["other"]

    def refuse(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(models, "_outboxes", {})
    monkeypatch.setattr(connection, "cursor", refuse)
    return connection


def test_a_database_that_is_down_leaves_the_others_usable(admin_client, here, down):
    response = admin_client.get(LIST)

    assert str(here.pk) in response.content.decode()
    assert "The database “other” does not answer." in response.content.decode()


@pytest.mark.parametrize("was_known", [True, False])
def test_choosing_a_database_that_is_down_leads_back(admin_client, here, down, was_known):
    models._outboxes.update({"other": True} if was_known else {})

    response = admin_client.get(OTHER, follow=True)

    assert response.redirect_chain == [(LIST, 302)]
    assert str(here.pk) in response.content.decode()


def test_the_list_asks_the_chosen_database_alone(admin_client, here, there):
    admin_client.get(LIST)

    with CaptureQueriesContext(connections["other"]) as elsewhere:
        admin_client.get(LIST)

    assert not len(elsewhere)
