"""The exchange of the running release for another one, beside it or in turn, and what this container answers about it."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import signal
import urllib.parse
from typing import cast

from infra.provision.container import MOST_SECONDS, Container
from infra.provision.course import Course, NotFit, Order, checked, ending_of, prepared, ready, seconds_of
from infra.provision.packages import Depot, Packages, named_packages, same_packages
from infra.provision.releases import Shelf, is_digest, refusal, say
from infra.provision.server_process import Release, ServerProcess
from infra.provision.streams import Answer, Asked, discard

PATIENCE = 120.0  # seconds for which a checked release waits to be told to take over, or asked again
POLL_SECONDS = 20.0
MEASURE_SECONDS = 2.0
MOST_ORDER = 1 << 20  # bytes
MOST_QUESTION = 4 << 20  # as the server itself takes
LIVE = ("starting", "checked", "exchanging")
NEXT = "next release"
CANDIDATE = "/slipway/candidate"
HANDED_SECONDS = 220.0  # of a question that is handed on: the ingress waits no longer than 240 s
HANDED_ON = (
    ("GET", "/version"),
    ("GET", "/v1/models"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/chat/completions"),
)


class Exchange:
    def __init__(self, container: Container, shelf: Shelf, depot: Depot) -> None:
        self.course = Course()
        self._container = container
        self._shelf = shelf
        self._depot = depot
        self._task: asyncio.Task[None] | None = None
        self._taken: asyncio.Future[None] | None = None
        self._final = False
        """Whether it has come so far that it can't be discarded."""
        self._asked = 0
        """Questions that are handed on to the checked release just now."""
        self._heard = 0.0
        """When the last one of them was answered."""

    # Its two forms

    async def run(self, order: Order) -> None:
        serves = self._container.running
        try:
            await self._container.all_former_ended()
            self._shelf.keep_only({order.release.digest, "" if serves is None else serves.release.digest})
            order = await self._equipped(order, serves)
            await (self._beside(order, serves) if order.form == "beside" else self._in_turn(order, serves))
        except NotFit as refused:
            self._failed(str(refused))
        except asyncio.CancelledError:
            self._failed("it was discarded")
        except Exception as error:  # noqa: BLE001  (the boundary of a background task: told to who asks)
            self._failed(f"it could not take over: {type(error).__name__}: {error}")
        finally:
            self._final = False
            self._container.pausing = False

    async def _equipped(self, order: Order, former: ServerProcess | None) -> Order:
        """With the release's own packages, which are unpacked while the former one serves."""
        packages = await asyncio.to_thread(self._depot.packages, order.release.place)
        before = Packages() if former is None else former.release.packages
        self._depot.keep_only({packages.digest, before.digest})
        order = order._replace(release=order.release._replace(packages=packages))
        if order.form == "beside" and former is not None and not undisturbed(order.release, former.release):
            raise NotFit("its own packages can't be had, and others would change under the running server")
        return order

    async def _beside(self, order: Order, former: ServerProcess | None) -> None:
        server = self._start(order)
        try:
            await checked(server, order.smoke, self.course)
            await self._told_to_take_over(server)
            self.course.say(state="exchanging", phase=None, progress=None, detail="")
            self._final = True
            await self._container.accepting(server)
        except BaseException:
            self.course.say(log=list(server.lines))
            await self._container.drop(server)
            raise
        if former is not None:
            self.course.wake()  # who waits for news through the former server is answered: it can end
            await self._container.leave(former, MOST_SECONDS)
        self._done(order, pause=0.0)

    async def _told_to_take_over(self, server: ServerProcess) -> None:
        """As long as somebody asks it, it waits: who judges it by many questions takes longer than who asks none."""
        loop = asyncio.get_running_loop()
        self._taken, self._heard = loop.create_future(), loop.time()
        self.course.say(state="checked", phase="ready", progress=1.0, detail="")
        allowed = seconds_of("SLIPWAY_TAKE_OVER_SECONDS", PATIENCE)
        while not (self._taken.done() or server.ended):
            left = allowed if self._asked else self._heard + allowed - loop.time()
            if left <= 0:
                raise NotFit(f"nobody told it to take over within {allowed:.0f} s")
            await asyncio.wait([self._taken, server.ends], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if server.ended:
            raise NotFit(ending_of(server))

    async def _in_turn(self, order: Order, former: ServerProcess | None) -> None:
        loop, container = asyncio.get_running_loop(), self._container
        waits = await self._prepared(order, former)
        container.pausing = True
        self.course.say(state="exchanging", phase="draining")
        began = loop.time()
        try:
            if former is not None:
                container.running = None
                self.course.wake()  # as above
                await container.leave(former, former.drain)
                began = loop.time()
                await container.ended(former, former.drain + 15)
            if waits is not None:
                with contextlib.suppress(OSError):  # it has ended: that is said below
                    waits.tell("load")
            server = waits or self._start(order)
            await checked(server, order.smoke, self.course)
            self._final = True
            await container.accepting(server)
        except BaseException as error:
            self._final = True
            await self._back(former, error)
            self.course.say(pause=round(loop.time() - began, 2))
            raise
        self._done(order, pause=round(loop.time() - began, 2))

    async def _prepared(self, order: Order, former: ServerProcess | None) -> ServerProcess | None:
        """The new server with all but its model, while the former one still answers; None where it would change the packages
        under that one, or where none answers."""
        if former is None or not undisturbed(order.release, former.release):
            return None
        server = self._start(order, held=True)
        try:
            await prepared(server, self.course)
        except BaseException:
            self.course.say(log=list(server.lines))
            await self._container.drop(server)
            raise
        return server

    async def _back(self, former: ServerProcess | None, error: BaseException) -> None:
        """The former release starts again; where it can't, nothing serves, and the container ends."""
        container = self._container
        if container.tried is not None:
            self.course.say(log=list(container.tried.lines))
            await container.drop(container.tried)
        if former is None or container.ending:
            return
        say(f"exchange: {former.release.digest[:12]} starts again: {str(error) or 'it was discarded'}")
        self.course.say(phase="starting-again", progress=None, detail=str(error))
        if not former.ended:
            await container.ended(former, former.drain + 15)
        server = container.launch(former.release, remembered=True)
        try:
            await ready(server, Course())
            await container.accepting(server)
        except (NotFit, OSError, EOFError, TimeoutError) as problem:
            say(f"failed: the former release does not start again either: {problem}")
            container.give_up()

    def _start(self, order: Order, *, held: bool = False) -> ServerProcess:
        say(f"exchange: starting {order.release.digest[:12]} {order.form}")
        server = self._container.launch(order.release, remembered=True, held=held)
        server.says_as = NEXT
        self._container.tried = server
        return server

    def _done(self, order: Order, pause: float) -> None:
        say(f"exchange: {order.release.digest[:12]} serves (generation {order.release.generation})")
        say("phase ready")
        self.course.say(state="done", phase="ready", progress=1.0, detail="", pause=pause)

    def _failed(self, reason: str) -> None:
        say(f"exchange: {str(self.course.told['release'])[:12]} does not take over: {reason}")
        self.course.say(state="failed", reason=reason)

    # What is asked

    async def answer(self, asked: Asked) -> Answer:
        """Requests below /slipway, whoever they came through."""
        key = os.environ.get("SLIPWAY_DEPLOY_KEY", "")
        given = asked.headers.get("authorization", "")
        if not key:
            answer = refusal(404, "NotFound", "there is no deploy key here")
        elif not hmac.compare_digest(f"Bearer {key}".encode(), given.encode()):
            answer = refusal(401, "Unauthorized", "the deploy key is needed: Authorization: Bearer …")
        else:
            try:
                return await self._admitted(asked)
            except ValueError as error:  # of what was read whole
                return refusal(400, "Malformed", str(error))
        await discard(asked)
        return answer

    async def _admitted(self, asked: Asked) -> Answer:
        if asked.path.startswith("/slipway/releases/") and asked.method == "PUT":
            digest = asked.path.rpartition("/")[2]
            if is_digest(digest):
                return await self._shelf.take(asked, digest)
        elif asked.path == "/slipway/exchange" and asked.method in ("GET", "POST", "DELETE"):
            if asked.method == "GET":
                return await self._tell(asked)
            return self._discard() if asked.method == "DELETE" else await self._begin(asked)
        elif asked.path == "/slipway/exchange/take-over" and asked.method == "POST":
            return self._take_over(await order_of(asked))
        elif asked.path.startswith(CANDIDATE) and (asked.method, asked.path.removeprefix(CANDIDATE)) in HANDED_ON:
            return await self._hand_on(asked, asked.path.removeprefix(CANDIDATE))
        await discard(asked)
        return refusal(404, "NotFound", f"there is no {asked.method} {asked.path}")

    async def _tell(self, asked: Asked) -> Answer:
        after = urllib.parse.parse_qs(asked.query).get("after", [""])[0]
        if after.isascii() and after.isdigit() and self._may_wait(asked):
            await self.course.after(int(after), POLL_SECONDS)
        serves = self._container.running
        running = (
            None if serves is None else {"release": serves.release.digest, "generation": serves.release.generation}
        )
        beside = await self._room(serves)
        own = {
            "supervisor": 1,
            "archives": True,
            "candidate": True,
            "replica": self._container.replica,
            "seq": self.course.seq,
        }
        return Answer(200, {**own, **self.course.told, "running": running, "beside": beside})

    def _may_wait(self, asked: Asked) -> bool:
        """Not through a server that is to end."""
        through, serves = asked.headers.get("slipway-server", ""), self._container.running
        return not through or (serves is not None and through == str(serves.own_pid))

    async def _room(self, serves: ServerProcess | None) -> dict[str, object]:
        """Whether a second server fits beside the one that serves, as that one says."""
        if self._container.pausing:
            return {"fits": None, "why": "an exchange in turn is under way"}
        if serves is None:
            return {"fits": True, "why": "nothing serves yet"}
        if not serves.announced:
            return {"fits": False, "why": NOT_OURS}
        try:
            serves.tell("measure")
            said = await serves.word("memory", MEASURE_SECONDS)
        except (OSError, EOFError, TimeoutError) as error:
            return {"fits": None, "why": f"the server does not say how much memory it has: {error}"}
        return {"fits": said.get("fits"), "why": said.get("why")}

    async def _begin(self, asked: Asked) -> Answer:
        said = await order_of(asked)
        digest, form = str(said.get("release")), str(said.get("form"))
        smoke: object = said.get("smoke") or []
        if form not in ("beside", "in turn") or not isinstance(cast("object", smoke), list):
            return refusal(400, "Malformed", 'release, generation, form ("beside" or "in turn") and smoke are needed')
        if self._is_meant_elsewhere(said):
            return refusal(409, "OtherReplica", ELSEWHERE)
        if self.course.state in LIVE or self._container.ending:
            return refusal(409, "Busy", "another exchange is under way")
        place = self._shelf.places.get(digest)
        if place is None:
            return refusal(404, "NoSuchRelease", "send the release first")
        serves = self._container.running
        if serves is not None and not (serves.announced and serves.release.place):
            return refusal(409, "NotOurs", NOT_OURS)
        own = named_packages(place).get("complete") is True
        if form == "beside" and serves is not None and not own and not same_packages(place, serves.release.place):
            return refusal(
                409, "OtherPackages", "it asks for other packages, which would change under the running server"
            )
        release = Release(digest, str(said.get("generation") or ""), place)
        order = Order(release, form, cast("list[dict[str, object]]", smoke))
        self.course.say(
            state="starting", release=digest, generation=release.generation, form=form,
            phase="dependencies", progress=None, detail="", reason=None, log=[], pause=None,
        )  # fmt: skip
        self._taken, self._task = None, asyncio.create_task(self.run(order))
        return Answer(202, {"release": digest})

    def _is_meant_elsewhere(self, said: dict[str, object]) -> bool:
        """Of several replicas the ingress asks any."""
        return str(said.get("replica") or self._container.replica) != self._container.replica

    def _take_over(self, said: dict[str, object]) -> Answer:
        if self._is_meant_elsewhere(said):
            return refusal(409, "OtherReplica", ELSEWHERE)
        if self.course.state != "checked" or self._taken is None or said.get("release") != self.course.told["release"]:
            return refusal(409, "NotChecked", "no such release waits to take over")
        if not self._taken.done():
            self._taken.set_result(None)
        return Answer(202, {"release": said["release"]})

    async def _hand_on(self, asked: Asked, path: str) -> Answer:
        """To the release that is checked and waits: its own answer, before anybody else is answered by it."""
        body = await order_of(asked, MOST_QUESTION) if asked.method == "POST" else None
        server = self._container.tried
        if self.course.state != "checked" or server is None:
            return refusal(409, "NotChecked", "no release waits to take over")
        allowed = seconds_of("SLIPWAY_HANDED_SECONDS", HANDED_SECONDS)
        self._asked += 1
        try:
            reply = await server.ask(asked.method, path, body=body, seconds=allowed)
        except TimeoutError:
            return refusal(
                504, "TooSlow", f"the release that waits to take over has not answered within {allowed:.0f} s"
            )
        except (OSError, EOFError, ValueError) as error:
            return refusal(503, "NoAnswer", f"the release that waits to take over does not answer: {error}")
        finally:
            self._asked -= 1
            self._heard = asyncio.get_running_loop().time()
        return Answer(reply.status, reply.json())

    def _discard(self) -> Answer:
        if self.course.state not in LIVE or self._task is None:
            return refusal(409, "NothingToDiscard", "no exchange is under way")
        if self._final:
            return refusal(409, "TooLate", "it has taken over, or the former release starts again already")
        self._task.cancel()
        return Answer(202)

    async def stop(self) -> None:
        if self._task is not None:
            if self._container.tried is not None:
                self._container.tried.signal_group(signal.SIGKILL)
            self._task.cancel()
            await asyncio.wait([self._task])


ELSEWHERE = "this is another replica than the one that was meant"
NOT_OURS = "the server that runs is not Slipway's own, or not from a release: it can't be exchanged in its container"


def undisturbed(new: Release, former: Release) -> bool:
    """Whether the new one can start while the former serves: it brings its packages along, or asks for the same."""
    return bool(new.packages.requirements) or same_packages(new.place, former.place)


async def order_of(asked: Asked, most: int = MOST_ORDER) -> dict[str, object]:
    """The JSON object of a request; ValueError where it is none."""
    length = asked.length or 0
    if length > most:
        await discard(asked)
        raise ValueError("an order is short")
    read: object = json.loads(await asked.body.readexactly(length) or b"{}")
    if not isinstance(read, dict):
        raise ValueError("an order is an object")
    return cast("dict[str, object]", read)
