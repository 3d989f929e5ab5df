"""The metrics of a binary classifier."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

THRESHOLD = 0.5


@dataclass(frozen=True)
class Metric:
    """One metric with its meaning."""

    name: str
    value: float
    description: str


def metrics_of(positive: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64], rows: str) -> list[Metric]:
    """Return accuracy, AUC, F1, sensitivity and specificity.

    `positive` holds 1 or 0 for each row, `probabilities` those of 1; `rows` names the rows in the descriptions.
    Metrics that are not defined for these rows are left out: AUC needs both classes.
    """
    predicted = (probabilities >= THRESHOLD).astype(np.int64)
    (true_negative, false_positive), (false_negative, true_positive) = confusion_matrix(
        positive, predicted, labels=[0, 1]
    ).tolist()
    positives, negatives = true_positive + false_negative, true_negative + false_positive
    found = [
        Metric("accuracy", (true_positive + true_negative) / len(positive), f"share of {rows} classified correctly")
    ]
    if positives and negatives:
        found.append(Metric("auc", float(roc_auc_score(positive, probabilities)), f"area under the ROC curve, {rows}"))
    if positives:
        found.append(Metric("f1", float(f1_score(positive, predicted, zero_division=0.0)), f"F1 score, {rows}"))
        found.append(
            Metric("sensitivity", true_positive / positives, f"share of positive {rows} classified as positive")
        )
    if negatives:
        found.append(
            Metric("specificity", true_negative / negatives, f"share of negative {rows} classified as negative")
        )
    return found
