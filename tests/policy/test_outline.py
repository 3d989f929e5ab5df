"""What a text with references can become."""

import pytest

from policy.outline import Outline, readable

LIST = "{{workflow.parameters.execution_dataPartnerPatientsList}}"


def outline(*templates, provided=(), known=None, **parameters):
    given = [{"name": name, "value": value} for name, value in parameters.items()]
    spec = {"entrypoint": "main", "templates": list(templates), "arguments": {"parameters": given}}
    return Outline({"spec": spec}, frozenset(provided), known)


def step(template="work", loop=None, **arguments):
    given = [{"name": name, "value": value} for name, value in arguments.items()]
    return {"name": "a", "template": template, "arguments": {"parameters": given}, **(loop or {})}


def work(*inputs):
    return {"name": "work", "inputs": {"parameters": [{"name": name} for name in inputs]}}


def becomes(found, text, template="/spec/templates/1"):
    return sorted(readable(each) for each in found.becomes(text, template))


def main(*steps):
    return {"name": "main", "steps": [list(steps)]}


def test_a_literal_is_itself():
    assert becomes(outline(main()), "x") == ["x"]


def test_a_parameter_of_the_workflow_has_its_value():
    assert becomes(outline(main(), a="1", b="{{workflow.parameters.a}}2"), "<{{workflow.parameters.b}}>") == ["<12>"]


def test_what_only_an_execution_knows_is_a_symbol():
    found = outline(main(), provided=["a", "b"], known={"b": "2"})

    assert becomes(found, "{{workflow.parameters.a}}/{{workflow.parameters.b}}") == ["{{workflow.parameters.a}}/2"]


def test_every_call_gives_its_own():
    found = outline(main(step(x="1", y="a"), step(x="2", y="b")), work("x", "y"))

    assert becomes(found, "{{inputs.parameters.x}}-{{inputs.parameters.y}}") == ["1-a", "2-b"]


def test_fields_of_one_item_stay_together():
    loop = {"withItems": [{"p": "1", "q": "a"}, {"p": "2", "q": "b"}]}
    found = outline(main(step(loop=loop, x="{{item.p}}", y="{{item.q}}")), work("x", "y"))

    assert becomes(found, "{{inputs.parameters.x}}-{{inputs.parameters.y}}") == ["1-a", "2-b"]


def test_items_of_a_list_of_the_execution_are_symbols():
    found = outline(
        main(step(loop={"withParam": LIST}, x="{{item.data_path}}")),
        work("x"),
        provided=["execution_dataPartnerPatientsList"],
    )

    assert becomes(found, "{{inputs.parameters.x}}") == ["{{item.data_path of execution_dataPartnerPatientsList}}"]


def test_a_tag_within_the_name_of_a_tag_is_filled_first():
    found = outline(
        main(step(loop={"withItems": ["a", "b"]}, x="{{workflow.parameters.e_{{item}}-v}}")),
        work("x"),
        **{"e_a-v": "1", "e_b-v": "2"},
    )

    assert becomes(found, "{{inputs.parameters.x}}") == ["1", "2"]


@pytest.mark.parametrize("value", ["{{steps.a.outputs.result}}", "{{=1+1}}", "{{pod.name}}", "{{inputs.parameters.y}}"])
def test_what_only_running_tells_stays_open(value):
    assert "{{" in becomes(outline(main(step(x=value)), work("x")), "{{inputs.parameters.x}}")[0]


def test_a_loop_over_itself_ends():
    again = {
        **work("l", "x"),
        "steps": [[step(loop={"withParam": "{{inputs.parameters.l}}"}, l="{{item}}", x="{{item.p}}")]],
    }
    found = outline(main(step(l="[]", x="1")), again)

    assert "1" in becomes(found, "{{inputs.parameters.x}}")


@pytest.mark.parametrize("value", ["{{workflow.parameters.a}}{{workflow.parameters.a}}", "x{{workflow.parameters.a}}"])
def test_a_text_that_grows_without_end_stays_open(value):
    assert becomes(outline(main(), a=value), "{{workflow.parameters.a}}") == ["{{workflow.parameters.a}}"]


def test_a_step_within_a_step_sees_the_items_of_both():
    inner = {"container": {}}
    outer = {"name": "a", "inline": inner, "withItems": ["1", "2"]}
    found = outline({"name": "main", "steps": [[outer]]})

    assert becomes(found, "{{item}}", "/spec/templates/0/steps/0/0/inline") == ["1", "2"]


def test_a_web_of_calls_costs_no_more_than_its_bound():
    loop = {"withItems": [str(number) for number in range(100)]}
    names = [f"t{number}" for number in range(4)]
    templates = [main(step("t0", loop, x="{{item}}"))]
    for name, after in zip(names, [*names[1:], "work"], strict=True):
        inner = step(after, loop, x="{{inputs.parameters.x}}-{{item}}")
        templates.append({"name": name, "inputs": {"parameters": [{"name": "x"}]}, "steps": [[inner]]})
    found = outline(*templates, work("x"))
    text = "{{inputs.parameters.x}}"

    assert becomes(found, text, "/spec/templates/5") == [text]
    # What nobody could look at is open, and so is all that comes after it.
    assert becomes(found, f"{text}!", "/spec/templates/5") == [f"{text}!"]
