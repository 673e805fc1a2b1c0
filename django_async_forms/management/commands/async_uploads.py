"""``manage.py async_uploads``: lists, retries, recovers and purges uploads, and lists forms."""

from __future__ import annotations

import uuid
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connections
from django.utils import timezone

from ... import recovery
from ...checks.usage import storages_of, uses
from ...delivery import retry
from ...models import Upload, UploadQuerySet, has_outbox, printable


class Command(BaseCommand):
    help = (
        "Lists uploads, retries or purges failed ones, runs the recovery, or lists what saves "
        "images."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(
            dest="subcommand", required=True, metavar="list|retry|recover|purge|forms"
        )
        commands = {
            "list": "Print the uploads, the oldest first.",
            "retry": "Send failed uploads to the workers again, with the attempt count reset.",
            "recover": "Do the work of the task recover_uploads now.",
            "purge": "Discard failed uploads: delete them and their staged bytes.",
            "forms": "Print which forms, serializers, views and admins save images, and where.",
        }
        for name, text in commands.items():
            command = subparsers.add_parser(name, help=text, description=text)
            if name == "forms":
                continue
            command.add_argument(
                "--database",
                choices=sorted(connections),
                help="The alias of a database; defaults to all databases with uploads.",
            )
            if name in ("retry", "purge"):
                command.add_argument(
                    "ids", nargs="*", type=uuid.UUID, metavar="id", help="The ids of uploads."
                )
                command.add_argument("--all", action="store_true", help="All failed uploads.")
            if name == "recover":
                command.add_argument(
                    "--now",
                    action="store_true",
                    help="After an outage: do not wait for the next attempt of pending uploads.",
                )
            if name == "list":
                command.add_argument("--failed", action="store_true", help="Only failed ones.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["subcommand"] == "forms":
            self.handle_forms()
            return
        databases, problems = self._find_databases(options["database"])
        if "ids" in options:
            self._check_choice(databases, problems, options["ids"], options["all"])
        for using in databases:
            getattr(self, f"handle_{options['subcommand']}")(using, options)
        if problems:
            raise CommandError("\n".join(problems))

    def _find_databases(self, named: str | None) -> tuple[list[str], list[str]]:
        """Return the databases to act on, and a sentence for each that cannot be used."""
        found, problems = [], []
        for using in [named] if named else recovery.written_databases():
            try:
                if has_outbox(using):
                    found.append(using)
                elif named:
                    problems.append(
                        f"The database {named} has no table of uploads. "
                        f"Run: manage.py migrate --database {named}"
                    )
            except Error as error:
                problems.append(f"The database {using} does not answer: {error}")
        return found, problems

    def _check_choice(
        self, databases: list[str], problems: list[str], ids: list[uuid.UUID], all_of_them: bool
    ) -> None:
        if bool(ids) == all_of_them:
            raise CommandError("Name uploads by their id, or pass --all.")
        known = {
            key
            for using in databases
            for key in Upload.objects.using(using).failed().filter(pk__in=ids).values_list("pk")
        }
        for key in ids:
            if (key,) not in known:
                raise CommandError("\n".join([f"No failed upload has the id {key}.", *problems]))

    def handle_list(self, using: str, options: dict[str, Any]) -> None:
        uploads = Upload.objects.using(using).order_by("created_at")
        for upload in (uploads.failed() if options["failed"] else uploads).iterator():
            created = upload.created_at
            if timezone.is_aware(created):
                created = timezone.localtime(created)  # As in the logs of the workers.
            self.stdout.write(
                f"{upload.pk}  {upload.state}  {created.isoformat(' ', 'seconds')}  "
                f"attempts {upload.attempts}  {upload}"
            )
            if upload.error:
                for line in upload.error.splitlines():
                    self.stdout.write(f"    {printable(line)}")

    def handle_retry(self, using: str, options: dict[str, Any]) -> None:
        self._report(using, "retried", retry(self._chosen(using, options)))

    def handle_recover(self, using: str, options: dict[str, Any]) -> None:
        done = recovery.recover(using, now=options["now"])
        self.stdout.write(
            f"{using}: {done.sent} sent again, {done.purged} purged, "
            f"{done.expired} drafts expired, {done.abandoned} staged files removed."
        )

    def handle_purge(self, using: str, options: dict[str, Any]) -> None:
        self._report(using, "purged", self._chosen(using, options).discard())

    def handle_forms(self) -> None:
        for field, of_field in groupby(uses(), key=lambda use: use.field):
            if field is None:
                self.stdout.write("With a mixin, but without a file field to save:")
            else:
                staging, final = storages_of(field)
                self.stdout.write(f"{field}: {staging}, then {final}")
            for use in of_field:
                if use.reason:
                    where = f"request  {use.saver_name}: {use.reason}"
                elif field is None:
                    where = use.saver_name
                else:
                    note = ": only an image that replaces one" if use.only_replaces else ""
                    where = f"worker   {use.saver_name}{note}"
                self.stdout.write(f"    {where}")

    def _chosen(self, using: str, options: dict[str, Any]) -> UploadQuerySet:
        failed = Upload.objects.using(using).failed()
        return failed if options["all"] else failed.filter(pk__in=options["ids"])

    def _report(self, using: str, done: str, count: int) -> None:
        self.stdout.write(f"{using}: {count} {done}.")
