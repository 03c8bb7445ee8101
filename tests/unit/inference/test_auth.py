"""The gate: keys, cookies, tickets; signed, expiring, valid on every replica."""

from inference.auth import COOKIE_LIFETIME, TICKET_LIFETIME, Gate


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def scope(**headers):
    return {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}


def test_the_key_opens_and_nothing_else_does():
    gate = Gate("secret")
    assert gate.admits(scope(authorization="Bearer secret"))
    assert gate.admits(scope(authorization="bearer secret"))
    for wrong in ("Bearer secre", "Basic secret", "secret", "Bearer ", "Bearer sécret"):
        assert not gate.admits({"headers": [(b"authorization", wrong.encode("latin-1"))]})
    assert not gate.admits(scope())


def test_without_a_key_nobody_comes_in():
    gate = Gate("")
    assert not gate.admits(scope(authorization="Bearer "))
    assert not gate.knows("")
    assert not gate.valid_cookie(gate.new_cookie())


def test_a_cookie_holds_on_another_replica_until_it_expires():
    clock = Clock()
    cookie = Gate("secret", clock).new_cookie()
    assert Gate("secret", clock).admits(scope(cookie=f"a=b; slipway={cookie}"))
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
