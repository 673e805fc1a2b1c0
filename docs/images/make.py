"""Makes the screenshots: the example in a browser, in each state that an image can be in."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "example"))

from photograph import photograph  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from services import running  # noqa: E402

SIZE = {"width": 960, "height": 840}


def add(page, title, *files):
    page.goto("photos/add/")
    page.fill("[name=title]", title)
    for name, path in zip(("image", "detail"), files, strict=False):
        page.set_input_files(f"[name={name}]", path)


def make_all(page, data):
    photos = []
    for seed in range(3):
        photos.append(data / f"lake-{seed}.jpg")
        photos[-1].write_bytes(photograph(seed))

    add(page, "Dawn at the lake", photos[0])
    page.wait_for_function("document.querySelector('.async-image-preview img').complete")
    shoot(page, "create")

    page.click("[type=submit]")
    page.wait_for_selector("async-image[data-state=pending]")
    shoot(page, "pending")

    page.wait_for_selector("async-image[data-state=saved] img")
    shoot(page, "finished")

    page.goto("photos/1/change/")
    page.set_input_files("[name=image]", photos[2])
    page.click("[type=submit]")
    page.wait_for_selector("async-image[data-state=pending]")
    shoot(page, "changed")
    page.wait_for_selector("async-image[data-state=saved]")

    from django_async_forms.models import Upload

    page.goto("photos/1/change/")
    page.set_input_files("[name=image]", photos[1])
    page.click("[type=submit]")
    page.wait_for_selector("async-image[data-state=pending]")
    Upload.objects.update(state=Upload.State.FAILED, error="OSError: no space left")
    page.wait_for_selector("async-image[data-state=failed]")
    shoot(page, "failed")


def shoot(page, name):
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=HERE / f"{name}.jpg", quality=80, animations="disabled")
    print(f"docs/images/{name}.jpg")


def main():
    data = Path(tempfile.mkdtemp(prefix="screenshots_"))
    os.environ.update(
        DJANGO_SETTINGS_MODULE="project.settings",
        EXAMPLE_DATA=str(data),
        PYTHONUNBUFFERED="1",
        DJANGO_ALLOW_ASYNC_UNSAFE="true",
    )
    from serve import free_port, prepare

    try:
        prepare()
        port = free_port()
        with running(data, port), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(base_url=f"http://127.0.0.1:{port}/", viewport=SIZE)
            make_all(page, data)
    finally:
        shutil.rmtree(data)


if __name__ == "__main__":
    main()
