"""What a page is told of an image that it waits for: who may ask, what it hears, what it costs."""

import asyncio
import json
import time
from contextlib import ExitStack

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core import signing
from django.core.files.base import ContentFile
from django.db import connections
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, resolve

from django_async_forms.fields import Target
from django_async_forms.models import Upload
from django_async_forms.status import MAX_TOKENS
from django_async_forms.test import save_pending_uploads
from django_async_forms.tokens import make_token
from django_async_forms.uploads import save_image
from tests import pictures
from tests.project.models import (
    Album,
    Country,
    Document,
    Elsewhere,
    Flag,
    Keyed,
    Measured,
    OnlyImages,
    Photo,
    Place,
    PlaceProxy,
    Restaurant,
    Shelved,
    Shrunk,
    Slugged,
)
from tests.worker import give_up

urlpatterns = [path("uploads/", include("django_async_forms.urls"))]

pytestmark = [pytest.mark.django_db(databases=["default", "other"]), pytest.mark.urls(__name__)]

ADDRESS = "/uploads/status/"
KINDS = {
    "a number": lambda number: Photo.objects.create(title="Dune"),
    "a UUID": lambda number: Keyed.objects.create(),
    "a slug": lambda number: Slugged.objects.create(slug=f"dune-{number}"),
    "a relation": lambda number: Flag.objects.create(country=country(number)),
    "two columns": lambda number: Shelved.objects.create(shelf="north, 1", position=number),
    "a parent's key": lambda number: Restaurant.objects.create(name="Reef"),
    "a proxy": lambda number: PlaceProxy.objects.create(name="Reef"),
    "a key of another database": lambda number: Elsewhere.objects.create(title="Dune"),
}


def country(number):
    return Country.objects.create(code=f"{chr(97 + number // 26)}{chr(97 + number % 26)}")


@pytest.fixture
def upload(photo, in_memory):
    """A pending upload for the photo."""
    return save_image(in_memory(), photo)


def token_of(instance, field_name="image"):
    """Return what a page that shows the instance asks with."""
    return make_token(Target.of(instance, instance._meta.get_field(field_name)))


def post(body, client=None):
    return (client or Client()).post(ADDRESS, body, content_type="application/json")


def ask(*tokens):
    """Ask as the page's script does, and return the answers by token."""
    response = post(json.dumps({"tokens": tokens}))
    assert response.status_code == 200
    return response.json()["images"]


def answer_for(instance, field_name="image"):
    token = token_of(instance, field_name)
    return ask(token)[token]


# What it answers


def test_a_pending_image_is_pending(photo, upload):
    assert answer_for(photo) == {"state": "pending"}


def test_an_image_that_could_not_be_saved_has_failed_and_does_not_say_why(photo, upload):
    give_up(upload)

    assert answer_for(photo) == {"state": "failed"}


def test_a_saved_image_has_its_url(photo, upload):
    save_pending_uploads()

    photo.refresh_from_db()
    assert answer_for(photo) == {"state": "saved", "url": photo.image.url}


def test_the_file_of_an_image_without_dimensions_is_not_opened(db):
    measured = Measured.objects.create(title="Dune")
    # As a form of a plain FileField leaves an SVG: a file, and no dimensions.
    Measured.objects.filter(pk=measured.pk).update(image="measured/gone.svg")

    assert answer_for(measured)["url"].endswith("measured/gone.svg")


def test_the_status_is_pending_and_not_the_old_image_while_a_new_one_is_pending(
    photo, upload, in_memory
):
    save_pending_uploads()
    save_image(in_memory(), photo)

    assert answer_for(photo) == {"state": "pending"}


def test_a_file_that_is_not_an_image_has_its_name_too():
    document = Document.objects.create(title="Report")
    assert answer_for(document, "file") == {"state": "saved", "url": None, "name": ""}

    document.file.save("report.txt", ContentFile(b"text"))

    assert answer_for(document, "file") == {
        "state": "saved",
        "url": document.file.url,
        "name": "report.txt",
    }


def test_an_instance_without_an_image_has_no_url(photo):
    assert answer_for(photo) == {"state": "saved", "url": None}


def test_an_instance_that_is_gone_has_no_url(photo, upload):
    token = token_of(photo)
    photo.delete()

    assert ask(token) == {token: {"state": "saved", "url": None}}


def test_each_field_has_an_answer_of_its_own(in_memory):
    both = OnlyImages.objects.create(back=ContentFile(pictures.jpeg(), name="back.jpg"))
    save_image(in_memory(), both, "front")

    assert answer_for(both, "front") == {"state": "pending"}
    assert answer_for(both, "back") == {"state": "saved", "url": both.back.url}


@pytest.mark.parametrize("kind", KINDS)
def test_an_instance_is_found_by_any_key(kind, in_memory):
    instance = KINDS[kind](1)
    upload = save_image(in_memory(), instance, "image")
    assert answer_for(instance) == {"state": "pending"}

    save_pending_uploads(upload.using)

    instance.refresh_from_db()
    assert answer_for(instance) == {"state": "saved", "url": instance.image.url}


def test_a_parent_and_its_child_share_the_uploads_of_both(in_memory):
    restaurant = Restaurant.objects.create(name="Reef")
    save_image(in_memory(), restaurant, "image")

    assert answer_for(Place.objects.get()) == {"state": "pending"}
    assert answer_for(restaurant, "menu") == {"state": "saved", "url": None}


def test_another_instance_or_the_same_key_of_another_model_has_an_answer_of_its_own(photo, upload):
    nothing = {"state": "saved", "url": None}

    assert answer_for(Photo.objects.create(title="Reef")) == nothing
    assert answer_for(Place.objects.create(pk=photo.pk, name="Reef")) == nothing


# Tokens


@pytest.mark.parametrize(
    "token",
    [
        "",
        "project.photo",
        "WyJwcm9qZWN0LnBob3RvIiwiMSIsImltYWdlIiwiZGVmYXVsdCJd:1w2AbC:forged",
        "é:1w2AbC:é",
        "\ud800:1w2AbC:\ud800",
        "x" * 10_000,
    ],
    ids=["nothing", "no token", "forged", "no ASCII", "a lone surrogate", "long"],
)
def test_a_text_that_is_not_a_token_is_left_out(token, photo, upload):
    good = token_of(photo)

    assert ask(token, good) == {good: {"state": "pending"}}


@pytest.mark.parametrize("token", [None, 5, ["a"], {"a": "b"}, True])
def test_a_token_that_is_not_a_text_is_left_out(token):
    assert ask(token) == {}


def test_a_token_that_was_changed_is_left_out(photo, upload):
    payload, _, signature = token_of(Photo.objects.create(title="Reef")).partition(":")

    assert ask(f"{token_of(photo).partition(':')[0]}:{signature}", f"{payload}A:{signature}") == {}


def test_a_token_that_is_signed_for_another_purpose_is_left_out(photo, upload):
    parts = ["project.photo", str(photo.pk), "image", "default"]

    assert ask(signing.dumps(parts), signing.dumps(parts, salt="sessions")) == {}


def test_a_token_that_is_signed_with_another_key_is_left_out(photo, upload, settings):
    token = token_of(photo)
    settings.SECRET_KEY = "another"

    assert ask(token) == {}


def test_a_token_that_is_signed_with_the_key_before_answers(photo, upload, settings):
    token = token_of(photo)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"

    assert ask(token) == {token: {"state": "pending"}}


def test_a_token_that_has_expired_is_left_out(photo, upload, settings):
    token = token_of(photo)
    settings.ASYNC_FORMS = {"STATUS_MAX_AGE": 0.001}
    time.sleep(0.01)

    assert ask(token) == {}


def test_the_same_token_answers_until_it_expires(photo, upload):
    token = token_of(photo)
    first = [ask(token), ask(token)]
    save_pending_uploads()

    photo.refresh_from_db()
    saved = {token: {"state": "saved", "url": photo.image.url}}
    assert [*first, ask(token), ask(token)] == [{token: {"state": "pending"}}] * 2 + [saved] * 2


def test_asking_for_a_status_changes_nothing(photo, upload):
    before = Upload.objects.values().get(), Photo.objects.values().get()

    with CaptureQueriesContext(connections["default"]) as asked:
        answer_for(photo)

    assert {query["sql"].split()[0] for query in asked} == {"SELECT"}
    assert (Upload.objects.values().get(), Photo.objects.values().get()) == before


@pytest.mark.parametrize(
    "target",
    [
        Target("project.gone", "1", "image", "default"),
        Target("gone.photo", "1", "image", "default"),
        Target("photo", "1", "image", "default"),
        Target("project.photo", "1", "gone", "default"),
        Target("project.photo", "1", "title", "default"),
        Target("project.photo", "1", "image", "gone"),
        Target("project.photo", "dune", "image", "default"),
        Target("project.keyed", "1", "image", "default"),
    ],
    ids=["model", "app", "label", "field", "no file field", "database", "number", "UUID"],
)
def test_a_token_for_something_that_this_process_does_not_have_is_left_out(target):
    assert ask(make_token(target)) == {}


# Requests


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_the_endpoint_answers_only_a_post(method):
    assert getattr(Client(), method)(ADDRESS).status_code == 405


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"5",
        b'"tokens"',
        b"[]",
        b'["tokens"]',
        b"{}",
        b'{"tokens": null}',
        b'{"tokens": "a"}',
        b'{"tokens": {"a": 1}}',
        b"\xff\xfe\x00",
        b"tokens=a",
        b'{"tokens": [' + b"9" * 5000 + b"]}",
        b"[" * 200_000,
    ],
    ids=lambda body: body[:12].decode("latin-1") or "nothing",
)
def test_a_body_without_a_list_of_tokens_is_a_bad_request(body):
    response = post(body)

    assert response.status_code == 400
    assert str(MAX_TOKENS) in response.content.decode()


def test_a_page_may_ask_for_500_images_at_once_and_for_no_more():
    assert MAX_TOKENS == 500
    assert post(json.dumps({"tokens": ["a"] * 500})).status_code == 200
    assert post(json.dumps({"tokens": ["a"] * 501})).status_code == 400


def test_the_endpoint_needs_neither_csrf_token_nor_session_and_no_cache_keeps_its_answer(
    photo, upload
):
    response = post(
        json.dumps({"tokens": [token_of(photo)]}), client=Client(enforce_csrf_checks=True)
    )

    assert response.status_code == 200
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")
    assert "no-store" in response["Cache-Control"]


def test_the_endpoint_answers_where_all_other_pages_need_a_login(photo, upload, settings):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]

    assert answer_for(photo) == {"state": "pending"}


def test_the_endpoint_answers_under_asgi(photo, upload):
    @async_to_sync
    async def ask_async(token):
        return await AsyncClient().post(
            ADDRESS, json.dumps({"tokens": [token]}), content_type="application/json"
        )

    token = token_of(photo)
    assert ask_async(token).json() == {"images": {token: {"state": "pending"}}}


@pytest.mark.parametrize("body", ['{"tokens": ["forged"]}', "[]"])
def test_the_endpoint_answers_under_asgi_without_a_thread(body, monkeypatch):
    view = resolve(ADDRESS).func
    request = RequestFactory().post(ADDRESS, body, content_type="application/json")

    async def ask_async():
        assert iscoroutinefunction(view)
        return await view(request)

    loop = asyncio.new_event_loop()
    monkeypatch.setattr(loop, "run_in_executor", None)
    try:
        answer = loop.run_until_complete(ask_async())
    finally:
        loop.close()

    assert answer.status_code == post(body).status_code
    assert answer.content == post(body).content


def test_the_endpoint_is_not_a_coroutine_under_wsgi():
    assert not iscoroutinefunction(resolve(ADDRESS).func)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize("is_async", [False, True], ids=["wsgi", "asgi"])
def test_the_endpoint_answers_where_requests_have_transactions(
    photo, upload, monkeypatch, is_async
):
    for alias in connections:
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
    token = token_of(photo)
    arguments = [ADDRESS, json.dumps({"tokens": [token]})]
    client = AsyncClient() if is_async else Client()

    post = async_to_sync(client.post) if is_async else client.post
    answer = post(*arguments, content_type="application/json")

    assert answer.json() == {"images": {token: {"state": "pending"}}}


def test_an_image_without_a_url_has_none_and_the_others_have_theirs(without_url, caplog):
    private = Photo.objects.create(title="Dune", image="private.jpg")
    public = Photo.objects.create(title="Reef", image="public.jpg")
    tokens = [token_of(private), token_of(public)]

    assert ask(*tokens) == {
        tokens[0]: {"state": "saved", "url": None},
        tokens[1]: {"state": "saved", "url": "/media/public.jpg"},
    }
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"project.photo {private.pk}: the storage of image has")


# What it costs


def questions(tokens):
    """Return how often each database is asked for the answers to tokens."""
    with ExitStack() as stack:
        asked = [
            stack.enter_context(CaptureQueriesContext(connections[using]))
            for using in ("default", "other")
        ]
        answers = ask(*tokens)
    assert len(answers) == len(tokens)
    return [len(queries) for queries in asked]


@pytest.mark.parametrize(("is_pending", "queries"), [(False, 2), (True, 1)])
def test_a_hundred_images_take_as_many_queries_as_one(is_pending, queries, in_memory):
    photos = [Photo.objects.create(title="Dune", image="dune.jpg") for _ in range(100)]
    for photo in photos if is_pending else []:
        save_image(in_memory(), photo)
    tokens = [token_of(photo) for photo in photos]

    assert questions(tokens) == questions(tokens[:1]) == [queries, 0]


def test_two_images_of_a_row_take_as_many_queries_as_one():
    both = OnlyImages.objects.create(front="front.jpg", back="back.jpg")

    assert questions([token_of(both, "front"), token_of(both, "back")]) == [2, 0]
    assert answer_for(both, "back") == {"state": "saved", "url": "/media/back.jpg"}


def test_many_images_of_each_model_take_as_many_queries_as_one_of_each(in_memory):
    tokens = []
    for number in range(20):
        instances = [make(number) for make in KINDS.values()]
        for instance in instances[:: number % 2 + 1]:  # The others have no upload.
            save_image(in_memory(), instance, "image")
        tokens += [token_of(instance) for instance in instances]
    for using in ("default", "other"):
        uploads = Upload.objects.using(using)
        uploads.filter(pk__in=list(uploads.values_list("pk", flat=True)[::3])).delete()

    many = questions(tokens)

    # Of each database the uploads, and of each model the images; a proxy's are its parent's.
    assert many == [1 + 6, 1 + 1]


def test_500_images_of_ten_models_take_as_many_queries_as_one_of_each(in_memory):
    fields = {
        Photo: "image",
        Measured: "image",
        OnlyImages: "front",
        Document: "file",
        Keyed: "image",
        Slugged: "image",
        Place: "image",
        Album: "cover",
        Shrunk: "image",
        Elsewhere: "image",
    }
    instances = {
        model: model._base_manager.bulk_create(
            model(**({"slug": f"dune-{number}"} if model is Slugged else {}))
            for number in range(50)
        )
        for model in fields
        if model is not Measured
    }
    instances[Measured] = [Measured.objects.create(title="Dune") for _ in range(50)]
    for model in (Photo, Keyed, Album):
        for instance in instances[model][::5]:
            save_image(in_memory(), instance, fields[model])
    tokens = [
        [token_of(instance, field) for instance in instances[model]]
        for model, field in fields.items()
    ]

    many = questions([token for of_model in tokens for token in of_model])

    assert many == questions([of_model[1] for of_model in tokens]) == [1 + 9, 1 + 1]


def test_two_tokens_of_one_image_make_one_lookup(photo, settings):
    tokens = [token_of(photo)]
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    tokens.append(token_of(photo))

    assert questions(tokens) == [2, 0]
    assert ask(*tokens) == {token: {"state": "saved", "url": None} for token in tokens}


def test_texts_that_are_not_tokens_make_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        ask("a", "b")
