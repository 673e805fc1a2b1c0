"""Drafts against strangers, lies and hostile files: nothing written, nothing told."""

import base64
import io

import pytest
from django.core import signing
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from PIL import Image

from django_async_forms import recovery
from django_async_forms.draft_sender import SESSION_KEY, Sender
from django_async_forms.fields import Target
from django_async_forms.grants import FieldPath, Grant, draft_token
from django_async_forms.models import Draft, StoredChunk, Upload
from django_async_forms.test import save_pending_uploads
from django_async_forms.tokens import make_token
from tests import pictures
from tests.drafts import Page, draft_at, token_in
from tests.project.models import Photo

from .texts import texts

pytestmark = [
    pytest.mark.django_db(databases=["default", "other"]),
    pytest.mark.urls("tests.drafts"),
]

SCRIPT = b"<script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg">' + SCRIPT + b"</svg>"
HTML = b"<!doctype html>" + SCRIPT


@pytest.fixture
def ann(client):
    """The page of a form in one person's browser."""
    return Page(client)


@pytest.fixture
def eve():
    """The page of the same form in somebody else's browser."""
    return Page(Client())


def everything():
    """Return all that is written in the databases."""
    return [
        list(model.objects.using(using).order_by("pk").values())
        for model in (Draft, Upload, StoredChunk, Photo)
        for using in ("default", "other")
    ]


def answers(page, address):
    """Return what each method answers at the address of a draft."""
    return [
        (method, response.status_code, dict(response.headers), response.content)
        for method in ("GET", "HEAD", "PATCH", "DELETE")
        for response in [
            page.call(method, address, b"a", "application/offset+octet-stream", upload_offset=0)
        ]
    ]


def address_of(token):
    return reverse("django_async_forms:draft", args=[token])


def own_grant(page, **changes):
    """Return a grant for the sender of a page that no form of the project has rendered."""
    field = FieldPath("", "", "django.forms.fields.FileField")
    key = Sender(None, page.client.session[SESSION_KEY]).key
    return Grant("letters", "default", key, None, False, field)._replace(**changes)


# Whose draft it is


def test_another_sessions_draft_looks_like_one_that_never_was(ann, eve):
    ours = eve.begin(10)
    eve.remove(ours)
    complete, travelling = ann.send_all(pictures.jpeg()), ann.begin(1000, b"a" * 10)
    before = everything()

    assert answers(eve, complete) == answers(eve, travelling) == answers(eve, ours)
    assert {status for _, status, *_ in answers(eve, complete)} == {404}
    assert everything() == before


def test_a_draft_is_nothing_without_its_session(ann):
    address = ann.send_all(pictures.jpeg())
    nobody = ann.again()
    nobody.client.cookies = Client().cookies
    before = everything()

    assert {status for _, status, *_ in answers(nobody, address)} == {404}
    assert everything() == before


def test_another_sessions_draft_cannot_be_claimed(ann, eve):
    address = ann.send_all(pictures.jpeg())
    before = everything()

    page, own = eve.submit(address), eve.claim(address)

    assert page.status_code == 200
    assert "no longer there" in page.content.decode()
    assert (own.status_code, own.content) == (400, eve.claim(eve.begin(10) + "x/").content)
    assert everything()[2:] == before[2:]
    assert draft_at(address)


def test_the_draft_of_a_user_is_nothing_to_the_next_user_of_the_browser(ann, django_user_model):
    first, second = (django_user_model.objects.create_user(name) for name in ("ann", "bob"))
    ann.client.force_login(first)
    ann = Page(ann.client)
    address = ann.send_all(pictures.jpeg())

    ann.client.force_login(second)

    assert {status for _, status, *_ in answers(ann, address)} == {404}
    assert draft_at(address)


def test_a_draft_of_another_field_cannot_be_claimed(ann):
    letters = Page(ann.client, "/grant/letters/").send_all(pictures.jpeg())
    cover = own_grant(ann, purpose="project.measured.image").dumps()
    other = ann.send_all(pictures.jpeg(), grant=cover)
    before = everything()

    for address in (letters, other):
        page = ann.submit(address)
        assert page.status_code == 200
        assert "no longer there" in page.content.decode()
    assert everything() == before


def test_a_draft_is_claimed_once(ann):
    address = ann.send_all(pictures.jpeg())

    assert ann.submit(address).status_code == 302
    assert ann.submit(address).status_code == 200
    assert ann.claim(address).status_code == 400

    assert Photo.objects.count() == Upload.objects.count() == 1


def test_a_draft_that_is_still_travelling_cannot_be_claimed(ann, staging):
    data = pictures.jpeg()
    address = ann.begin(len(data), data[:-1])
    before = everything()

    page = ann.submit(address)

    assert page.status_code == 200
    assert "not sent completely" in page.content.decode()
    assert ann.claim(address).status_code == 400
    assert everything() == before
    assert ann.send(address, data[-1:], len(data) - 1).status_code == 204


def test_an_expired_draft_can_be_neither_claimed_nor_sent(ann):
    data = pictures.jpeg()
    complete, travelling = ann.send_all(data), ann.begin(len(data), data[:-1])
    Draft.objects.update(expires_at=timezone.now())
    before = everything()

    assert ann.submit(complete).status_code == 200
    assert ann.claim(complete).status_code == 400
    assert ann.send(travelling, data[-1:], len(data) - 1).status_code == 404
    assert everything() == before


def test_a_token_of_another_project_is_nothing(ann):
    draft = draft_at(ann.send_all(pictures.jpeg()))
    with override_settings(SECRET_KEY="of another project"):
        token = draft_token(draft.pk, "default")
    before = everything()

    assert {status for _, status, *_ in answers(ann, address_of(token))} == {404}
    assert ann.claim(address_of(token)).status_code == 400
    assert everything() == before


def test_a_token_for_another_purpose_is_nothing(ann):
    ann.submit(ann.send_all(pictures.jpeg()))
    photo = Photo.objects.get()
    status = make_token(Target.of(photo, Photo._meta.get_field("image")))
    for token in (status, ann.grant, signing.dumps([Upload.objects.get().pk.hex, "default"])):
        assert {status for _, status, *_ in answers(ann, address_of(token))} == {404}
    assert Upload.objects.exists()


@pytest.mark.parametrize("token", ["a", "a:b:c", "%00", "%2e%2e", "a" * 5000, "ü", "%ff"])
def test_an_invented_token_is_nothing(ann, token):
    assert {status for _, status, *_ in answers(ann, f"/images/drafts/{token}/")} == {404}


def test_no_header_makes_a_request_another_one(ann):
    address = ann.begin(1000)

    response = ann.call("POST", address, x_http_method_override="DELETE")

    assert response.status_code == 405
    assert draft_at(address)


# What a grant allows


def test_a_grant_of_another_session_makes_no_draft(ann, eve):
    assert_refused(eve.create(10, grant=ann.grant))


def test_a_grant_without_a_session_makes_no_draft(ann):
    nobody = ann.again()
    nobody.client.cookies = Client().cookies

    assert_refused(nobody.create(10))


def test_a_grant_of_another_project_makes_no_draft(ann):
    grant = own_grant(ann)
    with override_settings(SECRET_KEY="of another project"):
        forged = grant.dumps()

    assert_refused(ann.create(10, grant=forged))


def test_an_old_grant_makes_no_draft(ann, settings):
    settings.ASYNC_FORMS = {"KEEP_DRAFTS": 1e-6}

    assert_refused(ann.create(10))


def test_a_grant_that_was_changed_makes_no_draft(ann):
    payload, signature = ann.grant.split(":", 1)
    changed = base64.urlsafe_b64encode(b'["letters", "default"]').decode().rstrip("=")

    assert_refused(ann.create(10, grant=f"{changed}:{signature}"))
    assert_refused(ann.create(10, grant=payload))


def test_a_token_is_not_a_grant(ann):
    token = token_in(ann.begin(10))
    Draft.objects.all().delete()

    assert_refused(ann.create(10, grant=token))


@pytest.mark.parametrize("grant", ["", "a", "a:b:c", "ü", "\0"], ids=ascii)
def test_an_invented_grant_makes_no_draft(ann, grant):
    assert_refused(ann.create(10, metadata={"grant": grant}))


def assert_refused(response):
    """Check that nothing was written, and that no case is told from another."""
    assert response.status_code == 403
    assert response.content == b"The grant is missing, invalid or too old. Reload the page."
    assert "Location" not in response
    assert not Draft.objects.exists()
    assert not StoredChunk.objects.exists()


def test_a_grant_is_for_files_up_to_its_own_limit(ann):
    grant = own_grant(ann, max_bytes=100).dumps()

    assert ann.create(101, grant=grant).status_code == 413
    address = ann.begin(100, grant=grant)

    assert ann.send(address, b"a" * 101).status_code == 413
    assert draft_at(address).received == 0


def test_the_field_in_the_grant_decides_what_is_accepted(ann):
    anything = own_grant(ann).dumps()

    assert ann.create(len(SVG), SVG).status_code == 422
    assert ann.create(len(SVG), SVG, grant=anything).status_code == 201
    # It was accepted for letters only.
    assert ann.submit(address_of(draft_token(Draft.objects.get().pk, "default"))).status_code == 200
    assert not Upload.objects.exists()


# Lies


@given(texts())
def test_no_number_breaks_the_endpoint(text):
    page = _page_of_all()
    address = page.begin(1000, b"a" * 10)
    before = everything()

    for response in (
        page.create(text),
        page.send(address, b"a" * 10, text),
        page.send(address, b"a" * 10, 10, upload_checksum=f"sha1 {text}"),
        page.send(address, b"a" * 10, 10, upload_checksum=text),
        page.send(address, b"a" * 10, 10, tus_resumable=text),
    ):
        assert 400 <= response.status_code < 500, text
    assert everything() == before
    page.remove(address)


def _page_of_all():
    """Return one page for all examples, whose session the first of them makes."""
    return Page(Client(), "/grant/letters/")


@pytest.mark.parametrize(("offset", "status"), [(0, 409), (9, 409), (11, 409), (10**17, 409)])
def test_an_offset_that_lies_writes_nothing(ann, staging, offset, status):
    address = ann.begin(1000, b"a" * 10)
    before = everything()

    assert ann.send(address, b"b" * 10, offset).status_code == status
    assert everything() == before


def test_a_length_that_lies_writes_nothing_behind_the_end(ann, staging):
    data = pictures.jpeg()
    address = ann.begin(len(data), data[:-1])
    before = everything()

    assert ann.send(address, data[-1:] + SCRIPT, len(data) - 1).status_code == 413
    assert everything() == before


def test_a_checksum_that_lies_writes_nothing(ann, staging):
    data = pictures.jpeg()
    address = ann.begin(len(data))
    before = everything()

    checksum = f"sha256 {base64.b64encode(bytes(32)).decode()}"
    assert ann.send(address, data, upload_checksum=checksum).status_code == 460
    assert everything() == before


def test_a_content_type_that_lies_is_not_believed(ann):
    address = ann.send_all(pictures.jpeg(), metadata={"filetype": "text/html"})

    assert draft_at(address).content_type == "image/jpeg"
    assert ann.look(address)["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize(
    "content_type",
    ["text/html\r\nSet-Cookie: a=b", "a", "a/b; c=d", "ü/ü", "a/b\0", "/"],
    ids=ascii,
)
def test_a_content_type_that_is_none_is_not_kept(ann, content_type):
    address = ann.begin(10, metadata={"filetype": content_type})

    assert draft_at(address).content_type == ""


# Too much


def test_a_hundred_half_drafts_are_all_that_one_session_gets(ann, eve):
    for _ in range(100):
        ann.begin(1000, b"a" * 10)

    assert ann.create(1000).status_code == 429
    assert ann.create(0).status_code == 429
    assert Draft.objects.count() == 100
    # Nobody else is kept from sending theirs.
    assert eve.submit(eve.send_all(pictures.jpeg())).status_code == 302


def test_half_drafts_count_with_the_bytes_that_they_have_announced(ann, settings):
    settings.ASYNC_FORMS = {"MAX_DRAFT_BYTES": 10_000}
    ann.begin(6000, b"a")

    assert ann.create(6000).status_code == 429
    assert ann.create(4000).status_code == 201


def test_new_sessions_do_not_get_around_the_limits_in_all(settings):
    settings.ASYNC_FORMS = {"MAX_DRAFTS_IN_ALL": 3}

    statuses = [Page(Client()).create(1000).status_code for _ in range(5)]

    assert statuses == [201, 201, 201, 429, 429]


def test_recovery_removes_a_hundred_half_drafts(
    ann, staging, location, django_capture_on_commit_callbacks
):
    for _ in range(100):
        ann.begin(1000, b"a" * 10)
    Draft.objects.update(expires_at=timezone.now())

    with django_capture_on_commit_callbacks(execute=True):
        recovery.recover("default")

    assert not Draft.objects.exists()
    assert not StoredChunk.objects.exists()
    assert [path for path in location.rglob("*") if path.is_file()] == []


# Hostile files


def bomb():
    """Return a PNG that says it has 10,000 megapixels."""
    out = io.BytesIO()
    Image.new("1", (1, 1)).save(out, "PNG")
    return out.getvalue().replace(b"\0\0\0\x01\0\0\0\x01", b"\0\x01\x86\xa0\0\x01\x86\xa0", 1)


@pytest.mark.parametrize(
    "data",
    [SVG, HTML, b"GIF89a" + SCRIPT, b"\xff\xd8\xff" + SCRIPT, b"", bomb()],
    ids=["SVG", "HTML", "a GIF's first bytes", "a JPEG's first bytes", "nothing", "a bomb"],
)
def test_what_is_not_an_image_is_refused_and_removed(ann, staging, data):
    response = ann.create(len(data), data)

    assert response.status_code == 422
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert b"<" not in response.content
    assert not Draft.objects.exists()
    assert not StoredChunk.objects.exists()


@pytest.mark.parametrize("data", [SVG, HTML, b"GIF89a" + SCRIPT, b"a", bomb()], ids=ascii)
def test_what_is_not_an_image_is_never_served(ann, data):
    letters = Page(ann.client, "/grant/letters/")
    address = letters.send_all(data, name="evil.svg", metadata={"filetype": "image/svg+xml"})

    assert letters.look(address).status_code == 404


def saved(format_name, **options):
    out = io.BytesIO()
    Image.new("RGB", (8, 6)).save(out, format_name, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (saved("GIF", comment=SCRIPT), "image/gif"),
        (saved("GIF") + HTML, "image/gif"),
        (saved("JPEG", comment=SCRIPT) + HTML, "image/jpeg"),
        (saved("PNG") + HTML, "image/png"),
        (saved("BMP") + SVG, "image/bmp"),
    ],
    ids=["GIF's comment", "GIF", "JPEG", "PNG", "BMP"],
)
@pytest.mark.parametrize("state", ["draft", "letter", "pending"])
def test_an_image_that_is_a_page_too_is_served_as_an_image(ann, data, content_type, state):
    page, name = ann, "evil.jpg"
    if state == "letter":  # Whose field takes any name.
        page, name = Page(ann.client, "/grant/letters/"), "evil.html"
    address = page.send_all(data, name=name, metadata={"filetype": "text/html"})
    if state == "pending":
        ann.submit(address)
        target = Target.of(Photo.objects.get(), Photo._meta.get_field("image"))
        address = reverse("django_async_forms:staged", args=[make_token(target)])

    response = ann.look(address)

    assert response.status_code == 200
    assert response["Content-Type"] == content_type
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Cache-Control"] == "private, no-store"
    assert ".html" not in response["Content-Disposition"]
    assert b"".join(response.streaming_content) == data


# Hostile names


@given(texts(max_size=40))
def test_no_name_breaks_a_header_or_a_page(name):
    page = Page(Client())
    data = pictures.jpeg(8, 8, seed=0)
    address = page.send_all(data, name=f"{name}a.jpg".encode(errors="surrogatepass"))

    for response in (page.head(address), page.look(address)):
        assert response.status_code == 200
        for header, value in response.items():
            assert not set(header + value) & set("\r\n\0"), header
    response = page.client.post("/photo/add/", {"title": "", "image-draft": token_in(address)})
    assert "<script" not in response.content.decode()
    page.remove(address)


@pytest.mark.parametrize(
    "name",
    [
        "a\r\nSet-Cookie: a=b; .jpg",
        'a"; filename="evil.jpg',
        "../../../../etc/passwd.jpg",
        "..\\..\\evil.jpg",
        "<img src=x onerror=alert(1)>.jpg",
        "{{ 7 }}{% now 'Y' %}.jpg",
        "$(touch evil).jpg",
        "a\0.jpg",
    ],
    ids=lambda name: ascii(name)[:30],
)
def test_a_name_stays_a_name(ann, name, media):
    address = ann.send_all(pictures.jpeg(), name=name)

    html = ann.client.post("/photo/add/", {"title": "", "image-draft": token_in(address)})
    assert b"<img src=x" not in html.content
    assert "Set-Cookie" not in ann.look(address)["Content-Disposition"].partition("\r")[2]
    assert ann.submit(address).status_code == 302
    save_pending_uploads()
    stored = Photo.objects.get().image
    assert (media / stored.name).parent == media / "photos"
    assert (media / stored.name).is_file()


@pytest.mark.parametrize("name", ["evil.html", "..", "/", ".htaccess", "x" * 4000 + ".jpg"])
def test_a_name_that_the_field_refuses_is_refused(ann, name):
    data = pictures.jpeg()

    assert ann.create(len(data), data, name=name).status_code == 422
    assert not Draft.objects.exists()


def test_the_error_for_a_name_is_plain_text(ann):
    data = pictures.jpeg()

    response = ann.create(len(data), data, name="a.<script>")

    assert response.status_code == 422
    assert "<script>" in response.content.decode()
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
