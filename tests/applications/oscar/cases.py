"""docs/howto/oscar.rst: the images of products in Oscar's dashboard, with Oscar itself."""

import re
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.signals import pre_save
from django.urls import reverse
from oscar.core.loading import get_model

from django_async_forms.models import Upload
from django_async_forms.test import save_pending_uploads
from tests.applications.conftest import with_worker
from tests.worker import staged_files, wait_until_no_upload_is_left

pytestmark = pytest.mark.django_db

Category = get_model("catalogue", "Category")
Product = get_model("catalogue", "Product")
ProductClass = get_model("catalogue", "ProductClass")
ProductImage = get_model("catalogue", "ProductImage")


@pytest.fixture
def category():
    return Category.add_root(name="Maps")


@pytest.fixture
def kind():
    return ProductClass.objects.create(name="Map")


@pytest.fixture
def product(category, kind):
    product = Product.objects.create(title="Map", product_class=kind, upc="1")
    product.categories.add(category)
    return product


@pytest.fixture
def add_image(in_memory):
    def add(product, name="old.jpg", order=0):
        return ProductImage.objects.create(
            product=product, original=in_memory(name), display_order=order
        )

    return add


@pytest.fixture
def save_product(admin_client, category, kind):
    """
    Posts the dashboard's page of a product, with new images and with files for its old ones.

    ``replace`` has the new file of each image that gets another, and ``delete`` the other images.
    """

    def save(product=None, images=(), replace=(), delete=(), title="Map"):
        page, keys = "dashboard:catalogue-product-create", [kind.slug]
        old, links = [], []
        if product is not None:
            page, keys = "dashboard:catalogue-product", [product.pk]
            old, links = list(product.images.all()), list(product.productcategory_set.all())
        new = range(len(old), len(old) + len(images))
        data = {"title": title, "slug": "map", "upc": "1", "is_public": "on"}
        data["structure"] = "standalone"
        data |= formset("productcategory_set", links, {0: {"category": category.pk}})
        data |= formset("images", old, {i: {"display_order": i} for i in range(new.stop)})
        data |= formset("recommended_products") | formset("primary_recommendations")
        data |= formset("stockrecords")
        data |= {
            f"images-{old.index(image)}-original": file for image, file in dict(replace).items()
        }
        data |= {f"images-{old.index(image)}-DELETE": "on" for image in delete}
        data |= {f"images-{i}-original": file for i, file in zip(new, images, strict=True)}
        return admin_client.post(reverse(page, args=keys), {**data, "action": "continue"})

    return save


def formset(prefix, rows=(), forms=()):
    """Return the data of a formset: its management form, its rows and what each form has."""
    data = {f"{prefix}-INITIAL_FORMS": len(rows), f"{prefix}-TOTAL_FORMS": len(forms)}
    data |= {f"{prefix}-{i}-id": row.pk for i, row in enumerate(rows)}
    data |= {
        f"{prefix}-{i}-{name}": value
        for i, form in dict(forms).items()
        for name, value in form.items()
    }
    return data


def names(product):
    """Return the names of a product's images in their order, without their folder."""
    return [
        Path(image.original.name).name for image in ProductImage.objects.filter(product=product)
    ]


def test_new_images_are_saved_by_a_worker_in_their_order(save_product, jpeg, files):
    response = save_product(images=[jpeg("a.jpg"), jpeg("b.jpg")])

    assert response.status_code == 302
    product = Product.objects.get()
    assert names(product) == ["", ""]
    assert not files()

    assert save_pending_uploads() == 2

    assert names(product) == ["a.jpg", "b.jpg"]
    assert [image.display_order for image in product.images.all()] == [0, 1]


def test_a_new_product_with_an_error_keeps_no_image(save_product, jpeg, files):
    response = save_product(images=[jpeg("a.jpg"), SimpleUploadedFile("b.jpg", b"broken")])

    assert response.status_code == 200
    assert "Upload a valid image" in response.content.decode()
    assert not Product.objects.exists()
    assert not Upload.objects.exists()
    assert not files()


def test_an_image_is_replaced_by_a_worker(product, add_image, save_product, jpeg):
    image = add_image(product)

    save_product(product, replace={image: jpeg("new.jpg")})

    assert names(product) == ["old.jpg"]
    save_pending_uploads()
    assert names(product) == ["new.jpg"]


def test_a_product_can_be_saved_again_while_its_images_are_pending(save_product, jpeg):
    save_product(images=[jpeg("a.jpg"), jpeg("b.jpg")])
    product = Product.objects.get()

    response = save_product(product, images=[jpeg("c.jpg")], title="Newer")

    assert response.status_code == 302
    assert save_pending_uploads() == 3
    assert names(product) == ["a.jpg", "b.jpg", "c.jpg"]
    product.refresh_from_db()
    assert product.title == "Newer"


def test_an_image_that_is_attached_while_its_product_is_saved_stays(save_product, jpeg, connect):
    save_product(images=[jpeg("a.jpg"), jpeg("b.jpg")])
    product = Product.objects.get()
    saves = []

    def attach(instance, **kwargs):
        if saves.append(instance) or len(saves) == 1:  # The first of those that the view numbers.
            save_pending_uploads()

    connect(pre_save, attach, ProductImage)
    save_product(product)

    assert names(product) == ["a.jpg", "b.jpg"]


def test_an_image_is_deleted_while_another_is_pending(product, add_image, save_product, jpeg):
    old = add_image(product)
    save_product(product, images=[jpeg("new.jpg")])

    save_product(product, delete=[old])
    save_pending_uploads()

    assert names(product) == ["new.jpg"]
    assert product.images.get().display_order == 0


def test_deleting_a_pending_image_discards_it(save_product, jpeg, files):
    save_product(images=[jpeg("a.jpg")])
    product = Product.objects.get()

    save_product(product, delete=product.images.all())

    assert not Upload.objects.exists()
    assert not staged_files()


def test_deleting_the_product_discards_its_pending_images(save_product, jpeg, admin_client):
    save_product(images=[jpeg("a.jpg")])
    product = Product.objects.get()

    admin_client.post(reverse("dashboard:catalogue-product-delete", args=[product.pk]))

    assert not Product.objects.exists()
    assert not Upload.objects.exists()
    assert not staged_files()


def test_an_image_that_a_worker_cannot_save_leaves_the_old_one(
    product, add_image, save_product, jpeg, files, fail
):
    image = add_image(product)
    before = files()
    save_product(product, replace={image: jpeg("new.jpg")})

    fail()

    assert Upload.objects.get().state == Upload.State.FAILED
    assert names(product) == ["old.jpg"]
    assert files() == before


@with_worker
@pytest.mark.django_db(transaction=True)
def test_a_real_worker_saves_the_images(worker, save_product, jpeg):
    save_product(images=[jpeg("a.jpg"), jpeg("b.jpg")])

    wait_until_no_upload_is_left()

    assert names(Product.objects.get()) == ["a.jpg", "b.jpg"]


# Pages


@pytest.fixture(params=["the dashboard's list", "the dashboard's page", "the page", "a review"])
def images_of_page(request, admin_client):
    """Returns the addresses of the images that one of Oscar's pages shows of a product."""

    def images(product):
        url = {
            "the dashboard's list": reverse("dashboard:catalogue-product-list"),
            "the dashboard's page": reverse("dashboard:catalogue-product", args=[product.pk]),
            "the page": product.get_absolute_url(),
            "a review": reverse("catalogue:reviews-add", args=[product.slug, product.pk]),
        }[request.param]
        return set(re.findall(r'<img src="([^"]*)"', admin_client.get(url).content.decode()))

    return images


def test_a_page_shows_the_images_that_are_there(
    product, add_image, save_product, jpeg, images_of_page
):
    add_image(product)
    [old] = images_of_page(product)

    save_product(product, images=[jpeg("new.jpg")])
    assert images_of_page(product) == {old}

    save_pending_uploads()
    assert old in images_of_page(product)


def test_a_page_of_a_product_without_an_image_yet_shows_that_none_is_there(
    save_product, jpeg, images_of_page
):
    save_product(images=[jpeg("new.jpg")])
    product = Product.objects.get()

    assert not any("/products/" in image for image in images_of_page(product))

    save_pending_uploads()
    assert len(images_of_page(product)) == 1
