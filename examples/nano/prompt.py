"""Conversations to text, byte for byte as the small Gemma 4 chat template writes them (g4-gen --dry-run shows it).

A conversation is dict(messages=[...], tools=[...], think=bool); messages have the shape of the OpenAI API, arguments of
calls and contents of tool messages being Python values.  render() gives a list of (text, learn): the parts with learn
set are what the model itself writes.
"""
Q = '<|"|>'


def value(v):
    if v is None:
        return "null"
    if v is True or v is False:
        return "true" if v else "false"
    if isinstance(v, str):
        return Q + v + Q
    if isinstance(v, (int, float)):
        return repr(v)
    if isinstance(v, dict):
        return "{" + pairs(v) + "}"
    return "[" + ",".join(value(x) for x in v) + "]"


def pairs(d):
    return ",".join(f"{k}:{value(d[k])}" for k in sorted(d, key=str.lower))


def property_text(p):
    out = []
    if p.get("description"):
        out.append("description:" + value(p["description"]))
    if p["type"] == "string" and p.get("enum"):
        out.append("enum:" + value(p["enum"]))
    out.append("type:" + value(p["type"].upper()))
    return "{" + ",".join(out) + "}"


def declaration(tool):
    f = tool["function"]
    p = f.get("parameters")
    s = f"declaration:{f['name']}{{description:{value(f.get('description', ''))}"
    if p:
        s += ",parameters:{"
        if p.get("properties"):
            props = p["properties"]
            s += "properties:{" + ",".join(f"{k}:{property_text(props[k])}" for k in sorted(props, key=str.lower)) + "},"
        if p.get("required"):
            s += "required:" + value(p["required"]) + ","
        s += "type:" + value("OBJECT") + "}"
    return "<|tool>" + s + "}<tool|>"


def render(conv, prompt_only=False):
    """The whole conversation; with prompt_only what stands before the model's next turn."""
    think, tools, msgs = conv.get("think", False), conv.get("tools") or [], list(conv["messages"])
    out = []
    say = lambda text, learn=False: out.append((text, learn))
    say("<bos>")
    if think or tools or msgs[0]["role"] == "system":
        say("<|turn>system\n")
        if think:
            say("<|think|>\n")
        if msgs[0]["role"] == "system":
            say(msgs.pop(0)["content"].strip())
        for t in tools:
            say(declaration(t))
        say("<turn|>\n")
    last_user = max((i for i, m in enumerate(msgs) if m["role"] == "user"), default=-1)
    in_turn, state = False, None
    for i, m in enumerate(msgs):
        if m["role"] == "user":
            say("<|turn>user\n" + m["content"].strip() + "<turn|>\n")
            in_turn, state = False, None
        elif m["role"] == "assistant":
            if not in_turn:
                say("<|turn>model\n")
            learn = i > last_user or not think     # an earlier thought is gone from the history: nothing to learn there
            if m.get("reasoning_content") and i > last_user:
                if state == "response":
                    say("<|channel>thought\n")
                    say(m["reasoning_content"] + "\n<channel|>", learn)
                else:
                    say("<|channel>thought\n" + m["reasoning_content"] + "\n<channel|>", learn)
            if m.get("tool_calls"):
                for c in m["tool_calls"]:
                    say(f"<|tool_call>call:{c['name']}{{{pairs(c['arguments'])}}}<tool_call|>", learn)
                say("<|tool_response>", learn)
                in_turn, state = True, "call"
            else:
                say(m["content"].strip() + "<turn|>", learn)
                say("\n")
                in_turn, state = False, None
        else:
            head = "" if state == "call" else "<|tool_response>"
            body = m["content"] if isinstance(m["content"], dict) else {"value": m["content"]}
            say(f"{head}response:{m['name']}{{{pairs(body)}}}<tool_response|>")
            state = "response"
    if prompt_only:
        if state == "response" and think:
            say("<|channel>thought\n")
        elif state is None:
            say("<|turn>model\n")
    return out
