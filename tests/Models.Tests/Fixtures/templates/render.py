"""Writes expected.json and semantics.json beside this file: what Jinja itself makes of the templates here."""
import copy, datetime, json, pathlib
import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent
NOW = datetime.datetime(2025, 3, 7, 9, 5, 2)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError("raised: " + message)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: NOW.strftime(f)
    return env


def render(source, variables):
    try:
        return {"expected": environment().from_string(source).render(**copy.deepcopy(variables))}
    except Exception as e:
        text = str(e)
        return {"raises": text[8:] if text.startswith("raised: ") else True}


TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Wetter für <Ort> & \"mehr\"", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"]}}}
CALL = {"id": "abcdefgh1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2}}}


def m(role, content, **more):
    return {"role": role, "content": content, **more}


CONVERSATIONS = {
    "one": dict(messages=[m("user", "Hello")], add_generation_prompt=True),
    "no_prompt": dict(messages=[m("user", " Hi \n"), m("assistant", " Hello there. ")], add_generation_prompt=False),
    "system": dict(messages=[m("system", " Be brief. "), m("user", "Hi"), m("assistant", "Yo"), m("user", "{{ x }} {% y %}")],
                   add_generation_prompt=True),
    "tools": dict(messages=[m("system", "S"), m("user", "Weather?")], tools=[TOOL, TOOL], add_generation_prompt=True),
    "tool_turns": dict(messages=[m("user", "Weather?"), m("assistant", None, tool_calls=[CALL]),
                                 m("tool", "22 °C", tool_call_id="abcdefgh1"), m("tool", "rain", tool_call_id="abcdefgh1"),
                                 m("assistant", "Warm."), m("user", "Thanks")], tools=[TOOL], add_generation_prompt=True),
    "open_tools": dict(messages=[m("user", "Weather?"), m("assistant", "Let me see", tool_calls=[CALL, CALL], reasoning_content="hm"),
                                 m("tool", "1", tool_call_id="abcdefgh1")], tools=[TOOL], add_generation_prompt=True),
    "thinking": dict(messages=[m("user", "1+1?"), m("assistant", "<think>\nadd\n</think>\n\n2"), m("user", "2+2?"),
                               m("assistant", "<think>\nadd more\n</think>\n\n4")], add_generation_prompt=False),
    "no_thinking": dict(messages=[m("user", "1+1?")], add_generation_prompt=True, enable_thinking=False),
    "reasoning": dict(messages=[m("user", "1+1?"), m("assistant", "2", reasoning_content="easy")], add_generation_prompt=False),
    "wrong_order": dict(messages=[m("assistant", "Hi"), m("user", "Hello")], add_generation_prompt=True),
    "two_users": dict(messages=[m("user", "a"), m("user", "b")], add_generation_prompt=True),
    "odd_role": dict(messages=[m("user", "a"), m("critic", "b")], add_generation_prompt=True),
    "date": dict(messages=[m("user", "a")], date_string="01 Jan 2030", tools_in_user_message=False, tools=[TOOL],
                 add_generation_prompt=True),
}

V = dict(a=1, b=2, s="Hello World", l=[3, 1, 2], d={"x": 1, "y": [True, None, 1.5]}, e="", n=None, t=" pad ", u="Grüße 😀 \"q\"'",
         ms=[{"role": "user", "content": "A"}, {"role": "tool", "content": "B", "k": {"z": 7}}, {"role": "user", "content": "C"}])
SEMANTICS = [
    "{{ a + b * 3 - 4 // 3 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 // 2 }} {{ 7.5 % 2 }} {{ -a }} {{ 1e3 }}",
    "{{ 'x' * 3 }} {{ a ~ b ~ n ~ true }} {{ 'a' 'b' \"c\" }} {{ [1] + [2] }}", "{{ 2 - -1 }} {{ (a, b) }} {{ (1,) }} {{ () }}",
    "{{ true and 0 }} {{ '' or 'z' }} {{ not e }} {{ not n and a }} {{ a if e else b }} [{{ a if e }}]",
    "{{ a == 1.0 }} {{ a != b }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ l == [3,1,2] }} {{ d == {'x':1} }} {{ true == 1 }}",
    "{{ 1 in l }} {{ 9 not in l }} {{ 'ell' in s }} {{ 'x' in d }} {{ n in l }} {{ 'zz' in undefined_thing }}",
    "{{ a is defined }} {{ zz is defined }} {{ zz is not defined }} {{ n is none }} {{ s is string }} {{ d is mapping }} {{ l is iterable }}"
    " {{ s is sequence }} {{ a is number }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ 3 is odd }} {{ 4 is divisibleby 2 }}"
    " {{ 1 is sameas true }} {{ 1 is in [1] }} {{ a is eq 1 }} {{ n is not none and a }} {{ true is boolean }} {{ 1.5 is float }} {{ 1 is integer }}",
    "{{ l[0] }} {{ l[-1] }} [{{ l[9] }}] {{ l[1:] }} {{ l[::-1] }} {{ l[:-1] }} {{ l[0:2] }} {{ l[-2:] }} {{ l[::2] }} {{ l[5:] }} {{ l[2:0:-1] }} {{ l[-9:9] }}",
    "{{ s[0] }} {{ s[-1] }} {{ s[1:4] }} {{ s[::-1] }} {{ u[6] }} {{ u[::-1] }} {{ u | length }} {{ s[::-2] }}",
    "{{ d.x }} {{ d['y'] }} {{ d.y[2] }} [{{ d.zz }}] [{{ d['zz'] }}] {{ d.get('x') }} {{ d.get('q', 5) }} {{ d.get('q') }}",
    "{{ d }} {{ l }} {{ n }} {{ true }} {{ u }} {{ [u] }} {{ ['it\\'s', \"a\\\"b\", 'n\\nl', 'b\\\\s'] }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 }} {{ 123456.789 }}",
    "{{ d | tojson }} {{ l | tojson(indent=2) }} {{ d | tojson(indent=4) }} {{ u | tojson }} {{ '</a>&\\t\\u0001' | tojson }} {{ {} | tojson(indent=2) }} {{ [] | tojson(indent=2) }} {{ 1e16 | tojson }}",
    "{{ t | trim }}| {{ t.strip() }}| {{ t.lstrip() }}| {{ t.rstrip() }}| {{ 'xxaxx'.strip('x') }} {{ 'xxaxx' | trim('x') }}",
    "{{ s.split() }} {{ s.split('o') }} {{ s.split('o', 1) }} {{ ' a  b '.split() }} {{ ' a  b '.split(' ') }} {{ 'a b c'.split(None, 1) }} {{ ''.split() }} {{ ''.split('x') }} {{ 'a-b'.split('-')[-1] }}",
    "{{ s.upper() }} {{ s.lower() }} {{ s | upper }} {{ s | lower }} {{ 'heLLo wOrld' | capitalize }} {{ 'heLLo wOrld' | title }} {{ s.startswith('He') }} {{ s.endswith('ld') }} {{ s.startswith(('x', 'H')) }} {{ s.find('W') }}",
    "{{ s.replace('o', '0') }} {{ s | replace('l', 'L') }} {{ ', '.join(['a', 'b']) }} {{ l | join('-') }} {{ l | join }} {{ ms | join(', ', attribute='role') }}",
    "{{ l | first }} {{ l | last }} [{{ [] | first }}] {{ l | length }} {{ d | length }} {{ s | list | length }} {{ d | list }} {{ l | reverse | list }} {{ s | reverse }} {{ zz | length }}",
    "{{ zz | default('q') }} {{ e | default('q') }}| {{ e | default('q', true) }} {{ n | default('q') }} {{ n | d('q', boolean=true) }}",
    "{{ '12' | int + 1 }} {{ 'x' | int }} {{ 3.9 | int }} {{ '3.5' | float }} {{ 5 | string + '!' }} {{ true | string }} {{ s | safe }}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {% for k in d %}{{ k }}{% endfor %} {{ d.keys() | list }} {{ d.values() | list }} {{ d | items | list }}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}[{{ loop.previtem }}|{{ loop.nextitem }}]{{ loop.cycle('a','b') }} {% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{{ loop.last }} {% endfor %}{% for x in [] %}a{% else %}none{% endfor %}{% for x in zz %}a{% else %}none{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }} {% if true %}{% set x = 9 %}{% endif %}{{ x }}",
    "{% set ns = namespace(t=0, k='v') %}{% for i in l %}{% set ns.t = ns.t + i %}{% endfor %}{{ ns.t }}{{ ns.k }}[{{ ns.zz }}]",
    "{% set p, q = 1, 2 %}{{ p }}{{ q }}{% set r = 1, 2 %}{{ r }}{% set b %}in {{ a }}{% endset %}{{ b }}{% set c | upper %}up{{ a }}{% endset %}{{ c }}",
    "{% macro f(x, y=2) %}({{ x }},{{ y }}){% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(y=5, x=4) }}{{ f() }}{% set o = f(1) ~ '!' %}{{ o }}",
    "{% macro g(k) %}{% if k > 0 %}{{ k }}{{ g(k - 1) }}{% endif %}{% endmacro %}{{ g(3) }}{% set z = 5 %}{% macro h() %}{{ z }}{% endmacro %}{% for z in [1] %}{{ h() }}{% endfor %}",
    "{{ ms | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }} {{ ms | rejectattr('role', '==', 'user') | list }} {{ ms | selectattr('k') | list | length }} {{ ms | map(attribute='k.z') | list | last }}",
    "{{ l | select('odd') | list }} {{ l | reject('odd') | list }} {{ [0,1,''] | select | list }} {{ ['a','b'] | map('upper') | list }} {{ ['aa'] | map('replace', 'a', 'b') | list }} {{ ms | selectattr('k', 'defined') | list | length }}",
    "  {% if a %}\n  yes\n  {% endif %}\nend\n", "a\n  {%- if a %}  b  {%- endif %}\n c", "a {%+ if a %} b {%+ endif %} c", "x {{- a -}} y", "x  {# note #}\n  {# more #}  \ny",
    "l1\n   {# c #}\nl2\n   {% set q = 1 %}   \nl3", "{% if a %}\n\n\nb{% endif +%}\nc", "{%- for x in l -%}\n {{ x }} \n{%- endfor -%} z", "{% for x in l %}\n- {{ x }}\n{% endfor %}\nend\n\n",
    "a{% raw %}{{ x }}{% if %}{# no #}{% endraw %}b", "q\n  {%- raw -%}  {{ y }}  {%- endraw -%}  \n r", "{% if a %} {{ '}}' }} {{ {'k': {'z': 1}} }} {{ '%}' }}{% endif %}", "t\r\nu\r\n",
    "{{ 'a\\nb' }}{{ 'a\\\\b' }}{{ \"q\\\"\" }}{{ '\\u00e9\\x41' }}{{ '\\d' }}", "{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %%') }}",
    "{{ range(3) | list }} {{ range(1, 7, 2) | list }} {{ range(3, 0, -1) | list }} {{ dict(a=1).a }} {{ {'items': 1}['items'] }}",
    "{% if zz %}a{% elif b == 3 %}b{% elif b == 2 %}c{% else %}d{% endif %}{% if not zz.y is defined %}{% endif %}", "{{ zz.y }}", "{{ zz + 'a' }}", "{{ n + 'a' }}", "{{ zz() }}", "{{ 1 + 'a' }}", "{{ s.nomethod() }}",
    "{{ raise_exception('no ' + s) }}", "{{ 1 // 0 }}", "{{ n | length }}", "{% for x in 5 %}{% endfor %}", "{{ l | indent }}{{ 'a\nb\n\nc' | indent(2) }}|{{ 'a\nb' | indent(1, true) }}",
    "{{ d.x is defined and d.zz is not defined }} {{ (d.zz or 'f') }} {{ d['y'][0] }} {{ ms[1].k.z }} {{ ms[-1]['content'] }} {{ 'k' in ms[1] }}",
    "{{ not a == 2 }} {{ not (a == 1) }} {{ a == 1 and b == 2 or zz }} {{ 'a' if a == 1 else 'b' if b else 'c' }}",
    "{{ s | length > 3 }} {{ l | length - 1 }} {{ s.split(' ')[0] | lower ~ 'x' }} {{ (s | upper)[0:2] }} {{ [1, 2, 3,] }} {{ {'a': 1,} }} {{ none }} {{ None }} {{ True }} {{ False }}",
    "{{ s.removeprefix('Hello ') }} {{ s.removesuffix('World') }}|{{ s.title() }} {{ 'abc'.capitalize() }}",
]


def dump(name, value):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    cases = []
    for path in sorted(HERE.glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        for name, given in CONVERSATIONS.items():
            variables = {"tools": None, "documents": None, "bos_token": "<s>", "eos_token": "</s>", **given}
            cases.append({"template": path.name, "case": name, "input": given, **render(source, variables)})
    dump("expected.json", cases)
    dump("semantics.json", {"variables": V, "cases": [{"template": s, **render(s, V)} for s in SEMANTICS]})
    print(len(cases), sum("raises" in c for c in cases), len(SEMANTICS))
