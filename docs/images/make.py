"""Makes the screenshots: the example in a browser, in each state that an image can be in."""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "example"))

from photograph import photograph  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from services import running  # noqa: E402

#: What is added to a name, and how such a screenshot is taken.
VIEWS = {
    "": ((1280, 860), "light"),
    "-dark": ((1280, 860), "dark"),
    "-phone": ((390, 780), "light"),
    "-phone-dark": ((390, 780), "dark"),
}
#: The screenshots that the documentation shows.
SHOWN = {
    name
    for page in HERE.parent.rglob("*.rst")
    for name in re.findall(r"([\w-]+)\.jpg$", page.read_text(), re.M)
}


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
    # The example's policy forbids what wait_for_function does.
    page.locator(".async-image-preview img").evaluate("image => image.decode()")
    shoot(page, "create")

    page.click("main [type=submit]")
    page.wait_for_selector("async-image[data-state=pending]")
    shoot(page, "pending")

    page.wait_for_selector("async-image[data-state=saved] img")
    shoot(page, "finished")

    page.goto("photos/1/change/")
    page.set_input_files("[name=image]", photos[2])
    page.click("main [type=submit]")
    page.wait_for_selector("async-image[data-state=pending]")
    shoot(page, "changed")
    page.wait_for_selector("async-image[data-state=saved]")

    from django_async_forms.models import Upload

    page.goto("photos/1/change/")
    page.set_input_files("[name=image]", photos[1])
    page.click("main [type=submit]")
    page.wait_for_selector("async-image[data-state=pending]")
    Upload.objects.update(state=Upload.State.FAILED, error="OSError: no space left")
    page.wait_for_selector("async-image[data-state=failed]")
    shoot(page, "failed")


def shoot(page, name):
    """Take the screenshots of a page that the documentation shows, and the plain one always."""
    page.evaluate("scrollTo(0, 0)")
    for suffix, ((width, height), scheme) in VIEWS.items():
        path = HERE / f"{name}{suffix}.jpg"
        if suffix and path.stem not in SHOWN:
            continue
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=path, quality=80, animations="disabled")
        print(path.relative_to(HERE.parent.parent))


def main():
    data = Path(tempfile.mkdtemp(prefix="screenshots_"))
    os.environ.update(
        DJANGO_SETTINGS_MODULE="project.settings",
        EXAMPLE_DATA=str(data),
        PYTHONUNBUFFERED="1",
        # Long enough to take all screenshots of a pending image.
        SLOW_STORAGE_SECONDS="5",
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
            page = browser.new_page(base_url=f"http://127.0.0.1:{port}/", reduced_motion="reduce")
            make_all(page, data)
    finally:
        shutil.rmtree(data)


if __name__ == "__main__":
    main()
