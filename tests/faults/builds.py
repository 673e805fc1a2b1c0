"""Another build of the package, which runs beside this one during a rolling restart."""

from pathlib import Path

from .errors import SettingsError
from .processes import ROOT

PACKAGE = "django_async_forms"


def other_build(path, folder):
    """Return a folder from which processes import the package in ``path``, or None without one."""
    if path is None:
        return None
    package = Path(path).resolve() / PACKAGE
    if not (package / "__init__.py").exists():
        raise SettingsError(f"--other-build {path}: there is no {PACKAGE} in it.")
    if _migrations(package) != _migrations(ROOT / PACKAGE):
        raise SettingsError(
            f"--other-build {path}: its migrations differ. Two builds can only run side by side on "
            "the same schema."
        )
    build = folder / "other"
    build.mkdir()
    (build / PACKAGE).symlink_to(package)
    (build / "tests").symlink_to(ROOT / "tests")
    return build


def _migrations(package):
    return {file.name: file.read_text() for file in (package / "migrations").glob("0*.py")}
