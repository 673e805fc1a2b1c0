"""
Run some of Django's suites in this process, unchanged or with the package under them.

Usage: python -m tests.django_suites.suite FOLDER --results FILE [--plain] [LABEL ...]

FOLDER is the folder ``tests`` of Django's source. A LABEL is a suite of Django's, or one test.
"""

import argparse
import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

PACKAGE_APPS = ["crispy_forms", "django_async_forms", "tests.django_suites.app.SuitesConfig"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", nargs="*")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--plain", action="store_true", help="leave Django as it is")
    options = parser.parse_intermixed_args()
    folder = options.folder.resolve()
    os.environ["SUITES_RESULTS"] = str(options.results.resolve())
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.django_suites.settings"
    # As runtests.py does when it runs as the program. Its child processes inherit both.
    temporary = tempfile.mkdtemp(prefix="django_")
    tempfile.tempdir = os.environ["TMPDIR"] = temporary
    atexit.register(shutil.rmtree, temporary)
    # The suites import each other by their names in that folder, and one reads its files.
    sys.path = [str(folder), *sys.path[1:], str(Path.cwd())]
    os.chdir(folder)
    import runtests

    if options.plain:
        os.environ["SUITES_PLAIN"] = "1"
    else:
        runtests.ALWAYS_INSTALLED_APPS += PACKAGE_APPS
    failures = runtests.django_tests(
        verbosity=1,
        interactive=False,
        failfast=False,
        keepdb=False,
        reverse=False,
        test_labels=options.labels,
        debug_sql=False,
        parallel=1,
        tags=None,
        exclude_tags=["selenium"],
        test_name_patterns=None,
        start_at=None,
        start_after=None,
        pdb=False,
        buffer=False,
        timing=True,
        shuffle=False,
    )
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
