"""What expressions are worth, and what they may cost."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest

from engines.local.interpreter.evaluation import FUNCTIONS, Evaluation, expression_of
from engines.local.interpreter.expressions import artifact_tag, problem_of, references, text_value
from engines.local.interpreter.values import InvalidExpression
from engines.local.interpreter.visible import Names
from tests.cpu_time import cpu_seconds_below

VALUES = {
    "inputs.parameters.foo": "5",
    "inputs.parameters.my-text": "abc",
    "inputs.parameters": '[{"name":"foo","value":"5"}]',
    "steps.flip-coin.outputs.result": "heads",
    "workflow.status": "Running",
    "workflow.creationTimestamp": "2026-11-30T12:00:00Z",
    "workflow.creationTimestamp.Y": "2026",
    "workflow.parameters.config": '{"a":1,"list":[{"name":"x","size":43},{"name":"y","size":42}],"t":true}',
    "item.name": "n1",
    "item": '{"name":"n1"}',
}
NAMES = Names([VALUES], lambda: 1_800_000_000.0, {"tasks.a.outputs.artifacts.x": {"name": "x"}})
GENEROUS_SECONDS = 10


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-2 ** 2", "-4"),
        ("7 / 2", "3.5"),
        ("10 / 5", "2"),
        ("-7 % 3", "-1"),
        ("0x1F + 0b1 + 0o7 + 1_000", "1039"),
        ("'a' + \"b\" + `c`", "abc"),
        (r"'a\n\u0041\x42'", "a\nAB"),
        ("not true || 1 < 2 and 'b' > 'a'", "true"),
        ("1 == 1.0", "true"),
        ("1 == '1'", "false"),
        ("true == 1", "false"),
        ("nil == ''", "false"),
        ("2 > 1 ? 'yes' : 'no'", "yes"),
        ("if 1 > 2 { 'a' } else if true { 'b' } else { 'c' }", "b"),
        ("let x = 2; let y = x * 2; x + y", "6"),
        ("[1, 'a', nil, {b: 1.5}]", '[1,"a",null,{"b":1.5}]'),
        ("{'z': 1, a: 2}", '{"a":2,"z":1}'),
        ("[1,2,3][-1] + [1,2,3][0]", "4"),
        ("[1,2,3,4][1:3]", "[2,3]"),
        ("'abcdef'[2:]", "cdef"),
        ("1..3", "[1,2,3]"),
        ("2 in [1,2] && 'x' not in ['y'] && 'a' in {a: 1}", "true"),
        ("'main.log' endsWith '.log' && 'abc' contains 'b' && 'abc' startsWith 'a'", "true"),
        ("'abc' matches '^a.c$' and not ('abc' matches 'x')", "true"),
        ("{a: {b: 1}}?.a.b", "1"),
        ("nil?.a ?? 'none'", "none"),
        ("map(1..3, {# * 2})", "[2,4,6]"),
        ("filter([{n: 1}, {n: 2}], .n > 1) | map(.n)", "[2]"),
        ("all([1,2], # > 0) && any([1,2], # > 1) && none([1], # > 1) && one([1,2], # > 1)", "true"),
        ("count([1,2,3], # > 1) + count([true, false])", "3"),
        ("find([1,2,3], # > 1) + findIndex([1,2,3], # > 1) + findLastIndex([1,2], # > 0)", "4"),
        ("findLast([1,2], # > 0)", "2"),
        ("reduce(1..4, #acc + #, 0) + sum([1,2]) + reduce([1,2], #acc + #index)", "15"),
        ("groupBy([1,2,3], # > 1)", '{"false":[1],"true":[2,3]}'),
        ("sortBy([{n: 2}, {n: 1}], .n) | map(.n)", "[1,2]"),
        ("sort([3,1,2], 'desc')", "[3,2,1]"),
        ("split('a,b,c', ',', 2)", '["a","b,c"]'),
        ("splitAfter('a,b', ',')", '["a,","b"]'),
        ("trim(' x ') + trim('__x__', '_') + trimPrefix('ab', 'a') + trimSuffix('ab', 'b')", "xxba"),
        ("upper('a') + lower('B') + repeat('ab', 2) + replace('aa', 'a', 'c')", "Ababab" + "cc"),
        ("indexOf('apple pie', 'pie') + lastIndexOf('abab', 'ab')", "8"),
        ("hasPrefix('ab', 'a') && hasSuffix('ab', 'b')", "true"),
        ("max(1, 5) + min([2, 3]) + abs(-4)", "11"),
        ("ceil(1.2) + floor(1.8) + round(2.5) + mean([1,3]) + median([5,1,3])", "11"),
        ("concat([1], [2]) | flatten() | len()", "2"),
        ("flatten([1, [2, [3]]])", "[1,2,3]"),
        ("uniq([1, 2, 1, '1'])", '[1,2,"1"]'),
        ("first([7,8]) + last([7,8]) + len(take([1,2,3], 2)) + reverse([1,2])[0]", "19"),
        ("first([]) ?? 'empty'", "empty"),
        ("keys({a: 1}) == ['a'] && values({a: 1}) == [1] && toPairs({a: 1}) == [['a', 1]]", "true"),
        ("fromPairs([['a', 1]]).a", "1"),
        ("type(1) + type('a') + type([]) + type({}) + type(nil) + type(true)", "intstringarraymapnilbool"),
        ("int('12') + int(3.9) + float('0.5')", "15.5"),
        ("string(1.0) + string(true) + string([1, 2])", "1true[1 2]"),
        ("toJSON([1])", "[\n  1\n]"),
        ("fromJSON('{\"a\": [1, 2]}').a[1]", "2"),
        ("fromBase64(toBase64('Hello'))", "Hello"),
        ("get([1,2], 9) ?? get({a: 3}, 'a')", "3"),
        ("bitand(12, 10) + bitor(1, 2) + bitxor(3, 1) + bitnot(0) + bitshl(1, 3) + bitshr(8, 2)", "22"),
        ("bitushr(-5, 2)", "4611686018427387902"),
        ("now().Year()", "2027"),
        ("date('2023-08-14').Month() + date('14.08.2023', '02.01.2006').Day()", "22"),
        ("(date('2023-08-15') - date('2023-08-14')).Hours()", "24"),
        ("date('2023-08-14') + duration('90m') > date('2023-08-14')", "true"),
        ("(date('2023-08-14T01:02:03Z')).Format('2006/01/02 15:04')", "2023/08/14 01:02"),
        # What Argo adds, and its tags.
        ("asInt(inputs.parameters.foo) * 10", "50"),
        ("asFloat('1.5') + 1", "2.5"),
        ("inputs.parameters['my-text'] | upper()", "ABC"),
        ("steps['flip-coin'].outputs.result == 'heads'", "true"),
        ("steps.nothing.outputs.result ?? 'none'", "none"),
        ("toJson(inputs.parameters)", '{"foo":"5","my-text":"abc"}'),
        ("item.name + toJson(item)", 'n1{"name":"n1"}'),
        ("'workflow' in $env", "true"),
        ("toJson([1, 'a'])", '[1,"a"]'),
        ("jsonpath(workflow.parameters.config, '$.a')", "1"),
        ("jsonpath(workflow.parameters.config, '$.list[0].name')", "x"),
        ("jsonpath(workflow.parameters.config, '$.list[*].name')", '["x","y"]'),
        ("jsonpath(workflow.parameters.config, '$..size')", "[43,42]"),
        ("jsonpath(workflow.parameters.config, '$.list[0:1]')", '[{"name":"x","size":43}]'),
        ("jsonpath(workflow.parameters.config, '$.list[?(@.size > 42 && @.name == \"x\")].size')", "[43]"),
        ("jsonpath(workflow.parameters.config, '$.t') == true", "true"),
        ("sprig.trim(' a ') + sprig.upper('b') + sprig.repeat(2, 'c') + sprig.replace('d', 'e', 'd')", "aBcce"),
        ("sprig.int('x') + sprig.add('1', 2, 3) + sprig.mul(2, 3) + sprig.div(7, 2) + sprig.mod(7, 4)", "18"),
        ("sprig.default('a', '') + sprig.ternary('b', 'c', true) + sprig.coalesce('', 'd')", "abd"),
        ("sprig.splitList(',', 'a,b') == ['a', 'b'] && sprig.join('-', [1, 2]) == '1-2'", "true"),
        ("sprig.date('2006-01-02', workflow.creationTimestamp)", "2026-11-30"),
        ("sprig.regexReplaceAll('a(x*)b', '-ab-axxb-', '${1}W')", "-W-xxW-"),
        ("sprig.regexFindAll('[0-9]', 'a1b2', -1)", '["1","2"]'),
        ("sprig.regexSplit('z+', 'pizza', -1)", '["pi","a"]'),
        ("sprig.dict('a', 1).a + sprig.list(1, 2)[1] + sprig.untilStep(0, 6, 2)[2]", "7"),
        ("sprig.b64enc('a') + sprig.sha256sum('')[:8] + sprig.quote('x') + sprig.trunc(2, 'abc')", 'YQ==e3b0c442"x"ab'),
        ("sprig.fromJson('[1]')[0]", "1"),
        ("sprig.seq(1, 3)", "1 2 3"),
    ],
)  # fmt: skip
def test_values(expression: str, text: str) -> None:
    assert text_value(expression, NAMES) == text


@pytest.mark.parametrize(
    "expression",
    [
        "1 +",
        "(1",
        "'a",
        "1 + 'a'",
        "true + 1",
        "unknown.thing",
        "unknown()",
        "workflow.nothing",
        "[1][5]",
        "1 % 0",
        "int('x')",
        "int('1_0')",
        "date('soon')",
        "fromJSON('{')",
        "jsonpath('{}', '$.a')",
        "jsonpath('{}', 'a..')",
        "'a' matches '('",
        "filter([1], # + 1)",
        "9223372036854775807 + 1",
        "sprig.fail('stop')",
        "sprig.first(5)",
        "#",
        "timezone('UTC')",
    ],
)
def test_what_has_no_value_is_told(expression: str) -> None:
    with pytest.raises(InvalidExpression):
        text_value(expression, NAMES)


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__",
        "[].__class__.__base__",
        "item.__class__",
        "inputs.parameters.foo.__len__",
        "now().__class__",
        "now().tzinfo",
        "{}.get",
        "(1).real",
        "sprig.__init__",
        "sprig.env('HOME')",
        "sprig.expandenv('$HOME')",
        "sprig.getHostByName('localhost')",
        "sprig.uuidv4()",
        "sprig.randAlphaNum(5)",
        "sprig.genPrivateKey('rsa')",
        "__import__('os')",
        "open('/etc/passwd')",
        "eval('1')",
        "$env.__class__",
    ],
)
def test_nothing_of_python_is_reached(expression: str) -> None:
    with pytest.raises(InvalidExpression):
        text_value(expression, NAMES)


def nested(levels: int) -> str:
    """Return declarations of lists, each of which holds the one before twice."""
    return "let a0 = [0, 0]; " + "".join(f"let a{n} = [a{n - 1}, a{n - 1}]; " for n in range(1, levels))


@pytest.mark.parametrize(
    "expression",
    [
        "repeat('a', 100000000)",
        "repeat(repeat('a', 100000), 100000)",
        "1..1000000000",
        "sprig.untilStep(0, 9223372036854775807, 1)",
        "sprig.until(9223372036854775807)",
        "sprig.seq(1, 9223372036854775807)",
        "sprig.indent(1000000000, 'a')",
        "map(1..100000, map(1..100000, #))",
        "reduce(1..60, #acc + #acc, 'a')",
        "reduce(1..60, concat(#acc, #acc), [1])",
        "reduce(1..100, #acc * #acc, 3)",
        "replace(repeat('a', 100000), 'a', repeat('b', 100000))",
        "join(map(1..10000, repeat('a', 10000)), ',')",
        "toJson(reduce(1..100000, [#acc], 0))",
        "flatten(reduce(1..1000, [#acc], 0))",
        "fromJSON(repeat('[', 100000))",
        "int(repeat('9', 100000))",
        nested(40) + "toJson(a39)",
        nested(40) + "string(a39)",
        nested(40) + "a39 == [a38, a38]",
        nested(40) + "a39 in [[a38, a38]]",
        nested(40) + "uniq([a39])",
        nested(40) + "flatten(a39)",
        nested(40) + "groupBy([1], a39)",
        nested(40) + "sprig.has(a39, [[a38, a38]])",
        nested(40) + "sprig.toString(a39)",
        nested(40) + "sort([a39, [a38, a38]])",
        "!" * 5000 + "true",
        "-" * 5000 + "1",
        "[" * 5000 + "]" * 5000,
        "1" + "-1" * 5000,
        "[" + "1," * 20000 + "]",
        "a" * 300_000,
    ],
)
def test_no_expression_takes_much_time_or_room(expression: str) -> None:
    with cpu_seconds_below(GENEROUS_SECONDS), pytest.raises(InvalidExpression):
        text_value(expression, NAMES)


def test_no_pattern_runs_for_long() -> None:
    with cpu_seconds_below(GENEROUS_SECONDS):
        assert text_value("repeat('a', 50000) + 'b' matches '^(a+)+$'", NAMES) == "false"


def test_many_parts_beside_each_other_are_not_deep() -> None:
    assert text_value(" + ".join(["1"] * 3000), NAMES) == "3000"


def test_a_value_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidExpression, match="1048576 characters"):
        text_value("repeat('a', 2000000)", NAMES)


def test_an_expression_chooses_an_artifact() -> None:
    expression = "workflow.status == 'Running' ? tasks.a.outputs.artifacts.x : tasks.b.outputs.artifacts.x"

    assert artifact_tag(expression, NAMES) == "tasks.a.outputs.artifacts.x"
    assert artifact_tag("tasks.b.outputs.artifacts.x ?? tasks.a.outputs.artifacts.x", NAMES).startswith("tasks.a")


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("inputs.parameters.x + 1", ""),
        ("let a = 1; map([1], a + #)", ""),
        ("now().Unix()", ""),
        ("a.b", "unknown name a"),
        ("let a = 1; b", "unknown name b"),
        ("what(1)", "unknown function what"),
        ("[1] | what()", "unknown function what"),
        ("sprig.what(1)", "unknown function sprig.what"),
        ("now().Now()", "unknown method Now"),
    ],
)
def test_what_can_never_be_worked_out_is_known_beforehand(expression: str, problem: str) -> None:
    assert problem_of(expression) == problem


def test_it_tells_which_tags_it_asks_for() -> None:
    manifest: dict[str, Any] = {"valueFrom": {"expression": "steps['a-b'].outputs.result + inputs.parameters[item.x]"}}

    assert {*references(manifest)} >= {"steps.a-b.outputs.result", "inputs.parameters", "item.x"}


ODD = (
    '""',
    '"\\ud83d ("',
    "-1",
    "1.5",
    "1e308 * 10",
    "9223372036854775807",
    "nil",
    "true",
    '["a", [1]]',
    '{"a": 1}',
    "now()",
)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_what_a_function_cannot_take_is_an_invalid_expression(name: str) -> None:
    for given in [(), *((one,) for one in ODD), *itertools.product(ODD, repeat=2)]:
        with contextlib.suppress(InvalidExpression):
            Evaluation(Names([{}], lambda: 1.0)).value(expression_of(f"{name}({', '.join(given)})"), {})
