"""The demo's federated training, compared with each partner alone and with all data in one place."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.table import Table

from runtime.sample_ai_engine import sample_data
from usage_scripts.demo_day import Day, Json, Service, ai_model, model_id, platform_data

ROUNDS = 3
METRICS = ("accuracy", "auc")


def train_together(day: Day, partners: Sequence[str], first: Json) -> Table:
    """Train at two partners together, and compare on held-back patients; `first` is the first partner's evaluation.

    Every model sees its patients equally often: the epochs of a federated training are divided among its rounds.
    """
    data = sample_data.load()
    patients = dict(zip(partners, data.partners.values(), strict=False))
    (one, of_one), (other, of_other) = patients.items()
    epochs = sample_data.USER_VARS["epochs"]
    together = day.run(
        Service(
            f"Training together at {one} and {other}",
            "training-from-scratch-federated-learning",
            elements={
                "input_elements": {
                    **platform_data(patients),
                    "federated_learning_configuration": {"number_iterations": ROUNDS},
                },
                "output_elements": _model("federated model"),
            },
            user_vars=sample_data.USER_VARS | {"epochs": epochs // ROUNDS},
        )
    )
    # The reference for the others; real data may not leave its data partner.
    pooled = {**of_one, "patients": [*of_one["patients"], *of_other["patients"]]}
    alone, in_one_place = day.run_together(
        [
            _training(f"Training from scratch at {other}", other, of_other),
            _training("Training on all data in one place", one, pooled),
        ]
    )
    models = {"federated": together, f"{other} alone": alone, "all data in one place": in_one_place}
    evaluated = day.run_together(
        [
            Service(
                f"Evaluating: {name}",
                "evaluating-from-pretrained-model",
                model_id(model),
                {"input_elements": platform_data({partners[2]: data.held_back})},
            )
            for name, model in models.items()
        ]
    )
    values = {name: day.values(each) for name, each in zip(models, evaluated, strict=True)}
    return _table(
        {
            f"{one} alone": (len(of_one["patients"]), day.values(first)),
            f"{other} alone": (len(of_other["patients"]), values[f"{other} alone"]),
            f"federated, {ROUNDS} rounds": (len(pooled["patients"]), values["federated"]),
            "all data in one place": (len(pooled["patients"]), values["all data in one place"]),
        },
        len(data.held_back["patients"]),
    )


def _training(title: str, partner: str, patients: Json) -> Service:
    elements = {"input_elements": platform_data({partner: patients}), "output_elements": _model(title)}
    return Service(title, "training-from-scratch", elements=elements)


def _model(name: str) -> Json:
    return ai_model(f"{name} {time.strftime('%Y-%m-%d %H:%M:%S')}")


def _table(rows: dict[str, tuple[int, dict[str, float]]], held_back: int) -> Table:
    title = f"Trained alone, together, and on all data (on the same {held_back} held-back patients)"
    table = Table("model", "trained on patients", *METRICS, title=title)
    for name, (patients, values) in rows.items():
        table.add_row(name, str(patients), *(f"{values[metric]:.4f}" for metric in METRICS))
    return table
