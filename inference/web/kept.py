"""What a conversation remembers, kept by the page in place of the process that it was opened at.

Gradio's own State is kept by one process, under the page's session: another replica, or the release that took over, would answer
a question without what was said before, and nobody would notice.
"""

from typing import Any

import gradio as gr
from gradio import chat_interface

from inference.web.speaker import UNANSWERED
from inference.web.stubless import write_no_stubs

write_no_stubs()
JSON: Any = gr.JSON
Dropdown: Any = gr.Dropdown
Chatbot: Any = gr.Chatbot
ChatInterface: Any = gr.ChatInterface


class Unheard:
    """In the place of an event to which nobody listens."""

    def then(self, *given: Any, **more: Any) -> "Unheard":
        return self


class Kept(JSON):
    """A value that the page keeps, unseen, and sends along."""

    is_template = True  # the page shows it as what it is made of

    def preprocess(self, payload: Any) -> Any:
        found: Any = JSON.preprocess(self, payload)
        return None if found is None else found["kept"]

    def postprocess(self, value: Any) -> Any:
        return JSON.postprocess(self, value if value is None else {"kept": value})

    def change(self, *given: Any, **more: Any) -> Unheard:
        """Nothing but the conversation itself changes it."""
        return Unheard()


def kept(value: Any = None) -> Any:
    """A function, since Gradio tells the page what the class's own constructor takes."""
    return Kept(value, visible="hidden", show_label=False)


class Choice(Dropdown):
    """A choice that is looked up when it is asked for. What could be chosen when the page was made says nothing by then: models
    come and go, and Gradio keeps what it has told a page since in that page's session, which a turn does not have."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return payload


class Log(Chatbot):
    """The conversation as it is shown. The page tells it only when no turn is under way: a question that stands last then got no
    answer, and a bare one would be sent to the model with the next, as if two had been asked at once."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        said: Any = Chatbot.preprocess(self, payload)
        if said and said[-1]["role"] == "user":
            return [*said, {"role": "assistant", "content": UNANSWERED}]
        return said


class KeepingInterface(ChatInterface):
    """Gradio's chat, whose memory is the page's."""

    def __init__(self, *given: Any, **more: Any) -> None:
        module: Any = chat_interface
        plain = module.State
        module.State = kept
        try:
            ChatInterface.__init__(self, *given, **more)
        finally:
            module.State = plain

    def tell_of_a_stop(self) -> None:
        """Gradio ends a turn that is stopped without another word, and remembers nothing of it."""
        inside: Any = self
        both = [inside.chatbot, inside.chatbot_state]
        inside.textbox.stop(
            as_it_is, [inside.chatbot], both, queue=False, show_progress="hidden", api_visibility="private"
        )

    def keep_over_a_reload(self, blocks: Any) -> None:
        """In the tab's own storage, which goes with the tab; in no other tab, and nowhere on the server."""
        inside: Any = self
        both = [inside.chatbot, inside.chatbot_state]
        inside.chatbot.change(None, [inside.chatbot], None, js=KEEP, api_visibility="private")
        blocks.load(None, None, both, js=BRING_BACK, api_visibility="private")


def as_it_is(log: Any) -> tuple[Any, Any]:
    return log, log


KEEP = """(log) => {
  if (!window.slipwayCameBack) return; // an empty log is shown first
  const text = JSON.stringify(log ?? []);
  try {
    if (text.length < 2_000_000) sessionStorage.setItem("slipway.chat", text);
    else sessionStorage.removeItem("slipway.chat");
  } catch (error) {
    console.warn("This browser keeps no conversation over a reload.", error);
  }
}"""  # a tab has room for some five million characters; half a conversation would be worse than none
BRING_BACK = """() => {
  window.slipwayCameBack = true;
  let log = [];
  try {
    log = JSON.parse(sessionStorage.getItem("slipway.chat") ?? "[]");
  } catch (error) {
    console.warn("The conversation before can't be read.", error);
  }
  return [log, { kept: log }];
}"""
