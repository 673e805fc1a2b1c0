"""The form of the example: the mixin, and how it looks."""

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout, Submit
from django import forms

from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.layout import AsyncImage

from .models import Photo


class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image", "detail"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.layout = Layout(
            "title", AsyncImage("image"), AsyncImage("detail"), Submit("save", "Save")
        )
