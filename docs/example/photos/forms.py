"""The forms of the example: the mixin, and how they look."""

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout, Submit
from django import forms

from django_async_forms.forms import AsyncImageFormMixin, AsyncImageModelForm
from django_async_forms.layout import AsyncImage

from .models import Album, Photo, Picture


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


class AlbumForm(forms.ModelForm):
    class Meta:
        model = Album
        fields = ["title"]


# A person without JavaScript adds three pictures at a time.
PictureFormSet = forms.inlineformset_factory(
    Album,
    Picture,
    form=AsyncImageModelForm,
    fields=["image", "caption", "position"],
    extra=3,
    max_num=20,
    validate_max=True,
)
