"""Each text of the package is translated into each of its languages."""

import ast
import re
from datetime import timedelta
from pathlib import Path

import django
import polib
import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import modelform_factory
from django.template import Context, Template
from django.urls import reverse
from django.utils import timezone, translation

import django_async_forms
from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.uploads import save_image
from django_async_forms.widgets import AsyncImageInput
from tests import pictures
from tests.project.models import Photo

PACKAGE = Path(django_async_forms.__file__).parent
LANGUAGES = ["de", "es", "fr", "nl"]
each_language = pytest.mark.parametrize("language", LANGUAGES)

#: The placeholders of a text: %(size)s, %d, {count}.
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[^\s%]*?[a-z]|\{\w+\}")
GETTEXT = re.compile(r"_|(n?)(p?)gettext(?:_lazy)?")


def texts_in_python():
    """Yield the texts of the package's modules: the context, the text, and its plural."""
    for module in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                function = GETTEXT.fullmatch(node.func.id)
                if function:
                    has_plural, has_context = map(bool, function.groups())
                    texts = map(ast.literal_eval, node.args[: 1 + has_context + has_plural])
                    context = next(texts) if has_context else None
                    yield context, next(texts), next(texts, "")


def texts_in_templates():
    for template in (PACKAGE / "templates").rglob("*.html"):
        for text in re.findall(r'{% translate "([^"]*)"', template.read_text()):
            yield None, text, ""


def catalogue(language, ending="po"):
    path = PACKAGE / f"locale/{language}/LC_MESSAGES/django.{ending}"
    return polib.pofile(path) if ending == "po" else polib.mofile(path)


def translations(entry):
    """Return the translations of an entry: one text, or one for each plural form."""
    return list(entry.msgstr_plural.values()) or [entry.msgstr]


def pairs(entry):
    """Yield each translation of an entry with its text. All four languages have one singular."""
    singular, *plurals = translations(entry)
    yield entry.msgid, singular
    for plural in plurals:
        yield entry.msgid_plural, plural


# The catalogues


def test_templates_mark_their_texts_in_one_way_only():
    for template in (PACKAGE / "templates").rglob("*.html"):
        source = template.read_text()
        others = re.findall(r"{%\s*(?:blocktrans|trans\b|plural)|_\(|{% translate (?!\")", source)
        assert others == [], template


def test_each_language_has_a_catalogue():
    assert sorted(path.name for path in (PACKAGE / "locale").iterdir()) == LANGUAGES


@each_language
def test_a_catalogue_has_the_texts_of_the_package_and_no_others(language):
    texts = {*texts_in_python(), *texts_in_templates()}
    assert len(texts) > 30

    found = [(entry.msgctxt, entry.msgid, entry.msgid_plural) for entry in catalogue(language)]
    assert sorted(found, key=str) == sorted(texts, key=str)


@each_language
def test_every_text_is_translated_and_none_is_in_doubt(language):
    po = catalogue(language)

    assert [entry.msgid for entry in po if entry.fuzzy or entry.obsolete] == []
    assert [entry.msgid for entry in po if not all(map(str.strip, translations(entry)))] == []


@each_language
def test_a_translation_has_the_placeholders_of_its_text(language):
    for entry in catalogue(language):
        for source, text in pairs(entry):
            expected = sorted(PLACEHOLDER.findall(source))
            assert sorted(PLACEHOLDER.findall(text)) == expected, entry.msgid


@each_language
def test_a_translation_ends_and_begins_as_its_text_does(language):
    for entry in catalogue(language):
        for text in translations(entry):
            assert text == text.strip()
            assert text.endswith(".") == entry.msgid.endswith("."), entry.msgid


@each_language
def test_a_translation_can_be_put_into_an_attribute(language):
    # Django trusts translators: it does not escape translated texts in a template.
    for entry in catalogue(language):
        assert not any(set(text) & set('"<>&') for text in translations(entry)), entry.msgid


@each_language
def test_a_text_has_each_plural_form_of_the_language(language):
    po = catalogue(language)
    (count,) = re.findall(r"nplurals=(\d)", po.metadata["Plural-Forms"])

    plurals = [entry for entry in po if entry.msgid_plural]
    assert plurals
    for entry in plurals:
        assert sorted(entry.msgstr_plural) == list(range(int(count)))


@each_language
def test_a_text_that_django_has_too_is_translated_as_there(language):
    # Django merges all catalogues, so ours would change the texts of the admin.
    ours = {entry.msgid: entry.msgstr for entry in catalogue(language)}
    for path in Path(django.__file__).parent.rglob(f"{language}/LC_MESSAGES/django.mo"):
        for entry in polib.mofile(path):
            if entry.msgid in ours and entry.msgctxt is None:
                assert ours[entry.msgid] == entry.msgstr, path


@each_language
def test_the_compiled_catalogues_match_their_sources(language):
    written, compiled = catalogue(language), catalogue(language, "mo")

    def content(file):
        return {
            (entry.msgctxt, entry.msgid, entry.msgid_plural, *translations(entry)) for entry in file
        }

    assert content(compiled) == content(written)
    assert compiled.metadata == written.metadata


@each_language
def test_a_catalogue_names_its_language_and_neither_dates_nor_people(language):
    metadata = catalogue(language).metadata

    assert metadata["Language"] == language
    assert not any("Date" in key or "@" in value for key, value in metadata.items())


# The pages


@pytest.fixture
def photo(db, in_memory):
    """A photo whose image is pending."""
    photo = Photo.objects.create(title="Dune")
    save_image(in_memory(), photo)
    return photo


def image_of(photo):
    source = '{% load async_forms %}{% async_image photo "image" %}'
    return Template(source).render(Context({"photo": photo}))


@pytest.mark.parametrize(
    ("language", "pending", "failed", "reload"),
    [
        ("en", "The image is being saved", "The image could not be saved", "Reload the page"),
        ("de", "Das Bild wird gespeichert", "konnte nicht gespeichert werden", "die Seite neu"),
        ("es", "La imagen se está guardando", "No se ha podido guardar", "Recargue la página"),
        ("fr", "image est en cours d", "pas pu être enregistrée", "Actualisez la page"),
        ("nl", "De afbeelding wordt opgeslagen", "kon niet worden opgeslagen", "Vernieuw de"),
    ],
)
def test_a_pending_image_speaks_the_language(photo, language, pending, failed, reload):
    with translation.override(language):
        html = image_of(photo)

    for text in (pending, failed, reload):
        assert text in html


@each_language
def test_no_english_is_left_on_an_image(photo, language):
    with translation.override(language):
        html = image_of(photo)

    for _, text, _ in texts_in_templates():
        assert text not in html


@each_language
def test_a_region_speaks_its_language(photo, language):
    with translation.override(f"{language}-be"):
        assert "The image is being saved" not in image_of(photo)


def test_a_language_without_a_catalogue_speaks_english(photo):
    with translation.override("cy"):
        assert "The image is being saved" in image_of(photo)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de", "Bilder im Format JPEG sind nicht erlaubt. Bitte wählen Sie eines dieser Formate: "),
        ("es", "No se permiten imágenes en formato JPEG. "),
        ("fr", "Les images au format JPEG ne sont pas acceptées. Formats acceptés\xa0: "),
        ("nl", "Afbeeldingen van het formaat JPEG zijn niet toegestaan. "),
    ],
)
def test_a_form_refuses_in_the_language(db, settings, language, expected):
    settings.ASYNC_FORMS = {"FORMATS": ["PNG", "WEBP"]}
    form_class = modelform_factory(Photo, form=AsyncImageModelForm, fields=["title", "image"])
    form = form_class(
        {"title": "Dune"}, {"image": SimpleUploadedFile("dune.jpg", pictures.jpeg(), "image/jpeg")}
    )
    assert not form.is_valid()

    with translation.override(language):
        (message,) = form.errors["image"]
        assert str(message).startswith(expected)
        assert "PNG, WEBP" in str(message)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de", "Diese Datei ist {}\xa0MB groß; erlaubt sind höchstens 4,8\xa0MB."),
        ("es", "Este archivo ocupa {}\xa0MB; el límite es de 4,8\xa0MB."),
        ("fr", "Ce fichier fait {}\xa0Mio\xa0; la limite est de 4,8\xa0Mio."),
        ("nl", "Dit bestand is {}\xa0MB groot; toegestaan is ten hoogste 4,8\xa0MB."),
    ],
)
def test_a_file_input_speaks_the_language(db, settings, language, expected):
    settings.ASYNC_FORMS = {"MAX_BYTES": 5_000_000}

    class PhotoForm(AsyncImageModelForm):
        image_widget = AsyncImageInput

        class Meta:
            model = Photo
            fields = ["image"]

    with translation.override(language):
        assert f'data-too-large="{expected}"' in str(PhotoForm()["image"])


@pytest.mark.parametrize(
    ("language", "count", "expected"),
    [
        ("de", 0, "0 Uploads werden erneut versucht."),
        ("de", 1, "1 Upload wird erneut versucht."),
        ("de", 2, "2 Uploads werden erneut versucht."),
        ("es", 0, "Se reintentarán 0 cargas."),
        ("es", 1, "Se reintentará 1 carga."),
        ("es", 2, "Se reintentarán 2 cargas."),
        ("fr", 0, "0 téléversement sera relancé."),
        ("fr", 1, "1 téléversement sera relancé."),
        ("fr", 2, "2 téléversements seront relancés."),
        ("nl", 0, "0 uploads worden opnieuw geprobeerd."),
        ("nl", 1, "1 upload wordt opnieuw geprobeerd."),
        ("nl", 2, "2 uploads worden opnieuw geprobeerd."),
    ],
)
def test_the_admin_counts_in_the_language(
    admin_client, in_memory, settings, language, count, expected
):
    settings.LANGUAGE_CODE = language
    pending, *others = [
        save_image(in_memory(), Photo.objects.create(title="Dune")) for _ in range(count + 1)
    ]
    Upload.objects.exclude(pk=pending.pk).update(state="failed")
    chosen = [upload.pk for upload in others] or [pending.pk]

    response = admin_client.post(
        reverse("admin:django_async_forms_upload_changelist"),
        {"action": "retry_uploads", "_selected_action": chosen},
    )

    assert [str(message) for message in get_messages(response.wsgi_request)] == [expected]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de", "vor 3 Tagen"),
        ("es", "hace 3 días"),
        ("fr", "il y a 3 jours"),
        ("nl", "3 dagen geleden"),
    ],
)
def test_the_admin_tells_an_age_in_the_language(admin_client, photo, settings, language, expected):
    settings.LANGUAGE_CODE = language
    Upload.objects.update(created_at=timezone.now() - timedelta(days=3, minutes=1))

    html = admin_client.get(reverse("admin:django_async_forms_upload_changelist")).content.decode()

    assert f">{expected}</time>" in html


@pytest.mark.parametrize(
    ("language", "one", "two"),
    [
        ("de", "diesen Upload verwerfen?", "diese 2 Uploads verwerfen?"),
        ("es", "descartar esta carga?", "descartar estas 2 cargas?"),
        ("fr", "abandonner ce téléversement\xa0?", "abandonner ces 2 téléversements\xa0?"),
        ("nl", "deze upload verwerpen?", "deze 2 uploads verwerpen?"),
    ],
)
def test_the_admin_asks_in_the_language(
    admin_client, photo, in_memory, settings, language, one, two
):
    settings.LANGUAGE_CODE = language
    upload = save_image(in_memory(), Photo.objects.create(title="Dune"))

    for chosen, expected in [([upload], one), (Upload.objects.all(), two)]:
        response = admin_client.post(
            reverse("admin:django_async_forms_upload_changelist"),
            {"action": "delete_selected", "_selected_action": [upload.pk for upload in chosen]},
        )

        assert expected in response.content.decode()


@each_language
def test_the_admin_speaks_the_language(admin_client, photo, settings, language):
    settings.LANGUAGE_CODE = language

    html = admin_client.get(reverse("admin:django_async_forms_upload_changelist")).content.decode()

    catalogues = {entry.msgid: entry.msgstr for entry in catalogue(language)}
    for text in ("Retry selected failed uploads", "pending", "Asynchronous uploads"):
        assert catalogues[text] in html
        assert f">{text}<" not in html
