"""The outbox in the admin: looking at uploads, retrying them, giving them up."""

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.storage import FileSystemStorage
from django.db import connection, transaction
from django.db.models import JSONField, Value
from django.db.models.fields.files import ImageFieldFile
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_async_forms import outbox_admin, outbox_list
from django_async_forms.models import StoredChunk, Upload, UploadQuerySet
from django_async_forms.tasks import save_image_task
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import Document, Keyed, Photo, Restaurant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queue")]

OUTBOX = "django_async_forms_upload"
LIST = reverse(f"admin:{OUTBOX}_changelist")
HTML = "<img src=x onerror=alert(1)>.jpg"


@pytest.fixture
def pending(photo, in_memory):
    return save_image(in_memory(), photo)


@pytest.fixture
def failed(in_memory):
    upload = save_image(in_memory("deed.jpg"), Document.objects.create(title="Deed"))
    Upload.objects.filter(pk=upload.pk).update(
        state=Upload.State.FAILED, attempts=12, error="OSError: no space"
    )
    return upload


def page_of(upload, name="change"):
    """Return the address of a page of an upload, or of the list."""
    return LIST if name == "list" else reverse(f"admin:{OUTBOX}_{name}", args=[upload.pk])


def use(client, upload, name):
    """Ask for a page, or post to one that changes something."""
    send = client.post if name in ("retry", "delete") else client.get
    return send(page_of(upload, name))


def do(client, action, *uploads, **more):
    """Choose an action for some rows of the list, as an operator does; return the next page."""
    data = {"action": action, "_selected_action": [str(upload.pk) for upload in uploads], **more}
    return client.post(LIST, data, follow=True).content.decode()


def text_of(response):
    """Return the text of a page, which must be a good answer."""
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def listed(admin_client):
    """Returns the list for a query: ``listed(q="dune")``."""
    return lambda **query: text_of(admin_client.get(LIST, query))


@pytest.fixture
def shown(admin_client):
    """Returns a page of one upload."""
    return lambda upload, name="change": text_of(admin_client.get(page_of(upload, name)))


def rows(page):
    """Return the uploads that a page of the list has."""
    return {upload for upload in Upload.objects.all() if str(upload.pk) in page}


def test_the_list_shows_pending_and_failed_uploads(listed, pending, failed):
    page = listed()

    for text in (str(pending.pk), "project.photo", "dune.jpg", "pending"):
        assert text in page
    for text in (str(failed.pk), "project.document", "deed.jpg", "failed", "OSError: no space"):
        assert text in page


def test_the_list_can_be_narrowed_to_failed_uploads(listed, pending, failed):
    assert rows(listed(state__exact="failed")) == {failed}


def test_the_list_can_be_narrowed_to_a_model(listed, pending, failed):
    assert rows(listed(model="project.photo")) == {pending}


def test_an_instances_uploads_are_found_by_its_key(listed, pending, in_memory):
    save_image(in_memory(), Photo.objects.create(title="Reef"))

    assert rows(listed(q=pending.object_pk)) == {pending}


def test_the_list_makes_as_many_queries_for_many_rows_as_for_one(
    admin_client, pending, in_memory, django_assert_num_queries
):
    with CaptureQueriesContext(connection) as for_one:
        admin_client.get(LIST)
    for title in ("Reef", "Peak", "Lake"):
        save_image(in_memory(), Photo.objects.create(title=title))

    with django_assert_num_queries(len(for_one)):
        admin_client.get(LIST)


def test_a_failed_upload_can_be_retried(admin_client, failed, queue):
    assert "1 upload will be retried." in do(admin_client, "retry_uploads", failed)
    upload = Upload.objects.pending().get()
    assert upload.attempts == 0
    save_image_task.apply(args=[str(upload.pk), "default"])
    assert Document.objects.get().scan


@pytest.mark.django_db(transaction=True)
def test_a_retried_upload_is_sent_on_commit(admin_client, failed, queue):
    # A message that comes before, under ATOMIC_REQUESTS, finds a failed upload: nothing to do.
    for message in queue.folder.glob("*.msg"):
        message.unlink()

    with transaction.atomic():
        do(admin_client, "retry_uploads", failed)
        assert list(queue.folder.glob("*.msg")) == []

    assert len(list(queue.folder.glob("*.msg"))) == 1


def test_retrying_a_pending_upload_changes_nothing(admin_client, pending):
    assert "0 uploads will be retried." in do(admin_client, "retry_uploads", pending)
    assert Upload.objects.pending().get() == pending


def delete_on_its_page(client, upload):
    client.post(page_of(upload, "delete"), {"post": "yes"})


def delete_in_the_list(client, upload):
    do(client, "delete_selected", upload, post="yes")


@pytest.mark.parametrize("delete", [delete_on_its_page, delete_in_the_list])
def test_deleting_an_upload_removes_its_staged_bytes(
    delete, admin_client, pending, staging, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        delete(admin_client, pending)

    assert not Upload.objects.exists()
    with pytest.raises(FileNotFoundError):
        pending.open_staged()


def test_deleting_an_upload_leaves_the_image_that_the_instance_has(
    admin_client, photo, in_memory, settings
):
    photo.image.save("old.jpg", pictures.as_file(pictures.jpeg()))
    admin_client.post(page_of(save_image(in_memory(), photo), "delete"), {"post": "yes"})

    photo.refresh_from_db()
    assert photo.image.storage.exists(photo.image.name)
    assert not StoredChunk.objects.exists()


def test_an_upload_cannot_be_added(admin_client):
    assert admin_client.get(reverse("admin:django_async_forms_upload_add")).status_code == 403


def test_an_upload_can_be_looked_at_and_not_changed(admin_client, failed, shown):
    page = shown(failed)
    assert "OSError: no space" in page
    assert "deed.jpg" in page
    assert not re.search(r"<(input|textarea|select)\b[^>]*name=\"(error|state|object_pk)\"", page)
    assert admin_client.post(page_of(failed), {"state": "pending"}).status_code == 403
    assert Upload.objects.failed().get() == failed


def test_file_names_and_errors_are_shown_as_text(listed, shown, photo, in_memory):
    upload = save_image(in_memory(HTML), photo)
    Upload.objects.update(error=f"OSError: {HTML}")

    for page in (listed(), shown(upload), shown(upload, "delete")):
        assert HTML not in page
        assert "&lt;img src=x" in page


def test_a_user_who_may_only_view_uploads_may_not_retry_them(client, operator, failed):
    operator("view_upload")
    assert rows(text_of(client.get(LIST))) == {failed}

    do(client, "retry_uploads", failed)

    assert Upload.objects.failed().get() == failed


def test_a_user_who_may_change_uploads_may_retry_them(client, operator, failed):
    operator("view_upload", "change_upload")

    do(client, "retry_uploads", failed)

    assert Upload.objects.pending().get() == failed


# The list


def cells(page, column):
    """Return the texts of a column of the list."""
    found = re.findall(rf'<t[dh] class="field-{column}">(.*?)</t[dh]>', page, re.S)
    return [" ".join(re.sub(r"<[^>]+>", " ", html).split()) for html in found]


def test_the_list_says_the_state_in_a_word(listed, pending, failed):
    states = sorted(cells(listed(), "state_sign"))
    assert states[0].startswith("failed 12 of 12 attempts")
    assert states[1].startswith("pending 0 of 12 attempts next attempt: within")


def test_the_list_says_that_an_upload_is_overdue(listed, pending):
    Upload.objects.update(due_at=timezone.now() - timedelta(minutes=4))

    assert cells(listed(), "state_sign")[0].startswith("overdue")


def test_the_list_shows_no_upload_as_overdue_that_the_next_recovery_sends(listed, pending):
    Upload.objects.update(due_at=timezone.now() - timedelta(seconds=50))

    assert cells(listed(), "state_sign") == [
        "pending 0 of 12 attempts next attempt: within a minute"
    ]
    assert not rows(listed(due="overdue"))


def test_the_list_can_be_narrowed_to_overdue_uploads(listed, pending, failed, in_memory):
    late = save_image(in_memory(), Photo.objects.create(title="Reef"))
    past = timezone.now() - timedelta(minutes=4)
    Upload.objects.filter(pk__in=[late.pk, failed.pk]).update(due_at=past)

    assert rows(listed(due="overdue")) == {late}


def test_the_list_gives_the_age_in_words_and_the_exact_time(listed, pending):
    Upload.objects.update(created_at=timezone.now() - timedelta(minutes=3, seconds=10))

    page = listed()

    assert cells(page, "age") == ["3 minutes ago"]
    assert re.search(r'<time datetime="[\dT:.+-]+" title="[^"]+">3 minutes ago</time>', page)


def test_a_long_error_is_shortened_in_the_list_and_whole_in_the_page(listed, shown, failed):
    error = "OSError: " + "no space " * 100 + "at all"
    Upload.objects.update(error=error)

    page = listed()
    assert len(cells(page, "last_error")[0]) <= 120
    assert f'title="{error}"' in page
    assert error in shown(failed)


def test_the_list_links_to_the_instance(listed, pending):
    page = listed()

    address = reverse("admin:project_photo_change", args=[pending.object_pk])
    assert f'<a href="{address}">Photo {pending.object_pk}</a>' in page
    assert cells(page, "instance_cell") == [f"Photo {pending.object_pk} image"]


def test_an_instance_without_an_admin_has_no_link(listed, failed):
    page = listed()

    assert cells(page, "instance_cell") == [f"Document {failed.object_pk} scan"]
    assert "project/document" not in page


def test_an_instance_that_the_user_may_not_view_has_no_link(client, operator, pending):
    operator("view_upload")

    page = client.get(LIST).content.decode()

    assert f"Photo {pending.object_pk}" in page
    assert "project/photo" not in page


def test_an_instance_that_is_gone_says_so(listed, shown, photo, pending):
    Photo._base_manager.filter(pk=photo.pk)._raw_delete("default")

    page = listed()

    assert cells(page, "instance_cell") == [f"Photo {photo.pk} (deleted) image"]
    assert reverse("admin:project_photo_change", args=[photo.pk]) not in page
    assert "(deleted)" in shown(pending)


def test_the_upload_of_a_deleted_child_links_to_its_parent(listed, in_memory):
    restaurant = Restaurant.objects.create(name="Chez")
    save_image(in_memory(), restaurant, "image")
    Restaurant._base_manager.filter(pk=restaurant.pk)._raw_delete("default")

    assert "(deleted)" not in cells(listed(), "instance_cell")[0]


@pytest.mark.parametrize("model", ["gone.photo", "project.gone", "photo", "", "project.country"])
def test_an_upload_of_a_model_that_the_project_lacks_is_shown(pending, model, listed, shown):
    Upload.objects.update(model=model)

    assert model in listed()
    assert "dune.jpg" in shown(pending)


@pytest.mark.parametrize("key", ["no number", "", "9" * 40, "-1", "[1"])
def test_an_upload_with_a_key_that_its_model_cannot_have_is_shown(listed, shown, pending, key):
    Upload.objects.update(object_pk=key)

    assert rows(listed()) == {pending}
    assert "dune.jpg" in shown(pending)


@pytest.mark.parametrize(
    "file", [{}, [], None, "text", {"size": "large", "content_type": {"bytes": 3}}]
)
def test_an_upload_whose_file_somebody_has_changed_is_shown(listed, shown, pending, file):
    Upload.objects.update(file=Value(file, JSONField()))

    assert rows(listed()) == {pending}
    assert "dune.jpg" in shown(pending)


def test_the_list_asks_one_query_for_the_instances_of_a_model(admin_client, pending, in_memory):
    for title in ("Reef", "Peak"):
        save_image(in_memory(), Photo.objects.create(title=title))
        save_image(in_memory(), Document.objects.create(title=title), "scan")

    with CaptureQueriesContext(connection) as queries:
        admin_client.get(LIST)

    assert len([query["sql"] for query in queries if "project_" in query["sql"]]) == 2


@pytest.mark.parametrize("text", ["dune", "DUNE.j"])
def test_uploads_are_found_by_the_beginning_of_their_file_name(listed, pending, failed, text):
    assert rows(listed(q=text)) == {pending}


@pytest.mark.parametrize("form", [str, lambda key: key.hex, lambda key: f" {key} "])
def test_an_upload_is_found_by_its_id(listed, pending, failed, form):
    assert rows(listed(q=form(pending.pk))) == {pending}


def test_an_instance_is_found_by_a_uuid_without_hyphens(listed, in_memory):
    upload = save_image(in_memory(), Keyed.objects.create())

    assert rows(listed(q=upload.object_pk.replace("-", ""))) == {upload}


def test_a_search_keeps_to_the_filters(listed, pending, in_memory):
    failed = save_image(in_memory(), Photo.objects.create(title="Reef"))
    Upload.objects.filter(pk=failed.pk).update(state="failed")

    assert rows(listed(q="dune", state__exact="failed")) == {failed}


@pytest.mark.parametrize("text", ["%", "_", "\\", "'", "\0", "\ud83d", "x" * 5000, "{", "٣"])
def test_any_text_can_be_looked_for(admin_client, pending, text):
    query = urlencode({"q": text.encode(errors="surrogatepass")})

    assert admin_client.get(f"{LIST}?{query}", follow=True).status_code == 200


def test_a_list_that_is_cut_off_says_so(listed, pending, failed, monkeypatch):
    monkeypatch.setattr(outbox_list, "LIMIT", 1)

    assert "There are more uploads than the list shows." in listed()


def test_the_summary_counts_pending_failed_and_overdue_uploads(listed, pending, failed):
    Upload.objects.filter(pk=pending.pk).update(
        created_at=timezone.now() - timedelta(hours=2, minutes=1),
        due_at=timezone.now() - timedelta(hours=1),
    )

    page = listed()

    summary = re.search(r'<dl class="outbox-summary">(.*?)</dl>', page, re.S)[1]
    text = " ".join(re.sub(r"<[^>]+>", " ", summary).split())
    assert text == "Pending 1 Failed 1 Overdue 1 Oldest 2 hours ago"


def test_the_list_offers_no_counts_of_its_filters(admin_client, pending):
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(LIST, {"_facets": "True"})

    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert len(counts) == 4  # Three in the summary, and that of the pages.
    assert all("LIMIT" in sql for sql in counts)


# One upload


def facts(page):
    """Return the facts of an upload's page by their labels."""
    rows = re.findall(r"<label>(.*?):</label>(.*?)</div>\s*</div>", page, re.S)
    return {label: " ".join(re.sub(r"<[^>]+>", " ", html).split()) for label, html in rows}


def test_the_page_gives_the_facts_of_the_file_in_words(shown, photo, in_memory):
    upload = save_image(in_memory(data=pictures.jpeg(64, 48)), photo)

    of_the_file = facts(shown(upload))

    assert of_the_file["File name"] == "dune.jpg"
    assert of_the_file["Content type"] == "image/jpeg"
    assert of_the_file["Format"] == "JPEG"
    assert of_the_file["Dimensions"] == "64 × 48 pixels"
    assert re.fullmatch(r"[\d.]+\s(KB|bytes)", of_the_file["Size"])


def test_the_page_has_no_json(shown, failed):
    Upload.objects.update(context={"language": "de", "tenant": {"name": "Acme", "ids": [1, 2]}})

    page = shown(failed)

    for text in ("InMemoryUploadedFile", "content_type_extra", "{&#x27;", "&quot;size&quot;"):
        assert text not in page


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (
            {"language": "de", "time_zone": "Europe/Berlin"},
            "Language: German Time zone: Europe/Berlin",
        ),
        ({"language": None, "time_zone": -5400}, "Language: none Time zone: UTC-01:30"),
        ({"tenant": {"name": "Acme", "ids": [1, 2]}}, "Tenant, name: Acme Tenant, ids: 1, 2"),
        ({"is_test": True, "language": "tlh"}, "Is test: yes Language: tlh"),
        (["a", "b"], "Context: a, b"),
        ("acme", "Context: acme"),
        ({"html": "<b>"}, "Html: &lt;b&gt;"),
    ],
)
def test_the_page_gives_the_context_in_words(shown, pending, context, expected):
    Upload.objects.update(context=Value(context, JSONField()))

    # PostgreSQL keeps keys in an order of its own.
    assert sorted(facts(shown(pending))["Context"].split()) == sorted(expected.split())


def test_an_upload_without_context_shows_none(shown, pending):
    Upload.objects.update(context={})

    assert "Context" not in facts(shown(pending))


def test_the_page_links_to_the_current_image(shown, photo, in_memory):
    photo.image.save("old.jpg", pictures.as_file(pictures.jpeg()))
    upload = save_image(in_memory(), photo)

    assert f'<a href="{photo.image.url}">{photo.image.name}</a>' in shown(upload)


class InFolderOfInstance(ImageFieldFile):
    """Is in a storage that its instance chooses."""

    def __init__(self, instance, field, name):
        super().__init__(instance, field, name)
        self.storage = FileSystemStorage(base_url=f"/of-{instance.pk}/")


def test_the_page_links_to_the_current_image_in_the_storage_that_its_instance_chooses(
    shown, photo, in_memory, monkeypatch
):
    photo.image.save("old.jpg", pictures.as_file(pictures.jpeg()))
    upload = save_image(in_memory(), photo)
    monkeypatch.setattr(Photo._meta.get_field("image"), "attr_class", InFolderOfInstance)

    assert f'<a href="/of-{photo.pk}/{photo.image.name}">' in shown(upload)


def test_the_page_of_a_pending_upload_has_no_retry(shown, pending):
    page = shown(pending)

    assert page_of(pending, "retry") not in page
    assert page_of(pending, "delete") in page


def test_an_upload_can_be_retried_on_its_page(admin_client, failed, shown):
    assert f'formaction="{page_of(failed, "retry")}"' in shown(failed)

    response = admin_client.post(page_of(failed, "retry"), follow=True)

    assert response.redirect_chain == [(page_of(failed), 302)]
    assert "1 upload will be retried." in text_of(response)
    assert Upload.objects.pending().get().attempts == 0


def test_an_upload_that_is_not_failed_any_more_cannot_be_retried(admin_client, pending):
    response = admin_client.post(page_of(pending, "retry"), follow=True)

    assert "This upload has not failed." in text_of(response)


def test_a_retry_is_noted_in_the_history(admin_client, failed, shown):
    admin_client.post(page_of(failed, "retry"))

    assert "Retried." in shown(failed, "history")


@pytest.mark.parametrize("name", ["change", "delete", "retry"])
def test_the_page_of_an_upload_that_has_ended_leads_back_and_says_so(admin_client, failed, name):
    Upload.objects.all().discard()
    send = admin_client.post if name == "retry" else admin_client.get

    response = send(page_of(failed, name), follow=True)

    assert response.redirect_chain == [(LIST, 302)]
    assert "This upload has ended" in text_of(response)


def test_discarding_an_upload_asks_and_says_what_is_lost(shown, failed):
    page = shown(failed, "delete")

    assert "Do you want to discard this upload?" in page
    assert "The instance keeps its current image." in page
    assert Upload.objects.exists()


def test_discarding_an_upload_says_so_in_the_list(admin_client, failed):
    response = admin_client.post(page_of(failed, "delete"), {"post": "yes"}, follow=True)

    assert response.redirect_chain == [(LIST, 302)]
    assert "1 upload was discarded." in response.content.decode()
    assert not Upload.objects.exists()


def test_the_list_that_an_operator_came_from_is_kept(admin_client, failed):
    came_from = {"_changelist_filters": "state__exact=failed"}

    page = admin_client.get(page_of(failed), came_from).content.decode()
    assert f'{page_of(failed, "delete")}?_changelist_filters=state__exact%3Dfailed"' in page
    response = admin_client.post(
        f"{page_of(failed, 'delete')}?{urlencode(came_from)}", {"post": "yes"}
    )

    assert response.url == f"{LIST}?state__exact=failed"


# Many uploads


def test_the_action_says_discard_and_not_delete(listed, failed):
    page = listed()

    assert "Discard selected uploads" in page
    assert "Delete selected" not in page


def test_discarding_the_selected_uploads_asks_first(admin_client, pending, failed):
    page = do(admin_client, "delete_selected", pending, failed)

    assert "Do you want to discard these 2 uploads?" in page
    assert Upload.objects.count() == 2
    page = do(admin_client, "delete_selected", pending, failed, post="yes")
    assert "2 uploads were discarded." in page


def test_discarding_an_upload_that_a_worker_has_settled_says_so(admin_client, pending, failed):
    do(admin_client, "delete_selected", pending, failed)
    Upload.objects.filter(pk=pending.pk).discard()

    page = do(admin_client, "delete_selected", pending, failed, post="yes")

    assert "1 upload was discarded." in page
    assert "1 upload had ended or changed meanwhile." in page
    assert not Upload.objects.exists()


def test_the_log_names_only_the_uploads_that_were_discarded(
    admin_client, pending, failed, monkeypatch
):
    discard = UploadQuerySet.discard

    def settle_first(uploads):
        # A worker attaches the other one between the query of the action and this.
        uploads.model.objects.filter(pk=pending.pk).delete()
        return discard(uploads)

    monkeypatch.setattr(UploadQuerySet, "discard", settle_first)

    do(admin_client, "delete_selected", pending, failed, post="yes")

    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(failed.pk)]


def test_discarding_an_upload_that_has_ended_says_so_without_a_question(admin_client, pending):
    Upload.objects.all().discard()

    page = do(admin_client, "delete_selected", pending)

    assert "Do you want to discard" not in page
    assert "1 upload had ended or changed meanwhile." in page


def test_an_action_takes_a_bounded_number_of_uploads(admin_client, in_memory, monkeypatch):
    monkeypatch.setattr(outbox_admin, "MAX_ACTION", 2)
    uploads = [save_image(in_memory(), Photo.objects.create(title=title)) for title in "ABC"]
    Upload.objects.update(state="failed")

    page = do(admin_client, "retry_uploads", *uploads[:1], select_across="1")

    assert "2 uploads will be retried." in page
    assert "An action takes 2 uploads at a time." in page
    assert Upload.objects.failed().count() == 1


# Permissions


@pytest.fixture
def operator(client):
    """Logs somebody in who has some permissions and no other."""

    def log_in(*codenames):
        user = User.objects.create_user("operator", password="operator", is_staff=True)
        user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
        client.force_login(user)

    return log_in


PERMISSIONS = {
    "none": (),
    "view": ("view_upload",),
    "change": ("change_upload",),
    "delete": ("delete_upload",),
}


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        ("none", set()),
        ("view", {"list", "change", "history", "staged"}),
        ("change", {"list", "change", "history", "staged", "retry"}),
        ("delete", {"delete"}),
    ],
)
@pytest.mark.parametrize("name", ["list", "change", "history", "staged", "retry", "delete"])
def test_each_page_asks_for_its_permission(client, operator, failed, who, allowed, name):
    operator(*PERMISSIONS[who])

    response = use(client, failed, name)

    assert (response.status_code == 403) == (name not in allowed)
    changes = name in allowed and name in ("retry", "delete")
    assert Upload.objects.failed().exists() == (not changes)


@pytest.mark.parametrize("name", ["list", "change", "history", "staged", "retry", "delete"])
def test_nobody_sees_a_page_without_logging_in(client, failed, name):
    response = use(client, failed, name)

    assert response.status_code == 302
    assert response.url.startswith(reverse("admin:login"))
    assert Upload.objects.failed().exists()


@pytest.mark.parametrize(
    ("who", "buttons"), [("view", set()), ("change", {"retry"}), ("delete", {"delete"})]
)
def test_the_page_offers_what_the_user_may_do(client, operator, failed, who, buttons):
    operator("view_upload", *PERMISSIONS[who])

    page = text_of(client.get(page_of(failed)))

    assert {name for name in ("retry", "delete") if page_of(failed, name) in page} == buttons


def test_a_user_who_may_only_view_uploads_may_not_discard_them(client, operator, failed):
    operator("view_upload", "change_upload")

    do(client, "delete_selected", failed, post="yes")

    assert Upload.objects.exists()


@pytest.mark.parametrize("name", ["retry", "delete"])
def test_a_post_without_a_token_is_refused(admin_user, failed, name):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)

    assert client.post(page_of(failed, name), {"post": "yes"}).status_code == 403
    assert Upload.objects.failed().exists()


@pytest.mark.parametrize("action", ["retry_uploads", "delete_selected"])
def test_an_action_on_a_key_that_no_upload_can_have_says_that_it_has_ended(
    admin_client, failed, action
):
    response = admin_client.post(LIST, {"action": action, "_selected_action": "x"}, follow=True)

    assert "This upload has ended" in response.content.decode()
    assert Upload.objects.failed().exists()


def test_a_retry_is_not_a_link(admin_client, failed):
    assert admin_client.get(page_of(failed, "retry")).status_code == 405


# The policy of the page


@pytest.mark.parametrize("name", ["list", "change", "delete"])
def test_the_style_sheet_carries_the_nonce_of_django_csp(rf, admin_user, failed, name):
    request = rf.get("/")
    request.user, request.csp_nonce = admin_user, "s3cret"
    model_admin = admin.site.get_model_admin(Upload)
    view = model_admin.changelist_view if name == "list" else getattr(model_admin, f"{name}_view")

    response = view(request) if name == "list" else view(request, str(failed.pk))

    links = re.findall(r"<link[^>]*outbox\.css[^>]*>", response.render().content.decode())
    assert links
    assert all('nonce="s3cret"' in link for link in links)


@pytest.mark.parametrize("name", ["list", "change", "delete"])
def test_the_pages_have_no_inline_styles_or_scripts(shown, failed, name):
    inline = r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)(?![^>]*json)"

    assert not re.search(inline, shown(failed, name))
