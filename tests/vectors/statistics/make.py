"""Reference values of models/train/src/statistics: scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6, statsmodels 0.15.0. Prints JSON."""
import json
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import (average_precision_score, balanced_accuracy_score, brier_score_loss, cohen_kappa_score,
                             f1_score, roc_auc_score, roc_curve)
from statsmodels.stats.inter_rater import cohens_kappa

rng = np.random.default_rng(5)
n = 140
y = rng.random(n) < 0.35
first = np.round(1 / (1 + np.exp(-(rng.normal(size=n) + 1.2 * y - 0.8))), 2)  # rounded: ties
second = np.round(1 / (1 + np.exp(-(0.6 * rng.normal(size=n) + 0.5 * y + 0.5 * (first - 0.5)))), 2)


def structural(s):
    """DeLong 1988, equations 4 and 5, written out pair by pair."""
    psi = (s[y][:, None] > s[~y][None, :]) + 0.5 * (s[y][:, None] == s[~y][None, :])
    return psi.mean(1), psi.mean(0)


v10, v01 = zip(*(structural(s) for s in (first, second)))
S = np.cov(v10) / y.sum() + np.cov(v01) / (~y).sum()
auc = [v.mean() for v in v10]
z = (auc[0] - auc[1]) / np.sqrt(S[0, 0] + S[1, 1] - 2 * S[0, 1])


def sensitivity(spec):
    fpr, tpr, _ = roc_curve(y, first, drop_intermediate=False)
    return float(tpr[fpr <= 1 - spec + 1e-12].max())


a = rng.integers(0, 4, 90)
b = np.where(rng.random(90) < 0.6, a, rng.integers(0, 4, 90))
table = np.histogram2d(a, b, bins=np.arange(5) - 0.5)[0]
iso = IsotonicRegression(y_min=None, y_max=None, out_of_bounds="clip").fit(first, y)
at = [-1.0, 0.0, 0.13, 0.333, 0.5, 0.77, 2.0]
logits = np.round(rng.normal(size=(n, 3)) * 3, 3)
k = np.array([rng.choice(3, p=np.exp(log_softmax(r / 2.5))) for r in logits])
t = minimize_scalar(lambda u: -log_softmax(logits / np.exp(u), axis=1)[np.arange(n), k].sum(), bounds=(-4, 4),
                    method="bounded", options={"xatol": 1e-10})
print(json.dumps({
    "labels": y.tolist(), "first": first.tolist(), "second": second.tolist(),
    "auroc": [roc_auc_score(y, first), roc_auc_score(y, second)],
    "average_precision": average_precision_score(y, first),
    "brier": brier_score_loss(y, first),
    "delong": {"variance": [S[0, 0], S[1, 1]], "covariance": S[0, 1], "z": z, "p": 2 * norm.sf(abs(z))},
    "sensitivity_at": [[s, sensitivity(s)] for s in (0.5, 0.8, 0.9, 0.95, 1.0)],
    "reader_a": a.tolist(), "reader_b": b.tolist(),
    "kappa": [cohen_kappa_score(a, b, weights=w) for w in (None, "linear", "quadratic")],
    "kappa_error": [float(np.sqrt(cohens_kappa(table, wt=w, return_results=True).var_kappa)) for w in (None, "linear", "quadratic")],
    "isotonic_at": at, "isotonic": iso.predict(at).tolist(),
    "logits": logits.tolist(), "classes": k.tolist(), "temperature": float(np.exp(t.x)),
    "f1": f1_score(k, logits.argmax(1), average=None).tolist(),
    "macro_f1": f1_score(k, logits.argmax(1), average="macro"),
    "balanced_accuracy": balanced_accuracy_score(k, logits.argmax(1)),
}, indent=None))
