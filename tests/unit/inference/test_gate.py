"""The gate: keys, cookies, tickets; signed, expiring, valid on every replica."""

from typing import Any

import pytest

from inference.web.gate import COOKIE_LIFETIME, TICKET_LIFETIME, Gate, gate_for


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def scope(**headers: Any):
    return {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}


def test_the_key_opens_and_nothing_else_does():
    gate = Gate("secret")
    assert gate.admits(scope(authorization="Bearer secret"))
    assert gate.admits(scope(authorization="bearer secret"))
    for wrong in ("Bearer secre", "Basic secret", "secret", "Bearer ", "Bearer sécret"):
        assert not gate.admits({"headers": [(b"authorization", wrong.encode("latin-1"))]})
    assert not gate.admits(scope())


def test_the_key_opens_in_the_header_of_azures_clients_too():
    gate = Gate("secret")
    assert gate.admits(scope(api_key="secret"))
    assert not gate.admits(scope(api_key="secre"))
    assert not gate.admits(scope(api_key=""))
    assert not Gate("").admits(scope(api_key=""))
    assert Gate("new", previous=gate).admits(scope(api_key="secret"))


def test_another_spelling_of_a_used_ticket_is_used_too():
    gate = Gate("secret")
    ticket = gate.new_ticket()
    assert gate.take_ticket(ticket)
    expiry, _, rest = ticket.partition(".")
    arabic = "".join(chr(0x0660 + int(digit)) for digit in expiry)
    for other in (f"0{expiry}", f"00{expiry}", arabic):
        assert not gate.take_ticket(f"{other}.{rest}")


@pytest.mark.parametrize("other", ['x={"a":1}', "a b=1", "foo", "a[b]=1", "x=\u00e9", "=", '"'])
def test_other_servers_cookies_do_not_hide_ours(other: str):
    gate = Gate("secret")
    cookie = gate.new_cookie()
    for header in (f"{other}; {gate.cookie}={cookie}", f'{gate.cookie}="{cookie}"; {other}'):
        assert gate.admits({"headers": [(b"cookie", header.encode("latin-1"))]})
    assert not gate.admits({"headers": [(b"cookie", f"{other}; x{gate.cookie}={cookie}".encode("latin-1"))]})


def test_endpoints_on_one_host_leave_each_others_cookies_alone():
    """A browser sends the cookies of every port; one key's name for it is the same on each replica."""
    one, two = Gate("secret"), Gate("other")
    both = scope(cookie=f"{one.cookie}={one.new_cookie()}; {two.cookie}={two.new_cookie()}")
    assert one.admits(both)
    assert two.admits(both)
    assert one.cookie == Gate("secret").cookie != two.cookie
    assert not two.admits(scope(cookie=f"{two.cookie}={one.new_cookie()}"))


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("sender", ["same-origin", "none", "same-site", "cross-site", ""])
def test_other_pages_cannot_act_with_the_cookie(method: str, sender: str):
    gate = Gate("secret")
    more = {"sec_fetch_site": sender} if sender else {}
    by_cookie = scope(cookie=f"{gate.cookie}={gate.new_cookie()}", **more) | {"method": method}
    assert gate.admits(by_cookie) == (method == "GET" or sender in {"same-origin", "none", ""})
    assert gate.admits(scope(authorization="Bearer secret", **more) | {"method": method})


def test_without_a_key_nobody_comes_in():
    gate = Gate("")
    assert not gate.admits(scope(authorization="Bearer "))
    assert not gate.knows("")
    assert not gate.valid_cookie(gate.new_cookie())


def test_a_cookie_holds_on_another_replica_until_it_expires():
    clock = Clock()
    cookie = Gate("secret", clock).new_cookie()
    assert Gate("secret", clock).admits(scope(cookie=f"a=b; {Gate('secret').cookie}={cookie}"))
    assert not Gate("rotated", clock).valid_cookie(cookie)
    clock.now += COOKIE_LIFETIME + 1
    assert not Gate("secret", clock).valid_cookie(cookie)


def test_a_cookie_cannot_be_changed():
    gate = Gate("secret")
    expiry, nonce, signature = gate.new_cookie().split(".")
    assert not gate.valid_cookie(f"{int(expiry) + 1}.{nonce}.{signature}")
    assert not gate.valid_cookie(f"{expiry}.{nonce}x.{signature}")
    assert not gate.valid_cookie(f"{expiry}.{nonce}.")
    for nonsense in ("", ".", "..", "a.b.c", "1" * 400 + ".x.y", "é.é.é"):
        assert not gate.valid_cookie(nonsense)


def test_a_ticket_works_once_for_a_minute_and_is_no_cookie():
    clock = Clock()
    gate = Gate("secret", clock)
    ticket = gate.new_ticket()
    assert not gate.valid_cookie(ticket)
    assert gate.take_ticket(ticket)
    assert not gate.take_ticket(ticket)
    late = gate.new_ticket()
    clock.now += TICKET_LIFETIME + 1
    assert not gate.take_ticket(late)
    assert not gate.take_ticket(gate.new_cookie())


def test_while_callers_change_the_key_before_admits_whom_it_admitted_and_gives_out_nothing_new():
    before, during, after = Gate("old"), gate_for("new", "old"), gate_for("new", "new")
    for key in ("old", "new"):
        assert during.admits(scope(authorization=f"Bearer {key}"))
    assert not during.admits(scope(authorization="Bearer other"))
    cookie = before.new_cookie()
    assert during.admits(scope(cookie=f"{before.cookie}={cookie}"))
    assert during.cookie == after.cookie != before.cookie, "a login during the change holds after it"
    assert after.admits(scope(cookie=f"{after.cookie}={during.new_cookie()}"))
    ticket = before.new_ticket()
    assert [during.take_ticket(ticket), during.take_ticket(ticket)] == [True, False]
    assert not after.admits(scope(authorization="Bearer old"))
    assert not after.admits(scope(cookie=f"{before.cookie}={cookie}"))
    assert not gate_for("", "old").admits(scope(authorization="Bearer old")), "without a key nobody comes in"
