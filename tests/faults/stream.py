"""The users of the site, who post images as fast as it answers."""

import hashlib
import random
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

import requests

from tests import pictures

from .early import Early

#: Width and height of the images, and how often each is used. Django does not keep the largest
#: in memory.
SIZES = {(64, 48): 70, (320, 240): 25, (800, 600): 5}
#: The actions of users, and how often they take each.
DEEDS = {"create": 35, "change": 30, "formset": 12, "twice": 8, "clear": 6, "delete": 6, "abort": 3}
FIELDS = ("image", "cover")


@dataclass
class Answers:
    """The responses of the site."""

    requests: int = 0
    #: The images in successful requests.
    uploads: int = 0
    aborted: int = 0
    #: The failed requests: (token, page, time of sending, time of failure, status or error).
    errors: list = field(default_factory=list)


class Stream:
    """Some users, whose actions depend on the seed."""

    def __init__(self, address, seed, drafts=0, people=4):
        self._address = address
        self._originals = {size: pictures.jpeg(*size, seed=seed) for size in SIZES}
        self._lock = threading.Condition()
        self._pictures = []
        #: The slides by their album, and the album by its slides.
        self._slides, self._albums = {}, {}
        self._images = 0
        self._allowed = 0
        self._has_ended = False
        self._waiting = 0
        self.answers = Answers()
        #: What they do before they send a form.
        self.early = Early(address, drafts, self.answers)
        #: The digests of the sent files, by the request's token and the field.
        self.sent = {}
        self._threads = [
            threading.Thread(target=self._live, args=(random.Random(f"{seed} {number}"),))
            for number in range(people)
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def allow(self, uploads):
        """Let users post until the site has accepted a number of images."""
        with self._lock:
            self._allowed = max(self._allowed, uploads)
            self._lock.notify_all()

    def is_at_rest(self):
        """Tell whether all users wait until they may post more."""
        if not all(thread.is_alive() for thread in self._threads):
            raise RuntimeError("Somebody in the stream has stopped, see above.")
        with self._lock:
            return self._waiting == len(self._threads)

    def end(self):
        """Let users finish their requests, and leave."""
        with self._lock:
            self._has_ended = True
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()

    def _live(self, rng):
        while self._may_go_on():
            deed = rng.choices(list(DEEDS), list(DEEDS.values()))[0]
            picture = self.pick(rng)
            if deed == "abort":
                self._post(rng, "/add/", deed, fields=self._some(rng))
            elif picture is None or deed == "create":
                self._post(rng, "/add/", "create", fields=self._some(rng))
            elif deed == "formset":
                self._post_slides(rng)
            elif deed == "delete":
                self._post(rng, f"/{picture}/delete/", deed)
            elif deed == "clear":
                page = f"/{picture}/change/"
                self._post(rng, page, deed, {"cover-clear": "on"})
            else:
                for _ in range(1 + (deed == "twice")):
                    page = f"/{picture}/change/"
                    self._post(rng, page, deed, fields=self._some(rng))

    def _may_go_on(self):
        with self._lock:
            self._waiting += 1
            self._lock.wait_for(lambda: self._has_ended or self.answers.uploads < self._allowed)
            self._waiting -= 1
            return not self._has_ended

    def pick(self, rng):
        """Return the key of a picture, or None."""
        with self._lock:
            # Mostly a recent picture, whose image may be pending.
            recent = self._pictures[-8:] if rng.random() < 0.7 else self._pictures
            return rng.choice(recent) if recent else None

    def _some(self, rng):
        return rng.choice([["image"], ["image"], ["image", "cover"]])

    def change(self, picture):
        """Post other images for a picture now, without asking how many are allowed."""
        self._post(random.Random(picture), f"/{picture}/change/", "change", fields=FIELDS)

    def change_slide(self, slide):
        """Post another image for a slide, now."""
        with self._lock:
            album = self._albums.get(slide)
        if album is not None:
            self._post_form_set(random.Random(slide), album, [slide], 0)

    def _post_slides(self, rng):
        with self._lock:
            known = rng.random() < 0.6 and list(self._slides)[-4:]
            album = rng.choice(known) if known else None
            slides = list(self._slides[album]) if album else []
        slides = sorted(rng.sample(slides, min(2, len(slides))))
        self._post_form_set(rng, album, slides, rng.randint(not album, 3))

    def _post_form_set(self, rng, album, slides, new):
        """Change slides, and add new ones, in one request."""
        data = {
            "slides-TOTAL_FORMS": len(slides) + new,
            "slides-INITIAL_FORMS": len(slides),
            **{f"slides-{number}-id": slide for number, slide in enumerate(slides)},
        }
        fields = [
            f"slides-{number}-{name}"
            for number in range(len(slides) + new)
            for name in rng.choice([["photo"], ["photo", "back"]])
        ]
        page = f"/albums/{album}/change/" if album else "/albums/add/"
        answer = self._post(rng, page, "formset", data, fields)
        if answer is not None:
            with self._lock:
                known = self._slides.setdefault(answer["album"], [])
                known += [slide for slide in answer["slides"] if slide not in known]
                self._albums.update(dict.fromkeys(answer["slides"], answer["album"]))

    def delete(self, picture):
        """Delete a picture, now."""
        self._post(random.Random(), f"/{picture}/delete/", "delete")

    def _post(self, rng, page, deed, data=None, fields=()):
        token = uuid.uuid4().hex
        files, digests = {}, {}
        for name in fields:
            content = self._image(rng, token + name)
            files[name] = (self._filename(rng, token), content, "image/jpeg")
            digests[name] = hashlib.sha256(content).hexdigest()
        self.sent[token] = digests
        request = requests.Request(
            "POST",
            self._address + page,
            data={"title": token, **(data or {})},
            files=files,
            headers={"X-Token": token},
        )
        if deed == "abort":
            self._abort(rng, request, page)
            return None
        return self.early.submit(rng, page, request, partial(self._send, page, deed, fields))

    def _send(self, page, deed, fields, request):
        """Send a form; return what the site says of it, and its status, or None."""
        token = request.headers["X-Token"]
        began = time.time()
        try:
            # On a new connection: a kept one may lead to a killed process.
            with requests.Session() as session:
                response = session.send(request.prepare(), timeout=60)
        except requests.RequestException as error:
            with self._lock:
                self.answers.requests += 1
                self.answers.errors.append((token, page, began, time.time(), repr(error)))
            return None, None
        with self._lock:
            self.answers.requests += 1
            if response.status_code == 200:
                self.answers.uploads += len(fields)
                if deed == "create":
                    self._pictures.append(response.json()["picture"])
                if deed == "delete":
                    number = int(page.split("/")[1])
                    self._pictures = [pk for pk in self._pictures if pk != number]
            # Somebody else may have deleted the picture, or claimed the draft.
            elif response.status_code not in (404, 409):
                what = f"{response.status_code} {response.text[:200]}"
                self.answers.errors.append((token, page, began, time.time(), what))
        is_done = response.status_code == 200 and response.content
        return response.json() if is_done else None, response.status_code

    def _filename(self, rng, token):
        """
        Return a camera's name for the image: mostly a new name that several images share.

        An object store looks for a free name and then stores, so the first few images with one name
        may all find it free.
        """
        with self._lock:
            self._images += 1
            return rng.choice([f"{token}.jpg", *[f"dune{self._images // 8}.jpg"] * 3])

    def _abort(self, rng, request, page):
        """Leave in the middle of a request, or before the response."""
        prepared = request.prepare()
        head = f"POST {urlsplit(prepared.url).path} HTTP/1.1\r\nHost: localhost\r\n"
        head += "".join(f"{key}: {value}\r\n" for key, value in prepared.headers.items())
        message = head.encode() + b"\r\n" + prepared.body
        part = message[: rng.choice([len(message) // 2, len(message)])]
        address = urlsplit(self._address)
        began = time.time()
        try:
            with socket.create_connection((address.hostname, address.port), timeout=60) as site:
                site.sendall(part)
        except OSError as error:
            with self._lock:
                token = prepared.headers["X-Token"]
                self.answers.errors.append((token, page, began, time.time(), repr(error)))
            return
        with self._lock:
            self.answers.aborted += 1

    def _image(self, rng, token):
        """Return a unique image, with the token in a comment."""
        original = self._originals[rng.choices(list(SIZES), list(SIZES.values()))[0]]
        comment = token.encode()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        return original[:2] + segment + original[2:]
