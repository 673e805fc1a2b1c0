"""What users do before they send a form: their pages send its images as drafts."""

import base64
import hashlib
import re
import socket
import threading
import time
import uuid
from collections import Counter
from urllib.parse import urlsplit

import requests

#: How a page sends a part of an image, and how often.
WAYS = {"once": 70, "twice": 15, "cut": 15}
#: What users do with a draft, and how often. One that they leave stays, or expires.
FATES = {"claim": 80, "leave": 5, "expire": 8, "cancel": 7}
#: How often a form comes back with an error first, is sent twice at once, and while a draft of it
#: expires.
COMES_BACK, AT_ONCE, EXPIRING = 0.3, 0.15, 0.05
#: The attempts after errors, and the pause between two of them in seconds.
ATTEMPTS, PAUSE = 60, 0.3
STREAM = "application/offset+octet-stream"
PROTOCOL = {"Tus-Resumable": "1.0.0"}
#: One widget in a page, and what it has of drafts.
_WIDGET = re.compile(r"<async-image-input(.*?)</async-image-input>", re.DOTALL)
_NAME = re.compile(r'type="file" name="([^"]+)"')
_GRANT = re.compile(r'data-grant="([^"]+)"')
_KEPT = re.compile(r'type="hidden" name="[^"]+-draft" value="([^"]+)"')


class Early:
    """The pages that a share of the forms is sent from, and what is known of their drafts."""

    def __init__(self, address, share, answers):
        self.address = address
        self.answers = answers
        self._share = share
        #: How often each thing was done.
        self.counts = Counter()
        #: The digests of the drafts whose bytes have all arrived, by their ids.
        self.complete = {}
        #: The ids of drafts that were told to expire, or that their sender has removed.
        self.ended = set()
        #: For each form that was refused for a draft that is gone, the ids of its drafts.
        self.refused = []
        #: The parts that were accepted: (id of the draft, offset).
        self.accepted = []
        self._lock = threading.Lock()

    def count(self, what, number=1):
        with self._lock:
            self.counts[what] += number

    def takes_parts(self):
        """Tell whether the staging storage takes parts. If not, pages send an image as a whole."""
        from django_async_forms.arrival import takes_parts

        return takes_parts("default")

    def submit(self, rng, path, request, send):
        """Send a form, and perhaps its images before it; return what the site says of it."""
        if not request.files or rng.random() >= self._share:
            return send(request)[0]
        page = Page(self, path)
        page.prepare(rng, request)
        if not page.drafts:
            return send(request)[0]
        return self._claim(rng, request, page, send)

    def _claim(self, rng, request, page, send):
        """Send a form with drafts, again after each error. Each draft is claimed once."""
        keys = set(page.drafts.values())
        others = []
        if rng.random() < AT_ONCE:
            self.count("two forms at once")
            others.append(threading.Thread(target=self._send_one, args=(request, keys, send)))
        if rng.random() < EXPIRING:
            self.count("expires as its form is sent")
            others.append(threading.Thread(target=self.expire, args=[rng.choice(sorted(keys))]))
        for thread in others:
            thread.start()
        answer, status = self._send_one(request, keys, send)
        for _ in range(ATTEMPTS):
            if status is not None and status < 500:
                break
            time.sleep(PAUSE)
            self.count("form sent again after an error")
            answer, status = self._send_one(request, keys, send)
        for thread in others:
            thread.join()
        return answer

    def _send_one(self, request, keys, send):
        answer, status = send(request)
        if status == 200:
            self.count("claimed", len(keys))
        elif status == 409:
            self.count("form refused: a draft is gone")
            self.refused.append(keys)
        return answer, status

    def expire(self, key):
        """Make a draft expire now."""
        from django.db import DatabaseError, connection
        from django.utils import timezone

        from django_async_forms.models import Draft

        self.ended.add(key)
        try:
            Draft.objects.filter(pk=key).update(expires_at=timezone.now())
        except DatabaseError:  # The connection was cut. The draft stays, like one that is left.
            self.count("not expired: database")
        finally:
            connection.close()


class Page:
    """A form that is open in a browser, with a session of its own."""

    def __init__(self, early, path):
        #: The ids of the drafts to claim, by the names of their inputs.
        self.drafts = {}
        self._early = early
        self._path = path
        self._cookies = {}
        self._grants, self._kept = {}, {}

    def prepare(self, rng, request):
        """Have the form's images sent early; what is, the form has a token of."""
        # Slides are added by a script, so their inputs have the grants of the one to copy.
        path = "/albums/add/" if "/albums/" in self._path else self._path
        page = self._ask("GET", path, {200})
        if page is None or page.status_code != 200:
            return
        self._read(page)
        for name, (filename, content, _) in list(request.files.items()):
            if rng.random() < 0.85:
                token = self._send(rng, name, filename, content)
                if token:
                    self._hold(request, name, token, content)
        request.cookies = self._cookies
        request.headers["X-Drafts"] = "1"
        if rng.random() < COMES_BACK:
            self._come_back(request)

    def _hold(self, request, name, token, content):
        request.files.pop(name, None)
        request.data[f"{name}-draft"] = token
        self.drafts[name] = _key(token)
        self._early.complete[_key(token)] = hashlib.sha256(content).hexdigest()

    def _read(self, page):
        """Read the grants in a page, and the tokens of the drafts that it holds."""
        for widget in _WIDGET.findall(page.text):
            name = _NAME.search(widget)[1]
            grant, kept = _GRANT.search(widget), _KEPT.search(widget)
            if grant:
                self._grants[name] = grant[1]
            if kept:
                self._kept[name] = kept[1]

    def _come_back(self, request):
        """Send the form with an error in it, and take what the page that comes back has kept."""
        spoiled = {"title": ""} if "/albums/" not in self._path else {"slides-0-caption": "x" * 101}
        contents = {name: content for name, (_, content, _) in request.files.items()}
        page = self._ask(
            "POST",
            self._path,
            {400},
            data={**request.data, **spoiled},
            files=request.files,
        )
        if page is None or page.status_code != 400:
            return
        self._early.count("form came back with an error")
        self._kept = {}
        self._read(page)
        for name, content in contents.items():
            if name in self._kept:
                self._early.count("kept by a form that came back")
                self._hold(request, name, self._kept[name], content)
            else:
                self._early.count("not kept by a form that came back")
        for name, key in self.drafts.items():
            if name not in contents and _key(self._kept.get(name, "")) != key:
                self._early.count("draft not shown by a form that came back")

    def _send(self, rng, name, filename, content):
        """Send an image in parts; return the token of its draft, unless it is not to be claimed."""
        early = self._early
        values = {
            "grant": self._grants[re.sub(r"-\d+-", "-__prefix__-", name)],
            "filename": filename,
            "filetype": "image/jpeg",
        }
        metadata = ",".join(
            f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items()
        )
        headers = {"Upload-Length": str(len(content)), "Upload-Metadata": metadata}
        first = b""
        takes_parts = early.takes_parts()
        if takes_parts and rng.random() < 0.25:
            first = content[: rng.randint(1, len(content))]
            headers["Content-Type"] = STREAM
        created = self._ask("POST", "/drafts/", {201}, data=first, headers=headers)
        if created is None or created.status_code != 201:
            return None
        address = created.headers["Location"]
        key, offset = _key(address.split("/")[-2]), len(first)
        [fate] = rng.choices(list(FATES), list(FATES.values()))
        stays_half = fate != "claim" and rng.random() < 0.5
        while offset is not None and offset < len(content):
            if stays_half and offset > len(content) // 3:
                break
            size = rng.randint(1, len(content) // 2 + 1) if takes_parts else len(content)
            end = min(len(content), offset + size)
            offset = self._send_part(rng, address, key, offset, content[offset:end])
        if offset is None:
            return None
        if offset == len(content):
            early.complete[key] = hashlib.sha256(content).hexdigest()
            early.count("sent early")
        if fate == "claim":
            return address.split("/")[-2]
        early.count(f"not claimed: {fate}")
        if fate == "expire":
            early.expire(key)
        elif fate == "cancel":
            early.ended.add(key)
            self._ask("DELETE", address, {204, 404, 423})
        return None

    def _send_part(self, rng, address, key, offset, part):
        """Send a part; return the offset to go on from, or None once the draft is gone."""
        early = self._early
        [way] = rng.choices(list(WAYS), list(WAYS.values()))
        early.count(f"part sent: {way}")
        if way == "cut":
            self._cut(address, offset, part)
            return self._offset(address, key)
        answers, has_answer = [], threading.Semaphore(0)

        def patch():
            headers = {"Upload-Offset": str(offset), "Content-Type": STREAM}
            response = self._ask("PATCH", address, {204, 404, 409}, data=part, headers=headers)
            if response is not None and response.status_code == 204:
                early.accepted.append((key, offset))
            answers.append(response)
            has_answer.release()

        for _ in range(1 + (way == "twice")):
            threading.Thread(target=patch, daemon=True).start()
        # Go on with the first answer, while the other request may still be at work.
        has_answer.acquire()
        response = answers[0]
        if response is not None and response.status_code in (204, 409):
            return int(response.headers["Upload-Offset"])
        return self._offset(address, key)

    def _offset(self, address, key):
        """Ask how much of a draft has arrived, until the site answers."""
        for _ in range(ATTEMPTS):
            response = self._ask("HEAD", address, {200, 404})
            if response is not None and response.status_code == 200:
                return int(response.headers["Upload-Offset"])
            if response is not None and response.status_code == 404:
                self._early.refused.append({key})
                return None
            time.sleep(PAUSE)
        return None

    def _cut(self, address, offset, part):
        """Send a part, and lose the connection in the middle of it or before the answer."""
        site = urlsplit(self._early.address)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {
            **PROTOCOL,
            "Host": "localhost",
            "X-Drafts": "1",
            "Cookie": cookies,
            "Content-Type": STREAM,
            "Content-Length": str(len(part)),
            "Upload-Offset": str(offset),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        message = f"PATCH {address} HTTP/1.1\r\n{head}\r\n".encode() + part
        try:
            with socket.create_connection((site.hostname, site.port), timeout=60) as connection:
                connection.sendall(message[: len(message) - len(part) // 2])
        except OSError:
            self._early.count("connection lost by the site")

    def _ask(self, method, path, expected, headers=None, **options):
        """Send a request; return the response, or None without one. Notes errors."""
        token, began = uuid.uuid4().hex, time.time()
        headers = {**PROTOCOL, "X-Token": token, "X-Drafts": "1", **(headers or {})}
        what = None
        try:
            response = requests.request(
                method,
                self._early.address + path,
                headers=headers,
                cookies=self._cookies,
                timeout=60,
                **options,
            )
        except requests.RequestException as error:
            response, what = None, repr(error)
        else:
            self._cookies.update(response.cookies.get_dict())
            # Somebody else may have deleted the picture.
            if response.status_code not in expected and response.status_code != 404:
                what = f"{response.status_code} {response.text[:200]}"
        if what is not None:
            place = f"{method} {path.split(':')[0]}"
            self._early.answers.errors.append((token, place, began, time.time(), what))
        return response


def _key(token):
    """Return the id in a token, or None."""
    from django_async_forms.grants import read_draft_token

    named = read_draft_token(token)
    return named and named[0]
