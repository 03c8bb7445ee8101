"""The pages for who is not let in yet: where the key is asked for, and what is said instead."""


def login_page(message: str = "") -> str:
    """The static page that stands at `/` for those without a cookie; it loads nothing."""
    note = f'<p role="alert" class="wrong">{message}</p>' if message else ""
    return PAGE.replace("{title}", "Sign in").replace(
        "{body}",
        "<h1>Inference endpoint</h1><p>Enter the API key of this endpoint to open its chat.</p>"
        f'{note}<form method="post" action="login"><label for="key">API key</label>'
        '<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>'
        "<button>Sign in</button></form>"
        "<p class=hint>In VS Code, <b>Go to Inference Endpoint</b> opens this page already signed in.</p>",
    )


def notice_page(title: str, text: str, refresh: int) -> str:
    """A page that says what is going on, and asks again after `refresh` seconds (0: it does not)."""
    meta = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    return (
        PAGE.replace("<meta charset", f"{meta}<meta charset")
        .replace("{title}", title)
        .replace("{body}", f"<h1>{title}</h1><p role=status>{text}</p>")
    )


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="data:,"><style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: light-dark(#f6f7f9, #15181d) }
main { width: min(24rem, 100% - 4rem); padding: 2rem; border-radius: 12px; background: light-dark(#fff, #1e232b);
  box-shadow: 0 2px 16px #0002 }
h1 { font-size: 1.3rem; margin: 0 0 .5rem } label { display: block; font-weight: 600; margin: 1rem 0 .25rem }
input, button { font: inherit; width: 100%; box-sizing: border-box; padding: .6rem; border-radius: 8px }
input { border: 1px solid light-dark(#aab, #556) } .hint { font-size: .85rem; opacity: .75 }
button { margin-top: 1rem; border: 0; background: #0b62c4; color: #fff; font-weight: 600; cursor: pointer }
.wrong { color: light-dark(#b00020, #ff8a8a) }
</style></head><body><main>{body}</main></body></html>
"""
