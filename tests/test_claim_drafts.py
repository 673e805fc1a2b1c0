"""Drafts without a page: they arrive in parts, and any code of their sender's claims them once."""

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.forms import CharField, FileField, Form, ImageField, ModelForm
from django.test.utils import CaptureQueriesContext

from django_async_forms import arrival
from django_async_forms.draft_model import Draft
from django_async_forms.draft_sender import sender_of
from django_async_forms.drafts import DraftGoneError, claimable, make_grant
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.grants import Grant, draft_token
from django_async_forms.models import Upload
from django_async_forms.storage import DatabaseStorage, StagingFileSystemStorage, staging_storage
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import save_image
from tests import pictures
from tests.both import async_form, roll_back
from tests.project.models import Elsewhere, Measured, Photo
from tests.threads import Meanwhile, work_in_threads

pytestmark = pytest.mark.django_db


@pytest.fixture
def visit(rf):
    """The request of a visitor, who has a session."""
    request = rf.get("/")
    request.session = {}
    return request


@pytest.fixture
def arrive(visit):
    """Makes a draft of the visitor's, of which some or all bytes have come; returns the draft."""

    def make(data=None, purpose="project.photo.image", received=None, **options):
        data = pictures.jpeg() if data is None else data
        grant = Grant.loads(make_grant(visit, purpose, **options))
        draft = arrival.create(
            grant, sender_of(visit), name="dune.jpg", content_type="image/jpeg", size=len(data)
        )
        end = len(data) if received is None else received
        for start in range(0, end, 1000):
            assert arrival.append(draft, start, data[start : min(start + 1000, end)])
        return draft

    return make


def token_of(draft):
    return draft_token(draft.pk, draft.using)


def test_a_draft_that_came_in_parts_is_the_image_that_was_sent(arrive, visit, staging, photo):
    data = pictures.jpeg(640, 480)
    upload = save_image(claimable(visit, token_of(arrive(data))), photo)

    save_pending_uploads()

    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data
    assert upload.name == "dune.jpg"
    assert (upload.width, upload.height) == (640, 480)


class PhotoForm(AsyncImageModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]


class MeasuredForm(AsyncImageModelForm):
    """Assigning its image reads the dimensions."""

    class Meta:
        model = Measured
        fields = ["title", "image"]


class ReadingForm(PhotoForm):
    def clean_image(self):
        self.cleaned_data["image"].read()
        return self.cleaned_data["image"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_checked", [False, True], ids=["unchecked", "checked"])
@pytest.mark.parametrize("form_class", [PhotoForm, MeasuredForm, ReadingForm])
def test_a_form_says_that_its_draft_is_gone_if_another_has_used_it_up_meanwhile(
    form_class, is_checked, arrive, visit, staging
):
    draft = arrive(purpose=f"{form_class._meta.model._meta.label_lower}.image")
    if is_checked:
        arrival.check(draft)
    data = {"title": "Dune", "image-draft": token_of(draft)}
    first, second = form_class(data, {}, request=visit), form_class(data, {}, request=visit)
    assert second["image"].data is not None  # It has found the draft, which it has yet to read.
    first.save()
    save_pending_uploads()

    if second.is_valid():  # It has read nothing.
        with pytest.raises(DraftGoneError):
            second.save()
    else:
        assert second.errors.as_data()["image"][0].code == "draft_gone"


def test_a_part_that_was_sent_twice_is_written_once(arrive, staging):
    data = pictures.jpeg()
    draft = arrive(data, received=100)

    assert not arrival.append(draft, 0, data[:100])
    assert arrival.append(draft, 100, data[100:])
    with draft.open_staged() as staged:
        assert staged.read() == data


def test_bytes_after_a_part_that_never_committed_are_replaced(arrive, staging):
    data = pictures.jpeg()
    draft = arrive(data, received=100)
    roll_back(lambda: arrival.append(draft, 100, b"x" * 50))

    assert arrival.append(draft, 100, data[100:])

    with draft.open_staged() as staged:
        assert staged.read() == data


def test_a_part_of_a_storage_in_another_transaction_replaces_what_an_earlier_attempt_left():
    storage = DatabaseStorage()
    storage.write_at("default/ab/abc", 0, ContentFile(b"12"))
    storage.write_at("default/ab/abc", 2, ContentFile(b"lost"))

    storage.write_at("default/ab/abc", 2, ContentFile(b"34"))

    with storage.open("default/ab/abc") as file:
        assert file.read() == b"1234"


def test_more_bytes_than_were_announced_are_not_taken(arrive, staging):
    draft = arrive(b"1234567890", received=5)

    assert not arrival.append(draft, 5, b"678901")
    assert Draft.objects.get().received == 5


def test_a_part_is_not_taken_once_the_draft_is_gone(arrive):
    draft = arrive(received=100)
    Draft.objects.all().discard()

    assert not arrival.append(draft, 100, b"x")


def test_a_storage_that_takes_no_parts_gets_the_whole_file(use_staging_storage, arrive, visit):
    use_staging_storage("django.core.files.storage.InMemoryStorage")
    data = pictures.jpeg()
    draft = arrive(data, received=0)

    assert not arrival.takes_parts("default")
    assert arrival.fill(draft, SimpleUploadedFile("dune.jpg", data))
    assert claimable(visit, token_of(draft)).read() == data


def test_the_form_field_is_asked_when_the_last_byte_has_come(arrive):
    draft = arrive()

    arrival.check(draft)

    draft = Draft.objects.get()
    assert (draft.is_checked, draft.is_image, draft.format) == (True, True, "JPEG")
    assert (draft.width, draft.height, len(draft.sha256)) == (64, 48, 64)


def test_a_refused_draft_is_removed_with_its_bytes(
    arrive, location, django_capture_on_commit_callbacks
):
    draft = arrive(b"no image")

    with (
        pytest.raises(ValidationError, match="Upload a valid image"),
        django_capture_on_commit_callbacks(execute=True),
    ):
        arrival.check(draft)

    assert not Draft.objects.exists()
    assert not (location / draft.staged).exists()


class SmallField(ImageField):
    default_error_messages = {"small": "Only small files."}

    def clean(self, data, initial=None):
        file = super().clean(data, initial)
        if file.size > 10:
            raise ValidationError(self.error_messages["small"])
        return file


def test_a_field_of_the_projects_validates_in_its_own_words(arrive):
    with pytest.raises(ValidationError, match="Only small files"):
        arrival.check(arrive(form_field=SmallField, purpose="avatar"))


def test_the_field_of_a_form_class_validates_with_its_own_validators(arrive, visit):
    draft = arrive()
    Draft.objects.update(field=[f"{__name__}.StrictForm", "image", "unused"])
    draft.refresh_from_db()

    with pytest.raises(ValidationError, match="Not this name"):
        arrival.check(draft)


@pytest.mark.parametrize(
    "field",
    [
        ["gone.form.Class", "image", "gone.field.Class"],
        [f"{__name__}.StrictForm", "gone", "django.forms.fields.ImageField"],
        [f"{__name__}.refuse", "image", f"{__name__}.refuse"],
    ],
    ids=["form gone", "field gone", "no classes"],
)
def test_a_form_field_that_is_gone_is_replaced_by_the_models(arrive, field):
    draft = arrive()
    Draft.objects.update(field=field)
    draft.refresh_from_db()

    arrival.check(draft)

    assert Draft.objects.get().is_image


def refuse(file):
    raise ValidationError("Not this name.")


class StrictForm(AsyncImageModelForm):
    image = ImageField(validators=[refuse])

    class Meta:
        model = Photo
        fields = ["title", "image"]


def test_a_file_larger_than_the_grant_says_is_refused_before_it_is_sent(arrive):
    with pytest.raises(ValidationError, match="the limit is"):
        arrive(max_bytes=10)

    assert not Draft.objects.exists()


def test_a_draft_of_any_file_is_claimed_for_a_field_that_takes_any(arrive, visit):
    draft = arrive(b"A text.", purpose="report", form_field=FileField)

    file = claimable(visit, token_of(draft), "report")

    assert file.read() == b"A text."


def test_a_plain_form_validates_a_draft_as_a_file(arrive, visit):
    class ContactForm(Form):
        title = CharField()
        image = ImageField()

    form = ContactForm({"title": "Dune"}, {"image": claimable(visit, token_of(arrive()))})

    assert form.is_valid(), form.errors
    assert form.cleaned_data["image"].image.size == (64, 48)


@pytest.mark.parametrize("token", ["", "x:y", None, 3])
def test_a_forged_token_is_a_validation_error(visit, token):
    with pytest.raises(ValidationError, match="no longer there"):
        claimable(visit, token)


def test_a_draft_for_another_purpose_is_not_claimable(arrive, visit):
    token = token_of(arrive(purpose="avatar"))

    with pytest.raises(ValidationError, match="no longer there"):
        claimable(visit, token, "project.photo.image")


def test_a_request_without_a_session_gets_no_grant(rf):
    with pytest.raises(ValueError, match="Add SessionMiddleware"):
        make_grant(rf.get("/"), "avatar")


def test_a_draft_is_claimed_once(arrive, visit, staging):
    token = token_of(arrive())
    file = claimable(visit, token)
    save_image(file, Photo.objects.create(title="One"))

    with pytest.raises(DraftGoneError):
        save_image(file, Photo.objects.create(title="Two"))
    assert Upload.objects.count() == 1


def test_a_claim_that_is_rolled_back_leaves_the_draft(arrive, visit, staging, photo):
    data = pictures.jpeg()
    token = token_of(arrive(data))
    roll_back(lambda: save_image(claimable(visit, token), photo))

    assert not Upload.objects.exists()
    save_image(claimable(visit, token), photo)
    save_pending_uploads()
    photo.refresh_from_db()
    assert pictures.stored(photo.image) == data


@pytest.mark.django_db(transaction=True)
def test_a_form_that_comes_second_inserts_no_instance(arrive, visit):
    file = claimable(visit, token_of(arrive()))
    forms = [async_form(Photo, {"title": title}, {"image": file}) for title in ("One", "Two")]
    assert all(form.is_valid() for form in forms)
    forms[0].save()

    with pytest.raises(DraftGoneError):
        forms[1].save()

    assert Photo.objects.get().title == "One"
    assert forms[1].instance.pk is None


@pytest.mark.django_db(transaction=True)
def test_of_two_forms_at_once_one_claims_the_draft(arrive, visit):
    if connection.vendor == "sqlite":
        pytest.skip("Its transactions run one after the other.")
    file = claimable(visit, token_of(arrive()))
    photos = [Photo.objects.create(title="Dune") for _ in range(4)]
    lost = []

    def claim(photo):
        try:
            save_image(file, photo)
        except DraftGoneError:
            lost.append(photo)

    work_in_threads(claim, photos)

    assert (len(lost), Upload.objects.count()) == (3, 1)


@pytest.mark.django_db(transaction=True)
def test_a_form_in_a_transaction_finds_a_draft_gone_that_another_one_claims_meanwhile(
    arrive, visit
):
    if connection.vendor == "sqlite":
        pytest.skip("Its transactions run one after the other.")
    token = token_of(arrive())
    photo = Photo.objects.create(title="Dune")
    errors = []

    def second():
        with (
            pytest.raises(ValidationError, match="no longer there") as caught,
            transaction.atomic(),
        ):
            claimable(visit, token)
        errors.append(caught.value)

    with transaction.atomic():
        file = claimable(visit, token)
        meanwhile = Meanwhile(second)
        save_image(file, photo)
    meanwhile.wait()

    assert errors


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("base_class", [AsyncImageModelForm, ModelForm], ids=["replacing", "plain"])
def test_an_image_that_the_request_stores_uses_its_draft_up(arrive, visit, staging, base_class):
    class Form(base_class):
        async_when = "replacing"

        class Meta:
            model = Photo
            fields = ["title", "image"]

    data = pictures.jpeg()
    draft = arrive(data)
    photo = Form({"title": "Dune"}, {"image": claimable(visit, token_of(draft))}).save()

    assert pictures.stored(photo.image) == data
    assert not Draft.objects.exists()
    assert not staging_storage("default").exists(draft.staged)


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_a_draft_of_another_database_is_copied(arrive, visit, staging):
    data = pictures.jpeg()
    elsewhere = Elsewhere.objects.create()
    save_image(claimable(visit, token_of(arrive(data))), elsewhere)

    save_pending_uploads("other")

    elsewhere.refresh_from_db()
    assert pictures.stored(elsewhere.image) == data
    assert not Draft.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_discarded_draft_leaves_nothing(arrive, staging):
    draft = arrive(received=100)

    assert draft.discard()
    assert not draft.discard()
    with pytest.raises(FileNotFoundError), draft.open_staged() as staged:
        staged.read()


def test_a_part_whose_file_is_gone_is_an_error(arrive, tmp_path):
    storage = StagingFileSystemStorage(tmp_path)

    with pytest.raises(FileNotFoundError):
        storage.write_at("default/ab/abc", 10, SimpleUploadedFile("x", b"x"))


def test_the_statements_of_a_claim_do_not_depend_on_the_size(arrive, visit, photo):
    counts = set()
    for side in (64, 1500):
        file = claimable(visit, token_of(arrive(pictures.jpeg(side, side))))
        with CaptureQueriesContext(connection) as captured:
            save_image(file, photo)
        Upload.objects.all().discard()
        counts.add(len(captured))

    assert len(counts) == 1


class CoverForm(AsyncImageModelForm):
    """Takes the image for the cover, too, perhaps with other bytes."""

    replacement = None

    class Meta:
        model = Measured
        fields = ["title", "image", "cover"]

    def clean(self):
        image = self.cleaned_data["image"]
        image.file = self.replacement
        self.cleaned_data["cover"] = image


def in_worker(visit, token, replacement):
    form = CoverForm({"title": "Dune", "image-draft": token}, {}, request=visit)
    form.replacement = replacement
    form.save()


def in_request(visit, token, replacement):
    file = claimable(visit, token)
    file.file = replacement
    Measured.objects.create(title="Dune", image=file, cover=file)


@pytest.mark.parametrize("is_changed", [False, True], ids=["unchanged", "changed"])
@pytest.mark.parametrize("save", [in_worker, in_request])
def test_one_draft_is_the_image_of_two_fields(save, is_changed, arrive, visit, staging):
    sent, changed = pictures.jpeg(), pictures.jpeg()
    draft = arrive(sent, purpose="project.measured.image")
    replacement = ContentFile(changed) if is_changed else None

    save(visit, token_of(draft), replacement)
    save_pending_uploads()

    measured = Measured.objects.get()
    stored = pictures.stored(measured.image)
    assert stored == pictures.stored(measured.cover) == (changed if is_changed else sent)
    assert not Draft.objects.exists()
