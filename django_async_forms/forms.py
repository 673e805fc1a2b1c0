"""A ``ModelForm`` that stages its images and lets a worker save them."""

from __future__ import annotations

import inspect
import types
from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from asgiref.sync import sync_to_async
from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db import router
from django.db.models import FileField, ImageField, Model
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.translation import gettext as _

from . import hooks
from .conf import conf
from .detach import Detachment
from .draft_form import FieldDrafts
from .draft_model import DraftGoneError
from .draft_sender import sender_of
from .fields import expected_database, file_field, file_fields, files_in, image_columns, unwrapped
from .limits import check_limits, check_value_against_backlog
from .models import Upload, has_image, has_outbox
from .status import upload_for
from .widgets import AsyncImageInput, draft_name

if TYPE_CHECKING:
    _Form = forms.ModelForm[Any]
    _ModelForm = forms.ModelForm[Any]
else:
    _Form = object
    _ModelForm = forms.ModelForm


#: Text that a function returns once it is needed. Made once: ``lazy`` makes a class at each call.
_lazy_text: Any = lazy(lambda get_text: get_text(), str)


class AsyncImageFormMixin(_Form):
    """
    Mix in before ``ModelForm``: saving the form saves the instance now and its images later.

    ::

        class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
            class Meta:
                model = Photo
                fields = ["title", "image"]

    ``save()`` returns as fast as for a form without images. The instance keeps its old image, or
    none, until a worker has saved the new one. With ``commit=False`` the image is staged when the
    instance is saved.
    """

    #: The names of the file fields that a worker saves. ``None`` stands for every ``ImageField`` of
    #: the form. Name the fields to leave one out, or to add a plain ``FileField``.
    async_fields: Sequence[str] | None = None

    #: With ``"replacing"``, a worker saves an image only if it replaces another one. The request
    #: saves the first image, for pages that assume that every instance has one.
    async_when: Literal["always", "replacing"] = "always"

    #: The widget class of the image fields that a worker saves, such as ``AsyncImageInput``. With
    #: ``None``, they keep their widgets.
    image_widget: type[AsyncImageInput] | None = None

    #: Whether a form that has a request keeps images as drafts: those of a form that comes back
    #: with an error, and those that the page sends while the user fills in the rest of the form.
    drafts: bool = True

    #: The names of the fields whose images nobody is shown before a worker has saved them. An
    #: example is a photo whose GPS position the worker removes.
    hide_staged: Sequence[str] = ()

    #: The request whose sender owns the drafts of the form.
    request_of_sender: HttpRequest | None = None

    _is_saved = False

    #: The instance, and the images that it had before the form.
    _noted: tuple[Model, Detachment] | None = None

    #: The images that validation has found unchanged.
    _unchanged: Mapping[str, FieldFile] = MappingProxyType({})

    #: The fields that validation has emptied.
    _cleared: Collection[str] = frozenset()

    def __init__(self, *args: Any, request: HttpRequest | None = None, **kwargs: Any) -> None:
        if request is not None and _takes_request(type(self)):
            kwargs["request"] = request
        # The __init__() of a form class after the mixin may use the bound fields, or even validate
        # the form. So set everything that they need first.
        #: The form fields that have the limits as validators.
        self._limited: dict[str, forms.Field] = {}
        #: Whether a field whose instance holds no image has one or an upload.
        self._has_images: dict[str, bool] = {}
        self.request_of_sender = request or self.request_of_sender
        super().__init__(*args, **kwargs)
        self.instance = unwrapped(self.instance)
        if self._errors is None:
            # Made anew after __init__(), which may have changed them.
            self._noted = self.instance, Detachment(self.instance)
        self._prepare_fields()

    @property
    def _detachment(self) -> Detachment:
        """The images before the form: of another instance once ``clean()`` has chosen one."""
        self.instance = unwrapped(self.instance)
        if self._noted is None or self._noted[0] is not self.instance:
            self._noted = self.instance, Detachment(self.instance)
        return self._noted[1]

    def _prepare_fields(self) -> None:
        """Prepare the form fields, also those that a project's ``__init__()`` has replaced."""
        for field in self.get_async_fields():
            self._prepare_field(field)

    def _prepare_field(self, field: FileField) -> None:
        form_field = self.fields[field.name]
        if self._limited.get(field.name) is not form_field:
            self._limited[field.name] = form_field
            form_field.validators.append(partial(check_limits, field))
            if field in self._fields_for_worker():
                form_field.validators.append(
                    partial(check_value_against_backlog, partial(expected_database, self.instance))
                )
        keeps_drafts = self.drafts and self.request_of_sender is not None
        if isinstance(form_field.widget, AsyncImageInput):
            form_field.widget.install(self, field.name)
        elif isinstance(field, ImageField) and (keeps_drafts or self.image_widget is not None):
            (self.image_widget or AsyncImageInput).install(self, field.name)
        widget = form_field.widget
        if (
            keeps_drafts
            and isinstance(widget, AsyncImageInput)
            and isinstance(form_field, forms.FileField)
            and (widget.drafts is None or widget.drafts.form_field is not form_field)
        ):
            widget.drafts = FieldDrafts(self, field, form_field)
        self._make_pending_field_optional(field)

    def keep_drafts(self, request: HttpRequest) -> None:
        """
        Keep the form's images as drafts of the sender of this request, unless ``drafts`` is off.

        The package's views and admin call this. Other code passes ``request`` to the form. An image
        field with one of Django's widgets gets ``AsyncImageInput``, which drafts need.
        """
        self.request_of_sender = request
        self._prepare_fields()
        names = (draft_name(self.add_prefix(field.name)) for field in self.get_async_fields())
        if self.is_bound and any(name in self.data for name in names):
            # The __init__() of a project's form may have validated it without its drafts.
            self._errors = None
            vars(self).pop("changed_data", None)

    def _make_pending_field_optional(self, field: FileField) -> None:
        form_field = self.fields[field.name]
        if self.instance._state.adding or not form_field.required:
            return
        if getattr(self.instance, field.attname):
            return
        if field.name not in self._has_images:
            self._has_images[field.name] = has_image(self.instance, field)
        # The widget stays required. Otherwise it would offer to clear the image.
        form_field.required = not self._has_images[field.name]

    def __getitem__(self, name: str) -> forms.BoundField:
        with_state = vars(self).setdefault("_with_state", set())
        if name in with_state:
            return super().__getitem__(name)
        with_state.add(name)
        field = next((field for field in self.get_async_fields() if field.name == name), None)
        if field is not None:
            self._prepare_field(field)
        bound_field: forms.BoundField = super().__getitem__(name)
        if field is not None:
            # Validation makes bound fields too. Look for an upload only when a page shows the text.
            bound_field.help_text = _lazy_text(
                cache(partial(self._help_text, name, bound_field.help_text))
            )
        return bound_field

    @property
    def media(self) -> forms.Media:
        """Return the scripts and style sheets, also those of a widget of a replaced field."""
        self._prepare_fields()
        return super().media

    def _help_text(self, name: str, help_text: Any) -> Any:
        """Return a field's help text, with the state of its upload if its widget shows none."""
        if isinstance(self.fields[name].widget, AsyncImageInput):
            return help_text
        field = file_field(type(self.instance), name)
        upload = None
        if not self.instance._state.adding:
            using = router.db_for_write(type(self.instance), instance=self.instance)
            upload = upload_for(self.instance, name) if has_outbox(using) else None
        if upload is None:
            return help_text
        is_image = isinstance(field, ImageField)
        if upload.state == Upload.State.PENDING:
            state = (
                _("The image is being saved. You do not have to send it again.")
                if is_image
                else _("The file is being saved. You do not have to send it again.")
            )
        else:
            state = (
                _("The image could not be saved. Your file is kept.")
                if is_image
                else _("The file could not be saved. Your file is kept.")
            )
        if not help_text:
            return state
        # Keep a plain help text plain. Django's templates do not escape it, but others may.
        is_safe = hasattr(help_text, "__html__")
        return format_html("{} {}", help_text, state) if is_safe else f"{help_text} {state}"

    def get_async_fields(self) -> list[FileField]:
        """Return the file fields of the form that a worker saves. A project may override this."""
        fields = [field for field in file_fields(self.instance) if field.name in self.fields]
        if self.async_fields is None:
            return [field for field in fields if isinstance(field, ImageField)]
        return [field for field in fields if field.name in self.async_fields]

    def save(self, *args: Any, **kwargs: Any) -> Any:
        """
        Save the instance without its new images, and stage these for a worker.

        Both happen in one transaction: either the instance is saved and its images are pending, or
        neither. The arguments are those of the next ``save()``: ``commit`` in Django's own. Raises
        the exceptions of ``ModelForm.save()`` and of the staging storage.
        """
        # ModelForm.save() refuses a form with errors, and one without data if it commits.
        if self.is_bound and not self.errors:
            self._detachment.wait_for_save(
                self.instance,
                self._fields_for_worker(),
                self._cleared,
                form_field_names=self.fields,
                only_replaces=self.async_when == "replacing",
                sender=self._sender_key(),
                hidden=self.hide_staged,
            )
        self._is_saved = True
        return super().save(*args, **kwargs)

    def has_saved(self, field: FileField) -> bool:
        """
        Tell whether the image of a field was staged or stored, so that the form keeps no draft.

        It was not if the instance is not saved after ``save(commit=False)``, if saving it has
        raised an error, or if its transaction was rolled back.
        """
        return self._is_saved and not self._detachment.is_waiting(self.instance, field)

    async def ais_valid(self) -> bool:
        """Do as ``is_valid()``, in asynchronous code."""
        return await sync_to_async(self.is_valid)()

    async def asave(self, *args: Any, **kwargs: Any) -> Any:
        """Do as ``save()``, in asynchronous code. Its transaction needs a thread."""
        return await sync_to_async(self.save)(*args, **kwargs)

    def _sender_key(self) -> str:
        """Return the key of the person who is shown the pending images of this form, or ""."""
        if not conf().SHOW_STAGED or not sends_images(self):
            return ""
        sender = sender_of(self.request_of_sender)
        return "" if sender is None else sender.key

    def _fields_for_worker(self) -> list[FileField]:
        """Return those of ``get_async_fields()`` that ``async_when`` leaves to a worker."""
        fields = self.get_async_fields()
        if self.async_when == "always":
            return fields
        return [field for field in fields if self._detachment.had_image_before_form(field)]

    def full_clean(self) -> None:
        """Validate the form. A draft that another form has used up is an error of its field."""
        try:
            super().full_clean()
        except DraftGoneError:
            widgets = (self.fields[field.name].widget for field in self.get_async_fields())
            drafts = [widget.drafts for widget in widgets if isinstance(widget, AsyncImageInput)]
            if not any(one.note_gone() for one in drafts if one is not None):
                raise
            self.full_clean()

    def _post_clean(self) -> None:
        # Django assigns the value of each field to the instance, and assigning an unchanged image
        # makes a field with dimensions open its file. Django reads None as "no change".
        detachment = self._detachment
        # A field's clean method may return "", which Django assigns: it empties the column too.
        self._cleared = {
            name
            for name, value in self.cleaned_data.items()
            if (value is False or (isinstance(value, str) and not value)) and self._assigns(name)
        }
        self._unchanged = unchanged = {
            name: value
            for name, value in self.cleaned_data.items()
            if isinstance(value, FieldFile)
            and value.instance is self.instance
            and detachment.was_unchanged_before_form(name)
            and self._assigns(name)
        }
        dimensions: dict[str, Any] = {}
        for name, value in unchanged.items():
            detachment.restore_initial_image(self.instance, name, value)
            # The form may have fields for the dimensions. Django sets the image's after them.
            for column in image_columns(file_field(type(self.instance), name))[1:]:
                if column.name in self.cleaned_data:
                    dimensions[column.name] = self.cleaned_data.pop(column.name)
        self.cleaned_data.update(dict.fromkeys(unchanged))
        # Validating the model assigns each value as well. An unchanged image was validated when it
        # was uploaded.
        with hooks.not_cleaning(self.instance, unchanged):
            super()._post_clean()  # type: ignore[misc]
        errors = self.errors
        self.cleaned_data.update(
            (name, value)
            for name, value in {**unchanged, **dimensions}.items()
            if name not in errors
        )

    def _assigns(self, name: str) -> bool:
        """Tell whether Django assigns the value of a field to the instance."""
        fields, exclude = self._meta.fields, self._meta.exclude or ()
        return (fields is None or name in fields) and name not in exclude

    def _get_validation_exclusions(self) -> set[str]:
        # Django leaves empty values out of constraints, and an unchanged image looks like one.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {name for name, file in self._unchanged.items() if file}


class AsyncImageModelForm(AsyncImageFormMixin, _ModelForm):
    """The mixin on ``ModelForm``, for ``ModelAdmin.form``, ``modelform_factory`` and formsets."""


def _takes_request(form_class: type[Any]) -> bool:
    """
    Tell whether a class after the mixin takes the argument ``request`` as well.

    Django's own forms refuse it, so it is passed on only to a class that takes it: as a parameter,
    or by ``kwargs.pop("request")``, which has the name as a constant.
    """
    mro = form_class.__mro__
    for base in mro[mro.index(AsyncImageFormMixin) + 1 :]:
        code = getattr(inspect.unwrap(base.__init__), "__code__", None)  # type: ignore[misc]
        if code is None:
            continue
        # Local variables come after the parameters.
        parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if "request" in (*parameters, *code.co_consts):
            return True
    return False


@lru_cache(maxsize=256)
def async_form_class(
    form_class: type[Any], image_widget: type[AsyncImageInput] | None = None
) -> type[Any]:
    """
    Return ``form_class`` with the mixin on it, or itself if it has it already.

    ``image_widget`` is set on a form class that names none itself.
    """
    if issubclass(form_class, AsyncImageFormMixin):
        if image_widget is None or form_class.image_widget is not None:
            return form_class
        name = form_class.__name__
        bases: tuple[type[Any], ...] = (form_class,)
    else:
        name, bases = f"Async{form_class.__name__}", (AsyncImageFormMixin, form_class)
    attributes = {} if image_widget is None else {"image_widget": image_widget}
    return extended_form_class(form_class, name, bases, attributes)


def extended_form_class(
    form_class: type[Any], name: str, bases: tuple[type[Any], ...], attributes: dict[str, Any]
) -> type[Any]:
    """Return a class that extends ``form_class`` and has its fields."""
    attributes = {"__module__": form_class.__module__, **attributes}
    made: Any = types.new_class(name, bases, exec_body=lambda body: body.update(attributes))
    # Django would make the fields from the model once more, without what code has changed in them.
    made.base_fields = form_class.base_fields
    return made  # type: ignore[no-any-return]


def sends_images(form: AsyncImageFormMixin) -> bool:
    """Tell whether a valid form has new images that a worker saves."""
    return any(
        any(isinstance(file, UploadedFile) for file in files_in(form.cleaned_data.get(field.name)))
        for field in form._fields_for_worker()
    )
